"""Which function answers which call: a table that the area modules fill with decorators.

A call names who may make it: `world` (no login), `all` (any user), `root` (root@pam by ticket), or
`PATH PRIVILEGE|PRIVILEGE`, one of which is needed there (all of them with `&`); where any of
several will do, they have `, ` between them. `{name}` stands for a segment of the path, `{name*}`
for all that follow. Source: the official API schema.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from simulator.pve.parameters import Table, table

if TYPE_CHECKING:
    from simulator.pve.call import Call

Handler = Callable[["Call"], object]
Guard = str | Callable[["Call"], None]
"""Who may: a rule in text, or a function that raises `denied`."""


@dataclass(frozen=True)
class Route:
    """One call. `here`: answered by the node asked, though its path names a node."""

    method: str
    path: str
    may: Guard
    takes: str | Table
    handler: Handler
    here: bool = False
    ticket_only: bool = False

    @property
    def call(self) -> str:
        """Method and path: `GET /pools`."""
        return f"{self.method} {self.path}"

    @cached_property
    def table(self) -> Table:
        """What the call takes, the parameters of its path included."""
        return table(self.takes) if isinstance(self.takes, str) else self.takes


@dataclass
class Routes:
    """The calls of one area."""

    all: list[Route] = field(default_factory=list)

    def add(
        self,
        call: str,
        may: Guard = "all",
        takes: str | Table = "",
        *,
        here: bool = False,
        ticket_only: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Let the decorated function answer `call`, such as `GET /pools`."""
        method, _, path = call.partition(" ")

        def register(handler: Handler) -> Handler:
            self.all.append(Route(method, path, may, takes, handler, here, ticket_only))
            return handler

        return register


def index(
    routes: Routes,
    path: str,
    names: str,
    key: str = "name",
    may: Guard = "all",
    takes: str = "",
) -> None:
    """A directory of the API: lists `names` under `key`. `takes`: what its path holds besides a
    node and a guest.
    """
    node = "node pve-node\n" if "{node}" in path else ""
    vmid = "vmid integer:pve-vmid\n" if "{vmid}" in path else ""
    base = path.rstrip("/")

    def listed(call: Call) -> object:
        """What the release has of it."""
        return [{key: name} for name in names.split() if _there(call, f"{base}/{name}")]

    routes.add(f"GET {path}", may, node + vmid + takes)(listed)


def _there(call: Call, path: str) -> bool:
    """Whether the release has a call of a path, or below it, such as are served or else to read."""
    calls = [
        route.call
        for route in call.api.calls.routes
        if route.path == path or route.path.startswith(f"{path}/")
    ]
    return not all(map(call.api.release.lacks, calls or [f"GET {path}"]))


@dataclass
class _Place:
    """A point in the tree of paths."""

    below: dict[str, _Place] = field(default_factory=dict)
    any_below: dict[str, _Place] = field(default_factory=dict)  # by the parameter's name
    routes: dict[str, Route] = field(default_factory=dict)  # by method


class Tree:
    """All calls, found by the segments of a path."""

    def __init__(self, areas: Sequence[Routes]) -> None:
        self._root = _Place()
        self.routes = [route for area in areas for route in area.all]
        for route in self.routes:
            place = self._root
            for segment in filter(None, route.path.split("/")):
                if segment.startswith("{"):
                    place = place.any_below.setdefault(segment[1:-1], _Place())
                else:
                    place = place.below.setdefault(segment, _Place())
            place.routes[route.method] = route

    def find(self, method: str, segments: Sequence[str]) -> tuple[Route, dict[str, str]] | None:
        """The call and the parameters in its path; None if there is none."""
        return _find(self._root, method, tuple(segments), {})


def _find(
    place: _Place, method: str, rest: tuple[str, ...], params: dict[str, str]
) -> tuple[Route, dict[str, str]] | None:
    if not rest:
        route = place.routes.get(method)
        return (route, params) if route else None
    exact = place.below.get(rest[0])
    if exact and (found := _find(exact, method, rest[1:], params)):
        return found
    for name, below in place.any_below.items():
        if name.endswith("*"):
            found = _find(below, method, (), {**params, name[:-1]: "/".join(rest)})
        else:
            found = _find(below, method, rest[1:], {**params, name: rest[0]})
        if found:
            return found
    return None
