"""A thing that a device holds, as a value. Everything generic (observe, diff, order, print,
execute, prove, adopt, drift) works on `Managed` alone; a new thing adds no branch to it.

`values` is flat and canonical: sizes in bytes, sets as sorted tuples, `disks.scsi0.size_bytes`.
Wanted: only what was written (RESET for `null`). Read: everything that the device says and the
language can say. Comparing them is comparing the keys of the wanted one, with `default` for what
the device leaves unsaid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Self

from controller.step import SECRET, Answers, Query, Step
from lab.errors import Place
from lab.item import Act, Drift, Path
from lab.lab import Lab
from lab.units import format_size

Value = str | int | float | bool | tuple[Any, ...]


class Mark(StrEnum):
    """Values that no device has."""

    RESET = "(default)"


Values = Mapping[str, Value | Mark]
Fragment = dict[str, dict[str, Any]]
"""Desired state to be written: {word: {name: {field: value}}}."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The identity of a thing: device (`pve/a`), kind (`vm`), id there (`101`)."""

    device: str
    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.device} {self.kind} {self.id}"


class Cost(IntEnum):
    """What a change costs those who use the thing, from nothing to losing it."""

    NONE = 0
    LIVE = 1
    MIGRATE = 2
    REBOOT = 3
    STOP_START = 4
    REPLACE = 5

    def __str__(self) -> str:
        return self.name.lower().replace("_", "/")


@dataclass(frozen=True)
class Policy:
    """What the author allows for a thing."""

    manage: frozenset[Act] = frozenset({Act.OBSERVE, Act.CREATE, Act.UPDATE})
    protect: bool = False
    drift: Drift = Drift.CORRECT


@dataclass(frozen=True)
class Context:
    """What steps and costs may depend on besides the thing itself.

    One for each device, as the same vmid may stand for another guest in another cluster.
    `locations`: vmid -> node now; `placement`: vmid -> node for guests to be created; `running`:
    keys of what runs; `current`: for running things, values in force where they differ from the
    written ones; `away`: nodes that the others miss; `around`: what else of the device matters,
    flat as the values of a thing: `pools.tank.size_bytes`.
    """

    locations: Mapping[str, str] = field(default_factory=dict)
    placement: Mapping[str, str] = field(default_factory=dict)
    running: frozenset[Key] = frozenset()
    current: Mapping[Key, Values] = field(default_factory=dict)
    away: frozenset[str] = frozenset()
    around: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Managed(ABC):
    """One thing. Subclasses are frozen dataclasses, one file each, without input or output."""

    kind: ClassVar[str]
    words: ClassVar[tuple[str, ...]] = ()  # of the language that this kind manages: "guests"
    inherent: ClassVar[bool] = (
        False  # always there, part of the device: never created, adopted or deleted
    )
    owned_maps: ClassVar[tuple[str, ...]] = ()  # prefixes owned entry by entry: "disks", "nets"
    settles_s: ClassVar[float] = 30.0  # within which the device shows what it was told

    key: Key
    values: Values
    needs: frozenset[Key] = frozenset()
    path: Path = ()  # ("guests", "luffy"); () if the language does not name it
    origin: Mapping[str, Place] = field(default_factory=dict, compare=False)
    policy: Policy = field(default=Policy(), compare=False)

    @classmethod
    @abstractmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        """What to ask to see all of this kind; called again with the answers until nothing is new.

        `answers` holds only what was answered. A query with `about` may stay unanswered.
        """

    @classmethod
    def fetch_named(cls, device: str, ids: Collection[str], answers: Answers) -> Iterator[Query]:
        """What to ask of things that no list shows, such as files: those declared and ours.

        Asked besides `fetch`, and in the same way.
        """
        yield from ()

    @classmethod
    @abstractmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        """Everything of this kind that the answers show.

        Called with every answer that `fetch` asked for, save those `about` one thing that failed or
        was not asked: such a thing is left out. Raises DeviceError for an answer it can't read.
        """

    @classmethod
    @abstractmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        """What the device shall hold, with the places that say so."""

    @classmethod
    def default(cls, field_name: str) -> Value | None:
        """What a field is where the device says nothing of it; None: nothing, as after a reset."""
        return None

    @property
    def claims(self) -> Mapping[str, str]:
        """What no other thing of the device can have otherwise at the same time: {what: how}.

        Whoever gives it up does so first, and while another keeps it, nobody else gets it.
        """
        return {}

    def alone(self, *whats: str) -> Mapping[str, str]:
        """Claims that this one alone can have, such as an address."""
        return dict.fromkeys(whats, str(self.key))

    @property
    def awaits(self) -> frozenset[Key]:
        """Things that can't go once this one is there, nor can what needs them: if they go, they go
        first.
        """
        return frozenset()

    @abstractmethod
    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        """What changing one field from `old` costs; `disks.scsi1`: losing that entry."""

    @abstractmethod
    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        """What to send so that the device holds this; None: it does not exist yet.

        `values` holds only what may change: RESET at the name of a map's entry (`disks.scsi1`) says
        that the entry goes, entries not named stay. Called again with what is there now when an
        answer was lost half-way, so steps depend on `old` alone. Raises Refused for what can't be.
        """

    @abstractmethod
    def remove(self, context: Context) -> Iterator[Step]:
        """What to send so that it is gone. Raises Refused for what must not go now."""

    @abstractmethod
    def declare(self, lab: Lab) -> Fragment:
        """This thing in the language, as plain lists, maps and scalars, without `manage`.

        `lab` has the names of what it refers to (VLANs, guests, arrays); {}: it can't be said.
        """


def shown(field_name: str, value: Value | Mark | None) -> str:
    """A value for people: sizes with their unit, sets in brackets; secrets stay hidden."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() if field_name.endswith("_bytes"):
            return format_size(value)
        case str() if value.startswith(SECRET):
            return "***"
        case tuple():
            return f"[{', '.join(shown('', each) for each in value)}]"
        case _:
            return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
