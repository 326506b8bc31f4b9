"""Cables go from a port that exists to another, and each port takes one."""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.lab import Lab, title
from lab.names import nearest
from lab.rules.wiring import Wiring, hosts, split

DEVICES = ("nodes", "nas", "backup-servers", "switches", "routers")


def ends_exist(lab: Lab) -> Iterator[Problem]:
    """A cable ends in a port of a declared device."""
    ports = Wiring(lab).ports
    devices = {device for device, _port in ports}
    for name, cable in lab.cables.items():
        for position, end in enumerate(cable.ends):
            device, port = split(end)
            if (device, port) in ports or end.count("/") != 1:
                continue  # the latter is a flaw of the cable itself
            place = lab.place("cables", name, "ends", str(position))
            if device not in devices:
                what = f"cable {name} ends at {device}, which is no device"
                yield Problem(place, what, fix=nearest(device, devices))
            else:
                what = f"cable {name} ends at {end}, and {device} has no port {port}"
                known = {known for owner, known in ports if owner == device}
                yield Problem(place, what, fix=nearest(port, known))


def one_cable_per_port(lab: Lab) -> Iterator[Problem]:
    """No port is cabled twice."""
    taken: dict[str, str] = {}
    for name, cable in lab.cables.items():
        for position, end in enumerate(cable.ends):
            if (other := taken.setdefault(end, name)) != name or cable.ends[0] == cable.ends[1]:
                place = lab.place("cables", name, "ends", str(position))
                what = f"{end} has cable {other} and cable {name}"
                if other == name:
                    what = f"cable {name} begins and ends at {end}"
                yield Problem(place, what, "a port takes one cable", "cable another port")
                if other == name:
                    break


def device_names_differ(lab: Lab) -> Iterator[Problem]:
    """Cables, faults and reports name devices without saying their word, so names are unique across
    words.
    """
    first: dict[str, str] = {}
    for word in DEVICES:
        for name in lab.map(word):
            other = first.setdefault(name.lower(), f"{word} {name}")
            if other != f"{word} {name}":
                what = f"{title(word, name)} and {title(*other.split())} have one name"
                why = "cables and faults name a device without saying what it is"
                yield Problem(lab.place(word, name), what, why, "rename one of them")


def bonds_are_cabled(lab: Lab) -> Iterator[Problem]:
    """Every member of a bond has a cable, in a lab that declares the cables of that host."""
    wiring = Wiring(lab)
    cabled = {split(end) for cable in lab.cables.values() for end in cable.ends}
    with_cables = {device for device, _port in cabled}
    for word, name, host in hosts(lab):
        for bond, each in host.bonds.items():
            for position, member in enumerate(each.members):
                here = (name, member)
                if name in with_cables and here in wiring.ports and here not in cabled:
                    place = lab.place(word, name, "bonds", bond, "members", str(position))
                    what = f"{member} of {name} {bond} has no cable"
                    why = "the bond comes up with one leg less than declared"
                    fix = f"add a cable with the end {name}/{member}"
                    yield Problem(place, what, why, fix, "warning")


RULES = (ends_exist, one_cable_per_port, device_names_differ, bonds_are_cabled)
