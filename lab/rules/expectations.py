"""Expectations name faults that can be: what is accepted exists in the lab."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lab.errors import Problem
from lab.faults import FaultKind, parse_faults
from lab.lab import Lab, title
from lab.names import nearest
from lab.rules.wiring import hosts


def subjects(lab: Lab, kind: FaultKind) -> Collection[str]:
    """Names of everything of one kind that can fail, as faults say them."""
    match kind:
        case FaultKind.CARD:
            return [f"{name}/{card}" for _word, name, host in hosts(lab) for card in host.cards]
        case FaultKind.DISK:
            return [f"{name}/{disk}" for _word, name, host in hosts(lab) for disk in host.disks]
        case FaultKind.OSD:
            return [f"{name}/{osd}" for name, ceph in lab.ceph.items() for osd in ceph.osds]
        case FaultKind.PORTAL:
            return [f"{name}/{portal}" for name, nas in lab.nas.items() for portal in nas.portals]
        case FaultKind.SWITCH:
            return lab.switches
        case FaultKind.NAS:
            return lab.nas
        case _:
            return lab.map(f"{kind}s")


def accepted_faults_exist(lab: Lab) -> Iterator[Problem]:
    """`accept` is written as on the command line, and names things of the lab."""
    for name, expectation in lab.expect.items():
        if expectation.accept is None:
            continue
        place, who = lab.place("expect", name, "accept"), title("expect", name)
        try:
            faults = parse_faults([expectation.accept])
        except ValueError as error:
            yield Problem(place, f"{who}: {error}", fix="write accept: fail-nas nas1")
            continue
        for fault in faults:
            known = subjects(lab, fault.kind)
            if fault.name not in known:
                what = f"{who} accepts {fault}, but there is no {fault.kind} {fault.name}"
                yield Problem(place, what, fix=nearest(fault.name, known))


RULES = (accepted_faults_exist,)
