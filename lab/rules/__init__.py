"""Rules across objects: a module per subject, each rule a function from a lab to the problems it
sees.

Every rule passes over what another stage has already refused, such as a name that is not declared,
so all of them can run on any lab whose entries are well formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.errors import Problem
from lab.lab import Lab
from lab.rules import (
    addresses,
    belonging,
    bonds,
    cables,
    capacity,
    expectations,
    ha_rules,
    management,
    membership,
    mtu,
    osds,
    quorum,
    storage,
    trunks,
)

Rule = Callable[[Lab], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    *cables.RULES,
    *trunks.RULES,
    *mtu.RULES,
    *bonds.RULES,
    *addresses.RULES,
    *management.RULES,
    *membership.RULES,
    *quorum.RULES,
    *belonging.RULES,
    *storage.RULES,
    *osds.RULES,
    *capacity.RULES,
    *ha_rules.RULES,
    *expectations.RULES,
)


def problems(lab: Lab) -> tuple[Problem, ...]:
    """What every rule has to say, errors and warnings, in the order of the rules."""
    return tuple(problem for rule in RULES for problem in rule(lab))
