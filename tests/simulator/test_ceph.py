"""Ceph: monitors, OSDs and pools over time, against what a real cluster of this shape did."""

from __future__ import annotations

import pytest

from simulator.state import OsdState
from simulator.storage.ceph import monitors_serve
from simulator.twin import Twin
from simulator.workload import CephSpec
from tests.simulator.rack import Tree, after, twin, when

G1 = ("a", 101)
NEVER = float("inf")


def serves(world: Twin) -> bool:
    return not world.facts.storage_problem("a", "vm", "pve1")


def downs(world: Twin) -> list[float]:
    return [event.at_s for event in world.trace if event.kind == "osd-down"]


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_osd_is_down_in_a_moment_and_out_after_the_interval(seed: int) -> None:
    world = after(twin(seed=seed), "fail-osd a/0", 700)

    assert 1 <= when(world, "osd-down") <= 2
    assert 600 <= when(world, "osd-out") - when(world, "osd-down") <= 605
    assert 1 <= when(world, "pool-serves") - when(world, "osd-down") <= 3  # peering


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fault", ["silence-osd a/0", "silence-disk pve1/sdc", "fail-node pve3"])
def test_a_silent_osd_is_down_only_after_the_grace(seed: int, fault: str) -> None:
    world = after(twin(seed=seed), fault, 40)

    assert all(20 <= at_s <= 25 for at_s in downs(world))
    assert 21 <= when(world, "pool-serves") <= 28


def test_client_io_waits_until_the_death_is_noticed_and_peered() -> None:
    world = after(twin(), "fail-node pve2", 10)
    assert world.facts.storage_problem("a", "vm", "pve1") == (
        "pool vm waits for osd.2, osd.3: no answer, not marked down yet"
    )
    assert world.state.guests[G1].stalled
    world.run_until(40)
    assert serves(world)
    assert not world.state.guests[G1].stalled


def test_a_disk_takes_its_osd_along() -> None:
    assert 1 <= when(after(twin(), "fail-disk pve1/sdd", 10), "osd-down") <= 2


def test_an_osd_on_a_volume_of_one_disk_dies_with_the_disk() -> None:
    def volume(tree: Tree) -> None:
        tree["nodes"]["pve1"]["raids"]["v"] = {"level": "single", "disks": ["sdc"]}
        tree["ceph"]["a"]["osds"]["0"]["disk"] = "v"

    assert when(after(twin(change=volume), "fail-disk pve1/sdc", 10), "osd-down") <= 2


def test_a_pool_serves_with_min_size_copies_and_not_with_fewer() -> None:
    assert serves(after(twin(), "fail-osd a/0 fail-osd a/1", 30))  # one host
    world = after(
        twin(), "fail-osd a/0 fail-osd a/2", 30
    )  # two hosts: the worst group has one left
    assert world.facts.storage_problem("a", "vm", "pve1") == (
        "pool vm: 1 of 2 copies needed are alive"
    )


def test_a_pool_by_osd_counts_osds() -> None:
    def by_osd(tree: Tree) -> None:
        tree["ceph"]["a"]["pools"]["vm"] |= {"domain": "osd", "size": 3, "min-size": 1}

    assert serves(after(twin(change=by_osd), "fail-osd a/0 fail-osd a/2", 30))
    assert not serves(after(twin(change=by_osd), "fail-node pve1 fail-osd a/2", 60))


def test_with_copies_back_the_pool_serves_after_start_and_peering() -> None:
    world = after(twin(), "fail-osd a/0@0s..100s fail-osd a/2", 99)
    assert not serves(world)
    world.run_until(120)
    assert serves(world)
    assert 103.5 <= when(world, "osd-up") <= 107
    assert world.state.osds["a/0"] == OsdState()


def test_an_osd_that_went_out_by_itself_is_in_again_when_it_comes_back() -> None:
    world = after(twin(), "fail-osd a/0@0s..700s", 699)
    assert not world.state.osds["a/0"].inside
    world.run_until(720)
    assert world.state.osds["a/0"].inside


