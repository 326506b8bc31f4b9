"""When the exchanges of a recording took place, and how its HA daemons worked then.

Daemons that run in real time can only be compared at the same instants and with rounds at the same
beats. A recording tells both: its waits count seconds, its documents say when each daemon wrote
them, its task ids when they began. What chance decided there, who was master and who still held its
lock, is taken from there as well; what the daemons then do is ours. Leaves out: fractions of
seconds; within one an LRM comes before a CRM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.cluster.state import CRM, LRM
from simulator.ha.stack import ACTIVE_ROUND_S, WAITING_ROUND_S, Daemon

Exchange = Mapping[str, Any]

WITHIN_S = {LRM: 0.25, CRM: 0.5}  # of a second, when a daemon writes
ASKED_S = 0.9  # and when somebody asks
_WAIT = re.compile(r"t=(\d+)s in this wait")


@dataclass(frozen=True)
class Rounds:
    """How the HA daemons of a recording work. `beats_s`: the instant of a round of each."""

    master: str
    holding: frozenset[str] = frozenset()
    """Nodes whose LRM holds its lock from the beginning."""
    beats_s: Mapping[Daemon, float] = field(default_factory=dict)

    def next_beats_s(self, epoch_s: float, now_s: float) -> dict[Daemon, float]:
        """The first round of each after an instant of a clock that began at an epoch."""
        return {
            (node, kind): now_s + (beat_s - epoch_s - now_s) % self._pace_s(node, kind)
            for (node, kind), beat_s in self.beats_s.items()
        }

    def _pace_s(self, node: str, kind: str) -> float:
        active = node == self.master if kind == CRM else node in self.holding
        return ACTIVE_ROUND_S if active else WAITING_ROUND_S


def rounds_of(exchanges: Sequence[Exchange]) -> Rounds | None:
    """How the HA daemons worked; None if none was seen at work."""
    master, holding, beats_s = "", set(), {}
    for row in (row for exchange in exchanges for row in _rows(exchange)):
        node, at_s = str(row["node"]), row.get("timestamp")
        kind = {"master": CRM, "lrm": LRM}.get(str(row["type"]))
        if kind is None or at_s is None or (node, kind) in beats_s:
            continue
        if kind == CRM and not master:
            master = node
        if kind == LRM and f"{node} (active" in str(row["status"]):
            holding.add(node)
        beats_s[node, kind] = at_s + WITHIN_S[kind]
    return Rounds(master, frozenset(holding), beats_s) if master else None


def instants_of(exchanges: Sequence[Exchange]) -> list[float | None]:
    """When each exchange took place, in seconds since the epoch; None: right after the one before.

    Within a wait the seconds that it counts hold; it began so that nothing was written later than
    it was seen, and right after what it was for.
    """
    found: list[float | None] = [_begun_s(exchange) for exchange in exchanges]
    for wait in _waits(exchanges):
        seen = [
            (at, found_s - t) for at, t in wait.items() if (found_s := _written_s(exchanges[at]))
        ]
        if seen:
            begun_s = max(begun_s for _, begun_s in seen)
            for at in range(min(wait), max(wait) + 1):
                found[at] = begun_s + wait[at] + ASKED_S if at in wait else None
            for at in _just_before(exchanges, found, min(wait)):
                found[at] = begun_s + ASKED_S
    return found


def _just_before(
    exchanges: Sequence[Exchange], found: Sequence[float | None], wait: int
) -> Iterator[int]:
    """The exchanges whose effect a wait was for: those before it that say nothing of a time."""
    at = wait - 1
    while at >= 0 and found[at] is None and "note" not in exchanges[at]:
        yield at
        at -= 1


def _waits(exchanges: Sequence[Exchange]) -> Iterator[dict[int, int]]:
    """Each wait: number of the exchange -> seconds since it began."""
    wait: dict[int, int] = {}
    for at, exchange in enumerate(exchanges):
        counted = _WAIT.match(str(exchange.get("note", "")))
        if counted and counted[1] == "0" and wait:
            yield wait
            wait = {}
        if counted:
            wait[at] = int(counted[1])
    if wait:
        yield wait


def _rows(exchange: Exchange) -> list[Mapping[str, Any]]:
    """The rows of an HA status."""
    if exchange["path"] != "/cluster/ha/status/current":
        return []
    return [row for row in exchange.get("data") or [] if isinstance(row, Mapping)]


def _written_s(exchange: Exchange) -> float | None:
    """When the last of what an HA status shows was written."""
    return max((row["timestamp"] for row in _rows(exchange) if "timestamp" in row), default=None)


def _begun_s(exchange: Exchange) -> float | None:
    """When the task began that an exchange started."""
    upid = re.match(r"UPID:[^:]+:[^:]+:[^:]+:([0-9A-F]{8}):", str(exchange.get("data")))
    return int(upid[1], 16) + ASKED_S if upid else None
