"""Safe: what the rehearsal says of the lab as it is, not as a refused plan would have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.gate import Judgement, Objection, Rule
from controller.observed import Observed
from controller.plan import Plan
from controller.rehearsal import Rehearsal
from controller.settings import Apply
from lab.lab import Lab
from simulator.outcome.report import Finding, Verdict
from tests.controller.station import LUFFY, Station, crew, station

SAFE = Verdict()
BROKEN = Verdict(
    (
        Finding("fail-node pve2", "files is out for good after fail-node pve2", ("expect", "x")),
        Finding("fail-node pve3", "files is out for good after fail-node pve3", ("expect", "x")),
    )
)


class Twin:
    """A gate whose rehearsal comes out as told."""

    def __init__(self) -> None:
        self.before, self.after, self.refuses = SAFE, SAFE, False

    def __call__(self, plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
        rehearsal = Rehearsal(self.before, self.after, steps=1, states=2)
        place = next(plan.operations).place if self.refuses else None
        objection = Objection(Rule.WORSE, "files is out for good", "leave it", place)
        return Judgement((objection,) if self.refuses else (), rehearsal)


@pytest.fixture
def twin() -> Twin:
    return Twin()


@pytest.fixture
def made(tmp_path: Path, twin: Twin) -> Iterator[Station]:
    made = station(tmp_path, gate=twin)
    made.remote.commit({"a.yaml": crew()})
    yield made
    made.stop()


def test_a_lab_whose_invariants_hold_is_safe(made: Station) -> None:
    made.passes()
    made.passes()
    assert made.condition("Safe") == ("True", "InvariantsHold")


def test_a_lab_that_breaks_an_invariant_says_which_and_how_many(made: Station, twin: Twin) -> None:
    twin.before = twin.after = BROKEN
    made.passes()
    assert made.condition("Safe") == ("False", "InvariantBroken")
    [safe] = [c for c in made.history.conditions()[""].values() if c.type == "Safe"]
    assert safe.message == "files is out for good after fail-node pve2 (and 1 more)"


def test_a_refused_plan_leaves_the_lab_as_safe_as_it_was(made: Station, twin: Twin) -> None:
    made.passes()
    twin.after, twin.refuses = BROKEN, True
    made.remote.commit({"a.yaml": crew(LUFFY)})
    made.passes()
    assert made.condition("Safe") == ("True", "InvariantsHold")
    assert made.condition("Stalled") == ("True", "GateRefused")


def test_a_plan_that_is_only_reported_makes_nothing_safer(tmp_path: Path, twin: Twin) -> None:
    made = station(tmp_path, gate=twin, apply=Apply.REPORT)
    made.remote.commit({"a.yaml": crew(LUFFY)})
    twin.before = BROKEN
    made.passes()
    assert made.condition("Safe") == ("False", "InvariantBroken")
    made.stop()


def test_nothing_is_called_safe_that_could_not_be_seen(made: Station) -> None:
    made.passes()
    made.port.down = True
    made.passes("drift")
    assert made.condition("Safe") == ("Unknown", "DeviceUnreachable")
