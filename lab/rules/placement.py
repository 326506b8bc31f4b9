"""Where a guest may be: its cluster, its pins, and the strict node-affinity rules over it."""

from __future__ import annotations

from lab.kinds.ha_rule import RuleType
from lab.lab import Lab


class Homes:
    """Nodes by guest. Unknown nodes and clusters are left out: references report those."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._members = {cluster: tuple(lab.members(cluster)) for cluster in lab.clusters}
        self._bounds: dict[str, frozenset[str]] = {}
        for rule in lab.ha_rules.values():
            if rule.type is RuleType.NODE_AFFINITY and rule.strict and rule.nodes:
                nodes = frozenset(rule.nodes)
                for guest in rule.guests:
                    self._bounds[guest] = self._bounds.get(guest, nodes) & nodes

    def of(self, name: str) -> tuple[str, ...]:
        """Nodes where the guest may be, sorted."""
        guest = self._lab.guests[name]
        members = self._members.get(guest.cluster, ())
        if not guest.placement.pin and name not in self._bounds:
            return members
        pins = set(guest.placement.pin or members) & self._bounds.get(name, frozenset(members))
        return tuple(node for node in members if node in pins)
