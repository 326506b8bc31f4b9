"""Resource pools. Source: PVE::API2::Pool.

Members are kept by name: a storage, or a guest that need not exist yet. Leaves out: nothing.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.documents import Documents, Entry
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, died
from simulator.pve_datacenter import resources

routes = Routes()

NAMED = "/pool/{poolid} Pool.Allocate"
CHANGES = """
poolid       pve-poolid
comment?     string
vms?         pve-vmid-list
storage?     pve-storage-id-list
delete?      boolean
allow-move?  boolean
"""


def pool_of(documents: Documents, vmid: int) -> str | None:
    """The pool that a guest is in."""
    name = str(vmid)
    return next((p for p, e in documents.pools.items() if name in _list(e, "vms")), None)


def add_guest(documents: Documents, pool: str, vmid: int) -> None:
    """Make a guest a member."""
    entry = documents.pools[pool]
    documents.pools[pool] = {**entry, "vms": ",".join([*_list(entry, "vms"), str(vmid)])}


def remove_guest(documents: Documents, vmid: int) -> None:
    """Take a guest out of its pool."""
    if (pool := pool_of(documents, vmid)) is not None:
        entry = documents.pools[pool]
        left = [known for known in _list(entry, "vms") if known != str(vmid)]
        documents.pools[pool] = {**entry, "vms": ",".join(left)}


def _list(entry: Entry, key: str) -> list[str]:
    return items(str(entry.get(key) or ""))


def _find(call: Call) -> tuple[str, Entry]:
    name = call.text("poolid")
    if (entry := call.documents.pools.get(name)) is None:
        raise died(f"pool '{name}' does not exist")
    return name, entry


def _row(name: str, entry: Entry) -> dict[str, object]:
    comment = entry.get("comment")
    return {"poolid": name} | ({"comment": comment} if comment else {})


@routes.add("GET /pools", takes="poolid? pve-poolid\ntype? enum(qemu,lxc,storage) requires=poolid")
def pools(call: Call) -> object:
    """Pools that the caller may audit; one with its members."""
    if call.has("poolid"):
        call.need(f"/pool/{call.text('poolid')}", "Pool.Audit")
        return [pool(call)]
    return [
        _row(name, entry)
        for name, entry in sorted(call.documents.pools.items())
        if call.may(f"/pool/{name}", "Pool.Audit")
    ]


@routes.add(
    "GET /pools/{poolid}",
    "/pool/{poolid} Pool.Audit",
    "poolid pve-poolid\ntype? enum(qemu,lxc,storage)",
)
def pool(call: Call) -> object:
    """One pool and its members. A storage appears once, as the node asked sees it."""
    name, entry = _find(call)
    members: list[dict[str, object]] = []
    kind = call.text("type")
    for vmid in map(int, _list(entry, "vms")):
        if vmid in call.documents.guests and call.world.guest(vmid) is not None:
            row = resources.guest_row(call, vmid)
            members += [row] if kind in ("", row["type"]) else []
    if kind in ("", "storage"):
        for storage in _list(entry, "storage"):
            if storage in call.documents.storages:
                members.append(resources.storage_row(call, storage, call.node))
    return {**_row(name, entry), "members": members}


@routes.add("POST /pools", NAMED, "poolid pve-poolid\ncomment? string")
def create_pool(call: Call) -> object:
    """A new pool; one with a slash in its name lies in another."""
    name, known = call.text("poolid"), call.documents.pools
    with call.locked("user_cfg", "create pool failed: "):
        if name in known:
            raise died(f"pool '{name}' already exists")
        parent = name.rpartition("/")[0]
        if parent and parent not in known:
            raise died(f"parent '{parent}' of pool '{name}' does not exist")
        comment = call.text("comment")
        known[name] = {"comment": comment} if comment else {}
    return None


@routes.add("PUT /pools", NAMED, CHANGES)
@routes.add("PUT /pools/{poolid}", NAMED, CHANGES)
def update_pool(call: Call) -> object:
    """Change a pool's comment, add members, or with `delete` remove them."""
    with call.locked("user_cfg", "update pools failed: "):
        name, old = _find(call)
        entry: dict[str, Value] = dict(old)
        if call.has("comment"):
            entry["comment"] = call.text("comment")
        for key in ("vms", "storage"):
            if call.has(key):
                entry[key] = ",".join(_members(call, name, key, _list(old, key)))
        call.documents.pools[name] = entry
    return None


def _members(call: Call, pool: str, key: str, old: list[str]) -> list[str]:
    members = list(old)
    for name in call.words(key):
        _need_member_right(call, key, name)
        what = f"VM {name}" if key == "vms" else f"Storage '{name}'"
        if call.flag("delete"):
            if name not in members:
                raise died(f"{what} is not a pool member")
            members.remove(name)
        elif name in members:
            raise died(f"{what} is already a pool member")
        else:
            if key == "vms":
                _leave_other_pool(call, pool, name)
            members.append(name)
    return members


def _need_member_right(call: Call, key: str, name: str) -> None:
    path, privilege = (
        ("/vms/", "VM.Allocate") if key == "vms" else ("/storage/", "Datastore.Allocate")
    )
    if not call.may(path + name, privilege):
        raise ApiError(403, f"Permission check failed ({path}{name}, {privilege})\n")


def _leave_other_pool(call: Call, pool: str, name: str) -> None:
    other = pool_of(call.documents, int(name))
    if other in (None, pool):
        return
    if not call.flag("allow-move"):
        raise died(f"VM {name} belongs already to pool '{other}' and 'allow-move' is not set")
    remove_guest(call.documents, int(name))


@routes.add("DELETE /pools", NAMED, "poolid pve-poolid")
@routes.add("DELETE /pools/{poolid}", NAMED, "poolid pve-poolid")
def delete_pool(call: Call) -> object:
    """Remove an empty pool and the rights on it."""
    with call.locked("user_cfg", "delete pool failed: "):
        name, entry = _find(call)
        empty = f"pool '{name}' is not empty (contains "
        if below := [p for p in call.documents.pools if p.rpartition("/")[0] == name]:
            raise died(f"{empty}pool '{below[0]}')")
        if vms := [vmid for vmid in _list(entry, "vms") if int(vmid) in call.documents.guests]:
            raise died(f"{empty}VM {vms[0]})")
        for storage in _list(entry, "storage"):
            if storage in call.documents.storages:
                raise died(f"{empty}storage '{storage}')")
        del call.documents.pools[name]
        for known in [e for e in call.documents.acl if e[0] == f"/pool/{name}"]:
            del call.documents.acl[known]
    return None
