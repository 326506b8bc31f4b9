"""Which node the HA manager takes for a service: its rules and the basic scheduler.

The manager asks `select_node` in every round (`simulator/ha_manager.py`); `simulator/placement.py`
asks `keep_together`, `keep_apart` and `node_priorities` when it first puts guests somewhere.
Source: the Proxmox VE 9 administration guide, high availability, rules and cluster resource
scheduling. Leaves out: the static and dynamic schedulers, and the checks that drop rules which
contradict each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import Enum, auto

from simulator.state import HaService
from simulator.workload import HaRuleSpec, Workload


class Preference(Enum):
    """What a service wants of its next node."""

    STAY = auto()  # where it is, unless a rule wants another
    BEST = auto()  # the least loaded: recovery
    TRY_NEXT = auto()  # one that has not failed to start it


def rules_in_force(workload: Workload, nodes: Collection[str]) -> tuple[HaRuleSpec, ...]:
    """The rules that the manager does not drop as ineffective in a cluster of these `nodes`."""
    tied = Counter(
        sid for rule in workload.rules if rule.type == "node-affinity" for sid in rule.sids
    )

    def holds(rule: HaRuleSpec) -> bool:
        if rule.type == "node-affinity":
            return all(tied[sid] == 1 for sid in rule.sids)
        return len(rule.sids) > 1 and (rule.positive or len(rule.sids) <= len(nodes))

    return tuple(rule for rule in workload.rules if holds(rule))


def keep_together(sid: str, rules: Iterable[HaRuleSpec]) -> frozenset[str]:
    """The services that must be on one node with `sid`, itself included."""
    bundles = [
        frozenset(rule.sids) for rule in rules if rule.type == "resource-affinity" and rule.positive
    ]
    bundle = frozenset({sid})
    while grown := [other for other in bundles if other & bundle and not other <= bundle]:
        bundle = bundle.union(*grown)
    return bundle


def keep_apart(sid: str, rules: tuple[HaRuleSpec, ...]) -> frozenset[str]:
    """The services that must not share a node with `sid`: written so for one of its bundle or
    theirs.
    """
    written = [
        frozenset(rule.sids)
        for rule in rules
        if rule.type == "resource-affinity" and not rule.positive
    ]
    own = keep_together(sid, rules)
    apart = {other for group in written if group & own for other in group} - own
    theirs = {
        other
        for group in written
        if sid in group
        for partner in group - own
        for other in keep_together(partner, rules)
    }
    return frozenset((apart | theirs) - own)


def node_priorities(
    sid: str, rules: tuple[HaRuleSpec, ...], nodes: Iterable[str]
) -> dict[str, int]:
    """Nodes that may run `sid`, with their priority, the highest preferred; one rule binds its
    bundle.
    """
    bundle = keep_together(sid, rules)
    rule = next(
        (rule for rule in rules if rule.type == "node-affinity" and bundle & set(rule.sids)), None
    )
    if rule is None:
        return dict.fromkeys(nodes, 0)
    others = -1  # below every priority that can be written
    allowed = {node: rule.nodes.get(node, others) for node in nodes}
    return {node: at for node, at in allowed.items() if not rule.strict or node in rule.nodes}


def loaded_nodes(service: HaService) -> tuple[str, ...]:
    """The nodes that a service loads: where it is, and where it is moving to."""
    if service.state in ("stopped", "request_start"):
        return ()
    return (service.node, service.target) if service.target else (service.node,)


def select_node(
    sid: str,
    services: Mapping[str, HaService],
    rules: tuple[HaRuleSpec, ...],
    load: Mapping[str, int],
    preference: Preference,
    *,
    failback: bool = True,
) -> str:
    """The node for `sid` by the `rules` in force; "" if there is none.

    `load` has every node that is online, with the number of services that load it.
    """
    service = services[sid]
    allowed = node_priorities(sid, rules, sorted(load))
    highest = max(allowed.values(), default=0)
    preferred = [node for node, priority in allowed.items() if priority == highest]
    together = Counter(
        partner.target or partner.node
        for other in keep_together(sid, rules) - {sid}
        if (partner := services.get(other))
    )
    apart = {
        node
        for other in keep_apart(sid, rules)
        if (partner := services.get(other))
        for node in (partner.node, partner.target)
    }
    at_home = service.node in allowed and (service.node in together or service.node not in apart)
    if preference is Preference.STAY and not failback and at_home:
        return service.node
    if preference is Preference.TRY_NEXT:
        preferred = [node for node in preferred if node not in service.failed_nodes]
    preferred = [node for node in preferred if node not in apart]
    if shared := [node for node in preferred if node in together]:
        preferred = [min(shared, key=lambda node: (-together[node], node))]
    if preference is Preference.STAY and service.node in preferred:
        return service.node
    ranked = sorted(preferred, key=lambda node: (load[node], node))
    if preference is Preference.TRY_NEXT and service.node in ranked[:-1]:
        return ranked[ranked.index(service.node) + 1]
    return ranked[0] if ranked else ""
