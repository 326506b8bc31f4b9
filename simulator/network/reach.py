"""Who reaches whom in a VLAN for one state of the world.

A `Reach` belongs to one `Broken`, three integers over the vertices' bits, and is worked out
lazily per VLAN: switches joined by living hops form segments (union-find), a host is in the
segments that its living legs end in.

How bonds are read (IEEE 802.1AX, the Linux bonding manual). LACP: the members whose partner is
the same system and LAG form the link; if there are several such groups the one of the first
usable member is used (`ad_select stable`; which partner is heard first is not fixed in reality).
Without LACP on the switch a Linux bond keeps one member, an Open vSwitch bond none. Active-
backup: the first usable member in the order written. A port that the switch holds in a LAG and
whose host speaks no LACP carries nothing.

A silently dead member that is still used loses the flows that are hashed onto it. Between two hosts
there is one flow in each VLAN, and each end of a bond chooses its member on its own, so it is lost
if either chose the dead one. Which they choose is a hash of the hosts' names, standing for the
addresses that are not all declared. A bond as such (a guest's way out, many flows) passes.

Leaves out: spanning tree (redundant links between switches just work, at once), several flows
between two hosts with fates of their own, the flows of a member whose carrier is gone (lost for
0.1 s at most). If an MLAG pair loses its peer link both switches go on: who has a leg in each is
reached by all, the others only by those on the same switch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar, cast
from zlib import crc32

from lab.kinds.host import BondMode, Driver
from simulator.network.wiring import Leg, Uplink, Wiring

NOWHERE: frozenset[str] = frozenset()
Known = TypeVar("Known")


class Broken(NamedTuple):
    """What does not work now, as sums of bits. `left`: bond members that their bond has dropped."""

    hard: int = 0
    silent: int = 0
    left: int = 0

    @property
    def dead(self) -> int:
        """All through which nothing passes, noticed or not."""
        return self.hard | self.silent


class Reach:
    """Who reaches whom while `broken` is broken.

    A segment is named by a switch in it, or by the cable that joins two hosts without one. `memo`
    is for others who work out something that depends on nothing else.
    """

    def __init__(self, wiring: Wiring, broken: Broken) -> None:
        self.wiring = wiring
        self.broken = broken
        self._known: dict[Hashable, object] = {}
        self._segments: dict[str, Mapping[str, frozenset[str]]] = {}
        self._passing: dict[str, tuple[Leg, ...]] = {}
        self._core: dict[str, str] = {}

    def once(self, what: Hashable, work: Callable[[], Known]) -> Known:
        """The result of `work`, which must depend on nothing but what is broken."""
        if what not in self._known:
            self._known[what] = work()
        return cast("Known", self._known[what])

    def segments(self, device: str, vlan: str) -> frozenset[str]:
        """The segments of `vlan` in which a box (by its vertex) has a working leg."""
        here = self._of(vlan)
        uplinks = self.wiring.by_device.get(device, ())
        return NOWHERE.union(*(here.get(uplink.name, NOWHERE) for uplink in uplinks))

    def uplink_segments(self, uplink: str, vlan: str) -> frozenset[str]:
        """The same for one port or bond, `pve1/bond0`."""
        return self._of(vlan).get(uplink, NOWHERE)

    def talks(self, one: str, other: str, vlan: str) -> bool:
        """Whether two boxes reach each other, with the members that the flow between them is on."""
        if one == other:
            return not self.broken.dead & self.wiring.bits[one]
        if not self.broken.silent:
            return not self.segments(one, vlan).isdisjoint(self.segments(other, vlan))
        here = self._flow_segments(one, other, vlan)
        return not here.isdisjoint(self._flow_segments(other, one, vlan))

    def core(self, vlan: str) -> str:
        """The main segment: a router's, else the one with most legs; "" if there is none."""
        if vlan not in self._core:
            legs = self._of(vlan)
            routed = {
                segment
                for name, found in legs.items()
                if self.wiring.uplinks[name].device.startswith("router ")
                for segment in found
            }
            sizes = Counter(segment for found in legs.values() for segment in found)
            best = sorted(routed or sizes, key=lambda segment: (-sizes[segment], segment))
            self._core[vlan] = best[0] if best else ""
        return self._core[vlan]

    def used(self, uplink: Uplink) -> tuple[Leg, ...]:
        """The legs that carry traffic, or would if they were not silently dead."""
        broken = self.broken
        if broken.dead & uplink.device_bit:
            return ()
        if uplink.bond is None:
            return tuple(leg for leg in uplink.legs if leg.lag is None)
        legs = [leg for leg in uplink.legs if not broken.left & leg.bit]
        if uplink.bond.mode is BondMode.ACTIVE_BACKUP:
            return tuple(leg for leg in legs[:1] if leg.lag is None)
        joined = [leg for leg in legs if leg.lag is not None]
        if joined:
            return tuple(leg for leg in joined if leg.lag == joined[0].lag)
        return tuple(legs[:1]) if uplink.bond.driver is Driver.LINUX else ()

    def passing(self, uplink: Uplink) -> tuple[Leg, ...]:
        """The used legs over which frames get through."""
        if (found := self._passing.get(uplink.name)) is None:
            dead = self.broken.dead
            found = tuple(leg for leg in self.used(uplink) if not leg.mask & dead)
            self._passing[uplink.name] = found
        return found

    def _flow_segments(self, one: str, other: str, vlan: str) -> frozenset[str]:
        """The segments that the flow between two boxes reaches from `one`."""
        here = self._of(vlan)
        uplinks = self.wiring.by_device.get(one, ())
        return NOWHERE.union(
            *(
                here.get(uplink.name, NOWHERE)
                for uplink in uplinks
                if not self._loses(uplink, f"{one} {other} {vlan}")
            )
        )

    def _loses(self, uplink: Uplink, flow: str) -> bool:
        """Whether a bond puts a flow on a silently dead member, there or back."""
        legs = [leg for leg in self.used(uplink) if not leg.mask & self.broken.hard]
        if len(legs) < 2:
            return False
        chosen = (legs[crc32(f"{flow} {way}".encode()) % len(legs)] for way in ("out", "in"))
        return any(leg.mask & self.broken.silent for leg in chosen)

    def _of(self, vlan: str) -> Mapping[str, frozenset[str]]:
        if vlan not in self._segments:
            roots = self._roots(vlan)
            self._segments[vlan] = {
                uplink.name: frozenset(
                    roots[leg.far] if leg.far_is_switch else leg.cable
                    for leg in self.passing(uplink)
                    if vlan in leg.vlans
                )
                for uplink in self.wiring.by_vlan.get(vlan, ())
            }
        return self._segments[vlan]

    def _roots(self, vlan: str) -> Mapping[str, str]:
        """Each switch -> the first switch that it reaches in `vlan` (union-find)."""
        dead = self.broken.dead
        parent = {switch: switch for switch in self.wiring.switches}

        def root(switch: str) -> str:
            while parent[switch] != switch:
                switch = parent[switch]
            return switch

        for hop in self.wiring.hops:
            if vlan in hop.vlans and not hop.mask & dead:
                low, high = sorted((root(hop.ends[0]), root(hop.ends[1])))
                parent[high] = low
        return {switch: root(switch) for switch in parent}
