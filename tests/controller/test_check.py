"""Pull requests judged offline: the plan between two versions, and what failures would then do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from controller.check import Check, check
from controller.gate import Rule
from controller.managed import Cost
from lab.errors import LabInvalid
from simulator.outcome.report import Case
from tests.stories.site import guest, tree

TWO = tuple(guest(name, 101 + n, memory="6GiB") for n, name in enumerate(("luffy", "zoro")))


def judged(base: Mapping[str, str], head: Mapping[str, str]) -> Check:
    """The check of one version against another."""
    files = [
        {name.removeprefix("desired-state/"): text.encode() for name, text in version.items()}
        for version in (base, head)
    ]
    return check(*files, base="base", head="head")


def test_nothing_changed_is_nothing_to_do() -> None:
    done = judged(tree(*TWO), tree(*TWO))
    assert done.plan.empty
    assert done.safe
    assert [case.fault for case in done.before.cases] == [f"fail-node pve{n}" for n in (1, 2, 3)]


def test_outages_of_services_are_told_before_and_after() -> None:
    slow = [text.replace("boot: 30s", "boot: 90s") for text in TWO]
    done = judged(tree(*TWO), tree(*slow))
    before, after = (_worst(verdict.cases) for verdict in (done.before, done.after))
    assert after == pytest.approx(before + 60, abs=10)


def test_one_guest_too_many_is_unsafe_and_says_which_line() -> None:
    third = guest("ussop", 103, memory="6GiB", more="state: stopped")
    on = third.replace("stopped", "started")
    done = judged(tree(*TWO, third), tree(*TWO, on))
    assert not done.safe
    first = done.judgement.objections[0]
    assert first.rule is Rule.WORSE
    assert "1 GiB missing on pve" in first.text
    assert "once guests.ussop is changed" in first.text
    assert first.place is not None
    written = tree(*TWO, on)["desired-state/guests.yaml"].splitlines()
    assert written[first.place.line - 1].strip() == "state: started"


def test_the_counterexample_stops_the_rehearsal_at_the_first_worse_step() -> None:
    third = guest("ussop", 103, memory="6GiB")
    done = judged(tree(*TWO), tree(*TWO, third))
    rehearsal = done.judgement.rehearsal
    assert rehearsal is not None
    assert {example.step for example in rehearsal.counterexamples} == {rehearsal.steps}


def test_what_the_cluster_allows_is_not_objected_to() -> None:
    third = guest("ussop", 103, memory="6GiB")
    generous = {
        name: text.replace("time-source:", "overcommit: 2GiB, time-source:")
        for name, text in tree(*TWO, third).items()
    }
    done = judged(tree(*TWO), generous)
    assert done.safe
    assert done.loosened == ("cluster a allows 2GiB of memory overcommit",)


def test_a_promise_that_is_taken_back_is_said() -> None:
    weaker = tree(*TWO)
    weaker["desired-state/expect.yaml"] = weaker["desired-state/expect.yaml"].replace(
        "services: [luffy, zoro]", "services: [luffy]"
    )
    assert judged(tree(*TWO), weaker).loosened == ("survive no longer covers zoro",)


def test_a_guest_without_ha_breaks_the_promise_it_had() -> None:
    mine = "vmid: 101\n    manage: [observe, create, update, delete]"
    base = TWO[0].replace("vmid: 101", mine)
    done = judged(tree(base, TWO[1]), tree(base.replace("    ha: {}\n", ""), TWO[1]))
    assert {objection.rule for objection in done.judgement.objections} == {Rule.WORSE}
    assert "luffy does not come back" in done.judgement.objections[0].text


def test_a_cable_that_is_taken_away_is_judged_without_anything_to_do() -> None:
    cut = {
        name: text.replace("  pve3: {ends: [pve3/eno1, sw1/p3]}\n", "")
        for name, text in tree(*TWO).items()
    }
    done = judged(tree(*TWO), cut)
    assert done.plan.empty
    assert done.judgement.objections
    assert "the declaration is changed" in done.judgement.objections[0].text


def test_more_memory_for_a_running_guest_costs_a_reboot() -> None:
    more = TWO[0].replace("6GiB", "7GiB")
    done = judged(tree(*TWO), tree(more, TWO[1]))
    assert done.plan.cost is Cost.REBOOT
    (operation,) = done.plan.operations
    assert [change.field for change in operation.changes] == ["memory_bytes"]


def test_a_version_that_does_not_load_says_every_problem() -> None:
    with pytest.raises(LabInvalid) as invalid:
        judged(tree(*TWO), tree(TWO[0].replace("6GiB", "6 gigs"), TWO[1].replace("vm,", "vn,")))
    assert len(invalid.value.problems) == 2


def _worst(cases: Iterable[Case]) -> float:
    return max(outage.outage_s for case in cases for outage in case.outages)
