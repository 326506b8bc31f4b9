"""High availability: resources and moves. Source: PVE::API2::HA::Resources.

Documents say what is wanted; what is, the twin's HA daemons say (`ha_status`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.cluster.rules import compile_rules
from simulator.ha.part import documents_of, ha_request
from simulator.pve.call import Call, Environment
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.wire import died
from simulator.pve_datacenter.ha_groups import need_group

if TYPE_CHECKING:
    from simulator.pve.api import PveApi
    from simulator.twin import Twin

routes = Routes()
AUDIT, WRITE = "/ Sys.Audit", "/ Sys.Console"
index(routes, "/cluster/ha", "status resources groups rules", "id", AUDIT)
index(routes, "/cluster/ha/status", "arm-ha current disarm-ha manager_status", "name")

SID = "sid pve-ha-resource-or-vm-id\n"
SETTINGS = """
comment?       string ..4096
failback?      boolean
group?         pve-configid
max_relocate?  integer 0..
max_restart?   integer 0..
state?         enum(started,stopped,enabled,disabled,ignored)
"""
KINDS = {"vm": ("qemu", "VM"), "ct": ("lxc", "container")}


def sid_of(call: Call) -> str:
    """`vm:100` of the sid sent, which may be a number alone. Raises for what can't be one."""
    text = call.text("sid")
    kind, colon, number = text.partition(":")
    if not colon:
        guest = call.documents.guests.get(int(text))
        if guest is None:
            raise died(f"unable to detect SID from VMID - VM/CT {text} does not exist")
        return f"{'vm' if guest.kind == 'qemu' else 'ct'}:{text}"
    if kind not in KINDS:
        raise died(f"unknown section type '{kind}'")
    if not number.isdecimal():
        raise died("invalid VMID")
    return text


def managed(scene: Environment, sid: str) -> bool:
    """Whether HA decides over a guest; one that it is to ignore is as if it were not under HA."""
    resource = scene.documents.ha_resources.get(sid)
    return resource is not None and resource.get("state") != "ignored"


def guest_ha(scene: Environment, sid: str) -> dict[str, object]:
    """What the status of a guest says of HA: the manager's word, none before its first round."""
    if not managed(scene, sid):
        return {"managed": 0}
    grouped = {"group": scene.documents.ha_resources[sid].get("group")}
    shown = {} if scene.api.release.ha_by_rules else grouped
    return {"managed": 1, "state": scene.world.ha_state(sid) or None, **shown}


def unfit(scene: Environment, sid: str, wanted: str = "") -> str:
    """Why nothing can be asked of a resource now, but to disable it; "" if it can."""
    if not managed(scene, sid) or scene.world.ha_state(sid) != "error" or wanted == "disabled":
        return ""
    return f"service '{sid}' in error state, must be disabled and fixed first"


@routes.add("GET /cluster/ha/resources", AUDIT, "type? enum(ct,vm)")
def resources(call: Call) -> object:
    """What is under HA."""
    wanted, digest = call.text("type"), call.documents.ha_resources.digest
    return [
        {"sid": sid, **entry, "digest": digest}
        for sid, entry in call.documents.ha_resources.items()
        if wanted in ("", entry["type"])
    ]


@routes.add("GET /cluster/ha/resources/{sid}", AUDIT, SID)
def resource(call: Call) -> object:
    """One resource."""
    sid = sid_of(call)
    if sid not in call.documents.ha_resources:
        raise died(f"no such resource '{sid}'")
    known = call.documents.ha_resources
    return {"sid": sid, **known[sid], "digest": known.digest}


def _check_new(call: Call, sid: str) -> None:
    kind, _, number = sid.partition(":")
    if call.text("type", kind) != kind:
        raise died("types does not match")
    need_group(call)
    guest = call.documents.guests.get(int(number))
    if guest is None:
        raise died(f"resource '{sid}' does not exist in cluster")
    wanted, word = KINDS[kind]
    if guest.kind != wanted:
        raise died(f"resource '{sid}' - guest with ID {number} is not a {word}")


