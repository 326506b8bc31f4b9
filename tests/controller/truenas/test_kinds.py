"""Every kind of thing: wanted, read and declared are three views of one value."""

from __future__ import annotations

import json

import pytest

from controller.managed import Managed
from controller.planning import wanted_things
from controller.truenas.kinds import KINDS, costs
from controller.truenas.thing import NasThing
from lab.errors import LabInvalid
from lab.schema import schema
from tests.controller.truenas.cases import CASES, CHAIN, Case
from tests.controller.truenas.worlds import (
    DEVICE,
    adopted,
    answers,
    around,
    array,
    disagreeing,
    one,
    read_one,
    told,
)

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@each_case
def test_what_is_declared_is_made_by_these_calls(case: Case) -> None:
    wanted = one(case.kind, array(case.declared), case.identity)
    assert told(wanted.steps(None, around())) == list(case.made_by)


@each_case
def test_an_array_that_has_it_agrees_and_gets_no_call(case: Case) -> None:
    wanted = one(case.kind, array(case.declared), case.identity)
    there = read_one(case.kind, answers(case.answers), case.identity)
    assert there.key == wanted.key
    assert disagreeing(wanted, there) == {}
    assert told(wanted.steps(there, around())) == []


@each_case
def test_what_was_read_is_the_same_when_it_is_declared_and_wanted_again(case: Case) -> None:
    said = answers(case.answers)
    there = read_one(case.kind, said, case.identity)
    back = one(case.kind, adopted(said), there.key.id)
    assert (back.key, dict(back.values)) == (there.key, dict(there.values))
    assert back.needs == there.needs


@each_case
def test_it_is_removed_by_its_number_alone(case: Case) -> None:
    there = read_one(case.kind, answers(case.answers), case.identity)
    assert isinstance(there, NasThing)
    (step,) = told(there.remove(around()))
    assert step == f'{case.kind.namespace}.delete("{there.number}")'


def test_what_an_array_has_is_of_these_kinds_and_needs_what_is_there() -> None:
    said = answers()
    things = {thing.key: thing for kind in KINDS for thing in kind.read(DEVICE, said)}
    missing = {need for thing in things.values() for need in thing.needs} - things.keys()
    assert not missing
    assert {key.kind for key in things} == {
        "pool", "iscsi", "service", "dataset", "zvol", "portal", "initiator-group", "target",
        "extent", "lun", "nfs-share",
    }  # fmt: skip


def test_every_cost_is_of_a_field_of_the_language() -> None:
    told = json.dumps(schema(costs())["properties"]["nas"])
    assert "Changing it: live" in told


def test_a_share_that_says_nothing_of_networks_is_open_to_its_vlan_alone() -> None:
    kind: type[Managed] = next(kind for kind in KINDS if kind.kind == "nfs-share")
    share = "shares: {iso: {pool: tank, path: /mnt/tank/iso, vlan: images}}"
    assert one(kind, array(share)).values == {"networks": ("192.168.103.0/24",)}


def test_the_folder_of_a_share_is_a_dataset_unless_a_declared_one_holds_it() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "dataset")
    share = "shares: {iso: {pool: tank, path: /mnt/tank/a/iso, vlan: images}}"
    assert [thing.key.id for thing in kind.wanted(array(share), DEVICE)] == ["tank/a/iso"]
    held = array(share, "datasets: {tank/a: {}}")
    assert [thing.key.id for thing in kind.wanted(held, DEVICE)] == ["tank/a"]


def test_what_is_offered_is_served_unless_something_else_is_written() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "service")
    assert [(t.key.id, t.values) for t in kind.wanted(array(CHAIN), DEVICE)] == [
        ("iscsitarget", {"enabled": True, "running": True})
    ]
    off = array(CHAIN, "services: {iscsi: {running: false}}")
    assert [(t.key.id, t.values) for t in kind.wanted(off, DEVICE)] == [
        ("iscsitarget", {"running": False})
    ]


def test_targets_that_are_only_looked_at_start_no_service() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "service")
    observed = CHAIN.replace("luns: {0: group1}", "luns: {0: group1}, manage: [observe]")
    (service,) = kind.wanted(array(observed), DEVICE)
    assert service.policy.manage == {"observe"}


def test_a_part_says_for_itself_how_it_is_managed_and_else_the_array_does() -> None:
    kind = next(kind for kind in KINDS if kind.kind == "zvol")
    zvols = """
zvols:
  a: {pool: tank, size: 1GiB}
  b: {pool: tank, size: 1GiB, manage: [observe, delete], protect: true}
manage: [observe, update]
"""
    policies = {thing.key.id: thing.policy for thing in kind.wanted(array(zvols), DEVICE)}
    assert policies["tank/a"].manage == {"observe", "update"}
    assert policies["tank/b"].manage == {"observe", "delete"}
    assert policies["tank/b"].protect


def test_what_only_one_can_have_is_not_declared_twice() -> None:
    dataset, volume = "datasets: {tank/x: {}}", "zvols: {x: {pool: tank, size: 1GiB}}"
    with pytest.raises(LabInvalid) as caught:
        wanted_things(array(dataset, volume), {DEVICE: KINDS})
    (problem,) = caught.value.problems
    assert f"{DEVICE} path tank/x is declared twice" in problem.what
    assert problem.why == f"{DEVICE} dataset tank/x and {DEVICE} zvol tank/x can't both have it"
