"""One call: who asks, with what, on which array; and where the areas register what they answer.

`Api.call` makes a `Call` after the arguments are checked and hands it to the handler of its method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.truenas.catalogue import METHODS, Method
from simulator.truenas.documents import Documents, Event, Row
from simulator.truenas.query import selected
from simulator.truenas.version import Version
from simulator.truenas.world import World
from simulator.twin import Twin

if TYPE_CHECKING:
    from simulator.truenas.api import TrueNasApi

Entry = dict[str, Any]


@dataclass
class Session:
    """One client's login and wishes, as its connection keeps them. `user` is empty before login."""

    secure: bool = True  # over TLS, or within one process
    user: str = ""
    legacy_jobs: bool = True
    subscriptions: dict[str, str] = field(default_factory=dict)  # id -> collection
    last_subscription: int = 0


@dataclass
class Call:
    """One call, and the array it is for."""

    api: TrueNasApi
    twin: Twin
    session: Session
    method: Method
    args: dict[str, Any] = field(default_factory=dict)

    @property
    def documents(self) -> Documents:
        """What the array remembers."""
        return self.api.documents

    @property
    def version(self) -> Version:
        """What it runs."""
        return self.api.version

    @property
    def world(self) -> World:
        """The array's hardware and hosts, now."""
        return World(self.twin, self.api.nas)

    @property
    def now_s(self) -> float:
        """Seconds since 1970."""
        return self.api.epoch_s + self.twin.now_s

    @property
    def data(self) -> dict[str, Any]:
        """The object that the method takes: its last parameter."""
        found: dict[str, Any] = self.args[self.method.params[-1].name]
        return found

    def selected(self, entries: list[Entry]) -> object:
        """Those that the filters and options of this call ask for."""
        return selected(entries, self.args["query-filters"], self.args["query-options"])

    def emit(self, collection: str, message: str, identity: object, fields: Row) -> None:
        """Tell subscribers."""
        events = self.documents.events
        serial = events[-1].serial + 1 if events else 1
        events.append(Event(serial, collection, message, identity, fields))


Handler = Callable[[Call], object]
HANDLERS: dict[str, Handler] = {}
"""What answers each method of the catalogue."""


def serves(*names: str) -> Callable[[Handler], Handler]:
    """Let a function answer methods of the catalogue."""

    def register(handler: Handler) -> Handler:
        for name in names:
            assert name in METHODS, f"{name} is not in the catalogue"
            HANDLERS[name] = handler
        return handler

    return register


def date(at_s: float | None) -> Mapping[str, int] | None:
    """An instant as the middleware's JSON has it."""
    return None if at_s is None else {"$date": int(at_s * 1000)}
