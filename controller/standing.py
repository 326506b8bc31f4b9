"""How things stand after a pass: the conditions of the lab and of each declared object.

Functions from a `Pass`, or from what prevented one, to conditions; `Board` keeps them in the
history, and writes only what has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from controller.conditions import Condition, Conditions, ConditionType, Status, updated
from controller.desired import Trouble
from controller.history import Event, History
from controller.perform import Fate
from controller.plan import Note, NoteKind, Operation, Plan
from controller.reconcile import Ending, Pass, subject_of
from controller.render import headline, plan_data

LAB = ""
"""The subject of the conditions of the lab as a whole."""

_READY, _RECONCILING = ConditionType.READY, ConditionType.RECONCILING
_STALLED, _SAFE, _DRIFTED = ConditionType.STALLED, ConditionType.SAFE, ConditionType.DRIFTED
_TRUE, _FALSE, _UNKNOWN = Status.TRUE, Status.FALSE, Status.UNKNOWN

_NOT_AS_DECLARED = {
    NoteKind.BLOCKED: "Blocked",
    NoteKind.CYCLE: "NeedsEachOther",
    NoteKind.WITHHELD: "Withheld",
    NoteKind.DRIFT: "DriftReported",
}
_ENDINGS = {
    Ending.WAITING: "AwaitingApproval",
    Ending.REPORTED: "OnlyReporting",
    Ending.REFUSED: "GateRefused",
    Ending.HELD: "OperationFailed",
    Ending.FAILED: "OperationFailed",
}
_FATES = {
    Fate.FAILED: (_FALSE, "OperationFailed"),
    Fate.SKIPPED: (_FALSE, "DependencyFailed"),
    Fate.IN_DOUBT: (_UNKNOWN, "InDoubt"),
}


def lab_conditions(done: Pass) -> list[Condition]:
    """Of the lab, after a pass."""
    trouble = done.desired.trouble
    stalled = _stalled(trouble, done)
    verifying = done.ending is Ending.APPLIED
    return [
        _ready(trouble, done),
        Condition(_RECONCILING, _TRUE, "Verifying", headline(done.plan))
        if verifying
        else Condition(_RECONCILING, _FALSE, "Idle"),
        Condition(_STALLED, _TRUE, *stalled)
        if stalled
        else Condition(_STALLED, _FALSE, "Progressing"),
        _safe(done),
        _drifted(done),
    ]


def reconciling(plan: Plan) -> list[Condition]:
    """Of the lab, while a plan is executed."""
    return [Condition(_RECONCILING, _TRUE, "Applying", headline(plan))]


def without_pass(reason: str, message: str) -> list[Condition]:
    """Of the lab, when there could be no pass: nothing is known of anything."""
    return [
        Condition(_READY, _UNKNOWN, reason, message),
        Condition(_RECONCILING, _FALSE, "Idle"),
        Condition(_STALLED, _TRUE, reason, message),
        Condition(_SAFE, _UNKNOWN, reason),
        Condition(_DRIFTED, _UNKNOWN, reason),
    ]


def object_conditions(done: Pass) -> dict[str, list[Condition]]:
    """Of each declared object: Ready, Stalled, Drifted."""
    worst: dict[str, tuple[Status, str, str]] = {}
    for subject, status, reason, message in _issues(done):
        worst.setdefault(subject, (status, reason, message))
    drifts: dict[str, list[str]] = {}
    for drift in done.drifts:
        if not drift.corrected or done.ending is not Ending.APPLIED:
            told = done.told[drift.key]
            drifts.setdefault(subject_of(drift.key, drift.path), []).append(told)
    subjects = {subject_of(key, thing.path) for key, thing in done.desired.things.items()}
    commit = done.desired.revision.commit[:12]
    return {
        subject: [
            Condition(_READY, *worst.get(subject, (_TRUE, "InSync", f"as {commit} says"))),
            _object_stalled(worst.get(subject)),
            Condition(_DRIFTED, _TRUE, "ChangedByOthers", "; ".join(drifts[subject]))
            if subject in drifts
            else Condition(_DRIFTED, _FALSE, "NoDrift"),
        ]
        for subject in sorted(subjects)
    }


class Board:
    """The conditions as they were shown last, and what else status shows of a pass."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._shown = history.conditions()
        self._plan = ""

    def show(self, now_s: float, lab: list[Condition]) -> None:
        """Conditions of the lab; those of the objects stay."""
        self._write({LAB: updated(self._shown.get(LAB, {}), lab, now_s)}, now_s)

    def show_pass(self, now_s: float, done: Pass) -> None:
        """All conditions after a pass, its plan, and which commit it compared the lab with.

        The commit comes last: who reads it before still knows the conditions for older ones.
        """
        current = {LAB: lab_conditions(done), **object_conditions(done)}
        new = {
            subject: updated(self._shown.get(subject, {}), conditions, now_s)
            for subject, conditions in current.items()
        }
        gone: dict[str, Conditions] = {subject: {} for subject in self._shown.keys() - new.keys()}
        self._write({**new, **gone}, now_s)
        plan = json.dumps(plan_data(done.plan))
        news = {"plan": plan} if plan != self._plan else {}
        compared = done.desired.revision.commit
        self._history.remember({"looked": str(now_s), "compared": compared, **news})
        self._plan = plan

    def _write(self, new: Mapping[str, Conditions], now_s: float) -> None:
        changed = {s: conditions for s, conditions in new.items() if conditions != self._old(s)}
        if not changed:
            return
        turned = list(_turned(self._old(LAB), changed.get(LAB, {}), now_s))
        self._history.set_conditions({s: list(c.values()) for s, c in changed.items()})
        self._history.tell(turned)
        shown = {**self._shown, **changed}
        self._shown = {subject: conditions for subject, conditions in shown.items() if conditions}

    def _old(self, subject: str) -> Conditions:
        return self._shown.get(subject, {})


