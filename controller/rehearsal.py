"""The rehearsal: a plan run by the real executor against a fork of the twin, judged at every step.

observed documents -> twin -> [one operation -> every single fault over that state] -> ...

Devices of the twin hold the observed documents verbatim and its physics has the observed state;
what is sent goes in process through the same client, and every wait goes through the twin's clock,
so it costs no real time. A state is judged again only when something that has weight changed in it.

What counts: a service counts from the moment when it serves and passes all its expectations; from
then on no step may make it worse. At the end of the plan everything counts. Memory counts always.

Leaves out: faults while an operation is under way, two faults at once, and devices that the twin
does not serve.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from controller.devices import Device
from controller.execute import execute
from controller.journal import Journal
from controller.managed import Key
from controller.perform import Fate, Result
from controller.plan import Operation, Plan
from lab.errors import Place
from lab.faults import Fault, FaultKind
from lab.kinds.guest import Power
from lab.lab import Lab
from simulator.outcome.report import Finding, Verdict
from simulator.outcome.simulate import calm
from simulator.outcome.verdict import faults_to_try, invariants, worse
from simulator.state import State
from simulator.twin import Twin

EPOCH_S = 1_767_225_600.0  # 2026-01-01: when a twin's second 0 is, for devices that tell the date

Devices = Callable[[Twin], Sequence[Device]]
"""The way to the devices that a twin serves, in process."""
Progress = Callable[[str], None]


class TwinClock:
    """Time of a twin; sleeping lets it pass."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def now(self) -> float:
        return EPOCH_S + self._twin.now_s

    def sleep(self, seconds: float) -> None:
        self._twin.run_until(self._twin.now_s + seconds)


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that the twin's device would not do."""

    key: Key
    why: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Counterexample:
    """After this operation, this one fault hurts more than before the plan.

    Without an operation (`key` None) it is what the declaration alone changes, such as a cable.
    """

    step: int  # operations done, this one included
    key: Key | None
    path: tuple[str, ...]
    place: Place | None
    finding: Finding

    @property
    def text(self) -> str:
        """`5 GiB missing on pve3 ... after fail-node pve2, once guests.ussop is changed`."""
        return f"{self.finding.text}, once {self._changed} is changed"

    @property
    def fix(self) -> str:
        """What would make it a yes."""
        written = f"{self.finding.place}" if self.finding.place else "expect:"
        return f"change {self._changed}, or what {written} asks for"

    @property
    def _changed(self) -> str:
        return ".".join(self.path) or (str(self.key) if self.key else "the declaration")


@dataclass(frozen=True)
class Rehearsal:
    """How it went. `before` and `after` judge the whole lab without and with the plan."""

    before: Verdict
    after: Verdict
    steps: int  # operations done
    states: int  # different states that faults were laid over
    failures: tuple[Failure, ...] = ()
    counterexamples: tuple[Counterexample, ...] = ()


def rehearse(
    plan: Plan,
    lab: Lab,
    twin: Twin,
    devices: Devices,
    kinds: Collection[FaultKind],
    *,
    before: Verdict | None = None,
    progress: Progress = lambda _text: None,
) -> Rehearsal:
    """Run `plan` on `twin`, which is used up; `before`: the verdict to beat, if it is known
    already.

    The run stops at the first state that is worse, so the counterexample is the smallest: the
    fewest operations and one fault.
    """
    judge = _Judge(lab, twin, kinds, progress)
    judge.begin()
    start = before if before is not None else judge.last
    outcome = None
    try:
        outcome = execute(plan, devices(twin), Journal(), TwinClock(twin), judge.after_operation)
    except _Worse:
        progress("a step makes it worse")
    after = judge.end(start) if outcome is not None else judge.last
    failures = tuple(
        Failure(result.operation.key, result.reason, result.operation.place)
        for result in (outcome.results if outcome else ())
        if result.fate in (Fate.FAILED, Fate.IN_DOUBT)
    )
    return Rehearsal(start, after, judge.done, judge.states, failures, tuple(judge.found))


class _Worse(Exception):
    """Stops the run at the first state that is worse."""


