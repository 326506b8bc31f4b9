"""A FreeNAS/TrueNAS array: pools, volumes, iSCSI and NFS.

Source: the TrueNAS documentation, sharing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address

from pydantic import Field

from lab.item import Flaw, Item, Owned, Path
from lab.kinds.host import Host, Raid
from lab.names import NodeName, VlanName, nearest
from lab.units import Size


class NasPool(Raid):
    """A ZFS pool over disks of the array."""


class Zvol(Item):
    """A block volume of a pool; only ever grows."""

    pool: str
    size: Size


class Portal(Item):
    """An address that offers iSCSI on one VLAN."""

    vlan: VlanName
    address: IPv4Address


class Target(Item):
    """An iSCSI target: LUN number -> zvol, offered on portals to the nodes named."""

    portals: tuple[str, ...]
    initiators: tuple[NodeName, ...]
    luns: dict[str, str]
    chap: str | None = None  # a secret:// reference


class Share(Item):
    """An NFS export of a folder of a pool."""

    pool: str
    path: str
    vlan: VlanName


class Nas(Owned, Host):
    """One array."""

    version: str
    iqn: str
    pools: dict[str, NasPool]
    zvols: dict[str, Zvol] = Field(default_factory=dict)
    portals: dict[str, Portal] = Field(default_factory=dict)
    targets: dict[str, Target] = Field(default_factory=dict)
    shares: dict[str, Share] = Field(default_factory=dict)

    def flaws(self) -> Iterator[Flaw]:
        yield from super().flaws()
        for section, things in (("zvols", self.zvols), ("shares", self.shares)):
            for name, thing in things.items():
                if thing.pool not in self.pools:
                    yield _absent((section, name, "pool"), "pool", thing.pool, self.pools)
        for name, target in self.targets.items():
            for position, portal in enumerate(target.portals):
                if portal not in self.portals:
                    path = ("targets", name, "portals", str(position))
                    yield _absent(path, "portal", portal, self.portals)
            for lun, zvol in target.luns.items():
                if zvol not in self.zvols:
                    yield _absent(("targets", name, "luns", lun), "zvol", zvol, self.zvols)

    @property
    def volumes(self) -> dict[tuple[str, str], Raid]:
        return super().volumes | {("pools", name): pool for name, pool in self.pools.items()}


def _absent(path: Path, kind: str, name: str, known: Collection[str]) -> Flaw:
    return Flaw(path, f"there is no {kind} {name} here", fix=nearest(name, known))
