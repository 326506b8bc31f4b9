"""Storage definitions, and each node's view of them. Source: PVE::API2::Storage::Config, ::Status.

Creating one that is enabled on the node asked tries to reach it, as the real call does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents, Entry
from simulator.pve.parameters import Value, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.sections import (
    check_fixed,
    check_known,
    check_new,
    check_removable,
)
from simulator.pve.storage_types import (
    CHANGEABLE,
    FIXED,
    NETWORKED,
    SECRETS,
    TYPE,
    TYPES,
    StorageType,
    type_of,
)
from simulator.pve.tasks import Worker
from simulator.pve.wire import ApiError, bad_parameters, died
from simulator.pve_node.volumes import used_bytes

routes = Routes()

CREATE = table(CHANGEABLE + FIXED)
UPDATE = table(CHANGEABLE + "delete? pve-configid-list ..4096\ndigest? string ..64")


def find_storage(documents: Documents, name: str) -> Entry:
    """A storage's entry. Raises if there is none."""
    if (entry := documents.storages.get(name)) is None:
        raise died(f"storage '{name}' does not exist")
    return entry


def enabled_on(entry: Entry, node: str) -> bool:
    """Whether a storage is for this node at all."""
    nodes = items(str(entry.get("nodes") or ""))
    return not entry.get("disable") and (not nodes or node in nodes)


def shared(entry: Entry) -> bool:
    """Whether every node sees the same volumes."""
    return type_of(entry).shared or bool(entry.get("shared"))


def _shown(call: Call, name: str) -> dict[str, object]:
    entry = call.documents.storages[name]
    kept = {
        key: value for key, value in entry.items() if key not in SECRETS and key != "encryption-key"
    }
    row: dict[str, object] = {"storage": name, **kept, "digest": call.documents.storages.digest}
    kind = type_of(entry)
    if kind.mounted:
        row.setdefault("path", f"/mnt/pve/{name}")
    if kind.shared:
        row["shared"] = 1
    return row


@routes.add("GET /storage", takes=f"type? {TYPE}")
def storages(call: Call) -> object:
    """Definitions that the caller may use or audit."""
    wanted = call.text("type")
    return [
        _shown(call, name)
        for name, entry in call.documents.storages.items()
        if wanted in ("", entry["type"]) and may_use(call, name)
    ]


def may_use(call: Call, name: str) -> bool:
    """Whether a storage is listed for the caller."""
    return call.may(
        f"/storage/{name}", "Datastore.Audit", "Datastore.AllocateSpace", "Datastore.Allocate"
    )


@routes.add(
    "GET /storage/{storage}", "/storage/{storage} Datastore.Allocate", "storage pve-storage-id"
)
def storage(call: Call) -> object:
    """One definition."""
    name = call.text("storage")
    find_storage(call.documents, name)
    return _shown(call, name)


def _content(kind: StorageType, text: str) -> str:
    """The types of content that the plugin has; the others are left away, as it does."""
    wanted = [word for word in items(text) if word in kind.content]
    if "none" in wanted and len(wanted) > 1:
        raise died("unable to combine 'none' with other content types")
    if not wanted and "none" not in kind.content:
        raise died("storage does not support content type 'none'")
    return ",".join(sorted(set(wanted)))


def _sent(call: Call, kind: StorageType) -> dict[str, Value]:
    skipped = ("storage", "type", "delete", "digest")
    sent = {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}
    check_known(kind, sent)
    if "content" in sent:
        sent["content"] = _content(kind, call.text("content"))
    if "nodes" in sent:
        sent["nodes"] = ",".join(sorted(set(call.words("nodes"))))
    return sent