def _turned(old: Conditions, new: Conditions, now_s: float) -> Iterator[Event]:
    """What an operator would ask about: conditions of the lab with another status or reason."""
    for type_, condition in new.items():
        before = old.get(type_)
        if before is None or (before.status, before.reason) != (condition.status, condition.reason):
            told = f"{type_} is {condition.status}: {condition.reason} {condition.message}".strip()
            yield Event(now_s, "condition", LAB, told)


def _ready(trouble: Trouble | None, done: Pass) -> Condition:
    commit = done.desired.revision.commit[:12]
    if trouble is not None and trouble.reason != "SourceUnreachable":
        return Condition(_READY, _FALSE, trouble.reason, trouble.message)
    if done.ending in _ENDINGS:
        return Condition(_READY, _FALSE, _ENDINGS[done.ending], _why(done))
    if unknown := _notes(done.plan, [NoteKind.UNKNOWN]):
        return Condition(_READY, _UNKNOWN, "DeviceUnreachable", _first(unknown))
    if wrong := _notes(done.plan, _NOT_AS_DECLARED):
        return Condition(_READY, _FALSE, _NOT_AS_DECLARED[wrong[0].kind], _first(wrong))
    if done.ending is Ending.APPLIED:
        return Condition(_READY, _FALSE, "Verifying", f"{commit} is applied, not yet seen in sync")
    return Condition(_READY, _TRUE, "InSync", f"as {commit} says")


def _stalled(trouble: Trouble | None, done: Pass) -> tuple[str, str] | None:
    """Why it will not become ready by itself; None if it may."""
    if trouble is not None:
        return trouble.reason, trouble.message
    if done.ending in _ENDINGS:
        return _ENDINGS[done.ending], _why(done)
    wrong = _notes(done.plan, _NOT_AS_DECLARED)
    return (_NOT_AS_DECLARED[wrong[0].kind], _first(wrong)) if wrong else None


