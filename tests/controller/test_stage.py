"""The stage of a rehearsal: what is applied weighs what was declared, and dead nodes stay dead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.check import applied
from controller.observe import observe
from controller.planning import EVERYTHING, plan_changes
from controller.pve.family import attach
from controller.rehearsal import TwinClock
from controller.stage import devices_of, stage_of
from lab.faults import parse_faults
from lab.lab import Lab
from lab.load import load, load_tree
from simulator.build import twin_of
from simulator.declared import declared_workload
from simulator.outcome.simulate import calm
from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from simulator.workload import Workload
from tests.stories.site import guest, tree

TREE = Path(__file__).parents[2] / "desired-state"


def small() -> Lab:
    """Two guests, one of them pinned."""
    pinned = guest("zoro", 102, more="placement: {pin: [pve2, pve3]}")
    files = tree(guest("luffy", 101), pinned)
    return load(
        {name.removeprefix("desired-state/"): text.encode() for name, text in files.items()}
    )


@pytest.mark.parametrize("lab", [small(), load_tree(TREE)], ids=["small", "desired-state"])
def test_a_lab_that_was_applied_weighs_what_it_declares(lab: Lab) -> None:
    twin, _ = applied(lab, "base")
    for cluster in lab.clusters:
        declared = declared_workload(lab, cluster)
        held = twin.state.workloads[cluster]
        assert _plain(held) == _plain(declared)


def test_what_was_observed_is_on_the_stage_guest_by_guest() -> None:
    lab = load_tree(TREE)
    twin, _ = applied(lab, "base")
    staged = stage_of(lab, observe(devices_of(twin), TwinClock(twin)))
    assert {key: (g.node, g.power) for key, g in staged.state.guests.items()} == {
        key: (g.node, g.power) for key, g in twin.state.guests.items()
    }


@pytest.mark.parametrize("rows", [[{"id": 1}], [None], [{"id": 1, "name": "x", "groups": 7}]])
def test_an_array_that_answers_in_an_unknown_form_is_on_the_stage_as_declared(rows: object) -> None:
    lab = load_tree(TREE)
    twin, _ = applied(lab, "base")
    observed = observe(devices_of(twin), TwinClock(twin))
    said = {**observed.documents["nas/nas1"], "iscsi.target.query": rows}
    odd = replace(observed, documents={**observed.documents, "nas/nas1": said})
    assert stage_of(lab, odd).state.arrays == stage_of(lab, observed).state.arrays


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("osd pool ls?detail=detail", [{"pool_name": "x"}]),
        ("auth ls", {"auth_dump": [None]}),
        ("osd dump", {"flags_set": [], "osds": [{"osd": 0}]}),
    ],
)
def test_a_cluster_that_answers_in_an_unknown_form_is_on_the_stage_as_declared(
    question: str, said: object
) -> None:
    lab = load_tree(TREE)
    twin, _ = applied(lab, "base")
    observed = observe(devices_of(twin), TwinClock(twin))
    assert question in observed.documents["ceph/a"]
    told = {**observed.documents["ceph/a"], question: said}
    odd = replace(observed, documents={**observed.documents, "ceph/a": told})
    assert stage_of(lab, odd).state.osds == stage_of(lab, observed).state.osds


def test_a_node_that_is_away_is_away_on_the_stage() -> None:
    lab = small()
    twin, _ = applied(lab, "base")
    dead = twin.state.guests["a", 101].node
    twin.inject(parse_faults([f"fail-node {dead}"]))
    twin = calm(twin)
    staged = calm(stage_of(lab, observe(devices_of(twin), TwinClock(twin))))
    assert not staged.facts.host_on(dead)
    assert staged.state.guests["a", 101].node != dead
    assert staged.facts.guest_problem(("a", 101)) == ""


def _plain(workload: Workload) -> Workload:
    """Without what an installation brings along: the storage `local`."""
    storages = {name: spec for name, spec in workload.storages.items() if name != "local"}
    return replace(workload, storages=storages)


def test_a_lab_as_the_simulator_declares_it_leaves_nothing_to_do() -> None:
    lab = load_tree(TREE)
    twin = twin_of(lab)
    for cluster in lab.clusters:
        attach(twin, PveApi(cluster, declared(twin, cluster)))
    devices = devices_of(twin)
    plan = plan_changes(lab, observe(devices, TwinClock(twin)), {}, "base", approve=EVERYTHING)
    assert [(str(op.key), op.changes) for op in plan.operations if op.steps] == []
    assert plan.pending == ()
