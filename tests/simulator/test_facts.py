"""Questions to a twin: who serves, what a node can run, what is wrong, in an operator's words."""

from __future__ import annotations

from simulator import guests
from simulator.guests import set_workload
from simulator.workload import StorageSpec, Workload
from tests.simulator.rack import Tree, after, twin

G1, B1 = ("a", 101), ("a", 201)
GIB = 2**30


def test_a_healthy_lab_has_no_problems() -> None:
    facts = twin().facts

    assert {facts.guest_problem(key) for key in facts.state.guests} == {""}
    assert {
        facts.storage_problem("a", name, node)
        for name in ("vm", "lun", "iso")
        for node in ("pve1", "pve2", "pve3")
    } == {""}
    assert facts.quorate("a") == {"pve1", "pve2", "pve3"}
    assert all(facts.api_reachable(node) for node in facts.model.nodes["a"])


def test_a_guest_whose_node_lost_its_front_legs_reaches_nobody() -> None:
    facts = after(twin(), "fail-cable pve1-eno1 fail-cable pve1-eno2", 1).facts

    assert facts.guest_problem(G1) == "pve1 reaches nobody in VLAN prod over vmbr0"
    assert facts.guest_problem(G1, "mgmt") == ""  # it has no leg there that could be cut
    assert facts.host_on("pve1")
    assert not facts.api_reachable("pve1")


def test_a_guest_without_power_is_off_and_without_quorum_still_serves() -> None:
    world = twin()
    guests.stop(world, G1)
    assert world.facts.guest_problem(G1) == "it is off"

    cut = after(twin(), "fail-node pve2 fail-node pve3", 60).facts
    assert cut.quorate("a") == frozenset()
    assert cut.guest_problem(B1) == ""


def test_where_a_guest_can_run_follows_storage_bridge_vlan_and_pin() -> None:
    def change(tree: Tree) -> None:
        tree["nas"]["nas1"]["targets"]["t"]["initiators"] = ["pve1"]
        tree["nodes"]["pve2"]["bridges"] = {}
        tree["guests"]["g3"]["placement"] = {"pin": ["pve3"]}

    facts = twin(change=change).facts

    assert facts.can_run(B1, "pve1") == ""
    assert facts.can_run(B1, "pve3") == "nas1 LUN 0 is not offered to pve3"
    assert facts.can_run(G1, "pve2") == "pve2 has no bridge vmbr0"
    assert facts.can_run(("a", 103), "pve1") == "it is pinned to pve3"
    assert facts.can_run(("a", 103), "pve9") == "there is no node pve9 in cluster a"


def test_a_death_not_noticed_yet_is_no_reason_not_to_start_a_guest() -> None:
    world = after(twin(), "fail-node pve2", 5)

    assert "not marked down yet" in world.facts.storage_problem("a", "vm", "pve1")
    assert world.facts.can_run(G1, "pve1") == ""
    assert world.facts.can_run(G1, "pve2") == "pve2 is off"


def test_too_few_copies_are_a_reason_not_to_start_a_guest() -> None:
    facts = after(twin(), "fail-node pve2 fail-node pve3", 60).facts

    assert facts.can_run(G1, "pve1") == "pool vm: 1 of 2 copies needed are alive"


def test_a_lun_without_a_path_is_a_reason_and_one_whose_path_is_coming_back_is_none() -> None:
    world = after(twin(), "fail-portal nas1/p1@0s..100s fail-portal nas1/p2", 60)
    assert world.facts.can_run(B1, "pve1") == "nas1 LUN 0: pve1 has lost every path"
    world.run_until(101)
    assert world.facts.storage_problem("a", "lun", "pve1")
    assert world.facts.can_run(B1, "pve1") == ""


