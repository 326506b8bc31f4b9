"""Rules that can't be met, or contradict others: the manager drops them and says why.

`rules.compile_rules` asks before it compiles. All checks see the rules as written, so a rule that
is dropped for one reason can still be another's reason. Source: the Proxmox VE 9 administration
guide, high availability, rule conflicts and errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from simulator.cluster.documents import NodeAffinity, ResourceAffinity, Rules

_ANY_TWO = 2  # resources of one negative rule that a bundle can't hold

_Finding = tuple[str, str]  # id of the rule, reason

_LONELY = "rule is ineffective as there are less than two resources"
_CROWDED = "rule defines more resources than available nodes"
_SHARES = "rule shares two or more resources with a {} resource affinity rule"
_PRIORITIES = "resources are in node affinity rules with multiple priorities"
_PRIORITIES_NODE = (
    "resources are in a resource affinity rule and cannot be in a node affinity rule "
    "with multiple priorities"
)
_SCATTERED = "resources are in multiple node affinity rules"
_SCATTERED_NODE = (
    "at least one resource is in a positive resource affinity rule and there are other resources "
    "in at least one other node affinity rule already"
)
_CONFINED = "two or more resources are restricted to less nodes than available to the resources"
_CONFINED_NODE = (
    "at least one resource is in a negative resource affinity rule and this rule would restrict "
    "these to less nodes than available to the resources"
)


def infeasible(rules: Rules, nodes: Collection[str]) -> dict[str, list[str]]:
    """By id of the rule to drop, the reasons, each once, in the order of the checks.

    `nodes`: all of the cluster, whether they are online or not.
    """
    tied = [rule for rule in rules.values() if isinstance(rule, NodeAffinity)]
    affinities = [rule for rule in rules.values() if isinstance(rule, ResourceAffinity)]
    bundles = connected(rule for rule in affinities if rule.positive)
    apart = [rule for rule in affinities if not rule.positive]
    reasons: dict[str, list[str]] = {}
    for id_, reason in (
        *_tied_twice(tied),
        *((rule.id, _LONELY) for rule in affinities if len(rule.resources) < _ANY_TWO),
        *((rule.id, _CROWDED) for rule in apart if len(rule.resources) > len(nodes)),
        *_together_and_apart(bundles, apart),
        *_several_priorities(affinities, tied),
        *_scattered(bundles, tied),
        *_confined(apart, tied),
    ):
        known = reasons.setdefault(id_, [])
        if reason not in known:
            known.append(reason)
    return reasons


def connected(rules: Iterable[ResourceAffinity]) -> list[list[ResourceAffinity]]:
    """Rules that share resources, put together in one pass by lowest sid and id.

    Each joins the first set it overlaps: one that ties two earlier sets leaves them two, as in
    Proxmox VE.
    """
    sets: list[list[ResourceAffinity]] = []
    for rule in sorted(rules, key=lambda rule: (min(rule.resources), rule.id)):
        for one in sets:
            if rule.resources & _resources(one):
                one.append(rule)
                break
        else:
            sets.append([rule])
    return sets


def _resources(rules: Iterable[ResourceAffinity]) -> frozenset[str]:
    return frozenset[str]().union(*(rule.resources for rule in rules))


def _tied_twice(tied: Sequence[NodeAffinity]) -> Iterator[_Finding]:
    times = Counter(sid for rule in tied for sid in rule.resources)
    for rule in tied:
        for sid in sorted(rule.resources):
            if times[sid] > 1:
                yield rule.id, f"resource '{sid}' is already used in another node affinity rule"


def _together_and_apart(
    bundles: Sequence[Sequence[ResourceAffinity]], apart: Sequence[ResourceAffinity]
) -> Iterator[_Finding]:
    for bundle in bundles:
        for rule in apart:
            if len(rule.resources & _resources(bundle)) >= _ANY_TWO:
                yield rule.id, _SHARES.format("positive")
                yield from ((one.id, _SHARES.format("negative")) for one in bundle)


def _several_priorities(
    affinities: Sequence[ResourceAffinity], tied: Sequence[NodeAffinity]
) -> Iterator[_Finding]:
    for rule in affinities:
        touching = [one for one in tied if one.resources & rule.resources]
        if any(len(set(one.nodes.values())) > 1 for one in touching):
            yield rule.id, _PRIORITIES
            yield from ((one.id, _PRIORITIES_NODE) for one in touching)


def _scattered(
    bundles: Sequence[Sequence[ResourceAffinity]], tied: Sequence[NodeAffinity]
) -> Iterator[_Finding]:
    for bundle in bundles:
        touching = [one for one in tied if one.resources & _resources(bundle)]
        if len(touching) > 1:
            yield from ((rule.id, _SCATTERED) for rule in bundle)
            yield from ((one.id, _SCATTERED_NODE) for one in touching)


def _confined(
    apart: Sequence[ResourceAffinity], tied: Sequence[NodeAffinity]
) -> Iterator[_Finding]:
    for rule in apart:
        touching = [one for one in tied if one.resources & rule.resources]
        offered = {node for one in touching for node in one.nodes}
        confined = {sid for one in touching for sid in one.resources & rule.resources}
        if len(offered) < len(confined):
            yield rule.id, _CONFINED
            yield from ((one.id, _CONFINED_NODE) for one in touching)
