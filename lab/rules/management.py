"""What manages the lab is out of reach for guests."""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.kinds.vlan import Role
from lab.lab import Lab, title
from lab.names import nearest
from lab.rules.wiring import Wiring, hosts

OUTSIDE = ("vpn", "internet")
WHY = "a guest that is taken over could then reach the web interface, SSH or iLO of the servers"


def forwards_name_networks(lab: Lab) -> Iterator[Problem]:
    """A router forwards between VLANs it has a leg in, the VPN and the internet."""
    for name, router in lab.routers.items():
        for position, forward in enumerate(router.forwards):
            for key, network in (("source", forward.source), ("to", forward.to)):
                place = lab.place("routers", name, "forwards", str(position), key)
                if network not in lab.vlans and network not in OUTSIDE:
                    what = f"{title('routers', name)} forwards {key} {network}, which is no network"
                    yield Problem(place, what, fix=nearest(network, [*lab.vlans, *OUTSIDE]))
                elif network in lab.vlans and network not in router.legs:
                    what = f"{title('routers', name)} forwards {key} {network}, where it has no leg"
                    yield Problem(place, what, fix=f"add {network} to legs, or remove the forward")


def routers_keep_guests_out(lab: Lab) -> Iterator[Problem]:
    """Nothing is forwarded into management from guests or from the internet."""
    wiring = Wiring(lab)
    for name, router in lab.routers.items():
        for position, forward in enumerate(router.forwards):
            from_guests = wiring.role(forward.source) is Role.GUESTS or forward.source == "internet"
            if from_guests and wiring.role(forward.to) is Role.MANAGEMENT:
                place = lab.place("routers", name, "forwards", str(position))
                what = f"{title('routers', name)} forwards {forward.source} to {forward.to}"
                yield Problem(place, what, WHY, "remove the forward; the VPN is the way in")


def guests_do_not_bridge(lab: Lab) -> Iterator[Problem]:
    """A guest with a leg in both does not forward."""
    wiring = Wiring(lab)
    for name, guest in lab.guests.items():
        if guest.forwards:
            roles = {wiring.role(net.vlan) for net in guest.nets.values()}
            if {Role.GUESTS, Role.MANAGEMENT} <= roles:
                place = lab.place("guests", name, "forwards")
                what = f"{title('guests', name)} forwards between guests and management"
                yield Problem(place, what, WHY, "write forwards: false, or take a leg away")


def ports_do_not_mix(lab: Lab) -> Iterator[Problem]:
    """No port has one of management and guests untagged and the other tagged."""
    wiring = Wiring(lab)
    apart = {Role.MANAGEMENT: Role.GUESTS, Role.GUESTS: Role.MANAGEMENT}
    seen: set[tuple[str, ...]] = set()
    for port in wiring.ports.values():
        role = wiring.role(port.untagged) if port.untagged is not None else None
        if role not in apart or port.path in seen:
            continue
        seen.add(port.path)
        for vlan in sorted(port.tagged):
            if wiring.role(vlan) is apart[role]:
                what = f"{port.title} has {port.untagged} untagged beside {vlan}"
                why = "a frame without a tag, or with two, changes from the one to the other"
                fix = f"tag {port.untagged} too, and leave nothing untagged"
                yield Problem(lab.place(*port.path), what, why, fix)


def servers_keep_out_of_guest_vlans(lab: Lab) -> Iterator[Problem]:
    """A management processor is never among guests; a server's address there is a warning."""
    wiring = Wiring(lab)
    for word, name, host in hosts(lab):
        if host.ilo is not None and wiring.role(host.ilo.vlan) is Role.GUESTS:
            what = f"the ilo of {name} is in {host.ilo.vlan}, a VLAN of guests"
            yield Problem(lab.place(word, name, "ilo", "vlan"), what, WHY, "use a management VLAN")
        for vlan in host.addresses:
            if wiring.role(vlan) is Role.GUESTS:
                place = lab.place(word, name, "addresses", vlan)
                what = f"{name} has an address in {vlan}, a VLAN of guests"
                yield Problem(place, what, WHY, "remove it when it is no longer needed", "warning")


RULES = (
    forwards_name_networks,
    routers_keep_guests_out,
    guests_do_not_bridge,
    ports_do_not_mix,
    servers_keep_out_of_guest_vlans,
)
