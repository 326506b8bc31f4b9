"""An Ethernet switch and the configuration of its ports. Sources: IEEE 802.1Q, 802.1AX."""

from __future__ import annotations

from collections.abc import Iterator

from lab.item import Flaw, Item
from lab.names import FeedName, SwitchName, VlanName
from lab.units import Mtu, Rate


class Port(Item):
    """A switch port: access (`access`), or trunk (`vlans` tagged, `native` untagged).

    Ports of one switch, or of an MLAG pair, that name the same `lag` form one link aggregation
    group.
    """

    access: VlanName | None = None
    vlans: tuple[VlanName, ...] = ()
    native: VlanName | None = None
    lag: str | None = None
    speed: Rate = 10**9
    mtu: Mtu = 1500

    def flaws(self) -> Iterator[Flaw]:
        if self.access is not None and (self.vlans or self.native is not None):
            yield Flaw(
                ("access",),
                "a port has access beside vlans or native",
                "a port is an access port or a trunk",
                "write native for the untagged VLAN of a trunk",
            )


class Switch(Item):
    """One switch. Two that name each other as `peer` are an MLAG pair: one LACP system."""

    feeds: tuple[FeedName, ...]
    peer: SwitchName | None = None
    ports: dict[str, Port]
