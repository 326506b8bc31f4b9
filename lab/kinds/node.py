"""A Proxmox VE node. Source: the Proxmox VE administration guide, cluster manager."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lab.item import After
from lab.kinds.system import System
from lab.names import ClusterName
from lab.units import Size

INITIATOR = r"^(iqn\.\d{4}-\d\d\.[a-z0-9.-]+(:\S+)?|eui\.[0-9A-F]{16}|naa\.[0-9A-F]{16,32})$"


class Node(System):
    """A member of a cluster. `reserved` is memory that guests can't have: system, monitor, OSDs.

    `initiator`: its iSCSI name (RFC 7143, 4.2.7), by which arrays know it.
    """

    cluster: ClusterName
    reserved: Annotated[Size, After("memory")] = 2**30
    initiator: Annotated[Annotated[str, Field(pattern=INITIATOR)] | None, After("reserved")] = None

    @property
    def guest_memory_bytes(self) -> int:
        """Memory left for guests."""
        return self.memory - self.reserved
