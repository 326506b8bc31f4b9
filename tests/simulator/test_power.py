"""Power: feeds, boots, watchdogs."""

from __future__ import annotations

import pytest

from simulator.faults import restore
from simulator.power import BOX_BOOT_S, WATCHDOG_S
from simulator.state import HostPower
from tests.simulator.rack import Tree, after, power, runs, twin, when


def test_a_dead_feed_takes_all_that_hangs_on_it_and_nothing_else() -> None:
    state = after(twin(), "fail-feed f1", 1).state

    assert {name for name, power in state.hosts.items() if power is HostPower.OFF} == {
        "pve1",
        "pve3",
    }
    assert {name for name, power in state.boxes.items() if power is HostPower.OFF} == {
        "switch sw1",
        "router r1",
    }


def test_two_feeds_keep_a_host_on_while_one_lives() -> None:
    def both(tree: Tree) -> None:
        tree["nodes"]["pve1"]["feeds"] = ["f1", "f2"]

    assert after(twin(change=both), "fail-feed f1", 1).state.hosts["pve1"] is HostPower.ON
    both_dead = "fail-feed f1 fail-feed f2"
    assert after(twin(change=both), both_dead, 1).state.hosts["pve1"] is HostPower.OFF


def test_a_node_boots_when_power_is_back_and_its_onboot_guests_after_quorum() -> None:
    world = after(twin(), "fail-node pve1@0s..100s", 279)
    assert power(world, "pve1") is HostPower.BOOTING
    world.run_until(280)
    assert power(world, "pve1") is HostPower.ON
    assert not runs(world, 201)

    world.run_until(900)
    assert when(world, "quorum-regained") <= when(world, "starting", "guest b1")
    assert runs(world, 201)


def test_a_switch_forwards_again_some_time_after_power_is_back() -> None:
    world = after(twin(), "fail-switch sw1@0s..10s", 10 + BOX_BOOT_S - 1)
    assert not world.facts.talks("pve1", "nas1", "iscsi1")
    world.run_until(10 + BOX_BOOT_S)
    assert world.facts.talks("pve1", "nas1", "iscsi1")


def test_a_switch_that_hung_forwards_at_once_when_it_comes_to_itself() -> None:
    world = after(twin(), "silence-switch sw1@0s..10s", 9)
    assert not world.facts.talks("pve1", "nas1", "iscsi1")
    world.run_until(10)
    assert world.facts.talks("pve1", "nas1", "iscsi1")


def test_a_node_that_hangs_is_reset_by_its_watchdog_and_whole_after_its_boot() -> None:
    world = after(twin(), "silence-node pve1", WATCHDOG_S - 1)
    assert world.facts.host_problem("pve1") == "pve1 hangs"
    assert world.facts.guest_problem(("a", 201)) == "pve1 hangs"
    assert runs(world, 201)

    world.run_until(WATCHDOG_S)
    assert world.facts.host_problem("pve1") == "pve1 is starting"
    assert not runs(world, 201)
    world.run_until(WATCHDOG_S + 180)
    assert world.facts.host_on("pve1")
    assert not world.state.faults


def test_a_short_hang_leaves_the_guests_as_they_were() -> None:
    world = after(twin(), "silence-node pve1@0s..30s", 200)

    assert when(world, "starting") == float("inf")
    assert world.facts.guest_problem(("a", 101)) == ""
    assert world.facts.quorate("a") == {"pve1", "pve2", "pve3"}


def test_an_array_that_hangs_stays_so() -> None:
    assert after(twin(), "silence-nas nas1", 900).facts.host_problem("nas1") == "nas1 hangs"


def test_a_server_runs_with_one_system_disk_and_stops_without_any() -> None:
    assert after(twin(), "fail-disk pve1/sda", 1).facts.host_on("pve1")
    lost = after(twin(), "fail-disk pve1/sda fail-disk pve1/sdb", 1)
    assert lost.facts.host_problem("pve1") == "pve1 is off"


@pytest.mark.parametrize(
    "faults",
    [
        "fail-node pve1@0s..100s fail-node pve1@50s..200s",
        "fail-node pve1@0s..200s fail-node pve1@50s..100s",
        "silence-node pve1@0s..30s fail-node pve1@10s..200s",
    ],
)
def test_of_faults_that_overlap_the_last_one_to_end_counts(faults: str) -> None:
    world = after(twin(), faults, 199)
    assert power(world, "pve1") is HostPower.OFF
    world.run_until(200)
    assert power(world, "pve1") is HostPower.BOOTING


def test_a_node_without_power_does_not_hang() -> None:
    world = after(twin(), "fail-node pve1@0s..200s silence-node pve1@50s..150s", 60)
    assert power(world, "pve1") is HostPower.OFF


def test_a_fault_is_restored_by_hand_before_its_time() -> None:
    world = after(twin(), "fail-cable pve1-eno1@0s..500s", 10)
    restore(world, "cable pve1-eno1")
    world.run_until(20)

    assert not world.state.faults
    assert not world.state.left
