"""Drift: what somebody else changed since a commit was applied, out of the plan that says so.

The diff decides what is drift; this names its fields and, by the trails, who did it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.attribution import UNKNOWN, Attribution, Bookmark, Entry, Trail, attribute
from controller.devices import Device
from controller.diff import disagreeing
from controller.managed import Key, Managed, Mark, shown
from controller.observed import Observed
from controller.owned import Ownership
from controller.plan import NoteKind, Plan
from lab.errors import DeviceError
from lab.item import Path


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as applied. `fields`: name -> (applied, found); none: it is gone.

    `corrected`: the plan puts it right; else the policy is to report.
    """

    key: Key
    path: Path
    fields: Mapping[str, tuple[str, str]]
    corrected: bool

    @property
    def text(self) -> str:
        """`memory_bytes 8GiB -> 4GiB`."""
        told = [f"{name} {was} -> {now}" for name, (was, now) in self.fields.items()]
        return ", ".join(told) or "it is gone"


def drifted(
    plan: Plan, wanted: Mapping[Key, Managed], observed: Observed, owned: Ownership
) -> Iterator[Drift]:
    """Everything that drifted, once."""
    corrected = {
        operation.key: True
        for operation in plan.operations
        if any(change.drifted for change in operation.changes)
    }
    reported = {note.key: False for note in plan.notes if note.key and note.kind is NoteKind.DRIFT}
    for key, mended in {**reported, **corrected}.items():
        if key in wanted:
            yield _drift(wanted[key], observed, owned, corrected=mended)


def _drift(wanted: Managed, observed: Observed, owned: Ownership, *, corrected: bool) -> Drift:
    there = observed.things.get(wanted.key)
    if there is None:
        return Drift(wanted.key, wanted.path, {}, corrected)
    applied = owned[wanted.key].values
    names = [
        name
        for name in disagreeing(wanted.values, there)
        if name in applied and applied[name] == wanted.values[name]
    ]
    # A reset says less than a value: that it is still in force after the value beside it changed.
    names = [name for name in names if applied[name] is not Mark.RESET] or names
    fields = {
        name: (shown(name, applied[name]), shown(name, there.values.get(name))) for name in names
    }
    return Drift(wanted.key, wanted.path, fields, corrected)


@dataclass(frozen=True, slots=True)
class Log:
    """What a device's trail shows at one moment; `silent`: why a part of it does not."""

    entries: tuple[Entry, ...] = ()
    silent: str = ""


Logs = Mapping[str, Log]
"""By device; a device without a trail has none."""


def read_logs(devices: Iterable[Device], trails: Mapping[str, Trail]) -> Logs:
    """What the logs of these devices show now."""
    found = {device.name: device for device in devices if device.name in trails}
    return {name: _log(device, trails[name]) for name, device in found.items()}


def _log(device: Device, trail: Trail) -> Log:
    answers: dict[str, object] = {}
    silent = ""
    for query in trail.queries:
        try:
            answers[query.text] = device.port.ask(query)
        except DeviceError as error:
            silent = str(error)
    return Log(tuple(trail.read(device.name, answers)), silent)


@dataclass(frozen=True)
class Watch:
    """What is known from earlier passes: how far the logs were read, and the drifts told then."""

    marks: Mapping[str, Bookmark] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)  # by key, as text

    def text(self) -> str:
        """For keeping."""
        marks = {device: mark.text() for device, mark in self.marks.items()}
        return json.dumps({"marks": marks, "told": dict(self.told)})

    @classmethod
    def from_text(cls, text: str) -> Watch:
        """What `text` wrote; an empty text: nothing is known."""
        data = json.loads(text) if text else {"marks": {}, "told": {}}
        marks = {device: Bookmark.from_text(mark) for device, mark in data["marks"].items()}
        return cls(marks, data["told"])

    def known(self, drift: Drift) -> str:
        """What was said of this very drift before; empty if it is new."""
        said = self.told.get(str(drift.key), "")
        return said if said.startswith(f"{drift.text} by ") else ""

    def author(self, drift: Drift, logs: Logs, trails: Mapping[str, Trail]) -> Attribution:
        """Who made a new drift, by the entries that are new since the marks."""
        device = drift.key.device
        if device not in trails or device not in logs:
            return Attribution(text=f"{device} keeps no log of it")
        words = {trails[device].word(drift.key, name) for name in drift.fields}
        new = self.marks.get(device, Bookmark()).since(logs[device].entries)
        found = attribute(drift.key, words, new)
        if found.who == UNKNOWN and logs[device].silent:
            return Attribution(text=f"the log did not answer: {logs[device].silent}")
        return found


def marks_of(logs: Logs) -> dict[str, Bookmark]:
    """How far these logs go."""
    return {device: Bookmark.of(log.entries) for device, log in logs.items()}
