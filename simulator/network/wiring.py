"""The cables of a lab compiled into integers: which there are, and what each needs to be alive.

`wired` reads the topology once. Every vertex has a bit; a wire works while none of its bits is
broken (`reach`). Rules: IEEE 802.1Q, a hop passes a VLAN if both ends carry it, both tagged or
both untagged; 802.1AX, ports of one switch or of an MLAG pair that name the same LAG show one
partner.

Leaves out: leaks between VLANs by unequal native ids, MTU, management processors, a bridge over
two uplinks as a way from one to the other (hosts forward nothing).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import networkx as nx

from lab.item import Item
from lab.kinds.host import Bond, BondMode, Nic
from lab.kinds.router import RouterPort
from lab.kinds.switch import Port, Switch


@dataclass(frozen=True, slots=True)
class Vlans:
    """802.1Q as one end of a hop does it: which VLANs it carries tagged, and which untagged."""

    tagged: frozenset[str]
    untagged: frozenset[str]

    def common(self, far: Vlans) -> frozenset[str]:
        """VLANs that pass between two ends."""
        return (self.tagged & far.tagged) | (self.untagged & far.untagged)


@dataclass(frozen=True, slots=True)
class Leg:
    """A cable of a host's (or router's) port, seen from there."""

    port: str  # vertex of the near port
    bit: int  # of that port: a bond that dropped it has this in `Broken.left`
    mask: int  # cable, cards and boxes at both ends
    far: str  # vertex of the far box
    far_is_switch: bool
    lag: tuple[str, str] | None  # partner system and aggregation key at the far end
    cable: str
    vlans: frozenset[str]  # that pass


@dataclass(frozen=True, slots=True)
class Uplink:
    """What a station has towards the network: a single port, or a bond of several."""

    name: str  # "pve1/bond0"
    device: str  # vertex of the box
    device_bit: int
    bond: Bond | None
    legs: tuple[Leg, ...]
    vlans: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hop:
    """A cable between two switches."""

    mask: int
    ends: tuple[str, str]
    vlans: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything about cables that evaluation needs. Boxes are named by their vertices."""

    bits: Mapping[str, int]  # of every vertex
    uplinks: Mapping[str, Uplink]  # by name
    bonds: tuple[Uplink, ...]
    bond_of: Mapping[str, Uplink]  # by member port
    by_device: Mapping[str, tuple[Uplink, ...]]
    by_vlan: Mapping[str, tuple[Uplink, ...]]
    hops: tuple[Hop, ...]
    switches: tuple[str, ...]


def wired(graph: nx.Graph[str], bits: Mapping[str, int]) -> Wiring:
    """Compile the cables of a topology."""
    hops: list[Hop] = []
    legs: dict[str, Leg] = {}
    for cable, data in graph.nodes(data=True):
        if data["kind"] != "cable":
            continue
        ends = _beside(graph, cable, "port")
        if len(ends) == 2:  # one that is plugged at one end only carries nothing
            _wire(graph, bits, cable, ends, hops, legs)
    uplinks = tuple(_uplinks(graph, legs, bits))
    bonds = tuple(uplink for uplink in uplinks if uplink.bond is not None)
    by_device: dict[str, list[Uplink]] = defaultdict(list)
    by_vlan: dict[str, list[Uplink]] = defaultdict(list)
    for uplink in uplinks:
        by_device[uplink.device].append(uplink)
        for vlan in uplink.vlans:
            by_vlan[vlan].append(uplink)
    return Wiring(
        bits,
        {uplink.name: uplink for uplink in uplinks},
        bonds,
        {leg.port: bond for bond in bonds for leg in bond.legs},
        {device: tuple(found) for device, found in by_device.items()},
        {vlan: tuple(found) for vlan, found in by_vlan.items()},
        tuple(hops),
        tuple(box for box in graph if _is_switch(graph, box)),
    )


def _wire(
    graph: nx.Graph[str],
    bits: Mapping[str, int],
    cable: str,
    ends: list[str],
    hops: list[Hop],
    legs: dict[str, Leg],
) -> None:
    """Add one cable: a hop if it joins two switches, else a leg of each host's port at its ends."""
    boxes = [str(graph.nodes[end]["device"]) for end in ends]
    cards = [card for end in ends for card in _beside(graph, end, "card")]
    mask = 0
    for needed in (cable, *boxes, *cards):
        mask |= bits[needed]
    passing = _vlans(graph, ends[0]).common(_vlans(graph, ends[1]))
    if all(_is_switch(graph, box) for box in boxes):
        hops.append(Hop(mask, (boxes[0], boxes[1]), passing))
        return
    for near, far in (ends, ends[::-1]):
        box = str(graph.nodes[far]["device"])
        lag, switch = _lag(graph, far), _is_switch(graph, box)
        legs[near] = Leg(near, bits[near], mask, box, switch, lag, cable, passing)


def _is_switch(graph: nx.Graph[str], box: str) -> bool:
    return bool(graph.nodes[box]["kind"] == "switch")


def _beside(graph: nx.Graph[str], known: str, kind: str) -> list[str]:
    return [other for other in graph[known] if graph.nodes[other]["kind"] == kind]


def _vlans(graph: nx.Graph[str], port: str) -> Vlans:
    """What a port (or the bond it is in) does with VLANs."""
    bonds = _beside(graph, port, "bond")
    item: Item | None = graph.nodes[bonds[0] if bonds else port]["item"]
    tagged = item.vlans if isinstance(item, Port | Nic | RouterPort | Bond) else ()
    access = item.access if isinstance(item, Port | Nic | RouterPort) else None
    native = item.native if isinstance(item, Port) else None
    untagged = frozenset(vlan for vlan in (access, native) if vlan is not None)
    return Vlans(frozenset(tagged) - untagged, untagged)


def _lag(graph: nx.Graph[str], port: str) -> tuple[str, str] | None:
    """The LACP system and key that `port` shows its partner; None if it speaks no LACP."""
    item: Item | None = graph.nodes[port]["item"]
    box: str = graph.nodes[port]["device"]
    if isinstance(item, Port):
        switch = graph.nodes[box]["item"]
        if item.lag is None or not isinstance(switch, Switch):
            return None
        system = min(box, f"switch {switch.peer}") if switch.peer else box
        return system, item.lag
    for bond in _beside(graph, port, "bond"):
        if graph.nodes[bond]["item"].mode is BondMode.LACP:
            return box, bond
    return None


def _uplinks(
    graph: nx.Graph[str], legs: Mapping[str, Leg], bits: Mapping[str, int]
) -> Iterator[Uplink]:
    """Every single port and bond of hosts and routers that has a cable."""
    for known, data in graph.nodes(data=True):
        box, item = data["device"], data["item"]
        bond = item if isinstance(item, Bond) else None
        alone = isinstance(item, Nic | RouterPort) and not _beside(graph, known, "bond")
        if bond is None and not alone:
            continue
        owner = graph.nodes[box]["name"]
        ports = [f"port {owner}/{member}" for member in bond.members] if bond else [known]
        wires = tuple(legs[port] for port in ports if port in legs)
        if wires:
            vlans = frozenset[str]().union(*(leg.vlans for leg in wires))
            yield Uplink(data["name"], box, bits[box], bond, wires, vlans)
