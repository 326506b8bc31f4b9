"""Types of storage: what each takes in storage.cfg, and what it can hold. Source: pve-storage's
plugins.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.pve.parameters import Entry, table
from simulator.pve.propertystring import items
from simulator.pve.sections import SectionFile, SectionType, section_type

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

TYPE = f"enum({','.join(name for name in TYPES if name != 'glusterfs')})"  # gone in 9
CHANGEABLE = """
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
FIXED = f"""
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
type             {TYPE}
vgname?          pve-storage-vgname
"""
_BEFORE_9 = "maxfiles? integer\nserver2? string\ntransport? string\nvolume? string\n"
KEYS = CHANGEABLE.replace("storage                    pve-storage-id", "") + FIXED + _BEFORE_9
"""Keys of all types, as storage.cfg has them."""
OTHER = _type(" ".join(table(KEYS).params.keys() - {"type"}), FILES, "images")
"""A type of somebody else's plugin: only what all types have is known of it."""


def type_of(entry: Entry) -> StorageType:
    """The type of a storage."""
    return TYPES.get(str(entry["type"]), OTHER)


STORAGES = SectionFile(
    "storage.cfg",
    KEYS,
    TYPES,
    defaults={name: {"content": kind.default} for name, kind in TYPES.items()},
    secrets=SECRETS,
    other=OTHER,
)
