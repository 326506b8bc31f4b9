"""The journal: what was begun and what became of it, on disk before it happens.

A plain append-only file, one JSON object a line, flushed to the disk (fsync) before `write`
returns. Not a database: a line is written by one system call and is either whole or, after a crash,
the torn last one, which was never acted on; it can be read and mended with an editor on the worst
day; and it does not share a lock, a schema or a fate with the history. It is short: once the
history has taken over what it says (`recover`), it is cleared.

Events of one operation, in order:
    begun   a step is about to be sent (again): the step, and what will be ours
    done    the device said that it did the step
    looked  after a lost answer or a crash: whether the thing is there
    proved  the device holds what was wanted, or lost what was to go: what is ours
    failed  given up; `ours`: some of it may have been done
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any

from controller.diff import disagreeing
from controller.managed import Key, Managed, Values
from controller.owned import OwnedRecord, Ownership, record_data, record_of
from controller.plan import Action, Operation
from controller.step import Step, step_data, step_of
from lab.errors import Refused

Record = Mapping[str, Any]


class Event(StrEnum):
    """What a line says."""

    BEGUN = "begun"
    DONE = "done"
    LOOKED = "looked"
    PROVED = "proved"
    FAILED = "failed"


class Journal:
    """Kept in memory alone, for rehearsals; `after_record` is called when a record is safe."""

    def __init__(self, after_record: Callable[[Record], None] | None = None) -> None:
        self.records: list[Record] = []
        self._after_record = after_record
        self._lock = Lock()

    def write(self, record: Record) -> None:
        """Safe when it returns; records of several threads do not mix."""
        with self._lock:
            self._keep(record)
            self.records.append(record)
        if self._after_record is not None:
            self._after_record(record)

    def clear(self) -> None:
        """Start anew: all that it says has been taken over."""
        with self._lock:
            self._drop()
            self.records.clear()

    def _keep(self, record: Record) -> None:
        """Nothing to do in memory."""

    def _drop(self) -> None:
        """Nothing to do in memory."""


class FileJournal(Journal):
    """Kept in a file. Opening it reads what an earlier process left there.

    Raises Refused for a file that can't be read: acting without knowing what was begun could do
    things twice.
    """

    def __init__(self, path: Path, after_record: Callable[[Record], None] | None = None) -> None:
        super().__init__(after_record)
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        _sync_folder(path.parent)
        self.records = list(self._read())

    def close(self) -> None:
        """Let go of the file; what it says stays."""
        os.close(self._file)

    def _read(self) -> Iterator[Record]:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)  # a torn line was never acted on
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                record = json.loads(line)
                Event(record["event"])
                yield record
            except (ValueError, KeyError, TypeError) as error:
                fix = "see from its other lines what was begun, mend or move the file, start again"
                raise Refused(f"{self.path}:{number} is no line of a journal", fix) from error

    def _keep(self, record: Record) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError(f"{self.path}: the disk took only a part of the line")
        os.fsync(self._file)

    def _drop(self) -> None:
        os.ftruncate(self._file, 0)
        os.fsync(self._file)


def _sync_folder(folder: Path) -> None:
    """Make the file's name as safe as its content."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def begun(operation: Operation, commit: str, step: Step, at_s: float) -> Record:
    """`step` is about to be sent."""
    told = {"printed": str(step), "step": step_data(step), "owns": _owns(operation, commit)}
    return {**_head(Event.BEGUN, operation.key, at_s), "action": operation.action, **told}


def done(operation: Operation, at_s: float) -> Record:
    """The device did the step begun last."""
    return _head(Event.DONE, operation.key, at_s)


def looked(key: Key, at_s: float, *, there: bool) -> Record:
    """The device was looked at, and nothing begun by us still runs there."""
    return {**_head(Event.LOOKED, key, at_s), "there": there}


def proved(operation: Operation, commit: str, at_s: float) -> Record:
    """The device is as wanted."""
    told = {"action": operation.action, "owns": _owns(operation, commit)}
    return {**_head(Event.PROVED, operation.key, at_s), **told}


def failed(operation: Operation, why: str, at_s: float, *, ours: bool) -> Record:
    """The operation is given up."""
    return {**_head(Event.FAILED, operation.key, at_s), "ours": ours, "why": why}


def _head(event: Event, key: Key, at_s: float) -> dict[str, Any]:
    return {"event": event, "key": [key.device, key.kind, key.id], "at_s": at_s}


def _owns(operation: Operation, commit: str) -> dict[str, Any] | None:
    if operation.wanted is None:
        return None
    policy, needs = operation.wanted.policy, operation.wanted.needs
    return record_data(OwnedRecord(commit, operation.path, operation.owns, policy, needs=needs))


@dataclass(frozen=True)
class Doubt:
    """An operation that was begun and came to no end: what the device holds is not known.

    `step`: the one begun last; `answered`: the device said that it was done. `values`: what was to
    be there; None: nothing.
    """

    key: Key
    step: Step
    begun_s: float
    answered: bool
    action: Action
    values: Values | None

    def settled(self, seen: Managed | None) -> bool:
        """Whether there is no need to wait for more to be seen of it."""
        if self.values is None or seen is None:
            return self.values is None and seen is None
        return self.action is Action.CREATE or not disagreeing(self.values, seen)


def doubts(records: Sequence[Record]) -> list[Doubt]:
    """Operations begun and neither proved, given up nor looked at since."""
    found: dict[Key, Doubt | None] = {}
    for record in records:
        key, event = Key(*record["key"]), record["event"]
        before = found.get(key)
        if event == Event.BEGUN:
            found[key] = _doubt(key, record)
        else:
            found[key] = replace(before, answered=True) if before and event == Event.DONE else None
    return [doubt for doubt in found.values() if doubt is not None]


def _doubt(key: Key, record: Record) -> Doubt:
    values = record_of(record["owns"], proved=False).values if record["owns"] else None
    step, action = step_of(record["step"]), Action(record["action"])
    return Doubt(key, step, record["at_s"], False, action, values)


def ownership(owned: Ownership, records: Sequence[Record]) -> dict[Key, OwnedRecord | None]:
    """What the records change of `owned`; None: not ours any more.

    What is begun is ours from then on, with what it was before: after a crash our own thing is no
    stranger, and an entry being removed still ours. Applying it twice changes nothing more.
    """
    changed: dict[Key, OwnedRecord | None] = {}
    before: dict[Key, OwnedRecord | None] = {}
    for record in records:
        key = Key(*record["key"])
        match record["event"]:
            case Event.BEGUN if record["owns"]:
                before.setdefault(key, owned.get(key))
                changed[key] = _merged(changed.get(key, before[key]), record["owns"])
            case Event.PROVED:
                changed[key] = record_of(record["owns"], proved=True) if record["owns"] else None
                before[key] = changed[key]
            case Event.LOOKED if not record["there"] and key in changed:
                changed[key] = before[key]
            case Event.FAILED if not record["ours"] and key in changed:
                changed[key] = before[key]
    return changed


def _merged(before: OwnedRecord | None, owns: Mapping[str, Any]) -> OwnedRecord:
    new = record_of(owns, proved=False)
    return replace(new, values={**before.values, **new.values}) if before else new
