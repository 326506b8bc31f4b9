"""Affinity rules: read from their file, checked against each other, and compiled for placement.

The manager compiles them when they, the groups or the set of nodes changed, and asks `placement`
with what came out. Source: the Proxmox VE 9 administration guide, high availability, rules. The
checks that drop rules are in `feasibility`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from simulator.cluster.documents import Line, NodeAffinity, ResourceAffinity, Rule, Rules
from simulator.cluster.feasibility import connected, infeasible
from simulator.cluster.sections import Section, read_sections


@dataclass(frozen=True)
class Compiled:
    """The rules in force, by service. `node`: what binds it to nodes, written for it or its bundle.

    `together` and `apart`: by sid, the sorted sids it shares a node with, or never does.
    """

    node: Mapping[str, NodeAffinity] = field(default_factory=dict)
    together: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def positive(self, sid: str) -> Sequence[str]:
        return self.together.get(sid, ())

    def negative(self, sid: str) -> Sequence[str]:
        return self.apart.get(sid, ())


def parse_rules(text: str) -> dict[str, Rule]:
    """The rules of a rules file, by id, disabled ones included; ValueError if malformed."""
    return read_sections(text, _rule)


def compile_rules(rules: Rules, nodes: Collection[str]) -> tuple[Compiled, tuple[Line, ...]]:
    """What the enabled `rules` come to in a cluster of these `nodes`, and a line for each reason
    to drop one, in the order of the rules' ids.
    """
    enabled = {id_: rule for id_, rule in sorted(rules.items()) if not rule.disabled}
    dropped = infeasible(enabled, nodes)
    lines = tuple(
        Line("info", f"Drop rule '{id_}', because {reason}.")
        for id_, reasons in sorted(dropped.items())
        for reason in reasons
    )
    kept = [rule for id_, rule in enabled.items() if id_ not in dropped]
    positive = [r for r in kept if isinstance(r, ResourceAffinity) and r.positive]
    negative = [r for r in kept if isinstance(r, ResourceAffinity) and not r.positive]
    bundles = [
        frozenset[str]().union(*(rule.resources for rule in one)) for one in connected(positive)
    ]
    bound = (_bind(rule, bundles) for rule in kept if isinstance(rule, NodeAffinity))
    return Compiled(
        node={sid: rule for rule in bound for sid in rule.resources},
        together=_partners(bundles),
        apart=_separations([rule.resources for rule in negative], bundles),
    ), lines


def _rule(section: Section) -> Rule:
    resources = frozenset(section.words("resources"))
    disabled = "disable" in section.properties  # present means unused, whatever its value
    comment = section.properties.get("comment", "")
    if section.type == "node-affinity":
        nodes, strict = section.priorities("nodes"), section.flag("strict")
        return NodeAffinity(section.id, resources, nodes, strict, disabled, comment)
    if section.type != "resource-affinity":
        raise section.flaw("a rule is a node-affinity or a resource-affinity")
    affinity = section.properties.get("affinity", "")
    if affinity not in ("positive", "negative"):
        raise section.flaw(f"affinity is positive or negative, not {affinity!r}")
    return ResourceAffinity(section.id, resources, affinity == "positive", disabled, comment)


def _bind(rule: NodeAffinity, bundles: Iterable[frozenset[str]]) -> NodeAffinity:
    """The rule for whole bundles: what binds one of them binds all."""
    touched = (bundle for bundle in bundles if bundle & rule.resources)
    return replace(rule, resources=rule.resources.union(*touched))


def _separations(
    written: Sequence[frozenset[str]], bundles: Iterable[frozenset[str]]
) -> dict[str, tuple[str, ...]]:
    """Who is apart from whom: as `written`, and each bundle from what one of it is apart from.

    What follows for one bundle is not taken as written for the next, as in Proxmox VE: with two
    bundles of two and one pair of them apart, the two others may meet.
    """
    apart = {sid: set(partners) for sid, partners in _partners(written).items()}
    implied = [
        frozenset({sid, other})
        for bundle in bundles
        for other in frozenset[str]().union(*(apart.get(sid, ()) for sid in bundle))
        for sid in bundle
    ]
    return _partners([*written, *implied])


def _partners(groups: Iterable[frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """By sid, the others of all its groups, sorted."""
    partners: dict[str, set[str]] = {}
    for group in groups:
        for sid in group:
            partners.setdefault(sid, set()).update(group - {sid})
    return {sid: tuple(sorted(others)) for sid, others in partners.items()}