@routes.add("POST /storage", "/storage Datastore.Allocate", CREATE)
def create_storage(call: Call) -> object:
    """Define a storage."""
    name, kind = call.text("storage"), TYPES[call.text("type")]
    if name in call.documents.storages:
        raise died(f"create storage failed: storage ID '{name}' already defined")
    sent = _sent(call, kind)
    check_new(kind, sent)
    entry = {"type": call.text("type"), **sent}
    if kind.mounted:
        entry.setdefault("path", f"/mnt/pve/{name}")
    with call.locked("storage_cfg", "create storage failed: "):
        call.documents.storages[name] = entry
        call.api.sync(call.twin)
        _activate(call, name, entry)
    answer: dict[str, object] = {"storage": name, "type": call.text("type")}
    return {**answer, "config": {}} if call.text("type") == "pbs" else answer


def _activate(call: Call, name: str, entry: Entry) -> None:
    """Try to use a new storage on the node asked; it is not kept if that fails."""
    if (
        entry["type"] in NETWORKED
        and enabled_on(entry, call.node)
        and call.world.problem(name, call.node)
    ):
        del call.documents.storages[name]
        call.api.sync(call.twin)
        raise died(f"storage '{name}' is not online")


@routes.add("PUT /storage/{storage}", "/storage Datastore.Allocate", UPDATE)
def update_storage(call: Call) -> object:
    """Change a definition."""
    name = call.text("storage")
    with call.locked("storage_cfg", "update storage failed: "):
        call.need_digest(call.documents.storages.digest)
        old = find_storage(call.documents, name)
        kind = type_of(old)
        sent = _sent(call, kind)
        check_fixed(kind, old, sent)
        new = {**old, **sent}
        for key in call.words("delete"):
            check_removable(kind, [key], sent)
            call.need_known(key)
            new.pop(key, None)
        call.documents.storages[name] = new
        call.api.sync(call.twin)
    return {"storage": name, "type": old["type"]}


@routes.add("DELETE /storage/{storage}", "/storage Datastore.Allocate", "storage pve-storage-id")
def delete_storage(call: Call) -> object:
    """Forget a definition; what it holds stays."""
    name = call.text("storage")
    with call.locked("storage_cfg", "delete storage failed: "):
        find_storage(call.documents, name)
        bases = [str(entry.get("base")) for entry in call.documents.storages.values()]
        if any(base.startswith(f"{name}:") for base in bases):
            raise died("can't remove storage - storage is used as base of another storage")
        del call.documents.storages[name]
        call.api.sync(call.twin)
    return None


def need_free(scene: Environment, name: str, wanted: Entry, *identity: str) -> None:
    """Raise unless a storage can be made for what is made on the node, or is one for the same thing
    elsewhere. `identity`: keys that then have to be alike. Source: create_or_update.
    """
    if (known := scene.documents.storages.get(name)) is None:
        return
    nodes = items(str(known.get("nodes") or ""))
    if not nodes or scene.node in nodes:
        raise died(f"Storage ID '{name}' already exists on node {scene.node}")
    for key in (*identity, "type"):
        if key not in known:
            text = f"Option '{key}' is not configured for storage '{name}'"
            raise died(f"{text}, expected it to be '{wanted[key]}'")
        if known[key] != wanted[key]:
            text = f"Option '{key}' ({wanted[key]}) does not match existing storage configuration"
            raise died(f"{text} '{known[key]}'")


def keep_for_node(worker: Worker, name: str, wanted: Entry, *identity: str) -> None:
    """Make a storage for what was made on the node, or let that of other nodes be for it, too."""
    need_free(worker, name, wanted, *identity)
    storages = worker.documents.storages
    with worker.locked("storage_cfg", "create storage failed: "):
        if name in storages:
            nodes = sorted({*items(str(storages[name]["nodes"])), worker.node})
            storages[name] = {**storages[name], "nodes": ",".join(nodes)}
            worker.say(f"Added '{worker.node}' to nodes for storage '{name}'")
        else:
            storages[name] = {**wanted, "nodes": worker.node}
        worker.api.sync(worker.twin)


