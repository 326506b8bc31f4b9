"""What was declared, decided and done: revisions seen, runs and their operations, what is ours,
conditions, events. Kept for the operator, except for two things that passes rest on: what is ours,
and which commit is in force.

The journal is what is true while a run is under way; `take_over` brings what it says here, and only
then it is cleared. Leaves out the lease, which is in the same database.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from controller import database as db
from controller import perform as performed
from controller.conditions import Condition, Conditions, ConditionType, Status
from controller.database import HistoryAway, connect, reading, transaction
from controller.managed import Key
from controller.owned import OwnedRecord, record_data, record_of
from controller.plan import Plan
from controller.runs import Done, Result, Run, done_of, operation_row, run_of
from controller.source import Revision

__all__ = ["History", "HistoryAway", "open_history"]

KEEP_RUNS = 1_000
KEEP_EVENTS = 10_000


class Judged(StrEnum):
    """What was thought of a revision when it was seen."""

    GOOD = "good"  # in force from then on
    INVALID = "invalid"
    REWRITTEN = "rewritten"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Seen:
    """A revision, when it was seen and what was thought of it; `told`: the problems."""

    revision: Revision
    judged: Judged
    told: str
    seen_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling later: a commit, a drift, a condition, a person's decision."""

    at_s: float
    kind: str
    subject: str
    told: str
    number: int = 0


def open_history(url: str) -> History:
    """The history at an SQLAlchemy URL. Raises HistoryAway."""
    return History(connect(url))


