"""A FreeNAS/TrueNAS array: pools, what is kept on them, and what is offered over iSCSI and NFS.

Source: the TrueNAS documentation, sharing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from pydantic import Field

from lab.item import Flaw, Item, Owned, Part, Path
from lab.kinds.host import Host, Raid, RaidLevel
from lab.kinds.iscsi import TARGET, Chap, InitiatorGroup, Portal, Target
from lab.kinds.zfs import DATASET, Dataset, SnapshotTask, Zvol
from lab.names import VlanName, nearest
from lab.units import Flag, format_size

FILL = 0.8  # of a pool; above it ZFS slows down, and a full pool stops every LUN on it


class NasPool(Raid):
    """A ZFS pool over disks of the array.

    `overcommit`: its volumes may promise more than 80 % of it.
    """

    overcommit: Flag = False

    def flaws(self) -> Iterator[Flaw]:
        yield from super().flaws()
        if self.level in (RaidLevel.RAID5, RaidLevel.RAID6):
            what = f"a ZFS pool has no {self.level}"
            yield Flaw(("level",), what, fix=f"write raidz{self.parity}")


class Share(Part):
    """An NFS export of a folder of a pool, to one VLAN or to the networks and hosts written.

    `maproot-user`: whom root of a client becomes; without it, nobody.
    """

    pool: str
    path: str
    vlan: VlanName
    networks: frozenset[str] | None = None
    hosts: frozenset[str] | None = None
    read_only: Flag | None = None
    maproot_user: str | None = None
    maproot_group: str | None = None
    enabled: Flag | None = None
    comment: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        root = f"/mnt/{self.pool}"
        if self.path != root and not self.path.startswith(f"{root}/"):
            what = f"{self.path} is not on pool {self.pool}"
            yield Flaw(("path",), what, "an array mounts its pools below /mnt", f"write {root}/...")
        if self.maproot_group is not None and self.maproot_user is None:
            what = "maproot-group says whose group root has, and nothing says who root is"
            yield Flaw(
                ("maproot-group",), what, "an array takes no group alone", "add maproot-user"
            )


class NasService(Item):
    """Whether a service runs now, and whether it starts with the array."""

    running: Flag | None = None
    enabled: Flag | None = None


class NasServices(Item):
    """Services of an array."""

    iscsi: NasService | None = None
    nfs: NasService | None = None


class Nas(Owned, Host):
    """One array. `iqn`: what the names of its targets begin with."""

    version: str
    iqn: str
    pools: dict[str, NasPool]
    datasets: dict[str, Dataset] = Field(default_factory=dict)
    zvols: dict[str, Zvol] = Field(default_factory=dict)
    portals: dict[str, Portal] = Field(default_factory=dict)
    initiator_groups: dict[str, InitiatorGroup] = Field(default_factory=dict)
    chap: dict[str, Chap] = Field(default_factory=dict)
    targets: dict[str, Target] = Field(default_factory=dict)
    shares: dict[str, Share] = Field(default_factory=dict)
    services: NasServices | None = None
    snapshot_tasks: dict[str, SnapshotTask] = Field(default_factory=dict)

    def flaws(self) -> Iterator[Flaw]:
        yield from super().flaws()
        yield from self._name_flaws()
        yield from self._pool_flaws()
        for name, target in self.targets.items():
            yield from self._target_flaws(name, target)
        yield from self._shown_twice()
        yield from self._promised()

    def portal_groups(self) -> dict[str, list[str]]:
        """Names of the portals of each portal group, by group; one alone is a group of its own."""
        groups: dict[str, list[str]] = {}
        for name, portal in self.portals.items():
            groups.setdefault(portal.group or name, []).append(name)
        return groups

    def _name_flaws(self) -> Iterator[Flaw]:
        fits_zfs = "use letters, digits, blanks and _ - . : with / between"
        for section, names, fits, fix in (
            ("datasets", self.datasets, DATASET, fits_zfs),
            ("zvols", self.zvols, DATASET, fits_zfs),
            ("targets", self.targets, TARGET, "use small letters, digits and . - : up to 64"),
        ):
            for name in names:
                if not re.fullmatch(fits, name, re.ASCII):
                    what = f"{name} is no name that an array takes"
                    yield Flaw((section, name), what, fix=fix)

    def _pool_flaws(self) -> Iterator[Flaw]:
        named = [("zvols", name, zvol.pool) for name, zvol in self.zvols.items()]
        named += [("shares", name, share.pool) for name, share in self.shares.items()]
        for section, name, pool in named:
            if pool not in self.pools:
                yield _absent((section, name, "pool"), "pool", pool, self.pools)
        for name in self.datasets:
            pool, below, _ = name.partition("/")
            if not below:
                fix = f"write what is on it, such as {name}/vm"
                yield Flaw(("datasets", name), f"{name} is no dataset of a pool", fix=fix)
            elif pool not in self.pools:
                yield _absent(("datasets", name), "pool", pool, self.pools)
        for name, task in self.snapshot_tasks.items():
            pool = task.dataset.partition("/")[0]
            if pool not in self.pools:
                yield _absent(("snapshot-tasks", name, "dataset"), "pool", pool, self.pools)

    def _target_flaws(self, name: str, target: Target) -> Iterator[Flaw]:
        at: Path = ("targets", name)
        for position, portal in enumerate(target.portals):
            if portal not in self.portals:
                path = (*at, "portals", str(position))
                yield _absent(path, "portal", portal, self.portals)
        for lun, zvol in target.luns.items():
            if zvol not in self.zvols:
                yield _absent((*at, "luns", lun), "zvol", zvol, self.zvols)
        if target.chap is not None and target.chap not in self.chap:
            yield _absent((*at, "chap"), "login", target.chap, self.chap)
        group = target.initiator_group
        if group is not None and group not in self.initiator_groups:
            path = (*at, "initiator-group")
            yield _absent(path, "initiator group", group, self.initiator_groups)
        for key, portals in self.portal_groups().items():
            offered = [portal for portal in portals if portal in target.portals]
            if offered and offered != portals:
                missing = ", ".join(portal for portal in portals if portal not in offered)
                what = f"{name} is offered on a part of portal group {key}, without {missing}"
                why = "the portals of a group offer the same targets (RFC 7143, 2.1)"
                yield Flaw((*at, "portals"), what, why, f"add {missing}, or take it off the group")

    def _shown_twice(self) -> Iterator[Flaw]:
        """A volume under two LUNs: two file systems would be written to one disk."""
        taken: dict[str, str] = {}
        for name, target in self.targets.items():
            for lun, zvol in target.luns.items():
                if zvol in taken:
                    what = f"{zvol} is LUN {lun} of {name} and {taken[zvol]}"
                    yield Flaw(("targets", name, "luns", lun), what, fix="keep it in one")
                taken.setdefault(zvol, f"LUN {lun} of {name}")

    def _promised(self) -> Iterator[Flaw]:
        for name, pool in self.pools.items():
            capacity = self._capacity_bytes(pool)
            promised = sum(zvol.size for zvol in self.zvols.values() if zvol.pool == name)
            if capacity and promised > FILL * capacity and not pool.overcommit:
                limit = format_size(int(FILL * capacity) // 2**30 * 2**30)
                what = f"its volumes promise {format_size(promised)}, more than 80 % of pool {name}"
                why = "a pool that runs full stops every LUN on it"
                fix = f"keep them below {limit}, or write overcommit: true"
                yield Flaw(("pools", name), what, why, fix)

    def _capacity_bytes(self, pool: NasPool) -> int:
        """What fits on a pool before its own needs; 0 if a disk of it is not declared."""
        if not all(disk in self.disks for disk in pool.disks):
            return 0
        return pool.usable({disk: self.disks[disk].size for disk in pool.disks})

    @property
    def volumes(self) -> dict[tuple[str, str], Raid]:
        return super().volumes | {("pools", name): pool for name, pool in self.pools.items()}


def _absent(path: Path, kind: str, name: str, known: Collection[str]) -> Flaw:
    return Flaw(path, f"there is no {kind} {name} here", fix=nearest(name, known))
