"""What the controller shows of itself, as frozen values of a stable schema: for API, page and CLI.

Made from the history alone, so any process that reaches the database can show it, and a standby
controller shows what the leading one does.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from controller import lease as leases
from controller.conditions import Condition, Conditions, ConditionType
from controller.conditions import Status as Truth
from controller.history import Event, History, Seen
from controller.runs import Done, Run
from controller.standing import LAB


class View(BaseModel):
    """A value that goes out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sync(StrEnum):
    """The state of the lab in a word."""

    IN_SYNC = "in-sync"
    OUT_OF_SYNC = "out-of-sync"
    RECONCILING = "reconciling"
    UNKNOWN = "unknown"


class ConditionView(View):
    """See `controller.conditions`; `since_s` in seconds since the Unix epoch."""

    type: ConditionType
    status: Truth
    reason: str
    message: str
    since_s: float


class RevisionView(View):
    """A commit of the branch. `judged` other than `good`: why it is not in force is in `told`."""

    commit: str
    author: str
    subject: str
    committed_s: float
    seen_s: float
    judged: str
    told: str


class ObjectView(View):
    """A declared object: `guests/luffy`."""

    subject: str
    conditions: tuple[ConditionView, ...]


class ChangeView(View):
    """One field, for people; sizes carry their unit, secrets are `***`."""

    field: str
    old: str
    new: str


class OperationView(View):
    """One operation of a run; `state`: planned, done, failed, skipped, in doubt."""

    device: str
    kind: str
    id: str
    subject: str
    wave: int
    action: str
    cost: str
    changes: tuple[ChangeView, ...]
    state: str
    why: str
    at_s: float | None


class RunView(View):
    """One execution of a plan, or a refusal of one."""

    number: int
    commit: str
    reasons: tuple[str, ...]
    started_s: float
    ended_s: float | None
    result: str
    told: str
    operations: tuple[OperationView, ...] = ()


class EventView(View):
    """Something that happened; numbers only rise."""

    number: int
    at_s: float
    kind: str
    subject: str
    told: str


class LeaseView(View):
    """Which controller leads, and until when if it is not heard of again."""

    holder: str
    until_s: float


class Status(View):
    """Everything at a glance. `plan` is the last one made, as `vlab plan --output json` has it."""

    format_version: Literal[1] = 1
    sync: Sync
    in_force: RevisionView | None
    newest: RevisionView | None
    looked_s: float | None
    conditions: tuple[ConditionView, ...]
    objects: tuple[ObjectView, ...]
    runs: tuple[RunView, ...]
    events: tuple[EventView, ...]
    plan: dict[str, Any] | None
    lease: LeaseView | None


def status(history: History, *, runs: int = 10, events: int = 20) -> Status:
    """The state of things at one instant. Raises HistoryAway."""
    with history.at_one_instant() as seen:
        conditions, in_force = seen.conditions(), seen.in_force()
        looked, plan = seen.recall("looked"), seen.recall("plan")
        held = leases.current(seen.where)
        compared = in_force is not None and in_force.revision.commit == seen.recall("compared")
        return Status(
            sync=_sync(conditions.get(LAB, {}), compared=compared),
            in_force=_revision(in_force),
            newest=_revision(seen.newest()),
            looked_s=float(looked) if looked else None,
            conditions=_conditions(conditions.get(LAB, {})),
            objects=tuple(
                ObjectView(subject=subject, conditions=_conditions(found))
                for subject, found in sorted(conditions.items())
                if subject != LAB
            ),
            runs=tuple(_run(run) for run in seen.runs(runs)),
            events=tuple(event_view(event) for event in seen.events(events)),
            plan=json.loads(plan) if plan else None,
            lease=LeaseView(holder=held.holder, until_s=held.until_s) if held else None,
        )


def run_view(history: History, number: int) -> RunView | None:
    """One run with all its operations; None if there is none of that number."""
    with history.at_one_instant() as seen:
        run = seen.run(number)
        if run is None:
            return None
        operations = tuple(_operation(done) for done in seen.operations(number))
    return _run(run).model_copy(update={"operations": operations})


def event_view(event: Event) -> EventView:
    """An event as it goes out."""
    return EventView(
        number=event.number,
        at_s=event.at_s,
        kind=event.kind,
        subject=event.subject,
        told=event.told,
    )


def _sync(conditions: Conditions, *, compared: bool) -> Sync:
    """`compared`: whether the conditions are about the commit in force, not one before it."""
    ready = conditions.get(ConditionType.READY)
    under_way = conditions.get(ConditionType.RECONCILING)
    if under_way is not None and under_way.status is Truth.TRUE:
        return Sync.RECONCILING
    if ready is None or ready.status is Truth.UNKNOWN:
        return Sync.UNKNOWN
    if ready.status is Truth.FALSE:
        return Sync.OUT_OF_SYNC
    return Sync.IN_SYNC if compared else Sync.RECONCILING


def _conditions(conditions: Conditions) -> tuple[ConditionView, ...]:
    ordered = [conditions[type_] for type_ in ConditionType if type_ in conditions]
    return tuple(_condition(condition) for condition in ordered)


def _condition(condition: Condition) -> ConditionView:
    return ConditionView(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        since_s=condition.since_s,
    )


def _revision(seen: Seen | None) -> RevisionView | None:
    if seen is None:
        return None
    return RevisionView(
        commit=seen.revision.commit,
        author=seen.revision.author,
        subject=seen.revision.subject,
        committed_s=seen.revision.at_s,
        seen_s=seen.seen_s,
        judged=seen.judged,
        told=seen.told,
    )


def _run(run: Run) -> RunView:
    return RunView(
        number=run.number,
        commit=run.commit,
        reasons=run.reasons,
        started_s=run.started_s,
        ended_s=run.ended_s,
        result=run.result,
        told=run.told,
    )


def _operation(done: Done) -> OperationView:
    return OperationView(
        device=done.key.device,
        kind=done.key.kind,
        id=done.key.id,
        subject="/".join(done.path[:2]) or str(done.key),
        wave=done.wave,
        action=done.action,
        cost=done.cost,
        changes=tuple(ChangeView(field=f, old=old, new=new) for f, old, new in done.changes),
        state=done.state,
        why=done.why,
        at_s=done.at_s,
    )
