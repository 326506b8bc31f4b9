"""A virtual machine. Source: the Proxmox VE administration guide, QEMU/KVM virtual machines."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Annotated

from pydantic import Field

from lab.item import Flaw, Item, Owned
from lab.names import ClusterName, NodeName, PoolName, StorageName, VlanName
from lab.units import Count, Duration, Flag, Natural, Size


class Power(StrEnum):
    """Whether a guest shall run."""

    STARTED = "started"
    STOPPED = "stopped"


class GuestDisk(Item):
    """A volume of a guest. The key is its slot: `scsi0`."""

    storage: StorageName
    size: Size
    discard: Flag | None = None
    ssd: Flag | None = None


class Net(Item):
    """A network card of a guest. The key is its slot: `net0`."""

    bridge: str = "vmbr0"
    vlan: VlanName
    model: str = "virtio"
    address: IPv4Address | None = None
    firewall: Flag | None = None


class Ha(Item):
    """The guest is under HA: restarts on its node, then relocations, before it counts as failed."""

    restart: Natural = 1
    relocate: Natural = 1


class Placement(Item):
    """Where a guest may be: `prefer` is a wish, `pin` a bound. Neither: anywhere."""

    prefer: tuple[NodeName, ...] = ()
    pin: tuple[NodeName, ...] = ()

    def flaws(self) -> Iterator[Flaw]:
        if self.prefer and self.pin:
            yield Flaw(("pin",), "prefer and pin are both written", fix="keep one")


class Guest(Owned):
    """A QEMU guest. `boot`: from power on until it offers its service."""

    vmid: Annotated[int, Field(ge=100, le=999_999_999)]
    cluster: ClusterName
    pool: PoolName | None = None
    description: str | None = None
    state: Power = Power.STARTED
    os: str | None = None
    cores: Count = 1
    sockets: Count = 1
    cpu: str | None = None
    memory: Size = 512 * 2**20
    disks: dict[str, GuestDisk] = Field(default_factory=dict)
    nets: dict[str, Net] = Field(default_factory=dict)
    forwards: Flag = False
    onboot: Flag | None = None
    agent: Flag | None = None
    tags: frozenset[str] = frozenset()
    ha: Ha | None = None
    placement: Placement = Field(default_factory=Placement)
    boot: Duration = 60.0