@routes.add("POST /cluster/ha/resources", WRITE, SID + SETTINGS + "type? enum(ct,vm)")
def create_resource(call: Call) -> object:
    """Put a guest under HA."""
    call.need_quorum()
    sid = sid_of(call)
    _check_new(call, sid)
    sent = _sent(call)
    with call.locked("ha/resources_cfg", "create resource failed: "):
        if sid in call.documents.ha_resources:
            raise died(f"resource ID '{sid}' already defined")
        call.documents.ha_resources[sid] = {"type": sid.partition(":")[0], **sent}
        call.api.sync(call.twin)
    return None


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("sid", "type", "digest", "delete")
    return {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}


@routes.add(
    "PUT /cluster/ha/resources/{sid}",
    WRITE,
    SID + SETTINGS + "delete? pve-configid-list ..4096\ndigest? string ..64",
)
def update_resource(call: Call) -> object:
    """Change what is wanted of a resource."""
    sid = sid_of(call)
    need_group(call)
    sent = _sent(call)
    if why := unfit(call, sid, call.text("state")):
        raise died(why)
    with call.locked("ha/resources_cfg", "update resources config failed: "):
        resources = call.documents.ha_resources
        if sid not in resources:
            raise died(f"no such resource '{sid}'")
        call.need_digest(resources.digest)
        new = {**resources[sid], **sent}
        for key in call.words("delete"):
            if key in ("sid", "delete", "digest"):
                raise died(f"no such option '{key}'")
            call.need_known(key)
            new.pop(key, None)
        resources[sid] = {key: value for key, value in new.items() if value != ""}
        call.api.sync(call.twin)
    return None


@routes.add("DELETE /cluster/ha/resources/{sid}", WRITE, SID + "purge? boolean")
def delete_resource(call: Call) -> object:
    """Take a guest out of HA, and out of the rules."""
    sid = sid_of(call)
    documents = call.documents
    if sid not in documents.ha_resources:
        raise died(f"cannot delete service '{sid}', not HA managed!")
    with call.locked("ha/resources_cfg", "delete resource failed: "):
        del documents.ha_resources[sid]
        drop_from_rules(call, sid, purge=call.flag("purge"))
        call.api.sync(call.twin)
    return None


def drop_from_rules(call: Call, sid: str, *, purge: bool) -> None:
    """A rule that named only this resource goes, others lose it where `purge` says so."""
    rules = call.documents.ha_rules
    for name, rule in list(rules.items()):
        named = items(str(rule["resources"]))
        left = [known for known in named if known != sid]
        if sid in named and not left:
            del rules[name]
        elif sid in named and purge:
            rules[name] = {**rule, "resources": ",".join(left)}


@routes.add("POST /cluster/ha/resources/{sid}/migrate", WRITE, SID + "node pve-node")
@routes.add("POST /cluster/ha/resources/{sid}/relocate", WRITE, SID + "node pve-node")
def move(call: Call) -> object:
    """Ask the manager to move a resource: live, or stopped and started anew."""
    call.need_quorum()
    sid, node = sid_of(call), call.text("node")
    if not managed(call, sid):
        raise died(f"resource '{sid}' is not HA managed")
    if why := unfit(call, sid):
        raise died(why)
    word = "migrate" if call.path.endswith("/migrate") else "relocate"
    answer = {"sid": sid, "requested-node": node, **_company(call, sid, node)}
    ha_request(call.twin, call.api.cluster, word, sid, node)
    return answer if call.api.release.ha_by_rules else None


def _company(call: Call, sid: str, node: str) -> dict[str, object]:
    """Who will move along by the rules, and who is in the way; the manager then refuses."""
    rules, _ = compile_rules(call.twin.facts.workload(call.api.cluster).rules, call.world.nodes)
    records = documents_of(call.twin, call.api.cluster).status.services
    along = [other for other in rules.positive(sid) if other in records]
    blocking = [
        {"sid": other, "cause": "resource-affinity"}
        for other in rules.negative(sid)
        if other in records and node in (records[other].node, records[other].target)
    ]
    found = {"comigrated-resources": along, "blocking-resources": blocking}
    return {key: value for key, value in found.items() if value}


def follow(api: PveApi, twin: Twin) -> None:
    """Take over what the manager wrote: a service that it was told to stop is wanted stopped."""
    resources = api.documents.ha_resources
    for sid, resource in twin.facts.workload(api.cluster).ha.items():
        if (entry := resources.get(sid)) is None:
            continue
        wanted = str(entry.get("state") or "started").replace("enabled", "started")
        if resource.state != wanted:
            resources[sid] = {**entry, "state": resource.state}
