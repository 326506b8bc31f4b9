"""Who changed what: the entries of a device's own log that were written since it was seen in order.

Entries are told apart by their identity, not by a clock, so the device's time need not be ours. A
pass reads the log before it observes; a change that it sees for the first time was then made after
the last pass read the log, and its entry is among those that are new since. `unknown` when none of
them speaks of the change: it was made past the API, or the log no longer reaches back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from controller.managed import Key
from controller.step import Answers, Query

UNKNOWN = "unknown"
LATE_S = 60.0  # an entry of another node may arrive this much after newer ones


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody did to a thing of a device, as the device tells it.

    `says`: names of what was changed, in the device's words; empty: the thing came or went.
    """

    id: str
    at_s: float  # by the device's clock
    who: str
    about: Key
    text: str
    says: frozenset[str] = frozenset()


class Trail(Protocol):
    """How one device tells who did what."""

    @property
    def queries(self) -> tuple[Query, ...]:
        """What to ask for its log."""

    def read(self, device: str, answers: Answers) -> Iterator[Entry]:
        """What others than ourselves did; answers that are missing tell nothing."""

    def word(self, key: Key, field_name: str) -> str:
        """The device's name for a field of ours: `memory` for `memory_bytes`."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a trail was read: its newest instant, and the entries shortly before it."""

    newest_s: float = 0.0
    ids: frozenset[str] = field(default_factory=frozenset)

    def text(self) -> str:
        """For keeping."""
        return json.dumps([self.newest_s, sorted(self.ids)])

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Bookmark:
        """Everything up to the last of these was read."""
        newest_s = max((entry.at_s for entry in entries), default=0.0)
        near = frozenset(entry.id for entry in entries if entry.at_s >= newest_s - LATE_S)
        return cls(newest_s, near)

    @classmethod
    def from_text(cls, text: str) -> Bookmark:
        """What `text` wrote; an empty text: nothing was read yet."""
        newest_s, ids = json.loads(text) if text else (0.0, [])
        return cls(newest_s, frozenset(ids))

    def since(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that were not there then."""
        return [
            entry
            for entry in entries
            if entry.at_s >= self.newest_s - LATE_S and entry.id not in self.ids
        ]


@dataclass(frozen=True, slots=True)
class Attribution:
    """`who` is a login of the device, or `unknown`; `text` is what its log says."""

    who: str = UNKNOWN
    text: str = ""
    at_s: float | None = None

    def __str__(self) -> str:
        if self.at_s is None:
            return f"by {self.who}{f' ({self.text})' if self.text else ''}"
        at = datetime.fromtimestamp(self.at_s, UTC)
        return f"by {self.who} at {at:%Y-%m-%d %H:%M:%S} UTC ({self.text})"


def attribute(key: Key, words: Collection[str], entries: Sequence[Entry]) -> Attribution:
    """Who changed `words` of a thing last; no words: who made or removed it."""
    fitting = [
        entry
        for entry in entries
        if entry.about == key and (entry.says & set(words) if words else not entry.says)
    ]
    if not fitting:
        return Attribution(text="the device's log does not say")
    last = max(fitting, key=lambda entry: entry.at_s)
    return Attribution(last.who, last.text, last.at_s)
