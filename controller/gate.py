"""The gate: whether a plan may run. Policy first, because it is cheap; then the rehearsal.

    plan + observed -> protected things -> rehearsal on the twin -> Judgement

One objection refuses the whole plan: half a commit is a state that nobody wrote and nobody judged.
Deletes that policy forbids never get here: the diff keeps such things and notes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from controller.managed import Key
from controller.observed import Observed
from controller.plan import Action, Plan
from controller.rehearsal import Rehearsal, rehearse
from controller.stage import devices_of, stage_of
from lab.errors import Place
from lab.faults import FaultKind
from lab.item import Act
from lab.lab import Lab


class Rule(StrEnum):
    """Why the gate says no."""

    PROTECTED = "protected"  # the thing says protect: true
    DELETE = "delete"  # `manage` does not let it go
    REHEARSAL = "rehearsal"  # the twin's device refused a step
    WORSE = "worse"  # a failure would hurt more than before
    STALE = "stale"  # not the plan that was approved


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason to refuse: what, where it was written, what would make it a yes."""

    rule: Rule
    text: str
    fix: str
    place: Place | None
    key: Key | None = None


@dataclass(frozen=True)
class Judgement:
    """What the gate says of a plan; `rehearsal` None: it did not come to one."""

    objections: tuple[Objection, ...] = ()
    rehearsal: Rehearsal | None = None

    @property
    def refused(self) -> bool:
        """Whether the plan must not run."""
        return bool(self.objections)


def by_policy(plan: Plan) -> Iterator[Objection]:
    """What the things themselves do not allow."""
    for operation in plan.operations:
        if not operation.steps:
            continue
        thing = operation.wanted or operation.old
        assert thing is not None, "an operation with steps has a thing"
        policy = thing.policy
        name = ".".join(operation.path) or str(operation.key)
        if policy.protect and operation.action is not Action.CREATE:
            yield Objection(
                Rule.PROTECTED,
                f"{name} is protected, and the plan would {operation.action} it",
                f"remove `protect: true` from {name} in a commit of its own",
                operation.place,
                operation.key,
            )
        if operation.action is Action.DELETE and Act.DELETE not in policy.manage:
            yield Objection(
                Rule.DELETE,
                f"{name} would be deleted, and its `manage` does not say delete",
                f"first apply a commit with `manage: [observe, delete]` on {name}",
                operation.place,
                operation.key,
            )


def by_rehearsal(rehearsal: Rehearsal) -> Iterator[Objection]:
    """What went wrong on the twin: the smallest counterexample first."""
    for failure in rehearsal.failures:
        yield Objection(
            Rule.REHEARSAL,
            f"{failure.key}: {failure.why}",
            "change the declaration; the device would refuse it as the twin's did",
            failure.place,
            failure.key,
        )
    for counterexample in rehearsal.counterexamples:
        yield Objection(
            Rule.WORSE,
            counterexample.text,
            counterexample.fix,
            counterexample.place,
            counterexample.key,
        )


def judge(plan: Plan, rehearsal: Rehearsal | None) -> Judgement:
    """The judgement on a plan that was rehearsed (or needs no rehearsal)."""
    objections = list(by_policy(plan))
    if rehearsal is not None:
        objections += by_rehearsal(rehearsal)
    return Judgement(tuple(objections), rehearsal)


class TwinGate:
    """The gate of a pass: policy, then a rehearsal from what was observed.

    `kinds` of faults are laid over every state. Without anything to do it judges the lab as it is.
    """

    def __init__(
        self, kinds: Collection[FaultKind], progress: Callable[[str], None] = lambda _text: None
    ) -> None:
        self._kinds = kinds
        self._progress = progress

    def __call__(self, plan: Plan, lab: Lab, observed: Observed) -> Judgement:
        if any(by_policy(plan)):
            return judge(plan, None)
        stage = stage_of(lab, observed)
        rehearsal = rehearse(plan, lab, stage, devices_of, self._kinds, progress=self._progress)
        return judge(plan, rehearsal)