class _Judge:
    """Looks at the twin after every operation and remembers what may not get worse."""

    def __init__(
        self, lab: Lab, twin: Twin, kinds: Collection[FaultKind], progress: Progress
    ) -> None:
        self.lab = lab
        self.twin = twin
        self.kinds = kinds
        self.progress = progress
        self.done = 0
        self.states = 0
        self.found: list[Counterexample] = []
        self.last = Verdict()
        self._operation: Operation | None = None
        self._weight: object = None
        self._sound: frozenset[tuple[str, str]] = frozenset()
        self._ran = _running(twin)

    def verdict(self) -> Verdict:
        """Every single fault over the present state, once all that is under way has ended."""
        self.states += 1
        state = calm(self.twin)
        faults: Sequence[Fault] = faults_to_try(self.lab, state, self.kinds)
        return invariants(self.lab, state, faults=faults)

    def begin(self) -> None:
        """Remember what is sound without the plan."""
        self.last = self.verdict()
        self._weight = _weight(self.twin.state)
        self._sound = self._sound_in(self.last)

    def after_operation(self, result: Result) -> None:
        """Judge the state after one operation; raises to stop the run at the first worse one."""
        if result.fate is not Fate.DONE or not result.operation.steps:
            return
        self.done += 1
        self._operation = result.operation
        weight = _weight(self.twin.state)
        if weight == self._weight:
            return
        self._weight = weight
        self.progress(f"{self.done} steps, {self.states} states: {result.operation.key}")
        now = self.verdict()
        self._object(finding for finding in worse(self.last, now) if self._counts(finding))
        self.last = now
        self._sound |= self._sound_in(now)
        if self.found:
            raise _Worse

    def end(self, start: Verdict) -> Verdict:
        """At the end everything counts, but for what the lab itself wants to be off."""
        off = _meant_to_be_down(self.lab)
        self._object(
            finding
            for finding in worse(start, self.last)
            if finding.fault or finding.service not in off
        )
        return self.last

    def _counts(self, finding: Finding) -> bool:
        """Whether a finding counts before the end of the plan."""
        if finding.node:
            return self._ran.issuperset(finding.guests)
        return (finding.expectation, finding.service) in self._sound

    def _object(self, findings: Iterable[Finding]) -> None:
        done = self._operation
        if done is None:
            self.found += [Counterexample(0, None, (), found.place, found) for found in findings]
            return
        written = (change.place for change in done.changes if change.place is not None)
        place = next(written, done.place)
        self.found += [
            Counterexample(self.done, done.key, done.path, place, found) for found in findings
        ]

    def _sound_in(self, verdict: Verdict) -> frozenset[tuple[str, str]]:
        """Pairs of expectation and service that hold there."""
        broken = {(finding.expectation, finding.service) for finding in verdict.findings}
        return frozenset(
            (name, service)
            for name, expectation in self.lab.expect.items()
            for service in expectation.services
            if service not in verdict.down and (name, service) not in broken
        )


def _weight(state: State) -> tuple[object, ...]:
    """All of a state that a fault's effect depends on; names and rights have no weight."""
    guests = tuple(
        (key, guest.node, guest.power != "stopped") for key, guest in sorted(state.guests.items())
    )
    served = (
        tuple(sorted(state.arrays.items())),
        tuple(sorted(state.stale)),
        tuple(sorted(state.ceph.items())),
    )
    return (guests, tuple(sorted(state.workloads.items())), served, tuple(sorted(state.faults)))


def _running(twin: Twin) -> frozenset[str]:
    """Names of the guests that run."""
    return frozenset(
        twin.facts.guest_name(key).removeprefix("guest ")
        for key, guest in twin.state.guests.items()
        if guest.power != "stopped"
    )


def _meant_to_be_down(lab: Lab) -> frozenset[str]:
    """Services that the desired state itself leaves without a running guest."""
    on = {name for name, guest in lab.guests.items() if guest.state is Power.STARTED}
    return frozenset(
        name
        for name, service in lab.services.items()
        if not (on & set(service.any) if service.any else set(service.all) <= on)
    )
