"""HA groups: where the resources of a group may run, which are rules since 9.

    ha/groups.cfg  ->  node affinity rules of the physics (`load`)

Source: PVE::API2::HA::Groups and PVE::HA::Groups of 8.4; recorded answers for 9, where every call
is refused. Leaves out: the move of groups into rules when a cluster is upgraded.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.sections import SectionFile, check_new, check_removable, section_type
from simulator.pve.wire import died

routes = Routes()
AUDIT, WRITE = "/ Sys.Audit", "/ Sys.Console"
MIGRATED = "ha groups have been migrated to rules"

NAME = "group pve-configid\n"
SETTINGS = """
comment?     string ..4096
nofailback?  boolean
restricted?  boolean
"""
GROUPS = SectionFile(
    "ha/groups.cfg",
    SETTINGS + "nodes pve-ha-node-list\n",
    {"group": section_type("nodes+ restricted nofailback comment")},
)


def _need_groups(call: Call, action: str) -> None:
    if call.api.release.ha_by_rules:
        raise died(f"cannot {action}: {MIGRATED}")


def need_group(call: Call) -> None:
    """Raise unless the group that a resource is to be in can be named, and is there."""
    if not call.has("group"):
        return
    if call.api.release.ha_by_rules:
        raise died(f"invalid parameter 'group': {MIGRATED}")
    if call.text("group") not in GROUPS.entries(call.documents):
        raise died(f"HA group '{call.text('group')}' does not exist")


def _shown(call: Call, name: str, entry: Entry) -> dict[str, object]:
    return {"group": name, **entry, "digest": GROUPS.digest(call.documents)}


def _find(call: Call) -> tuple[str, Entry]:
    name = call.text("group")
    if (entry := GROUPS.entries(call.documents).get(name)) is None:
        raise died(f"no such ha group '{name}'")
    return name, entry


def _sent(call: Call) -> dict[str, Value]:
    sent = {key: call.values[key] for key in GROUPS.types["group"].known if call.has(key)}
    if call.has("nodes"):
        sent["nodes"] = ",".join(sorted(set(call.words("nodes"))))
    return sent


def _keep(call: Call, name: str, entry: Entry | None) -> None:
    GROUPS.put(call.documents, name, entry)
    call.api.sync(call.twin)


@routes.add("GET /cluster/ha/groups", AUDIT)
def groups(call: Call) -> object:
    """All groups."""
    _need_groups(call, "index groups")
    known = GROUPS.entries(call.documents)
    return [_shown(call, name, known[name]) for name in sorted(known)]


@routes.add(
    "POST /cluster/ha/groups",
    WRITE,
    NAME + SETTINGS + "nodes pve-ha-node-list\ntype? enum(group)\n",
)
def create_group(call: Call) -> object:
    """A new group."""
    _need_groups(call, "create group")
    sent, name = _sent(call), call.text("group")
    check_new(GROUPS.types["group"], sent)
    with call.locked("ha", "create ha group failed: ", kind="domain"):
        if name in GROUPS.entries(call.documents):
            raise died(f"ha group ID '{name}' already defined")
        _keep(call, name, {"type": "group", **sent})
    return None


@routes.add("GET /cluster/ha/groups/{group}", AUDIT, NAME)
def group(call: Call) -> object:
    """One group."""
    _need_groups(call, "read group")
    return _shown(call, *_find(call))


@routes.add(
    "PUT /cluster/ha/groups/{group}",
    WRITE,
    NAME
    + SETTINGS
    + "nodes? pve-ha-node-list\ndelete? pve-configid-list ..4096\ndigest? string ..64\n",
)
def update_group(call: Call) -> object:
    """Change a group."""
    _need_groups(call, "update group")
    sent = _sent(call)
    with call.locked("ha", "update ha group failed: ", kind="domain"):
        name, old = _find(call)
        call.need_digest(GROUPS.digest(call.documents))
        check_removable(GROUPS.types["group"], call.words("delete"), sent)
        kept = {key: value for key, value in old.items() if key not in call.words("delete")}
        _keep(call, name, {**kept, **sent})
    return None


@routes.add("DELETE /cluster/ha/groups/{group}", WRITE, NAME)
def delete_group(call: Call) -> object:
    """Remove a group that no resource is in; one that is absent is fine."""
    _need_groups(call, "delete group")
    name = call.text("group")
    with call.locked("ha", "delete ha group failed: ", kind="domain"):
        for sid, resource in call.documents.ha_resources.items():
            if name in items(str(resource.get("group") or "")):
                raise died(f"ha group is used by service '{sid}'")
        _keep(call, name, None)
    return None
