"""Every kind of thing: wanted, read and declared are three views of one value."""

from __future__ import annotations

import json

import pytest

from controller.managed import Context, Managed, Mark
from controller.pve import KINDS, context, costs
from lab.lab import Lab
from tests.controller.pve.cases import CASES, Case
from tests.controller.pve.worlds import (
    CLUSTER,
    DEVICE,
    disagreeing,
    hardware_and,
    needs_here,
    one,
    read_one,
)

PLACED = Context(placement={"101": "pve3"})


def lab_of_case(case: Case, declared: str) -> Lab:
    """The hardware, what the case refers to, and a declaration in the place of its own."""
    texts = [text for text in (case.beside, declared) if text]
    return hardware_and(*texts, cluster="" if "clusters" in declared.split(":")[0] else CLUSTER)


def things(case: Case) -> tuple[Managed, Managed]:
    return one(case.kind, lab_of_case(case, case.declared)), read_one(case.kind, case.answers)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_device_that_has_what_is_declared_agrees_in_every_field(case: Case) -> None:
    wanted, there = things(case)

    assert wanted.key == there.key
    assert disagreeing(wanted, there) == {}
    assert [*wanted.steps(there, PLACED)] == []


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_making_a_thing_sends_what_is_declared_and_nothing_else(case: Case) -> None:
    wanted, _ = things(case)

    if not wanted.inherent:
        assert tuple(str(step) for step in wanted.steps(None, PLACED)) == case.made_by


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_was_read_is_the_same_when_it_is_declared_and_wanted_again(case: Case) -> None:
    _, there = things(case)

    fragment = there.declare(lab_of_case(case, case.declared))
    for cluster in fragment.get("clusters", {}).values():
        cluster |= {"version": "9.2", "corosync": {"links": ["mgmt"]}}
    wanted = one(case.kind, lab_of_case(case, json.dumps(fragment)))

    said = {name: goal for name, goal in wanted.values.items() if goal is not Mark.RESET}
    assert said == dict(there.values)
    assert (wanted.key, needs_here(wanted)) == (there.key, there.needs)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_declared_field_knows_the_line_that_says_it(case: Case) -> None:
    wanted, _ = things(case)
    implied = {"name", "enabled", "shared", "server", "export"}

    for name, goal in wanted.values.items():
        if goal is not Mark.RESET and name not in implied | wanted.origin.keys():
            pytest.fail(f"{wanted.key}: {name} has no place")
    assert wanted.path


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_removing_a_thing_is_a_step_unless_it_is_part_of_the_device(case: Case) -> None:
    _, there = things(case)

    assert bool([*there.remove(Context())]) is not there.inherent


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_an_empty_cluster_has_nothing_but_its_options(kind: type[Managed]) -> None:
    answers: dict[str, object] = {
        "/version": {"version": "9.2.11"},
        "/cluster/options": {"allowed-tags": [], "description": "", "mac_prefix": "BC:24:11"},
    }
    lists = {query.text for query in kind.fetch(DEVICE, {})} - answers.keys()
    lists |= {query.text for query in kind.fetch(DEVICE, answers)} - answers.keys()
    found = [*kind.read(DEVICE, answers | dict.fromkeys(lists, []))]

    assert bool(found) is kind.inherent


def test_the_cost_of_each_field_is_known_beforehand() -> None:
    known = {name: str(cost) for name, cost in costs().items()}

    assert known["guests.memory"] == "reboot"
    assert known["guests.disks.*.size"] == "live"
    assert known["guests.disks.*"] == "replace"
    assert known["guests.nets.*.vlan"] == "live"
    assert known["guests.tags"] == "none"
    assert known["guests.state"] == "stop/start"
    assert known["storages.export"] == "replace"
    assert known["ha-rules.nodes"] == "migrate"


def test_nothing_is_known_of_guests_that_were_not_listed() -> None:
    assert context(DEVICE, {}) == Context()
