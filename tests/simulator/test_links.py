"""Bonds over time: dead members still used, healed ones not used yet."""

from __future__ import annotations

import pytest

from tests.simulator.rack import Tree, after, twin, when

PORT = "port pve1/eno1"


def slow(tree: Tree) -> None:
    tree["nodes"]["pve1"]["bonds"]["bond0"]["rate"] = "slow"


def active_backup(tree: Tree) -> None:
    tree["nodes"]["pve1"]["bonds"]["bond0"]["mode"] = "active-backup"
    for switch, port in (("sw1", "pve1-eno1"), ("sw2", "pve1-eno2")):
        del tree["switches"][switch]["ports"][port]["lag"]


@pytest.mark.parametrize("seed", range(8))
def test_lost_carrier_is_seen_within_one_look_at_the_carriers(seed: int) -> None:
    world = after(twin(seed=seed), "fail-cable pve1-eno1", 5)

    assert 0 <= when(world, "bond-degraded") <= 0.1
    assert world.facts.talks("pve1", "pve2", "mgmt")


@pytest.mark.parametrize("seed", range(8))
def test_lacp_notices_silence_within_three_periods_of_the_last_word(seed: int) -> None:
    fast = after(twin(seed=seed), "silence-cable pve1-eno1", 100)
    assert 2 <= when(fast, "bond-degraded") <= 3

    lazy = after(twin(change=slow, seed=seed), "silence-cable pve1-eno1", 100)
    assert 60 <= when(lazy, "bond-degraded") <= 90


def test_until_silence_is_noticed_the_bond_passes_and_is_said_to_lose_flows() -> None:
    world = after(twin(), "silence-cable pve1-eno1", 1)

    assert PORT in world.state.unnoticed
    assert world.facts.guest_problem(("a", 101)) == ""
    assert world.facts.in_core("pve1", "mgmt")
    assert when(world, "bond-disturbed", "pve1/bond0") == 0


def test_flows_hashed_onto_a_silently_dead_member_are_lost_and_no_others() -> None:
    world = after(twin(9, slow), "silence-cable pve1-eno1", 1)
    others = [f"pve{number}" for number in range(2, 10)]

    reached = [node for node in others if world.facts.talks("pve1", node, "mgmt")]
    assert 0 < len(reached) < len(others)
    assert all(world.facts.talks(node, "pve1", "mgmt") for node in reached)
    assert all(world.facts.talks(a, b, "mgmt") for a in others for b in others)
    assert all(world.facts.talks("pve1", node, "ceph") for node in others)
    world.run_until(100)
    assert all(world.facts.talks("pve1", node, "mgmt") for node in others)


def test_slow_lacp_costs_a_node_its_membership_before_it_notices() -> None:
    world = after(twin(change=slow), "silence-cable pve1-eno1", 100)

    assert when(world, "quorum-lost") < when(world, "bond-degraded")
    fast = after(twin(), "silence-cable pve1-eno1", 100)
    assert when(fast, "membership") == float("inf")


def test_without_lacp_silence_is_never_noticed_and_the_host_is_cut_off() -> None:
    world = after(twin(change=active_backup), "silence-cable pve1-eno1", 3600)

    assert not world.facts.talks("pve1", "pve2", "mgmt")
    assert when(world, "bond-degraded") == float("inf")


def test_without_lacp_a_lost_carrier_is_a_short_black_moment() -> None:
    world = after(twin(change=active_backup), "fail-cable pve1-eno1", 0)
    assert not world.facts.talks("pve1", "pve2", "mgmt")
    world.run_until(0.1)
    assert world.facts.talks("pve1", "pve2", "mgmt")


def test_carrier_lost_after_silence_is_seen_at_once() -> None:
    world = after(twin(change=slow), "silence-cable pve1-eno1 fail-cable pve1-eno1@10s", 20)

    assert 10 <= when(world, "bond-degraded") <= 10.1


def test_a_silence_that_is_over_before_it_is_noticed_leaves_the_bond_whole() -> None:
    world = after(twin(), "silence-cable pve1-eno1@0s..1s", 100)

    assert when(world, "bond-degraded") == float("inf")
    assert not world.state.unnoticed
    assert not world.state.left


@pytest.mark.parametrize(("driver", "low_s", "high_s"), [("linux", 2.4, 3.2), ("ovs", 0.1, 1.0)])
def test_a_healed_member_carries_traffic_after_the_partners_have_agreed(
    driver: str, low_s: float, high_s: float
) -> None:
    def change(tree: Tree) -> None:
        tree["nodes"]["pve1"]["bonds"]["bond0"]["driver"] = driver

    world = after(twin(change=change), "fail-cable pve1-eno1@0s..10s", 10)
    assert PORT in world.state.left
    world.run_until(20)
    assert 10 + low_s <= when(world, "bond-restored") <= 10 + high_s


def test_a_host_without_its_other_leg_waits_for_the_healed_one_to_join() -> None:
    world = after(twin(), "fail-cable pve1-eno1@0s..10s fail-cable pve1-eno2", 12)
    assert not world.facts.talks("pve1", "pve2", "mgmt")
    world.run_until(14)
    assert world.facts.talks("pve1", "pve2", "mgmt")


def test_a_member_that_dies_again_while_it_joins_stays_out() -> None:
    world = after(twin(), "fail-cable pve1-eno1@0s..10s fail-cable pve1-eno1@11s", 60)

    assert PORT in world.state.left
    assert when(world, "bond-restored") == float("inf")


def test_a_node_that_is_off_has_no_bonds_and_makes_them_anew() -> None:
    world = after(twin(), "fail-cable pve1-eno1@0s..50s fail-node pve1@10s..20s", 30)
    assert not world.state.left
    world.run_until(300)
    assert not world.state.left
    assert not world.state.unnoticed
