"""A VLAN reaches only where every port on the way carries it.

Sources: IEEE 802.1Q; the Proxmox VE administration guide, network configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lab.errors import Problem
from lab.kinds.host import Host
from lab.lab import Lab, title
from lab.rules.placement import Homes
from lab.rules.wiring import Link, Port, Wiring, carried, carriers, hosts

CUT = "frames are dropped without a word at the port that does not carry the VLAN"


def cables_carry_both_ends(lab: Lab) -> Iterator[Problem]:
    """What one end of a cable sends, the other end takes, tagged alike."""
    seen: set[tuple[object, ...]] = set()
    for link in Wiring(lab).links:
        for here, there in link.directions:
            if (here.path, there.path) not in seen:  # a bond meets a LAG once, not once per leg
                seen.add((here.path, there.path))
                yield from _untaken(lab, here, there)
                yield from _tagged_apart(lab, here, there)
        yield from _joined(lab, link)


def _untaken(lab: Lab, here: Port, there: Port) -> Iterator[Problem]:
    if not (missing := sorted(here.carried - there.carried)):
        return
    vlans, place = ", ".join(missing), lab.place(*here.path)
    what = f"{here.title} carries {vlans}, but {there.title} at the other end does not"
    fix = f"add {vlans} to {there.title}, or take it from {here.title}"
    if there.is_switch and not here.is_switch:
        yield Problem(place, what, CUT, fix)
    else:
        why = "the VLAN is offered where nobody takes it, or its last hop was forgotten"
        yield Problem(place, what, why, fix, "warning")


def _tagged_apart(lab: Lab, here: Port, there: Port) -> Iterator[Problem]:
    vlan = there.untagged
    if vlan in here.tagged and vlan not in there.tagged:
        what = f"{vlan} is tagged on {here.title} and untagged on {there.title}"
        fix = "write it under vlans on both ends, or under access on both"
        yield Problem(lab.place(*here.path), what, CUT, fix)


def _joined(lab: Lab, link: Link) -> Iterator[Problem]:
    """Different untagged VLANs at the two ends of a cable become one broadcast domain."""
    a, b = link.a, link.b
    if a.untagged is None or b.untagged is None or a.untagged == b.untagged:
        return
    what = f"cable {link.cable} joins {a.untagged} of {a.title} to {b.untagged} of {b.title}"
    why = "untagged frames of one VLAN come out in the other"
    yield Problem(lab.place(*a.path), what, why, "write one untagged VLAN on both ends")


def peer_link_carries_lags(lab: Lab) -> Iterator[Problem]:
    """The link between an MLAG pair carries every VLAN of the pair's LAGs."""
    wiring = Wiring(lab)
    for name, switch in lab.switches.items():
        peer = switch.peer
        if peer is None or peer == name or not wiring.paired(name, peer):
            continue
        others = {port.lag for port in lab.switches[peer].ports.values()}
        needed = {
            vlan
            for key, port in switch.ports.items()
            if port.lag is not None and port.lag in others
            for vlan in wiring.ports[name, key].carried
        }
        links = [here for here in wiring.of(name) if wiring.beyond(here) == peer]
        if needed and not links:
            what = f"{name} and its peer {peer} have no cable between them"
            why = "a frame that arrives on one switch for a host behind the other is lost"
            place = lab.place("switches", name, "peer")
            yield Problem(place, what, why, f"add a cable from {name} to {peer}")
        for port in links:
            if missing := ", ".join(sorted(needed - port.carried)):
                what = f"peer link {port.title} does not carry {missing}"
                why = "LAGs of the pair do; with one leg lost their frames must cross the peer link"
                fix = f"add {missing} to {port.title}"
                yield Problem(lab.place(*port.path), what, why, fix)


def addresses_have_a_port(lab: Lab) -> Iterator[Problem]:
    """A host with an address in a VLAN has a port or bond that carries it."""
    for word, name, host in hosts(lab):
        have = carried(host)
        for vlan in host.addresses:
            if vlan in lab.vlans and vlan not in have:
                what = f"{name} has an address in {vlan}, but no port or bond of it carries {vlan}"
                fix = f"add {vlan} to the vlans of a bond or port of {name}"
                yield Problem(lab.place(word, name, "addresses", vlan), what, CUT, fix)
    for name, router in lab.routers.items():
        ports = router.ports.values()
        for vlan in router.legs:
            carried_here = any(vlan in port.vlans or vlan == port.access for port in ports)
            if vlan in lab.vlans and not carried_here:
                what = f"{name} has a leg in {vlan}, but no port of it carries {vlan}"
                fix = f"add {vlan} to a port of {name}"
                yield Problem(lab.place("routers", name, "legs", vlan), what, CUT, fix)


def bridges_carry_guest_vlans(lab: Lab) -> Iterator[Problem]:
    """Wherever a guest may be, the bridge of each of its cards carries the card's VLAN."""
    homes = Homes(lab)
    lacking = cache(lambda node, bridge, vlan: _lacks(lab.nodes[node], node, bridge, vlan))
    for name, guest in lab.guests.items():
        nodes = homes.of(name)
        for slot, net in guest.nets.items():
            if net.vlan not in lab.vlans:
                continue
            wrong = [lack for node in nodes if (lack := lacking(node, net.bridge, net.vlan))]
            if wrong:
                more = f", nor on {len(wrong) - 1} more of its nodes" if wrong[1:] else ""
                what = f"{title('guests', name)} {slot} needs {net.vlan}, but {wrong[0]}{more}"
                fix = f"carry {net.vlan} there, or pin the guest to nodes that do"
                yield Problem(lab.place("guests", name, "nets", slot, "vlan"), what, CUT, fix)


def _lacks(node: Host, name: str, bridge: str, vlan: str) -> str:
    known = node.bridges.get(bridge)
    if known is None:
        return f"{name} has no bridge {bridge}"
    have = carriers(node)
    if any(vlan in have.get(port, frozenset()) for port in known.ports):
        return ""
    return f"no port of {bridge} on {name} carries it"


RULES = (
    cables_carry_both_ends,
    peer_link_carries_lags,
    addresses_have_a_port,
    bridges_carry_guest_vlans,
)