def _why(done: Pass) -> str:
    """What an ending other than the good ones means, in a line or a few."""
    match done.ending:
        case Ending.REFUSED:
            return "\n".join(
                f"{objection.text}\n  fix: {objection.fix}"
                for objection in done.judgement.objections
            )
        case Ending.WAITING:
            names = ", ".join(subject_of(op.key, op.path) for op in done.plan.pending[:5])
            return f"{len(done.plan.pending)} to adopt, which changes them: {names}"
        case Ending.HELD:
            return done.held
        case Ending.FAILED if done.outcome is not None:
            bad = [result for result in done.outcome.results if result.fate is not Fate.DONE]
            first = bad[0]
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            return f"{first.operation.key} {first.fate}: {first.reason}{more}"
        case _:
            return headline(done.plan)


def _safe(done: Pass) -> Condition:
    rehearsal = done.judgement.rehearsal
    if unknown := _notes(done.plan, [NoteKind.UNKNOWN]):
        return Condition(_SAFE, _UNKNOWN, "DeviceUnreachable", _first(unknown))
    if rehearsal is None:
        return Condition(_SAFE, _UNKNOWN, "NotRehearsed")
    applied = done.ending in (Ending.APPLIED, Ending.IN_SYNC)
    verdict = rehearsal.after if applied else rehearsal.before
    if verdict.safe:
        return Condition(_SAFE, _TRUE, "InvariantsHold")
    more = f" (and {len(verdict.findings) - 1} more)" if len(verdict.findings) > 1 else ""
    return Condition(_SAFE, _FALSE, "InvariantBroken", f"{verdict.findings[0].text}{more}")


def _drifted(done: Pass) -> Condition:
    if not done.drifts:
        return Condition(_DRIFTED, _FALSE, "NoDrift")
    told = "; ".join(
        f"{subject_of(drift.key, drift.path)}: {done.told[drift.key]}" for drift in done.drifts[:5]
    )
    if not all(drift.corrected for drift in done.drifts):
        return Condition(_DRIFTED, _TRUE, "DriftReported", told)
    if done.ending is Ending.APPLIED:
        return Condition(_DRIFTED, _FALSE, "DriftCorrected", told)
    return Condition(_DRIFTED, _TRUE, "DriftPending", told)


def _issues(done: Pass) -> Iterator[tuple[str, Status, str, str]]:
    """Why an object is not ready: subject, status, reason, message; the worst ones first."""
    for result in done.outcome.results if done.outcome else ():
        if result.fate in _FATES:
            yield (_subject(result.operation), *_FATES[result.fate], result.reason)
    for note in done.plan.notes:
        thing = done.desired.things.get(note.key) if note.key is not None else None
        if thing is not None and (issue := _noted(note)) is not None:
            yield (subject_of(thing.key, thing.path), *issue)
    if done.outcome is None and done.ending is not Ending.IN_SYNC:
        for operation in (*done.plan.operations, *done.plan.pending):
            if operation.steps:
                reason = _ENDINGS.get(done.ending, "OutOfSync")
                fields = ", ".join(change.field for change in operation.changes)
                yield _subject(operation), _FALSE, reason, f"{operation.action} {fields}".strip()


def _noted(note: Note) -> tuple[Status, str, str] | None:
    if note.kind is NoteKind.UNKNOWN:
        return _UNKNOWN, "DeviceUnreachable", note.text
    if note.kind in _NOT_AS_DECLARED:
        return _FALSE, _NOT_AS_DECLARED[note.kind], note.text
    return None


def _object_stalled(issue: tuple[Status, str, str] | None) -> Condition:
    if issue is None or issue[0] is _UNKNOWN:
        return Condition(_STALLED, _FALSE, "Progressing")
    return Condition(_STALLED, _TRUE, issue[1], issue[2])


def _subject(operation: Operation) -> str:
    return subject_of(operation.key, operation.path)


def _notes(plan: Plan, kinds: Iterable[NoteKind]) -> list[Note]:
    return [note for note in plan.notes if note.kind in list(kinds)]


def _first(notes: list[Note]) -> str:
    more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
    return f"{notes[0].subject}: {notes[0].text}{more}"
