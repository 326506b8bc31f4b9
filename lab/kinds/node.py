"""A Proxmox VE node. Source: the Proxmox VE administration guide, cluster manager."""

from __future__ import annotations

from typing import Annotated

from lab.item import After
from lab.kinds.host import Host
from lab.names import ClusterName
from lab.units import Size


class Node(Host):
    """A member of a cluster. `reserved` is memory that guests can't have: system, monitor, OSDs."""

    cluster: ClusterName
    reserved: Annotated[Size, After("memory")] = 2**30
    initiator: str | None = None

    @property
    def guest_memory_bytes(self) -> int:
        """Memory left for guests."""
        return self.memory - self.reserved
