"""One pass: bring the lab to the commit in force, or say why not.

    settle -> read the logs -> observe -> plan -> judge -> execute -> settle -> record

Everything that a pass can come to is a `Pass`; errors that stop it midway (the lease lost, the
database away) are raised, and the next pass starts from what is there. Leaves out when passes run
(`loop`) and what they mean for conditions (`standing`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import structlog

from controller.desired import Desired
from controller.drift import Drift, Watch, drifted, marks_of, read_logs
from controller.execute import Outcome, execute
from controller.gate import Judgement
from controller.history import Event, History
from controller.keeping import Settled, settle
from controller.managed import Key
from controller.observe import observe
from controller.observed import Observed
from controller.perform import Fate
from controller.perform import Result as Performed
from controller.plan import NoteKind, Plan
from controller.planning import plan_changes
from controller.runs import Result
from controller.settings import Apply
from controller.world import World
from lab.errors import Interrupted
from lab.item import Path
from lab.lab import Lab

log = structlog.get_logger()


class Gate(Protocol):
    """Whether a plan may run; judges the lab as it is when there is nothing to do."""

    def __call__(self, plan: Plan, lab: Lab, observed: Observed, /) -> Judgement: ...


@dataclass(frozen=True)
class Orders:
    """How a pass shall go.

    `check` raises Interrupted when it must not go on; `hold` says why a plan is not tried now, or
    nothing; `begun` hears of a plan that is about to be executed.
    """

    apply: Apply
    reasons: frozenset[str] = frozenset()
    check: Callable[[], None] = lambda: None
    hold: Callable[[Plan], str] = lambda _plan: ""
    begun: Callable[[Plan], None] = lambda _plan: None


class Ending(StrEnum):
    """What a pass came to."""

    IN_SYNC = "in sync"  # nothing to do
    UNSEEN = "not all was seen"  # nothing to do, as far as things answered
    WAITING = "waiting for approval"
    REPORTED = "reported"  # there is something to do, and we only report
    REFUSED = "refused"
    HELD = "held"  # failed before, not tried again yet
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True)
class Pass:
    """How a pass went. `told`: each drift in a sentence; `findings`: what a crash had left."""

    desired: Desired
    ending: Ending
    plan: Plan
    judgement: Judgement
    drifts: tuple[Drift, ...] = ()
    told: Mapping[Key, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    held: str = ""
    findings: tuple[str, ...] = ()
    observed: Observed = field(default_factory=Observed)


def reconcile(desired: Desired, world: World, history: History, gate: Gate, orders: Orders) -> Pass:
    """Bring the lab to what is desired, as far as policy, gate and orders allow.

    Raises Interrupted and HistoryAway; what was begun is in the journal.
    """
    world = world.patient()
    seen = _look(desired, world, history)
    plan = seen.plan
    judgement = gate(plan, desired.lab, seen.observed)
    if judgement.refused:
        why = "\n".join(objection.text for objection in judgement.objections)
        history.refuse(plan, orders.reasons, why, world.clock.now())
        return seen.ended(Ending.REFUSED, judgement)
    if orders.apply is Apply.REPORT and any(operation.steps for operation in plan.operations):
        return seen.ended(Ending.REPORTED, judgement)
    if orders.apply is Apply.REPORT or plan.empty:
        return seen.ended(_at_rest(plan), judgement)
    if held := orders.hold(plan):
        return replace(seen.ended(Ending.HELD, judgement), held=held)
    outcome = _carry_out(plan, world, history, orders)
    settle(world, history, seen.settled.owned)
    ending = Ending.APPLIED if outcome.done else Ending.FAILED
    return replace(seen.ended(ending, judgement), outcome=outcome)


def _at_rest(plan: Plan) -> Ending:
    """What it means that there is nothing to do."""
    if plan.pending:
        return Ending.WAITING
    unseen = any(note.kind is NoteKind.UNKNOWN for note in plan.notes)
    return Ending.UNSEEN if unseen else Ending.IN_SYNC


@dataclass(frozen=True)
class _Seen:
    """The first half of a pass: what is there, and what is to be done about it."""

    desired: Desired
    settled: Settled
    observed: Observed
    plan: Plan
    drifts: tuple[Drift, ...]
    told: Mapping[Key, str]

    def ended(self, ending: Ending, judgement: Judgement) -> Pass:
        return Pass(
            self.desired,
            ending,
            self.plan,
            judgement,
            self.drifts,
            self.told,
            findings=self.settled.findings,
            observed=self.observed,
        )


def _look(desired: Desired, world: World, history: History) -> _Seen:
    settled = settle(world, history, history.owned())
    now_s = world.clock.now()
    history.tell([Event(now_s, "recovered", "", finding) for finding in settled.findings])
    watch = Watch.from_text(history.recall("watch"))
    marks = marks_of(read_logs(world.devices, world.trails))
    named = desired.things.keys() | settled.owned.keys()
    observed = observe(world.devices, world.clock, named=named, parallel=world.parallel)
    observed = observed.doubting(settled.in_doubt)
    observed = world.place(desired.lab, observed)
    commit, approved = desired.revision.commit, history.approved()
    plan = plan_changes(desired.lab, observed, settled.owned, commit, approve=approved)
    drifts = tuple(drifted(plan, desired.things, observed, settled.owned))
    told = _tell(drifts, watch, world, history)
    after = Watch(marks, {str(key): text for key, text in told.items()})
    if after != watch:
        history.remember({"watch": after.text()})
    return _Seen(desired, settled, observed, plan, drifts, told)


def _tell(drifts: Sequence[Drift], watch: Watch, world: World, history: History) -> dict[Key, str]:
    """Each drift in a sentence with its author; a new one becomes an event."""
    new = [drift for drift in drifts if not watch.known(drift)]
    concerned = {drift.key.device for drift in new}
    devices = [device for device in world.devices if device.name in concerned]
    logs = read_logs(devices, world.trails)
    found = {drift.key: f"{drift.text} {watch.author(drift, logs, world.trails)}" for drift in new}
    now_s = world.clock.now()
    history.tell(
        [
            Event(now_s, "drift", subject_of(drift.key, drift.path), found[drift.key])
            for drift in new
        ]
    )
    for drift in new:
        log.info("drift found", subject=subject_of(drift.key, drift.path), what=found[drift.key])
    return {drift.key: found.get(drift.key) or watch.known(drift) for drift in drifts}


def _carry_out(plan: Plan, world: World, history: History, orders: Orders) -> Outcome:
    """Execute, keeping the history of it; stops between operations when `check` says so."""
    clock = world.clock
    run = history.begin_run(plan, orders.reasons, clock.now())
    log.info("run begins", run=run, commit=plan.commit[:12], operations=len(list(plan.operations)))

    def after(done: Performed) -> None:
        history.progress(run, done, clock.now())
        orders.check()

    try:
        orders.check()
        orders.begun(plan)
        outcome = execute(plan, world.devices, world.journal, clock, after, parallel=world.parallel)
    except Interrupted as stopped:
        history.end_run(run, Result.INTERRUPTED, str(stopped), clock.now())
        raise
    count = Counter(result.fate for result in outcome.results)
    told = ", ".join(f"{count[fate]} {fate}" for fate in Fate if count[fate])
    result = Result.APPLIED if outcome.done else Result.FAILED
    history.end_run(run, result, told, clock.now())
    log.info("run ended", run=run, result=str(result), operations=told)
    return outcome


def subject_of(key: Key, path: Path) -> str:
    """A thing as conditions and events name it: its entry in the desired state, else its key."""
    return "/".join(path[:2]) or str(key)