def test_no_more_than_the_ratio_allows_goes_out() -> None:
    """Measured: of two dead OSDs of six two go out, of four dead ones two."""
    for faults, outs in (
        ("fail-osd a/0 fail-osd a/1", 2),
        ("fail-osd a/0 fail-osd a/1 fail-osd a/2 fail-osd a/3", 2),
    ):
        world = after(twin(), faults, 900)
        assert sum(event.kind == "osd-out" for event in world.trace) == outs
        inside = [osd.inside for osd in world.state.osds.values()]
        assert sum(inside) / len(inside) < CephSpec().min_in_ratio


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["fail", "silence"])
def test_monitors_elect_within_seconds_while_io_goes_on(kind: str, seed: int) -> None:
    def elsewhere(tree: Tree) -> None:
        """No OSD on the first monitor's node, so that only the monitor is lost."""
        for osd in ("0", "1"):
            del tree["ceph"]["a"]["osds"][osd]
        tree["ceph"]["a"]["pools"]["vm"] |= {"size": 2, "min-size": 1}

    world = after(twin(change=elsewhere, seed=seed), f"{kind}-node pve1", 15)
    assert not monitors_serve(world.facts, "a")
    assert not world.facts.storage_problem("a", "vm", "pve2")
    world.run_until(30)
    assert 16 <= when(world, "monitors-quorum") <= 19
    assert world.state.mons["a"] == {"pve2", "pve3"}


def test_without_a_majority_of_monitors_nothing_is_marked_down() -> None:
    world = after(twin(5, three_mons), "fail-node pve1 fail-node pve2", 800)

    assert 9 <= when(world, "monitors-lost") <= 11
    assert world.state.mons["a"] == frozenset()
    assert downs(world) == []
    assert "not marked down" in world.facts.storage_problem("a", "vm", "pve4")


def three_mons(tree: Tree) -> None:
    tree["ceph"]["a"]["mons"] = ["pve1", "pve2", "pve3"]
    tree["ceph"]["a"]["pools"]["vm"]["min-size"] = 1


def test_a_monitor_that_comes_back_makes_the_quorum_and_the_map_catches_up() -> None:
    world = after(twin(5, three_mons), "fail-node pve1@0s..60s fail-node pve2", 239)
    assert downs(world) == []
    world.run_until(300)  # pve1 has booted at 240 s
    assert when(world, "monitors-quorum") <= 247
    assert all(at_s == when(world, "monitors-quorum") for at_s in downs(world))
    assert serves(world)


def test_reports_from_one_host_are_not_believed() -> None:
    def two_osd_hosts(tree: Tree) -> None:
        for osd in ("4", "5"):
            del tree["ceph"]["a"]["osds"][osd]
        tree["ceph"]["a"]["pools"]["vm"] |= {"size": 2, "min-size": 1}

    world = after(twin(change=two_osd_hosts), "silence-switch sw1", 60)
    assert when(world, "osd-down") == NEVER
    world = after(twin(change=two_osd_hosts), "fail-node pve1", 899)
    assert downs(world) == []
    world.run_until(905)
    assert len(downs(world)) == 2


def test_below_the_least_share_of_living_osds_nothing_more_is_marked_down() -> None:
    world = after(twin(), " ".join(f"fail-osd a/{number}" for number in range(6)), 60)

    assert len(downs(world)) == 5


def test_a_node_cut_off_from_the_ceph_network_loses_its_osds_and_its_guests_io() -> None:
    world = after(twin(), "fail-cable pve1-eno3 fail-cable pve1-eno4", 60)

    assert not world.state.osds["a/0"].up
    assert not world.state.osds["a/1"].up
    assert "pve1 does not reach osd." in world.facts.storage_problem("a", "vm", "pve1")
    assert world.facts.storage_problem("a", "vm", "pve2") == ""


def test_after_a_power_cut_of_the_whole_rack_the_pool_waits_for_daemons_and_monitors() -> None:
    world = after(twin(), "fail-feed f1@0s..60s fail-feed f2@0s..60s", 241)

    assert not serves(world)  # nodes up at 240 s, daemons not
    world.run_until(260)
    assert serves(world)
    assert when(world, "osd-up") >= when(world, "monitors-quorum")
    assert all(osd == OsdState() for osd in world.state.osds.values())
