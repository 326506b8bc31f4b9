"""What HA takes of rules: it refuses those over guests it does not know, and those at odds.

Source: the Proxmox VE administration guide, high availability, rule conflicts and errors. Leaves
out what only rules of both types together are at odds about: the rehearsal says that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from lab.errors import Problem
from lab.item import Path
from lab.kinds.ha_rule import Affinity, HaRule, RuleType
from lab.lab import Lab, title

REFUSED = "HA refuses the rule"


def guests_of_rules_are_under_ha(lab: Lab) -> Iterator[Problem]:
    """A rule is about guests that HA cares for."""
    for name, rule in lab.ha_rules.items():
        for number, guest in enumerate(rule.guests):
            if guest in lab.guests and lab.guests[guest].ha is None:
                what = f"{title('ha-rules', name)} names guest {guest}, which is not under HA"
                fix = f"add ha: {{}} to guest {guest}, or take it out of the rule"
                place = lab.place("ha-rules", name, "guests", str(number))
                yield Problem(place, what, REFUSED, fix)


def guests_are_in_one_rule_for_nodes(lab: Lab) -> Iterator[Problem]:
    """Nodes of a guest under HA are said once: by its pin, or by one rule."""
    first: dict[str, str] = {
        name: "its own pin"
        for name, guest in lab.guests.items()
        if guest.ha is not None and guest.placement.pin
    }
    for name, rule in _of(lab, RuleType.NODE_AFFINITY):
        for number, guest in enumerate(rule.guests):
            other = first.setdefault(guest, title("ha-rules", name))
            if other != title("ha-rules", name):
                what = f"{title('ha-rules', name)} says nodes of guest {guest}, and so does {other}"
                fix = f"take guest {guest} out of one of them"
                path: Path = ("ha-rules", name, "guests", str(number))
                yield Problem(lab.place(*path), what, REFUSED, fix)


def rules_among_guests_have_two(lab: Lab) -> Iterator[Problem]:
    """Nobody is together with, or apart from, himself."""
    for name, rule in _of(lab, RuleType.RESOURCE_AFFINITY):
        if len({*rule.guests}) == 1:
            what = f"{title('ha-rules', name)} is among guests, and names one only"
            yield Problem(lab.place("ha-rules", name, "guests"), what, REFUSED, "name another one")


def guests_are_together_or_apart(lab: Lab) -> Iterator[Problem]:
    """No two guests are kept together by one rule and apart by another."""
    first: dict[tuple[str, str], tuple[str, bool]] = {}
    for name, rule in _of(lab, RuleType.RESOURCE_AFFINITY):
        apart = rule.affinity is Affinity.NEGATIVE
        for one, two in combinations(sorted({*rule.guests}), 2):
            other, how = first.setdefault((one, two), (name, apart))
            if how != apart:
                what = f"{title('ha-rules', name)} and {title('ha-rules', other)} say of guests"
                what += f" {one} and {two} that they are together and apart"
                fix = "take one of the guests out of one of them"
                yield Problem(lab.place("ha-rules", name, "guests"), what, REFUSED, fix)


def _of(lab: Lab, type_: RuleType) -> Iterator[tuple[str, HaRule]]:
    return ((name, rule) for name, rule in lab.ha_rules.items() if rule.type is type_)


RULES = (
    guests_of_rules_are_under_ha,
    guests_are_in_one_rule_for_nodes,
    rules_among_guests_have_two,
    guests_are_together_or_apart,
)
