"""Guests: what can be done to them, and what happens to them by itself."""

from __future__ import annotations

import pytest

from simulator import guests
from simulator.cluster.documents import ResourceAffinity
from simulator.declared import declared_workload
from simulator.state import GuestPower, GuestState
from simulator.workload import Workload
from tests.simulator.rack import Tree, after, rack, runs, twin, when

G1, G2, B1 = ("a", 101), ("a", 102), ("a", 201)


def test_a_guest_serves_after_its_boot() -> None:
    world = twin()
    guests.stop(world, G1)
    world.run_until(10)
    guests.start(world, G1)
    world.run_until(69)
    assert world.facts.guest_problem(G1) == "it is booting"
    world.run_until(70)
    assert world.facts.guest_problem(G1) == ""


def test_starting_what_runs_and_stopping_what_is_off_changes_nothing() -> None:
    world = twin()
    guests.start(world, G1)
    assert world.state.guests[G1].power is GuestPower.RUNNING
    guests.stop(world, G1)
    guests.stop(world, G1)
    assert [event.kind for event in world.trace if event.subject == "guest g1"].count(
        "stopped"
    ) == 1


def test_a_stopped_boot_does_not_end_later() -> None:
    world = twin()
    guests.stop(world, G1)
    guests.start(world, G1)
    world.run_until(30)
    guests.stop(world, G1)
    world.run_until(200)
    assert world.state.guests[G1].power is GuestPower.STOPPED


def test_a_boot_stands_still_while_the_guest_is_paused_and_then_goes_on() -> None:
    world = twin()
    guests.stop(world, G1)
    guests.start(world, G1)
    world.run_until(50)
    guests.pause(world, G1)
    world.run_until(500)
    assert world.facts.guest_problem(G1) == "it is paused"
    guests.pause(world, G1, paused=False)
    world.run_until(505)
    assert world.facts.guest_problem(G1) == "it is booting"
    world.run_until(515)
    assert world.facts.guest_problem(G1) == ""


def test_a_boot_stands_still_while_its_storage_waits_and_then_goes_on() -> None:
    world = twin()
    guests.stop(world, B1)
    guests.start(world, B1)
    after(world, "fail-portal nas1/p1@20s", 900)

    stalled_s = when(world, "io-resumed", "b1") - 20
    assert when(world, "running", "b1") == pytest.approx(60 + stalled_s, abs=0.01)


def test_a_boot_stands_still_while_its_node_hangs() -> None:
    world = twin()
    guests.stop(world, B1)
    guests.start(world, B1)
    after(world, "silence-node pve1@20s..50s", 900)

    assert when(world, "running", "b1") == 90


def test_guests_die_with_their_node_and_stay_where_they_were() -> None:
    world = after(twin(), "fail-node pve1", 1)

    assert world.state.guests[G1] == GuestState("pve1")
    assert world.facts.guest_problem(G1) == "pve1 is off"
    assert world.state.guests[G2].power is GuestPower.RUNNING


def test_only_onboot_guests_that_ha_does_not_have_start_with_their_node() -> None:
    def change(tree: Tree) -> None:
        tree["guests"]["g1"]["onboot"] = False
        tree["guests"]["g2"] |= {"ha": {}, "state": "stopped", "placement": {"pin": ["pve1"]}}
        tree["nodes"]["pve1"]["boot"] = "20s"  # back before HA would take its guests away

    world = after(twin(change=change), "fail-node pve1@0s..10s", 900)

    assert not runs(world, 101)
    assert when(world, "starting", "g2") == float("inf")
    assert runs(world, 201)


def test_a_guest_stopped_by_hand_is_not_started_again_while_its_node_runs() -> None:
    world = twin()
    guests.stop(world, B1)
    world.run_until(900)
    assert world.state.guests[B1].power is GuestPower.STOPPED


def test_onboot_guests_wait_for_quorum() -> None:
    faults = "fail-node pve1@0s..10s fail-node pve2@0s..400s fail-node pve3"
    world = after(twin(), faults, 560)
    assert world.state.guests[B1].power is GuestPower.STOPPED
    world.run_until(700)
    assert world.state.guests[B1].power is GuestPower.RUNNING


def test_a_guest_moves_as_it_is() -> None:
    world = twin()
    guests.migrate(world, G1, "pve2")

    assert world.state.guests[G1] == GuestState("pve2", GuestPower.RUNNING)


def test_a_live_migration_takes_as_long_as_its_memory_takes_over_one_port() -> None:
    world = twin()

    assert guests.migration_s(world, G1, online=True) == pytest.approx(
        2 + 2 * 2**33 / 0.94e9, rel=1e-3
    )
    assert guests.migration_s(world, G1, online=False) == 2

    def slow(tree: Tree) -> None:
        tree["nodes"]["pve3"]["nics"]["eno1"]["speed"] = "100Mbps"

    assert guests.migration_s(twin(change=slow), G1, online=True) > 180


def test_a_new_workload_takes_away_what_it_has_not() -> None:
    world = twin()
    spec = world.facts.workload("a")
    left = {vmid: guest for vmid, guest in spec.guests.items() if vmid != 101}
    guests.set_workload(world, "a", Workload(left, spec.storages))
    world.run_until(1)

    assert G1 not in world.state.guests
    assert G2 in world.state.guests


def test_a_new_guest_is_placed_started_and_removed() -> None:
    world = twin()
    spec = world.facts.workload("a")
    guests.remove(world, G1)
    guests.set_workload(world, "a", spec)
    guests.place(world, G1, "pve3")
    guests.start(world, G1)
    world.run_until(60)
    assert world.state.guests[G1] == GuestState("pve3", GuestPower.RUNNING)
    guests.remove(world, G1)
    world.run_until(61)
    assert G1 not in world.state.guests


def test_the_declared_workload_is_what_a_cluster_would_hold() -> None:
    def change(tree: Tree) -> None:
        tree["guests"]["g1"] |= {"ha": {"restart": 2}, "cores": 2, "sockets": 2}
        tree["guests"]["g2"] |= {"ha": {}, "state": "stopped"}
        tree["ha-rules"] = {
            "apart": {
                "cluster": "a",
                "type": "resource-affinity",
                "guests": ["g1", "g2"],
                "affinity": "negative",
            }
        }

    workload = declared_workload(rack(change=change), "a")

    g1 = workload.guests[101]
    assert (g1.name, g1.cores, g1.memory_bytes) == ("g1", 4, 2 * 2**30)
    assert (g1.storages, g1.nets, g1.onboot) == (frozenset({"vm"}), (("vmbr0", 10),), True)
    assert workload.ha["vm:101"].max_restart == 2
    assert workload.ha["vm:102"].state == "stopped"
    assert set(workload.ha) == {"vm:101", "vm:102"}
    (rule,) = workload.rules.values()
    assert rule == ResourceAffinity("apart", frozenset({"vm:101", "vm:102"}), positive=False)
    backing = {name: (s.type, s.backing, s.export) for name, s in workload.storages.items()}
    assert backing == {
        "vm": ("rbd", "vm", ""),
        "lun": ("lvm", "lun", ""),
        "iso": ("nfs", "10.0.103.21", "/mnt/iso"),
    }
