"""What an array's middleware remembers: its database, the datasets of its pools, its jobs.

Plain data. Every row is replaced, never changed in place, so copying the tables copies all. What a
disk or a host does is not here: the twin knows. Source: the namespaces of the TrueNAS API.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

Row = Mapping[str, Any]
Id = int | str

EVENTS_KEPT = 1000  # a client that is slower than this has lost some anyway


@dataclass(frozen=True, slots=True)
class Dataset:
    """A ZFS dataset. `properties` are those set on it, as ZFS writes them; sizes in bytes."""

    type: str  # FILESYSTEM or VOLUME
    properties: Mapping[str, str] = field(default_factory=dict)
    user_properties: Mapping[str, str] = field(default_factory=dict)
    created_s: float = 0.0
    origin: str = ""  # the snapshot that it is a clone of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A ZFS snapshot of `dataset`; `txg` orders them."""

    dataset: str
    name: str
    created_s: float
    txg: int
    dataset_then: Dataset
    deferred: bool = False  # goes when its last clone does

    @property
    def id(self) -> str:
        """As everybody writes it: tank/vm@daily."""
        return f"{self.dataset}@{self.name}"


@dataclass(frozen=True, slots=True)
class Job:
    """Work that takes time. `state`: RUNNING, SUCCESS, FAILED or ABORTED.

    `due_s`: when it will have ended, if nothing ends it before; times since 1970.
    """

    id: int
    method: str
    arguments: tuple[object, ...]
    user: str
    start_s: float
    due_s: float
    message_ids: tuple[object, ...] = ()
    state: str = "RUNNING"
    end_s: float | None = None
    result: object = None
    error: str | None = None
    exc_info: Row | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What subscribers of a collection are told. `serial` counts up."""

    serial: int
    collection: str
    message: str  # added, changed, removed
    id: object
    fields: Row


@dataclass
class Documents:
    """Everything, by namespace."""

    tables: dict[str, dict[int, Row]] = field(default_factory=dict)
    settings: dict[str, Row] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)  # SHA-256, by user
    jobs: dict[int, Job] = field(default_factory=dict)
    alerts: dict[str, Row] = field(default_factory=dict)  # by uuid
    last_ids: dict[str, int] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    revision: int = 0  # counts changes of what the array serves

    def copy(self) -> Documents:
        """Documents of their own."""
        copy = replace(self)
        for known in fields(self):
            value = getattr(self, known.name)
            if isinstance(value, dict | deque):
                setattr(copy, known.name, value.copy())
        copy.tables = {name: rows.copy() for name, rows in self.tables.items()}
        return copy

    def rows(self, table: str) -> dict[int, Row]:
        """A table, in the order of its ids."""
        return self.tables.setdefault(table, {})

    def next_id(self, table: str) -> int:
        """An id that was never used before."""
        highest = max(self.last_ids.get(table, 0), *self.tables.get(table, {}), 0)
        self.last_ids[table] = highest + 1
        return highest + 1

    def changed(self) -> None:
        """Say that what the array serves may be something else now."""
        self.revision += 1