def test_a_storage_must_be_defined_enabled_and_for_the_node() -> None:
    world = twin()
    spec = world.facts.workload("a")
    storages = {
        "off": StorageSpec("off", "dir", enabled=False),
        "one": StorageSpec("one", "dir", nodes=frozenset({"pve1"})),
        "lost": StorageSpec("lost", "rbd", "nowhere"),
    }
    set_workload(world, "a", Workload(spec.guests, {**spec.storages, **storages}))
    facts = world.facts

    assert facts.storage_problem("a", "off", "pve1") == "storage off is disabled"
    assert facts.storage_problem("a", "one", "pve1") == ""
    assert facts.storage_problem("a", "one", "pve2") == "storage one is not for pve2"
    assert facts.storage_problem("a", "lost", "pve1") == "cluster a has no Ceph pool nowhere"
    assert facts.storage_problem("a", "none", "pve1") == "there is no storage none"


def test_an_nfs_storage_serves_while_its_server_answers_and_its_disk_lives() -> None:
    for fault, problem in (
        ("fail-nas nas1", "NFS server nas1 does not answer pve1"),
        ("fail-cable nas1-eno3", "NFS server nas1 does not answer pve1"),
        ("fail-disk nas1/sdg", "NFS server nas1 has lost its disk"),
        ("fail-disk nas1/sdc", ""),
    ):
        assert after(twin(), fault, 1).facts.storage_problem("a", "iso", "pve1") == problem


def test_memory_is_counted_for_guests_that_run_and_may_be_exceeded() -> None:
    world = twin()
    facts = world.facts
    assert facts.memory_free_bytes("pve1") == 8 * GIB  # 16 - 4 reserved - 2 guests of 2
    guests.stop(world, G1)
    assert world.facts.memory_free_bytes("pve1") == 10 * GIB

    def grow(tree: Tree) -> None:
        tree["guests"]["g1"]["memory"] = "13GiB"

    full = twin(change=grow)
    guests.migrate(full, G1, "pve1")
    guests.migrate(full, B1, "pve1")
    assert full.facts.overcommit_bytes("pve1") == 3 * GIB
    assert full.facts.overcommit_bytes("pve3") == 0


def test_a_service_is_up_while_any_or_all_of_its_guests_serve() -> None:
    def change(tree: Tree) -> None:
        tree["services"] = {
            "any": {"any": ["g1", "g2"], "vlan": "prod"},
            "all": {"all": ["g1", "g2"]},
        }

    world = twin(change=change)
    assert world.facts.service_problem("any") == world.facts.service_problem("all") == ""
    guests.stop(world, G1)
    assert world.facts.service_problem("any") == ""
    assert world.facts.service_problem("all") == "g1: it is off"
    guests.stop(world, ("a", 102))
    assert world.facts.service_problem("any") == "g1: it is off; g2: it is off"


def test_a_silently_dead_leg_that_is_still_used_disturbs_the_guests_behind_it() -> None:
    world = after(twin(), "silence-cable pve1-eno1", 1)

    assert world.facts.guest_problem(G1) == ""
    assert world.facts.disturbance(G1) == "flows over pve1/eno1 are lost until pve1/bond0 drops it"
    assert world.facts.disturbance(("a", 102)) == ""
    world.run_until(5)
    assert world.facts.disturbance(G1) == ""


def test_a_storage_of_the_node_itself_is_lost_with_the_disks_that_it_is_on() -> None:
    def own(tree: Tree) -> None:
        tree["nodes"]["pve1"]["raids"]["fast"] = {"level": "single", "disks": ["sdz"]}
        tree["nodes"]["pve1"]["disks"]["sdz"] = {"size": "1TB"}
        tree["storages"]["fast"] = {
            "type": "zfspool", "clusters": ["a"], "nodes": ["pve1"], "content": ["images"],
            "pool": "fast", "raid": "fast",
        }  # fmt: skip

    facts = after(twin(change=own), "fail-disk pve1/sdz", 1).facts
    assert facts.storage_problem("a", "fast", "pve1") == "pve1 has lost the disks of storage fast"
