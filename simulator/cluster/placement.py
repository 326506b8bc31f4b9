"""Which node the manager takes for a service: rules first, then the scores of `usage`.

Source: the Proxmox VE 9 administration guide, high availability, rules and cluster resource
scheduling; pve-ha-manager 5.2. Leaves out what Proxmox VE leaves out: whether there is memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Set

from simulator.cluster.documents import Records, ServiceConfig
from simulator.cluster.rules import Compiled
from simulator.cluster.usage import Usage, placed

_OTHERS = -1  # a node that a rule prefers less than those it names; below what can be written


def bound_nodes(sid: str, rules: Compiled, online: Collection[str]) -> tuple[set[str], set[str]]:
    """The nodes that node affinity allows a service, and of these the preferred ones."""
    if sid not in rules.node:
        return set(online), set(online)
    allowed = node_priorities(sid, rules, online)
    highest = max(allowed.values(), default=_OTHERS)
    return set(allowed), {node for node, priority in allowed.items() if priority == highest}


def node_priorities(sid: str, rules: Compiled, nodes: Collection[str]) -> dict[str, int]:
    """Those of these nodes that may run a service, with their priority, the highest preferred."""
    if not (rule := rules.node.get(sid)):
        return dict.fromkeys(nodes, 0)
    return {
        node: rule.nodes.get(node, _OTHERS)
        for node in nodes
        if node in rule.nodes or not rule.strict
    }


def separate_nodes(
    sid: str, rules: Compiled, records: Records, online: Collection[str]
) -> Set[str]:
    """The nodes of all that the service must be apart from: where they are and are going."""
    if not (others := rules.negative(sid)):
        return frozenset()
    at = [placed(records[other], online) for other in others if other in records]
    return {node for one in at for node in (one.current, one.target) if node}


def together_nodes(
    sid: str, rules: Compiled, records: Records, online: Collection[str]
) -> Mapping[str, int]:
    """How many of those it belongs with each node has, or will have."""
    if not (others := rules.positive(sid)):
        return {}
    at = [placed(records[other], online) for other in others if other in records]
    return Counter(node for one in at if (node := one.target or one.current))


def select_node(
    sid: str,
    preference: str,
    records: Records,
    config: ServiceConfig,
    rules: Compiled,
    online: Collection[str],
    usage: Usage,
) -> str:
    """The node for a service; "" if there is none.

    `preference`: "none" to stay if that is right, "best-score", or "try-next" after a failed start.
    `online`: the nodes in state online, those that `usage` counts.
    """
    record = records[sid]
    allowed, preferred = bound_nodes(sid, rules, online)
    together = together_nodes(sid, rules, records, online)
    separate = separate_nodes(sid, rules, records, online)
    right_here = record.node in allowed and (record.node in together or record.node not in separate)
    if preference == "none" and not config.failback and right_here:
        return record.node
    if preference == "try-next":
        preferred -= set(record.failed_nodes)
    preferred -= separate
    if shared := preferred & together.keys():
        preferred = {min(shared, key=lambda node: (-together[node], node))}
    if record.maintenance_node in preferred:
        return record.maintenance_node
    if preference == "none" and record.node in preferred:
        return record.node
    scores = usage.scores(sid)
    ranked = sorted(preferred, key=lambda node: (scores[node], node))
    if preference == "try-next" and record.node in ranked[:-1]:
        return ranked[ranked.index(record.node) + 1]
    return ranked[0] if ranked else ""
