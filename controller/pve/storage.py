"""Storage definitions: RBD pools, NFS exports, shared volume groups, and what each node has for
itself: folders, ZFS pools, thin pools.

What can't change once it is made is replaced: the definition goes and comes again, the data behind
it stays. Storages of other types are read and left alone. Source: the Proxmox VE administration
guide, storage. Leaves out passwords, external Ceph clusters, mount options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from controller.ceph.client_key import ClientKey
from controller.ceph.pool import Pool as CephPool
from controller.ceph.thing import DEVICE as CEPH
from controller.fields import same
from controller.linux.export import export_key
from controller.linux.volume_group import group_key
from controller.managed import Context, Cost, Fragment, Key, Value
from controller.pve.fields import FLAG, INVERTED, NUMBER, SET, Field, field, parameters, read
from controller.pve.thing import PveThing, cluster_of, is_on, rows, segment
from controller.step import SECRET, Answers, Query, Rest, Scalar
from controller.truenas.lun import Lun, lun_id
from controller.truenas.nfs_share import NfsShare
from controller.truenas.thing import DEVICE as NAS
from lab.kinds.storage import Lvm, Nfs, Rbd
from lab.kinds.storage import Storage as StorageEntry
from lab.lab import Lab

STORAGES = Query("/storage")


def keep_fields() -> tuple[Field, ...]:
    """How many backups are kept: one property string, the same for storages and backup jobs."""
    numbers = [(name, NUMBER, 0) for name in ("last", "daily", "weekly", "monthly")]
    return tuple(
        field(
            f"keep.{name}",
            codec,
            path=("keep", name),
            api="prune-backups",
            key=f"keep-{name}",
            default=default,
        )
        for name, codec, default in (*numbers, ("all", FLAG, False))
    )


TYPE = field("type", cost=Cost.REPLACE)
SERVER = field("server", path=(), cost=Cost.REPLACE)
EXPORT = field("export", path=(), cost=Cost.REPLACE)
POOL = field("pool", cost=Cost.REPLACE)
VG = field("vg", api="vgname", cost=Cost.REPLACE)
SHARED = field("shared", FLAG, path=(), default=False)  # of LVM: the LUN is seen by every node
CLIENT = field("client", api="username", cost=Cost.LIVE)  # of Ceph; its key goes along with it
BACKING: Mapping[str, tuple[Field, ...]] = {
    "rbd": (
        POOL,
        CLIENT,
        field("krbd", FLAG, cost=Cost.LIVE, default=False),
    ),
    "nfs": (SERVER, EXPORT),
    "lvm": (VG, SHARED),
    "dir": (field("path", cost=Cost.REPLACE),),
    "zfspool": (POOL, field("sparse", FLAG, cost=Cost.NONE, default=False)),
    "lvmthin": (VG, field("thin-pool", api="thinpool", cost=Cost.REPLACE)),
}
COMMON = (
    field("content", SET, default=()),
    field("nodes", SET, cost=Cost.LIVE, default=()),
    field("enabled", INVERTED, api="disable", cost=Cost.LIVE, default=True),
    *keep_fields(),
)


@dataclass(frozen=True)
class Storage(PveThing):
    """A storage definition."""

    kind = "storage"
    word = "storages"
    words = ("storages",)
    fields = (TYPE, *COMMON, *dict.fromkeys(each for fields in BACKING.values() for each in fields))
    more_costs = dict.fromkeys(
        ("ceph", "nas", "share", "backup-server", "export", "target", "lun"), Cost.REPLACE
    )

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield STORAGES

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, STORAGES):
            fields = (TYPE, *COMMON, *BACKING.get(row["type"], ()))
            yield cls.there(device, row["storage"], read(fields, device, row))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, storage in lab.storages.items():
            if is_on(storage.clusters, device):
                thing = cls.from_entry(lab, device, name, storage, name)
                values = {**thing.values, **dict(_backing(lab, storage))}
                yield replace(
                    thing, values=values, needs=frozenset(_stands_on(lab, storage, device))
                )

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        fixed = [each for each in self.fields if each.cost is Cost.REPLACE]
        free = [each for each in self.fields if each.cost is not Cost.REPLACE]
        if old is not None and not any(
            each.name in self.values and not same(each, self.values[each.name], old.values)
            for each in fixed
        ):
            if params := parameters(free, self.values, old.values):
                yield Rest("PUT", self._path, self._with_key(params))
            return
        values = dict(self.values)
        if old is not None:
            yield Rest("DELETE", self._path)
            kept = (each.name for each in COMMON if each.name in old.values)
            values = {name: old.values[name] for name in kept} | values
        params = parameters(self.fields, values, None)
        yield Rest("POST", "/storage", self._with_key({"storage": self.id, **params}))

    def _with_key(self, params: dict[str, Scalar]) -> dict[str, Scalar]:
        """The same with the key of the client, which Ceph tells as it is sent.

        The API never tells it again, so a key that Ceph has replaced since is not noticed.
        """
        clients = [key for key in self.needs if key.kind == ClientKey.kind]
        if CLIENT.api not in params or not clients:
            return params
        reference = f"{{{SECRET}{clients[0].device}/{clients[0].id}}}"
        return {**params, "keyring": f"[{clients[0].id}]\n\tkey = {reference}\n"}

    def remove(self, context: Context) -> Iterator[Rest]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        cluster = cluster_of(self.key.device)
        behind = self._behind(lab, cluster)
        return self.entry(lab, clusters=[cluster], **behind) if behind is not None else {}

    def _behind(self, lab: Lab, cluster: str) -> dict[str, object] | None:
        """What backs the storage, by its names in the lab; None if the lab knows no such thing."""
        match self.values.get(TYPE.name):
            case "rbd":
                names = [name for name, ceph in lab.ceph.items() if ceph.cluster == cluster]
                return {"ceph": names[0]} if names else None
            case "nfs":
                here = (self.values.get(SERVER.name), self.values.get(EXPORT.name))
                return next((says for says, at in _exports(lab) if at == here), None)
            case "lvm" if self.values.get(SHARED.name):
                for known in lab.storages.values():
                    if isinstance(known, Lvm) and known.vg == self.values.get("vg"):
                        return {"nas": known.nas, "target": known.target, "lun": known.lun}
                return None
            case "dir" | "zfspool" | "lvmthin":
                return {}
            case _:
                return None

    @property
    def _path(self) -> str:
        return f"/storage/{segment(self.id)}"


def _backing(lab: Lab, storage: StorageEntry) -> Iterator[tuple[str, Value]]:
    """Values that follow from what the storage names."""
    match storage:
        case Lvm():
            yield SHARED.name, True
        case Nfs():
            says = {"nas": storage.nas, "share": storage.share}
            if storage.backup_server is not None:
                says = {"backup-server": storage.backup_server, "export": storage.export}
            for known, (server, export) in _exports(lab):
                if known == says:
                    yield SERVER.name, server
                    yield EXPORT.name, export


def _stands_on(lab: Lab, storage: StorageEntry, device: str) -> Iterator[Key]:
    """What of other devices a storage is on; those say whether it is there."""
    match storage:
        case Rbd():
            ceph = f"{CEPH}{storage.ceph}"
            yield Key(ceph, CephPool.kind, storage.pool)
            if storage.client is not None:
                yield Key(ceph, ClientKey.kind, f"client.{storage.client}")
        case Lvm():
            members = lab.members(cluster_of(device))
            for node in members if storage.nodes is None else {*members} & {*storage.nodes}:
                yield group_key(node, storage.vg)
            yield Key(f"{NAS}{storage.nas}", Lun.kind, lun_id(storage.target, storage.lun))
        case Nfs(backup_server=str(server), export=str(export)):
            known = lab.backup_servers.get(server)
            if known is not None and export in known.exports:
                yield export_key(server, known.exports[export].path)
        case Nfs(nas=str(nas), share=str(share)) if nas in lab.nas and share in lab.nas[nas].shares:
            yield Key(f"{NAS}{nas}", NfsShare.kind, lab.nas[nas].shares[share].path)


def _exports(lab: Lab) -> Iterator[tuple[dict[str, object], tuple[str, str]]]:
    """Every NFS export: what names it in the language, its server's address there, and its path."""
    for name, nas in lab.nas.items():
        for key, share in nas.shares.items():
            server = str(nas.addresses.get(share.vlan, name))
            yield {"nas": name, "share": key}, (server, share.path)
    for name, host in lab.backup_servers.items():
        for key, export in host.exports.items():
            server = str(host.addresses.get(export.vlan, name))
            yield {"backup-server": name, "export": key}, (server, export.path)
