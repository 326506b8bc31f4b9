"""Faults over time: the part that turns scheduled `Fault` values into what is broken now.

`Twin.inject` schedules; here `state.faults` is kept equal to the scheduled ones whose time it is,
by subject. If two overlap on one subject the hard one counts, and the thing is whole when both
are over.

Leaves out: what follows from a fault, which each other part sees by itself.
"""

from __future__ import annotations

from lab.faults import Fault, FaultKind
from simulator.state import Timer
from simulator.twin import Twin

HARD = {
    FaultKind.NODE: "loses power",
    FaultKind.SWITCH: "loses power",
    FaultKind.CABLE: "is cut",
    FaultKind.CARD: "fails",
    FaultKind.FEED: "goes dark",
    FaultKind.DISK: "fails",
    FaultKind.OSD: "crashes",
    FaultKind.NAS: "loses power",
    FaultKind.PORTAL: "refuses connections",
    FaultKind.BACKUP_SERVER: "loses power",
    FaultKind.ROUTER: "loses power",
}
SILENT = {
    FaultKind.NODE: "hangs, its links stay up",
    FaultKind.SWITCH: "hangs, its links stay up",
    FaultKind.CABLE: "passes nothing, its carrier stays",
    FaultKind.CARD: "passes nothing, its carriers stay",
    FaultKind.FEED: "goes dark",
    FaultKind.DISK: "answers no more",
    FaultKind.OSD: "freezes",
    FaultKind.NAS: "hangs, its links stay up",
    FaultKind.PORTAL: "answers no more",
    FaultKind.BACKUP_SERVER: "hangs, its links stay up",
    FaultKind.ROUTER: "hangs, its links stay up",
}


class FaultPart:
    """Keeps the faults in force."""

    name = "fault"
    reads = ()

    def settle(self, twin: Twin) -> bool:
        """Faults depend on time alone."""
        return False

    def due(self, twin: Twin, timer: Timer) -> None:
        """A fault begins or ends; what is done on purpose, people ask of the server."""
        fault = twin.state.pending.get(timer[2])
        if fault is None or not fault.orderly:
            update(twin)
        elif timer[1] == "fail":
            twin.state.orders[fault.name] = fault.orderly
        else:
            del twin.state.pending[timer[2]]
            twin.state.orders[fault.name] = "start"


def restore(twin: Twin, subject: str) -> None:
    """Make a thing whole before its time: every fault in force on it is over."""
    drop(twin, subject)
    update(twin)
    twin.changed()


def drop(twin: Twin, subject: str) -> None:
    """Forget the faults in force on a thing, without a word: a reset cured what hung."""
    pending = twin.state.pending
    for text in [text for text, fault in pending.items() if fault.subject == subject]:
        if pending[text].at_s <= twin.now_s:
            del pending[text]


def update(twin: Twin) -> None:
    """Bring `state.faults` to what is scheduled for now, and say what begins and ends."""
    state, now_s = twin.state, twin.now_s
    state.pending = {
        text: fault
        for text, fault in state.pending.items()
        if fault.restore_at_s is None or fault.restore_at_s > now_s
    }
    force: dict[str, Fault] = {}
    for fault in state.pending.values():
        if fault.orderly:
            continue
        before = force.get(fault.subject)
        if fault.at_s <= now_s and (before is None or before.silent):
            force[fault.subject] = fault
    for subject, fault in force.items():
        before = state.faults.get(subject)
        if before is None or before.silent != fault.silent:
            words = (SILENT if fault.silent else HARD)[fault.kind]
            twin.note(subject, "fault", f"{fault.name} {words}")
    for subject, fault in state.faults.items():
        if subject not in force:
            twin.note(subject, "restored", f"{fault.name} is whole again")
    state.faults = force
