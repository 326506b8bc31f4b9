"""A bond and the LAG it meets are one thing seen from both ends. Sources: IEEE 802.1AX; the Linux
bonding manual.

Active-backup bonds need nothing of the switches, LACP ones need a LAG on one switch or on an MLAG
pair.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.kinds.host import BondMode
from lab.kinds.vlan import Role
from lab.lab import Lab
from lab.rules.wiring import Port, Wiring, hosts

ALONE = "a switch takes ports outside of a LAG for links of their own: frames are lost or repeated"


def lacp_bonds_meet_one_lag(lab: Lab) -> Iterator[Problem]:
    """The legs of an LACP bond end in one LAG of one switch or of an MLAG pair."""
    wiring = Wiring(lab)
    for word, name, host in hosts(lab):
        for bond, each in host.bonds.items():
            if each.mode is not BondMode.LACP:
                continue
            found = [wiring.opposite.get((name, member)) for member in each.members]
            legs = [port for port in found if port is not None]
            place = lab.place(word, name, "bonds", bond)
            for problem in _one_lag(wiring, f"{name} {bond}", legs):
                yield Problem(place, *problem)


def _one_lag(wiring: Wiring, bond: str, legs: list[Port]) -> Iterator[tuple[str, str, str]]:
    for port in legs:
        if port.is_switch and port.group is None:
            fix = f"add the same lag: to every port of {bond}, or write mode: active-backup"
            yield f"{bond} is an LACP bond, but {port.title} has no lag", ALONE, fix
        elif not port.is_switch:
            what = f"{bond} is an LACP bond, but {port.title} is no switch port"
            yield what, ALONE, "cable it to a switch"
    switches = sorted({port.end[0] for port in legs if port.is_switch})
    apart = [other for other in switches[1:] if not wiring.paired(switches[0], other)]
    if apart:
        what = f"{bond} ends on {switches[0]} and {apart[0]}, which are no MLAG pair"
        why = "two switches that are no pair form two LAGs, and only one of them is used"
        fix = "write peer: on both switches if they are a pair, or cable the bond to one of them"
        yield what, why, fix
    lags = sorted({port.group for port in legs if port.is_switch and port.group is not None})
    if lags[1:]:
        what = f"the legs of {bond} end in different LAGs: {', '.join(lags)}"
        yield what, "only the legs in one LAG are used", "write one lag: on all its switch ports"


def lags_meet_one_bond(lab: Lab) -> Iterator[Problem]:
    """Every cabled port of a LAG leads to one LACP bond, or to one LAG of another switch."""
    wiring = Wiring(lab)
    first: dict[tuple[frozenset[str], str], tuple[Port, Port]] = {}
    for here in wiring.ports.values():
        there = wiring.opposite.get(here.end)
        if not here.is_switch or here.group is None or there is None:
            continue
        place = lab.place(*here.path, "lag")
        if (problem := _far_end(lab, here, there)) is not None:
            yield Problem(place, *problem)
            continue
        one, two = first.setdefault((_chassis(lab, here), here.group), (here, there))
        if _partner(lab, two) != _partner(lab, there):
            what = f"lag {here.group} leads to {two.title} and to {there.title}"
            why = f"{one.title} and {here.title} are one LAG, and a LAG has one partner"
            yield Problem(place, what, why, "give each partner a lag of its own")


def _far_end(lab: Lab, here: Port, there: Port) -> tuple[str, str, str] | None:
    """What is wrong with the partner of a LAG's port: (what, why, fix)."""
    if there.is_switch:
        if there.group is None:
            what = f"{here.title} is in lag {here.group}, but {there.title} is in none"
            return what, ALONE, f"add lag: to {there.title}"
        if _partner(lab, here) == _partner(lab, there):
            what = f"lag {here.group} joins {here.title} to {there.title}, both ports of itself"
            return (
                what,
                "ports of a pair that name one lag are one LAG",
                "give each end its own name",
            )
        return None
    if there.group is None:
        what = f"{here.title} is in lag {here.group}, but {there.title} is in no bond"
        return what, ALONE, f"add {there.end[1]} to a bond of {there.end[0]}, or remove lag"
    host = lab.hosts.get(there.end[0])
    bond = host.bonds.get(there.group) if host is not None else None
    if bond is not None and bond.mode is not BondMode.LACP:
        what = f"{here.title} is in lag {here.group}, but {there.title} is {bond.mode}"
        return what, "a LAG waits for a partner that speaks LACP", "write mode: lacp, or remove lag"
    return None


def _chassis(lab: Lab, port: Port) -> frozenset[str]:
    """The switch of a port, with its peer if they are a pair."""
    name = port.end[0]
    switch = lab.switches[name]
    peer = lab.switches.get(switch.peer) if switch.peer is not None else None
    return frozenset((name, switch.peer or name) if peer and peer.peer == name else (name,))


def _partner(lab: Lab, port: Port) -> object:
    """What a LAG sees at its other end."""
    return (_chassis(lab, port) if port.is_switch else port.end[0], port.group)


def iscsi_is_not_bonded(lab: Lab) -> Iterator[Problem]:
    """iSCSI has paths of its own: multipath above does what a bond would."""
    wiring = Wiring(lab)
    for word, name, host in hosts(lab):
        for bond, each in host.bonds.items():
            for position, vlan in enumerate(each.vlans):
                if wiring.role(vlan) is Role.ISCSI:
                    place = lab.place(word, name, "bonds", bond, "vlans", str(position))
                    what = f"{name} {bond} carries the iSCSI VLAN {vlan}"
                    why = "multipath sees one path where there are two, and can't leave the bad one"
                    fix = f"give {vlan} a port of its own, outside of bonds"
                    yield Problem(place, what, why, fix)


RULES = (lacp_bonds_meet_one_lag, lags_meet_one_bond, iscsi_is_not_bonded)
