"""Rules for the HA manager (Proxmox VE 9).

Source: the administration guide, high availability, rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from lab.item import Flaw, Owned
from lab.names import ClusterName, GuestName, NodeName
from lab.units import Flag


class RuleType(StrEnum):
    """A rule ties guests to nodes, or to each other."""

    NODE_AFFINITY = "node-affinity"
    RESOURCE_AFFINITY = "resource-affinity"


class Affinity(StrEnum):
    """Keep guests on one node, or apart."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class HaRule(Owned):
    """One rule. `nodes` maps a node to its priority, the highest preferred."""

    cluster: ClusterName
    type: RuleType
    affinity: Affinity | None = None
    guests: tuple[GuestName, ...]
    nodes: dict[NodeName, int] | None = None
    strict: Flag = False
    comment: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        node_rule = self.type is RuleType.NODE_AFFINITY
        if node_rule and not self.nodes:
            yield Flaw((), "a node-affinity rule needs nodes", fix="add nodes: {pve1: 1}")
        if not node_rule and self.affinity is None:
            yield Flaw(
                (),
                "a resource-affinity rule needs affinity",
                fix="add affinity: negative",
            )
