"""Faults over a lab, run until nothing more will happen, and what came of them as a `Report`.

    twin -> fork -> inject -> step from deadline to deadline -> Report -> judge -> verdict

The end: no timer is set that could change anything. Rounds of the HA manager, and of served
devices, may go on for ever without a change; when only such are left, `QUIET_S` without a line in
the trace ends the run. Nothing is looked at after `LIMIT_S`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lab.faults import Fault
from lab.lab import Lab
from simulator import watch
from simulator.build import twin_of
from simulator.outcome.judge import judge
from simulator.outcome.redundancy import RESERVES, reduced
from simulator.outcome.report import LostRedundancy, Outage, Overcommit, Report, Verdict
from simulator.state import Glimpse
from simulator.twin import Twin

LIMIT_S = 3600.0
# The longest silence of the HA stack that still leads to something is a lock's life and a master's
# round, 130 s; see simulator/ha/stack.py.
QUIET_S = 200.0

RESTS_ON = (
    "HA: decides as pve-ha-manager does in its regression cases; when rounds fall is chance",
    "corosync, Ceph, bonds, iSCSI: compared with recordings of real ones, see `vlab fidelity`",
    "VLANs, trunks, switches, power: documented rules, not compared with real ones yet",
)


def simulate(
    subject: Twin | Lab, faults: Sequence[Fault], *, seed: int = 0, until_s: float | None = None
) -> Report:
    """What these faults do. A twin is forked, so it stays as it is, and brings its own seed.

    `until_s` asks for a run of that length instead of one to the end. Raises ValueError for a
    fault of something that is not there, or beyond the end of the run.
    """
    in_time(faults, LIMIT_S if until_s is None else until_s)
    twin = twin_of(subject, seed=seed) if isinstance(subject, Lab) else subject.fork()
    twin.settle()
    watch.forget(twin.state)
    twin.trace.clear()
    record = _Record(twin, twin.now_s, dict(reduced(twin.facts)))
    down_before = tuple(sorted(twin.state.down_since))
    twin.inject(faults)
    settled = _run(twin, record, until_s)
    report = Report(
        faults=tuple(faults),
        seed=twin.state.seed,
        until_s=_since(twin.now_s, record.start_s),
        settled=settled,
        events=tuple(
            replace(event, at_s=round(event.at_s - record.start_s, 3)) for event in twin.trace
        ),
        outages=_outages(record),
        lost=tuple(record.lost.values()),
        overcommit=tuple(record.overcommit[node] for node in sorted(record.overcommit)),
        down_before=down_before,
        verdict=Verdict(),
        rests_on=RESTS_ON,
    )
    return replace(report, verdict=judge(twin.model.lab, report))


def in_time(faults: Sequence[Fault], end_s: float = LIMIT_S) -> None:
    """Raises ValueError for a fault of which a run of this length would not see all."""
    for fault in faults:
        if max(fault.at_s, fault.restore_at_s or 0.0) > end_s:
            raise ValueError(f"{fault}: a run ends after {end_s:g} s")


def calm(twin: Twin) -> Twin:
    """A fork in which everything under way has ended: boots, tasks, elections, recoveries."""
    ended = twin.fork()
    ended.settle()
    _run(ended, _Record(ended, ended.now_s, {}), None)
    return ended


def _run(twin: Twin, record: _Record, until_s: float | None) -> bool:
    """From deadline to deadline; True if the end was reached and not only the limit."""
    end_s = record.start_s + (LIMIT_S if until_s is None else until_s)
    lines, quiet_from_s = 0, twin.now_s
    while (due_s := _next_due_s(twin, quiet_from_s)) is not None and due_s <= end_s:
        twin.run_until(due_s)
        if len(twin.trace) != lines:
            lines, quiet_from_s = len(twin.trace), twin.now_s
            record.look()
    if due_s is not None or until_s is not None:
        twin.run_until(end_s)
    return due_s is None


def _next_due_s(twin: Twin, quiet_from_s: float) -> float | None:
    """The next deadline; None if nothing more will happen."""
    rounds = {"ha", *twin.devices}
    timers = twin.state.timers
    due_s = min((due.at_s for due in timers.values()), default=None)
    if due_s is not None and all(timer[0] in rounds for timer in timers):
        return due_s if due_s - quiet_from_s <= QUIET_S else None
    return due_s


def _since(at_s: float, start_s: float) -> float:
    return round(at_s - start_s, 1)


def _outages(record: _Record) -> tuple[Outage, ...]:
    """Of all that served when the run began."""
    twin, state, found = record.twin, record.twin.state, []
    now = dict(watch.problems(twin))
    for subject, closed_s in sorted(state.outages.items()):
        since_s = state.down_since.get(subject)
        out_s = closed_s + (twin.now_s - since_s if since_s is not None else 0.0)
        ongoing = since_s is not None
        why = now[subject] if ongoing else ""
        spans = tuple(record.spans.get(subject, ()))
        found.append(Outage(subject, round(out_s, 1), ongoing, why, spans))
    return tuple(found)


@dataclass
class _Record:
    """What is looked at along the way: reserves, memory, outages; since when and until when."""

    twin: Twin
    start_s: float
    before: dict[str, str]  # reserves that were lost before the run
    lost: dict[tuple[str, str], LostRedundancy] = field(default_factory=dict)
    overcommit: dict[str, Overcommit] = field(default_factory=dict)
    spans: dict[str, list[tuple[float, float | None]]] = field(default_factory=dict)
    reserves: Glimpse | None = None  # what `lost` follows from
    places: Glimpse | None = None  # what `overcommit` follows from

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Look at this instant, at what is not as it was at the last look."""
        state, at_s = self.twin.state, _since(self.twin.now_s, self.start_s)
        if self.reserves is None or not self.reserves.holds(state):
            self.reserves = Glimpse(state, RESERVES)
            self._reserves(at_s)
        if self.places is None or not self.places.holds(state):
            self.places = Glimpse(state, ("workloads", "guests"))
            self._memory(at_s)
        self._out(at_s)

    def _reserves(self, at_s: float) -> None:
        now = {
            (subject, text)
            for subject, text in reduced(self.twin.facts).items()
            if self.before.get(subject) != text
        }
        for key in sorted(now - self.lost.keys()):
            self.lost[key] = LostRedundancy(*key, from_s=at_s)
        for key, known in self.lost.items():
            if key in now:
                self.lost[key] = known if known.until_s is None else replace(known, until_s=None)
            elif known.until_s is None:
                self.lost[key] = replace(known, until_s=at_s)

    def _out(self, at_s: float) -> None:
        """Follow who is out; every change has a line in the trace, so none is missed."""
        state = self.twin.state
        for subject in state.outages:
            spans = self.spans.setdefault(subject, [])
            was_out = bool(spans) and spans[-1][1] is None
            if subject in state.down_since and not was_out:
                spans.append((_since(state.down_since[subject], self.start_s), None))
            elif subject not in state.down_since and was_out:
                spans[-1] = (spans[-1][0], at_s)

    def _memory(self, at_s: float) -> None:
        twin, facts = self.twin, self.twin.facts
        for node, declared in twin.model.lab.nodes.items():
            missing_bytes = facts.overcommit_bytes(node)
            known = self.overcommit.get(node)
            if missing_bytes > (known.missing_bytes if known else 0):
                self.overcommit[node] = Overcommit(
                    node,
                    declared.cluster,
                    missing_bytes,
                    twin.model.lab.clusters[declared.cluster].overcommit,
                    _running_on(twin, node),
                    from_s=known.from_s if known else at_s,
                )
            elif known and known.until_s is None and not missing_bytes:
                self.overcommit[node] = replace(known, until_s=at_s)


def _running_on(twin: Twin, node: str) -> tuple[str, ...]:
    names = (
        twin.facts.guest_name(key).removeprefix("guest ")
        for key, guest in twin.state.guests.items()
        if guest.node == node and guest.power != "stopped"
    )
    return tuple(sorted(names))
