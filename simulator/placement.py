"""Where the twin puts guests when nobody has placed them yet.

Used once, by `simulator/build.py`, and for guests to be created; afterwards HA and people move
guests. Deterministic: the biggest guests choose first, each the node that breaks the fewest bounds,
then wishes, then has most memory left.

    bounds: the pin; the node can run it (storages, VLANs); HA rules; memory, if it shall run
    wishes: placement.prefer; the priorities of HA rules

Greedy: it does not go back on a choice, so with tight memory a placement that exists may be
missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from simulator.cluster.placement import node_priorities
from simulator.cluster.rules import compile_rules
from simulator.facts import Facts
from simulator.state import GuestKey
from simulator.workload import Workload


def placements(
    facts: Facts,
    running: Collection[GuestKey],
    fixed: Mapping[GuestKey, str] = MappingProxyType({}),
) -> dict[GuestKey, str]:
    """A node for every guest of the state's workloads; only those `running` take memory.

    `fixed`: guests that are somewhere already and stay there.
    """
    chosen: dict[GuestKey, str] = {}
    for cluster, workload in sorted(facts.state.workloads.items()):
        if not facts.model.nodes[cluster]:
            continue
        chooser = _Chooser(facts, cluster, workload, frozenset(running), fixed)
        chosen |= chooser.place()
    return chosen


class _Chooser:
    """Places the guests of one cluster."""

    def __init__(
        self,
        facts: Facts,
        cluster: str,
        workload: Workload,
        running: frozenset[GuestKey],
        fixed: Mapping[GuestKey, str],
    ) -> None:
        self.facts = facts
        self.cluster = cluster
        self.workload = workload
        self.running = running
        self.nodes = facts.model.nodes[cluster]
        self.rules, _ = compile_rules(workload.rules, self.nodes)
        self.free_bytes = {node: facts.memory_free_bytes(node) for node in self.nodes}
        self.guests = dict.fromkeys(self.nodes, 0)
        self.fixed = fixed
        self.chosen: dict[GuestKey, str] = {}

    def place(self) -> dict[GuestKey, str]:
        for vmid in sorted(self.workload.guests, key=self._order):
            key = (self.cluster, vmid)
            node = self.fixed.get(key) or min(self.nodes, key=lambda node: self._price(key, node))
            self.chosen[key] = node
            self.guests[node] += 1
            self.free_bytes[node] -= self._needs_bytes(key)
        return self.chosen

    def _order(self, vmid: int) -> tuple[bool, bool, bool, int, int]:
        """Those that are placed, then those that run, that are bound, and the biggest."""
        key = (self.cluster, vmid)
        return (
            key not in self.fixed,
            key not in self.running,
            not self._pin(key),
            -self._needs_bytes(key),
            vmid,
        )

    def _price(self, key: GuestKey, node: str) -> tuple[float | str, ...]:
        sid = f"vm:{key[1]}"
        priorities = node_priorities(sid, self.rules, self.nodes)
        declared = self.facts.model.declared(key)
        wish = declared.placement.prefer if declared is not None else ()
        left_bytes = self.free_bytes[node] - self._needs_bytes(key)
        return (
            node not in (self._pin(key) or self.nodes),
            bool(self.facts.can_run(key, node)),
            node not in priorities,
            any(self._at(other) == node for other in self.rules.negative(sid)),
            any(self._at(other) not in (node, "") for other in self.rules.positive(sid)),
            left_bytes < 0,
            wish.index(node) if node in wish else len(wish),
            -priorities.get(node, 0),
            -left_bytes,
            self.guests[node],
            node,
        )

    def _at(self, sid: str) -> str:
        return self.chosen.get((self.cluster, int(sid.partition(":")[2])), "")

    def _pin(self, key: GuestKey) -> tuple[str, ...]:
        declared = self.facts.model.declared(key)
        return () if declared is None else declared.placement.pin

    def _needs_bytes(self, key: GuestKey) -> int:
        return self.workload.guests[key[1]].memory_bytes if key in self.running else 0
