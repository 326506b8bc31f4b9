"""Automatic rebalancing: the one move, of a service or its bundle, that evens the nodes out most.

The manager asks once per round after the commands, and queues the move as if a user had asked for
it. Source: the Proxmox VE 9 administration guide, cluster resource scheduling, automatic
rebalancing; pve-ha-manager 5.2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import trunc

from simulator.cluster import topsis
from simulator.cluster.documents import CrsSettings, Records
from simulator.cluster.placement import bound_nodes, separate_nodes
from simulator.cluster.rules import Compiled
from simulator.cluster.usage import Usage

_MOVES = ("migrate", "relocate")
_COMPARED = 10**15  # imbalances are compared to 15 decimals; proxmox-resource-scheduling


@dataclass(frozen=True)
class Move:
    """Services of one bundle to another node. `before`, `after`: the imbalance."""

    sid: str
    target: str
    before: float
    after: float


@dataclass(frozen=True)
class _Candidate:
    sid: str  # the leader, lowest of its bundle
    source: str
    target: str
    members: tuple[str, ...]


def rebalance(
    hold: int,
    settings: CrsSettings,
    records: Records,
    rules: Compiled,
    online: Collection[str],
    usage: Usage,
) -> tuple[int, Move | None]:
    """The move to make now, if any, and the new `hold`: rounds in a row that saw an imbalance.

    Rounds in which something moves are not counted, but do not start the count anew either.
    """
    if not settings.auto_rebalance or usage.mode == "basic":
        return hold, None
    if any(
        r.state in _MOVES or r.command[:1] in (("migrate",), ("relocate",))
        for r in records.values()
    ):
        return hold, None
    before = usage.imbalance()
    if before <= settings.threshold:
        return 0, None
    if hold + 1 < settings.hold_rounds:
        return hold + 1, None
    candidates = list(_candidates(records, rules, online))
    if not candidates:
        return 0, None
    by = _by_topsis if settings.method == "topsis" else _by_force
    best, after = by(candidates, usage)
    if (before - after) / before < settings.margin:
        return 0, None
    return 0, Move(best.sid, best.target, before, after)


def _bundles(records: Records, rules: Compiled) -> dict[str, tuple[str, ...]]:
    """By leader, the started services that are on one node and must stay so."""
    bundles: dict[str, tuple[str, ...]] = {}
    for sid, record in sorted(records.items()):
        partners = [other for other in rules.positive(sid) if other in records]
        if record.state != "started":
            continue
        members = sorted({sid, *(p for p in partners if records[p].state == "started")})
        if len({records[member].node for member in members}) == 1:
            bundles[members[0]] = tuple(members)
    return bundles


def _candidates(records: Records, rules: Compiled, online: Collection[str]) -> Iterator[_Candidate]:
    """Every move that the rules allow, from a node that is counted."""
    for leader, members in _bundles(records, rules).items():
        source = records[leader].node
        if source not in online:
            continue
        _, preferred = bound_nodes(leader, rules, online)
        targets = preferred - separate_nodes(leader, rules, records, online) - {source}
        for target in sorted(targets):
            yield _Candidate(leader, source, target, members)


def _imbalance(candidate: _Candidate, usage: Usage) -> float:
    after = usage.imbalance((candidate.source, candidate.target, usage.amount(candidate.members)))
    return trunc(after * _COMPARED) / _COMPARED


def _by_force(candidates: list[_Candidate], usage: Usage) -> tuple[_Candidate, float]:
    after = {candidate: _imbalance(candidate, usage) for candidate in candidates}
    best = min(candidates, key=lambda c: (after[c], c.sid, c.source, c.target))
    return best, after[best]


def _by_topsis(candidates: list[_Candidate], usage: Usage) -> tuple[_Candidate, float]:
    rows = [usage.criteria((c.source, c.target, usage.amount(c.members))) for c in candidates]
    near = topsis.closeness(rows)
    best = candidates[near.index(max(near))]
    return best, _imbalance(best, usage)
