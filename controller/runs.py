"""Runs as the history keeps them: executions of plans, or refusals, and what became of each
operation.

Source of the words: `perform` for the fate of an operation, `plan` for actions and costs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from controller.managed import Key, shown
from controller.plan import Operation


class Result(StrEnum):
    """How a run ended."""

    RUNNING = "running"
    APPLIED = "applied"
    FAILED = "failed"  # some operations; the rest was done
    REFUSED = "refused"  # by the gate
    INTERRUPTED = "interrupted"  # stopped, or killed


PLANNED = "planned"  # an operation that is not done yet; afterwards its fate


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan, or a refusal of one. `reasons`: what triggered it."""

    number: int
    commit: str
    reasons: tuple[str, ...]
    started_s: float
    ended_s: float | None
    result: Result
    told: str


@dataclass(frozen=True, slots=True)
class Done:
    """One operation of a run. `changes`: (field, before, after) for people."""

    key: Key
    wave: int
    path: tuple[str, ...]
    action: str
    cost: str
    changes: tuple[tuple[str, str, str], ...]
    state: str  # PLANNED or a Fate
    why: str
    at_s: float | None


def run_of(row: Row[Any]) -> Run:
    """A run, of its row."""
    return Run(
        row.number,
        row.commit,
        tuple(json.loads(row.reasons)),
        row.started_s,
        row.ended_s,
        Result(row.result),
        row.told,
    )


def operation_row(run: int, wave: int, operation: Operation) -> dict[str, Any]:
    """What is kept of an operation that is about to be done."""
    changes = [
        (change.field, shown(change.field, change.old), shown(change.field, change.new))
        for change in operation.changes
    ]
    return {
        "device": operation.key.device,
        "kind": operation.key.kind,
        "thing": operation.key.id,
        "run": run,
        "wave": wave,
        "path": "/".join(operation.path),
        "action": operation.action,
        "cost": str(operation.cost),
        "told": json.dumps(changes),
        "state": PLANNED,
        "why": "",
    }


def done_of(row: Row[Any]) -> Done:
    """An operation of a run, of its row."""
    return Done(
        Key(row.device, row.kind, row.thing),
        row.wave,
        tuple(row.path.split("/")) if row.path else (),
        row.action,
        row.cost,
        tuple((name, old, new) for name, old, new in json.loads(row.told)),
        row.state,
        row.why,
        row.at_s,
    )
