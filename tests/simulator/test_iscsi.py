"""iSCSI paths: what a node does when one of two, or both, are gone."""

from __future__ import annotations

import pytest

from simulator.twin import Twin
from tests.simulator.rack import after, twin, when

B1 = ("a", 201)


def problem(world: Twin, node: str = "pve1") -> str:
    return world.facts.storage_problem("a", "lun", node)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "fault", ["fail-portal nas1/p1", "silence-portal nas1/p1", "fail-cable nas1-eno1"]
)
def test_a_dead_path_stalls_the_lun_until_it_is_failed(seed: int, fault: str) -> None:
    """Measured: 14.3 s with lost carrier, 15.2 s silent."""
    world = after(twin(seed=seed), fault, 5)
    assert problem(world) == "nas1 LUN 0 waits for path p1: no answer, not failed yet"
    assert world.state.guests[B1].stalled
    world.run_until(30)
    assert problem(world) == ""
    assert 10 <= when(world, "io-resumed", "b1") <= 15.3


def test_only_the_node_whose_path_is_dead_is_hurt() -> None:
    world = after(twin(), "fail-cable pve1-eno5", 5)

    assert problem(world, "pve1")
    assert not problem(world, "pve2")


def test_without_any_path_io_waits_until_one_is_back() -> None:
    world = after(twin(), "fail-portal nas1/p1@0s..100s fail-portal nas1/p2", 99)
    assert problem(world) == "nas1 LUN 0: pve1 has lost every path"
    assert world.state.guests[B1].stalled
    world.run_until(130)
    assert problem(world) == ""
    assert 105 <= when(world, "io-resumed", "b1") <= 120


def test_a_path_that_is_healed_before_it_is_failed_is_used_on() -> None:
    world = after(twin(), "fail-portal nas1/p1@0s..4s", 60)

    assert when(world, "path-lost") == float("inf")
    assert when(world, "io-resumed", "b1") == 4


def test_the_lun_lives_with_one_disk_of_each_mirror_and_dies_with_a_whole_one() -> None:
    assert not problem(after(twin(), "fail-disk nas1/sdc fail-disk nas1/sde", 60))
    lost = after(twin(), "fail-disk nas1/sdc fail-disk nas1/sdd", 60)
    assert problem(lost) == "nas1 LUN 0: nas1 has lost too many of its disks"


@pytest.mark.parametrize("fault", ["fail-nas nas1", "silence-nas nas1", "fail-feed f2"])
def test_without_the_array_every_path_is_lost(fault: str) -> None:
    assert "lost every path" in problem(after(twin(), fault, 60))


def test_a_node_that_starts_logs_in_to_what_it_reaches() -> None:
    world = after(twin(), "fail-portal nas1/p1 fail-node pve1@0s..10s", 191)

    paths = {path: up for path, up in world.state.paths.items() if path.startswith("pve1/")}
    assert paths == {"pve1/nas1/p1": False, "pve1/nas1/p2": True}
    assert problem(world) == ""