class History:
    """Everything in one database. Every method is one transaction and may raise HistoryAway."""

    def __init__(self, engine: Engine, seen_by: Connection | None = None) -> None:
        self.engine = engine
        self.where: Engine | Connection = seen_by or engine

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    @contextmanager
    def at_one_instant(self) -> Iterator[History]:
        """What is read from the history that this gives was all true at the same time."""
        with reading(self.where) as connection:
            yield History(self.engine, connection)

    def owned(self, only: Key | None = None) -> dict[Key, OwnedRecord]:
        """Everything that is ours, or one thing of it."""
        query = select(db.owned)
        if only is not None:
            query = query.where(*_is(db.owned, only))
        with reading(self.where) as connection:
            rows = connection.execute(query).all()
        return {
            Key(row.device, row.kind, row.thing): record_of(
                json.loads(row.record), proved=row.proved
            )
            for row in rows
        }

    def take_over(self, changes: Mapping[Key, OwnedRecord | None]) -> None:
        """What became ours, and what is not any more (None). All of it or nothing."""
        with transaction(self.engine) as connection:
            _use_up(connection, changes.keys())
            _forget(connection, changes.keys())
            rows = [
                {**_key(key), "proved": record.proved, "record": json.dumps(record_data(record))}
                for key, record in changes.items()
                if record is not None
            ]
            if rows:
                connection.execute(insert(db.owned), rows)

    def see(self, revision: Revision, judged: Judged, told: str, now_s: float) -> bool:
        """A revision was judged; False: the same judgement of the same one again."""
        with transaction(self.engine) as connection:
            last = _newest(connection)
            if last is not None and (last.revision, last.judged, last.told) == (
                revision,
                judged,
                told,
            ):
                return False
            connection.execute(
                insert(db.revisions).values(
                    commit=revision.commit,
                    author=revision.author,
                    subject=revision.subject,
                    committed_s=revision.at_s,
                    seen_s=now_s,
                    verdict=judged,
                    told=told,
                )
            )
        return True

    def newest(self) -> Seen | None:
        """The revision seen last."""
        with reading(self.where) as connection:
            return _newest(connection)

    def in_force(self) -> Seen | None:
        """The good revision seen last: what the lab shall be."""
        with reading(self.where) as connection:
            return _newest(connection, Judged.GOOD)

    def begin_run(self, plan: Plan, reasons: Collection[str], now_s: float) -> int:
        """The number of a new run that is to do `plan`."""
        with transaction(self.engine) as connection:
            return _insert_run(connection, plan, reasons, now_s, result=Result.RUNNING, told="")

    def progress(self, run: int, done: performed.Result, now_s: float) -> None:
        """What became of an operation of a run."""
        where = _is(db.operations, done.operation.key)
        with transaction(self.engine) as connection:
            connection.execute(
                update(db.operations)
                .where(db.operations.c.run == run, *where)
                .values(state=done.fate, why=done.reason, at_s=now_s)
            )

    def end_run(self, run: int, result: Result, told: str, now_s: float) -> None:
        """A run ended."""
        with transaction(self.engine) as connection:
            connection.execute(
                update(db.runs)
                .where(db.runs.c.number == run)
                .values(result=result, told=told, ended_s=now_s)
            )

    def refuse(self, plan: Plan, reasons: Collection[str], told: str, now_s: float) -> None:
        """A plan that was not let through; the same refusal again says nothing new."""
        last = next(iter(self.runs(1)), None)
        news = (Result.REFUSED, plan.commit, told)
        if last is not None and (last.result, last.commit, last.told) == news:
            return
        ended: dict[str, Any] = {"result": Result.REFUSED, "told": told, "ended_s": now_s}
        with transaction(self.engine) as connection:
            _insert_run(connection, plan, reasons, now_s, **ended)

    def end_interrupted(self, told: str, now_s: float) -> None:
        """Runs that a crash cut off are over."""
        with transaction(self.engine) as connection:
            connection.execute(
                update(db.runs)
                .where(db.runs.c.ended_s.is_(None))
                .values(result=Result.INTERRUPTED, told=told, ended_s=now_s)
            )

    def runs(self, limit: int = 20) -> list[Run]:
        """The last runs, newest first."""
        newest = select(db.runs).order_by(db.runs.c.number.desc()).limit(limit)
        with reading(self.where) as connection:
            return [run_of(row) for row in connection.execute(newest)]

    def run(self, number: int) -> Run | None:
        """One run by its number."""
        one = select(db.runs).where(db.runs.c.number == number)
        with reading(self.where) as connection:
            return next((run_of(row) for row in connection.execute(one)), None)

    def operations(self, run: int) -> list[Done]:
        """The operations of a run, in order."""
        table = db.operations
        one = select(table).where(table.c.run == run)
        ordered = one.order_by(table.c.wave, table.c.device, table.c.kind, table.c.thing)
        with reading(self.where) as connection:
            rows = connection.execute(ordered).all()
        return [done_of(row) for row in rows]

    def conditions(self) -> dict[str, Conditions]:
        """By subject: "" is the lab, else `guests/luffy`."""
        found: dict[str, dict[ConditionType, Condition]] = {}
        with reading(self.where) as connection:
            for row in connection.execute(select(db.conditions)):
                condition = Condition(
                    ConditionType(row.type),
                    Status(row.status),
                    row.reason,
                    row.message,
                    row.since_s,
                )
                found.setdefault(row.subject, {})[condition.type] = condition
        return dict(found)

    def set_conditions(self, changed: Mapping[str, Iterable[Condition]]) -> None:
        """All conditions of each subject named; none: it is not declared any more."""
        rows = [
            {
                "subject": subject,
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
                "since_s": condition.since_s,
            }
            for subject, conditions in changed.items()
            for condition in conditions
        ]
        with transaction(self.engine) as connection:
            gone = text("DELETE FROM conditions WHERE subject = :subject")
            if changed:
                connection.execute(gone, [{"subject": subject} for subject in changed])
            if rows:
                connection.execute(insert(db.conditions), rows)

    def tell(self, events: Sequence[Event]) -> None:
        """Keep these."""
        if not events:
            return
        with transaction(self.engine) as connection:
            connection.execute(
                insert(db.events),
                [
                    {"at_s": each.at_s, "kind": each.kind, "subject": each.subject,
                     "told": each.told}
                    for each in events
                ],
            )  # fmt: skip
            _trim(connection, db.events, KEEP_EVENTS)

    def events(self, limit: int = 100, after: int = 0) -> list[Event]:
        """The last events with a number above `after`, newest first."""
        table = db.events
        newest = select(table).where(table.c.number > after).order_by(table.c.number.desc())
        with reading(self.where) as connection:
            rows = connection.execute(newest.limit(limit)).all()
        return [Event(row.at_s, row.kind, row.subject, row.told, row.number) for row in rows]

    def remember(self, values: Mapping[str, str]) -> None:
        """Values by name, in place of those before. All of it or nothing."""
        upsert = (
            "INSERT INTO meta (name, value) VALUES (:name, :value)"
            " ON CONFLICT (name) DO UPDATE SET value = :value"
        )
        rows = [{"name": name, "value": value} for name, value in values.items()]
        with transaction(self.engine) as connection:
            connection.execute(text(upsert), rows)

    def approved(self) -> frozenset[Key]:
        """Strangers that a person lets us change on adoption."""
        return _keys(self.recall("approved"))

    def approve(self, keys: Iterable[Key]) -> None:
        """Exactly these, from the next pass on."""
        self.remember({"approved": _told(keys)})

    def recall(self, name: str) -> str:
        """What was remembered; empty if nothing was."""
        with reading(self.where) as connection:
            found = connection.execute(select(db.meta.c.value).where(db.meta.c.name == name))
            return str(found.scalar() or "")


