"""A frame passes only where every port on its way takes its size. Source: IEEE 802.3; ip-link(8).

The MTU of a VLAN is what its hosts send. Ports of routers and management processors declare none
and are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.item import Path
from lab.lab import Lab
from lab.rules.wiring import Wiring

WHY = "small packets pass and full ones vanish: sessions open and then hang"


def ports_fit_vlans(lab: Lab) -> Iterator[Problem]:
    """A port takes frames as large as those of the VLANs that pass it."""
    wiring = Wiring(lab)
    seen: set[Path] = set()
    for port in wiring.ports.values():
        there = wiring.opposite.get(port.end)
        uncabled = there is None and port.is_switch
        if port.mtu is None or port.path in seen or uncabled:
            continue
        seen.add(port.path)
        passing = port.carried if there is None else port.carried & there.carried
        sizes = {vlan: lab.vlans[vlan].mtu for vlan in sorted(passing) if vlan in lab.vlans}
        need = max(sizes.values(), default=0)
        if port.mtu < need:
            large = ", ".join(vlan for vlan, mtu in sizes.items() if mtu > port.mtu)
            what = f"{port.title} has MTU {port.mtu}, but {large} needs {need}"
            fix = f"write mtu: {need} on {port.title}"
            yield Problem(lab.place(*port.path, "mtu"), what, WHY, fix)


def hosts_send_no_more(lab: Lab) -> Iterator[Problem]:
    """A host's port is not set to send more than the switch at the other end takes."""
    for link in Wiring(lab).links:
        for here, there in link.directions:
            sends = here.mtu if here.mtu is not None and not here.is_switch else 0
            if there.is_switch and there.mtu is not None and sends > there.mtu:
                what = f"{here.title} has MTU {here.mtu}, and {there.title} takes {there.mtu}"
                fix = f"write mtu: {here.mtu} on {there.title}"
                yield Problem(lab.place(*here.path, "mtu"), what, WHY, fix, "warning")


RULES = (ports_fit_vlans, hosts_send_no_more)