def drop_for_node(scene: Environment, gone: Callable[[Entry], bool]) -> None:
    """Let storages be for the other nodes alone; those of this node alone are forgotten. Source:
    cleanup_storages_for_node.
    """
    storages = scene.documents.storages
    with scene.locked("storage_cfg", "config cleanup failed - "):
        for name, entry in [*storages.items()]:
            nodes = {*items(str(entry.get("nodes") or ""))} or {*scene.world.nodes}
            if not gone(entry) or scene.node not in nodes:
                continue
            if left := sorted(nodes - {scene.node}):
                storages[name] = {**entry, "nodes": ",".join(left)}
            else:
                del storages[name]
        scene.api.sync(scene.twin)


def need_enabled(call: Environment, name: str) -> Entry:
    """A storage that this node may use. Raises as `storage_check_enabled` does."""
    entry = find_storage(call.documents, name)
    if entry.get("disable"):
        raise died(f"storage '{name}' is disabled")
    if not enabled_on(entry, call.node):
        raise died(f"storage '{name}' is not available on node '{call.node}'")
    return entry


def status(scene: Environment, name: str, node: str) -> dict[str, object]:
    """How full a storage is, as a node sees it; figures are zero where it does not serve."""
    entry = scene.documents.storages[name]
    enabled = enabled_on(entry, node)
    active = enabled and not scene.world.problem(name, node)
    total = scene.world.storage_bytes(entry, node) if active else 0
    used = min(total, used_bytes(scene, name, node)) if active else 0
    return {
        "type": entry["type"],
        "content": entry["content"],
        "shared": int(shared(entry)),
        "enabled": int(enabled),
        "active": int(active),
        "total": total,
        "used": used,
        "avail": total - used,
    }


_NODE_STORAGE = "node pve-node\nstorage pve-storage-id\n"
AUDIT = "/storage/{storage} Datastore.Audit|Datastore.AllocateSpace"


@routes.add(
    "GET /nodes/{node}/storage",
    takes="""
    node      pve-node
    content?  pve-storage-content-list
    enabled?  boolean
    format?   boolean
    storage?  pve-storage-id
    target?   pve-node
    """,
)
def node_storages(call: Call) -> object:
    """Storages with their state on this node; to choose one by its content or for a move to another
    node, those that serve.
    """
    asked = call.text("storage")
    if asked and not (asked in call.documents.storages and _chosen(call, asked)):
        raise bad_parameters(storage="No such storage.")
    rows = []
    for name, entry in call.documents.storages.items():
        left_out = (asked and name != asked) or (call.flag("enabled") and entry.get("disable"))
        if left_out or not (_chosen(call, name) and may_use(call, name) and _moves(call, entry)):
            continue
        row = status(call, name, call.node)
        total, used = int(str(row["total"])), int(str(row["used"]))
        rows.append({"storage": name, **row, **({"used_fraction": used / total} if total else {})})
    return rows


def _chosen(call: Call, name: str) -> bool:
    """Whether a storage holds what is asked for, and serves it here."""
    entry = call.documents.storages[name]
    content = items(str(entry["content"]))
    fits = any(word in content for word in call.words("content"))
    return not call.has("content") or (fits and enabled_on(entry, call.node))


def _moves(call: Call, entry: Entry) -> bool:
    """Whether a storage is the same one here and on the node that is the target."""
    target = call.text("target", call.node)
    nodes = items(str(entry.get("nodes") or ""))
    both = not nodes or {call.node, target} <= set(nodes)
    return target in (call.node, "localhost") or (shared(entry) and both)


@routes.add("GET /nodes/{node}/storage/{storage}", AUDIT, _NODE_STORAGE)
def storage_index(call: Call) -> object:
    """What there is of a storage."""
    names = items("content upload file-restore rrd rrddata status prunebackups download-url")
    return [{"subdir": name} for name in names]


@routes.add("GET /nodes/{node}/storage/{storage}/status", AUDIT, _NODE_STORAGE)
def storage_status(call: Call) -> object:
    """How full it is."""
    name = call.text("storage")
    if name not in call.documents.storages:
        raise bad_parameters(storage="No such storage.")
    return status(call, name, call.node)


def refuse(text: str) -> NoReturn:
    """A permission that is missing on a storage."""
    raise ApiError(403, text)
