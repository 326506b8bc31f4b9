"""Storage definitions, and each node's view of them. Source: PVE::API2::Storage::Config, ::Status.

What a type takes is `TYPES`, from the plugins of pve-storage. Creating one that is enabled on the
node asked tries to reach it, as the real call does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents, Entry, digest_of
from simulator.pve.parameters import Value, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.sections import (
    CHANGED as CHANGED,  # the HA calls take it from here
)
from simulator.pve.sections import (
    SectionType,
    check_fixed,
    check_known,
    check_lines,
    check_new,
    check_removable,
    section_type,
)
from simulator.pve.volumes import used_bytes
from simulator.pve.wire import ApiError, died

routes = Routes()

FILES = frozenset(items("images rootdir vztmpl iso backup snippets import none"))
MEDIA = FILES - {"none"}
BLOCK = frozenset({"images", "rootdir"})
COMMON = items("nodes content disable bwlimit")


@dataclass(frozen=True)
class StorageType(SectionType):
    """What one plugin takes. `mounted`: its path is /mnt/pve/ID unless given."""

    content: frozenset[str] = frozenset()
    default: str = ""
    shared: bool = False
    mounted: bool = False


def _type(
    keys: str,
    content: frozenset[str] | str,
    default: str,
    *,
    shared: bool = False,
    mounted: bool = False,
) -> StorageType:
    """`keys` as `section_type` reads them."""
    kind = section_type(keys)
    return StorageType(
        required=kind.required,
        fixed=kind.fixed,
        optional=(*kind.optional, *COMMON),
        content=frozenset(content.split()) if isinstance(content, str) else content,
        default=default,
        shared=shared,
        mounted=mounted,
    )


_DIR = (
    "format preallocation content-dirs create-base-path create-subdirs mkdir "
    "snapshot-as-volume-chain prune-backups max-protected-backups maxfiles "
)
TYPES: dict[str, StorageType] = {
    "btrfs": _type(
        "path! nocow is_mountpoint shared format preallocation content-dirs create-base-path "
        "create-subdirs mkdir prune-backups max-protected-backups maxfiles",
        FILES,
        "images,rootdir",
    ),
    "cephfs": _type(
        "path= monhost username subdir fs-name fuse options keyring content-dirs create-base-path "
        "create-subdirs mkdir prune-backups max-protected-backups maxfiles",
        MEDIA - BLOCK,
        "backup",
        shared=True,
        mounted=True,
    ),
    "cifs": _type(
        "path= server! share! subdir username password domain smbversion options " + _DIR,
        MEDIA,
        "images",
        shared=True,
        mounted=True,
    ),
    "dir": _type("path! shared is_mountpoint " + _DIR, FILES, "images,rootdir"),
    "esxi": _type(
        "server+ username+ password+ port skip-cert-verification", frozenset({"import"}), "import"
    ),
    "glusterfs": _type(
        "path= server+ server2 volume! transport " + _DIR,
        MEDIA,
        "images",
        shared=True,
        mounted=True,
    ),
    "iscsi": _type("portal! target!", "images none", "images", shared=True),
    "iscsidirect": _type("portal! target!", "images", "images", shared=True),
    "lvm": _type(
        "vgname! base= shared saferemove saferemove_throughput saferemove-stepsize tagged_only "
        "snapshot-as-volume-chain",
        BLOCK,
        "images",
    ),
    "lvmthin": _type("vgname! thinpool!", BLOCK, "images,rootdir"),
    "nfs": _type(
        "path= server! export! options " + _DIR, MEDIA, "images", shared=True, mounted=True
    ),
    "pbs": _type(
        "server! datastore! namespace port username password fingerprint encryption-key "
        "master-pubkey prune-backups max-protected-backups maxfiles",
        "backup none",
        "backup",
        shared=True,
    ),
    "rbd": _type(
        "pool monhost username keyring krbd data-pool namespace authsupported",
        BLOCK,
        "images",
        shared=True,
    ),
    "zfs": _type(
        "pool! portal! target! iscsiprovider! blocksize+ sparse nowritecache comstar_hg "
        "comstar_tg lio_tpg zfs-base-path",
        "images",
        "images",
        shared=True,
    ),
    "zfspool": _type("pool! blocksize sparse mountpoint", BLOCK, "images,rootdir"),
}
SECRETS = frozenset({"password", "keyring", "encryption-key", "master-pubkey"})
NETWORKED = frozenset({"nfs", "cifs"})
"""Types whose plugin asks the server before it mounts."""

_TYPE = f"enum({','.join(name for name in TYPES if name != 'glusterfs')})"  # gone in 9
_CHANGEABLE = """
blocksize?                 string
bwlimit?                   {bwlimit}
comstar_hg?                string
comstar_tg?                string
content?                   pve-storage-content-list
content-dirs?              pve-dir-override-list
create-base-path?          boolean
create-subdirs?            boolean
data-pool?                 string
disable?                   boolean
domain?                    string ..256
encryption-key?            string
fingerprint?               /([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}/
format?                    enum(raw,qcow2,subvol,vmdk)
fs-name?                   pve-configid
fuse?                      boolean
is_mountpoint?             string
keyring?                   string
krbd?                      boolean
lio_tpg?                   string
master-pubkey?             string
max-protected-backups?     integer -1..
mkdir?                     boolean
monhost?                   pve-storage-portal-dns-list
mountpoint?                pve-storage-path
namespace?                 string
nocow?                     boolean
nodes?                     pve-node-list
nowritecache?              boolean
options?                   pve-storage-options
password?                  string ..256
pool?                      string
port?                      integer 1..65535
preallocation?             enum(off,metadata,falloc,full)
prune-backups?             prune-backups
saferemove?                boolean
saferemove-stepsize?       integer:enum(1,2,4,8,16,32)
saferemove_throughput?     string
server?                    pve-storage-server
shared?                    boolean
skip-cert-verification?    boolean
smbversion?                enum(default,2.0,2.1,3,3.0,3.11)
snapshot-as-volume-chain?  boolean
sparse?                    boolean
storage                    pve-storage-id
subdir?                    pve-storage-path
tagged_only?               boolean
username?                  string
zfs-base-path?             pve-storage-path
"""
_FIXED = f"""
authsupported?   string
base?            pve-volume-id
datastore?       string
export?          pve-storage-path
iscsiprovider?   string
path?            pve-storage-path
portal?          pve-storage-portal-dns
share?           string
target?          string
thinpool?        pve-storage-vgname
type             {_TYPE}
vgname?          pve-storage-vgname
"""
_BEFORE_9 = "maxfiles? integer\nserver2? string\ntransport? string\nvolume? string\n"
KEYS = _CHANGEABLE.replace("storage                    pve-storage-id", "") + _FIXED + _BEFORE_9
"""Keys of all types, as storage.cfg has them."""
CREATE = table(_CHANGEABLE + _FIXED)
UPDATE = table(_CHANGEABLE + "delete? pve-configid-list ..4096\ndigest? string ..64")


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
    return TYPES[str(entry["type"])].shared or bool(entry.get("shared"))


def _shown(call: Call, name: str) -> dict[str, object]:
    entry = call.documents.storages[name]
    kept = {
        key: value for key, value in entry.items() if key not in SECRETS and key != "encryption-key"
    }
    row: dict[str, object] = {"storage": name, **kept, "digest": digest_of(call.documents.storages)}
    kind = TYPES[str(entry["type"])]
    if kind.mounted:
        row.setdefault("path", f"/mnt/pve/{name}")
    if kind.shared:
        row["shared"] = 1
    return row


@routes.add("GET /storage", takes=f"type? {_TYPE}")
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
    entry = {"type": call.text("type"), "content": kind.default, **sent}
    with call.locked("storage_cfg", "create storage failed: "):
        check_lines(entry)
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
        old = find_storage(call.documents, name)
        kind = TYPES[str(old["type"])]
        if call.has("digest") and call.text("digest") != digest_of(call.documents.storages):
            raise died(CHANGED)
        sent = _sent(call, kind)
        check_fixed(kind, old, sent)
        new = {**old, **sent}
        for key in call.words("delete"):
            check_removable(kind, [key], sent)
            call.need_known(key)
            new.pop(key, None)
        check_lines(new)
        call.documents.storages[name] = new
        call.api.sync(call.twin)
    return {"storage": name, "type": old["type"]}


@routes.add("DELETE /storage/{storage}", "/storage Datastore.Allocate", "storage pve-storage-id")
def delete_storage(call: Call) -> object:
    """Forget a definition; what it holds stays."""
    name = call.text("storage")
    with call.locked("storage_cfg", "delete storage failed: "):
        find_storage(call.documents, name)
        del call.documents.storages[name]
        call.api.sync(call.twin)
    return None


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
    """Storages that this node may use, with their state."""
    rows = []
    for name, entry in call.documents.storages.items():
        usable = enabled_on(entry, call.node) or (
            not call.flag("enabled") and not entry.get("nodes")
        )
        content = items(str(entry["content"]))
        if (
            call.text("storage", name) == name
            and usable
            and may_use(call, name)
            and (not call.has("content") or any(word in content for word in call.words("content")))
            and (not call.has("target") or enabled_on(entry, call.text("target")))
        ):
            row = status(call, name, call.node)
            total = int(str(row["total"]))
            fraction = int(str(row["used"])) / total if total else 0
            rows.append({"storage": name, **row, "used_fraction": fraction})
    return rows


@routes.add("GET /nodes/{node}/storage/{storage}", AUDIT, _NODE_STORAGE)
def storage_index(call: Call) -> object:
    """What there is of a storage."""
    names = items("content upload file-restore rrd rrddata status prunebackups download-url")
    return [{"subdir": name} for name in names]


@routes.add("GET /nodes/{node}/storage/{storage}/status", AUDIT, _NODE_STORAGE)
def storage_status(call: Call) -> object:
    """How full it is."""
    name = call.text("storage")
    find_storage(call.documents, name)
    return status(call, name, call.node)


def refuse(text: str) -> NoReturn:
    """A permission that is missing on a storage."""
    raise ApiError(403, text)
