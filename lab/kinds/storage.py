"""A storage definition of Proxmox VE clusters: what backs it, and what may be kept there.

Source: the Proxmox VE administration guide, storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lab.item import Flaw, Item, Owned
from lab.names import BackupServerName, CephName, ClusterName, NasName, NodeName
from lab.units import Flag, Natural


class Content(StrEnum):
    """What a storage may hold."""

    IMAGES = "images"
    ROOTDIR = "rootdir"
    ISO = "iso"
    VZTMPL = "vztmpl"
    BACKUP = "backup"
    SNIPPETS = "snippets"
    IMPORT = "import"


class Keep(Item):
    """How many backups are kept per guest."""

    last: Natural | None = None
    daily: Natural | None = None
    weekly: Natural | None = None
    monthly: Natural | None = None
    all: Flag | None = None


class StorageBase(Owned):
    """What every storage has. No `nodes`: all of its clusters."""

    clusters: tuple[ClusterName, ...]
    content: frozenset[Content]
    nodes: tuple[NodeName, ...] | None = None
    enabled: Flag = True
    keep: Keep | None = None


class Rbd(StorageBase):
    """Images in a Ceph pool.

    `client`: one of the Ceph cluster's clients, whose key the nodes use; else the administrator's.
    """

    type: Literal["rbd"]
    ceph: CephName
    pool: str
    client: str | None = None
    krbd: Flag = False


class Nfs(StorageBase):
    """A folder of an array's share or of a backup server's export; exactly one pair is written."""

    type: Literal["nfs"]
    nas: NasName | None = None
    share: str | None = None
    backup_server: BackupServerName | None = None
    export: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        share, export = (self.nas, self.share), (self.backup_server, self.export)
        pairs = [pair for pair in (share, export) if any(pair)]
        if len(pairs) != 1 or not all(pairs[0]):
            fix = "write nas and share, or backup-server and export"
            yield Flaw((), "an nfs storage names one share or one export", fix=fix)


class Lvm(StorageBase):
    """A volume group on a LUN that every node sees through multipath."""

    type: Literal["lvm"]
    nas: NasName
    target: str
    lun: str
    vg: str


class Local(StorageBase):
    """A storage that each node has for itself, on its system's disks or on `raid` of its `raids`.

    What lies on it stays behind when HA starts a guest elsewhere.
    """

    raid: str | None = None


class Dir(Local):
    """A folder of each node."""

    type: Literal["dir"]
    path: str


class ZfsPool(Local):
    """A ZFS pool of each node, or a dataset in it: `rpool/data`. `sparse`: no space is reserved."""

    type: Literal["zfspool"]
    pool: str
    sparse: Flag | None = None


class LvmThin(Local):
    """A thin pool in a volume group of each node: `data` in `pve`."""

    type: Literal["lvmthin"]
    vg: str
    thin_pool: str


Storage = Annotated[Rbd | Nfs | Lvm | Dir | ZfsPool | LvmThin, Field(discriminator="type")]