def _insert_run(
    connection: Connection, plan: Plan, reasons: Collection[str], now_s: float, **more: Any
) -> int:
    why = json.dumps(sorted(reasons))
    new = insert(db.runs).values(commit=plan.commit, reasons=why, started_s=now_s, **more)
    number: int = connection.execute(new.returning(db.runs.c.number)).scalar_one()
    rows = [
        operation_row(number, wave, operation)
        for wave, side_by_side in enumerate(plan.waves, 1)
        for operation in side_by_side
    ]
    if rows:
        connection.execute(insert(db.operations), rows)
    _trim(connection, db.runs, KEEP_RUNS)
    return number


def _key(key: Key) -> dict[str, Any]:
    return {"device": key.device, "kind": key.kind, "thing": key.id}


def _is(table: Table, key: Key) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in _key(key).items()]


def _keys(told: str) -> frozenset[Key]:
    return frozenset(Key(*each) for each in json.loads(told or "[]"))


def _told(keys: Iterable[Key]) -> str:
    return json.dumps(sorted([key.device, key.kind, key.id] for key in keys))


def _use_up(connection: Connection, keys: Collection[Key]) -> None:
    """An approval counts once, whoever else uses up or gives one meanwhile."""
    here = db.meta.c.name == "approved"
    approved = _keys(
        connection.execute(select(db.meta.c.value).where(here).with_for_update()).scalar() or ""
    )
    if used := approved.intersection(keys):
        connection.execute(update(db.meta).where(here).values(value=_told(approved - used)))


def _forget(connection: Connection, keys: Iterable[Key]) -> None:
    gone = text("DELETE FROM owned WHERE device = :device AND kind = :kind AND thing = :thing")
    if rows := [_key(key) for key in keys]:
        connection.execute(gone, rows)


def _newest(connection: Connection, judged: Judged | None = None) -> Seen | None:
    table = db.revisions
    newest = select(table).order_by(table.c.number.desc()).limit(1)
    if judged is not None:
        newest = newest.where(table.c.verdict == judged)
    row = connection.execute(newest).one_or_none()
    if row is None:
        return None
    revision = Revision(row.commit, row.author, row.subject, row.committed_s)
    return Seen(revision, Judged(row.verdict), row.told, row.seen_s)


def _trim(connection: Connection, table: Table, keep: int) -> None:
    newest = connection.execute(select(func.max(table.c.number))).scalar() or 0
    connection.execute(delete(table).where(table.c.number <= newest - keep))
