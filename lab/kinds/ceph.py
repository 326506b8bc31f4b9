"""A Ceph cluster on the nodes of a Proxmox VE cluster.

Source: the Ceph documentation, architecture and pools.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from lab.item import Flaw, Item, Owned
from lab.names import ClusterName, NodeName, VlanName
from lab.units import Count, Duration, Size


class Domain(StrEnum):
    """Copies of one object never share one of these."""

    OSD = "osd"
    HOST = "host"


class Osd(Item):
    """An object storage daemon on one disk (or single-disk volume) of a node."""

    node: NodeName
    disk: str


class CephPool(Item):
    """A replicated pool. I/O to a placement group needs `min_size` live copies."""

    size: Count = 3
    min_size: int | None = None
    pgs: Count = 128
    domain: Domain = Domain.HOST

    @property
    def needed(self) -> int:
        """Live copies that I/O needs: size - size/2 unless written (Ceph's own default)."""
        return self.size - self.size // 2 if self.min_size is None else self.min_size

    def flaws(self) -> Iterator[Flaw]:
        if not 1 <= self.needed <= self.size:
            yield Flaw(("min-size",), f"min-size {self.needed} is not within 1..{self.size}")


class Ceph(Owned):
    """A Ceph cluster. `down_out`: when a down OSD is marked out (mon_osd_down_out_interval)."""

    cluster: ClusterName
    version: str
    public: VlanName
    mons: tuple[NodeName, ...]
    osds: dict[str, Osd]
    osd_memory_target: Size = 4 * 2**30
    pools: dict[str, CephPool]
    down_out: Duration = 600.0
