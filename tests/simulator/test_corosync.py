"""Cluster membership: who is in, who has quorum, and after how long."""

from __future__ import annotations

import pytest

from simulator.state import View
from simulator.twin import Twin
from tests.simulator.rack import Tree, after, twin, when

# Times measured with corosync 3.1.7 from the fault to the new membership, seconds, with the default
# token; the upper bound is token + consensus.
MEASURED = {2: (6.1, 6.6), 3: (7.6, 8.03), 4: (8.7, 9.46), 5: (10.2, 10.89)}


@pytest.mark.parametrize("nodes", MEASURED)
def test_a_lost_node_is_out_after_token_and_consensus(nodes: int) -> None:
    world = after(twin(nodes), "fail-node pve1", 20)

    low_s, high_s = MEASURED[nodes]
    assert low_s - 0.1 <= when(world, "membership") <= high_s


def test_a_shorter_token_is_noticed_sooner() -> None:
    def short(tree: Tree) -> None:
        tree["clusters"]["a"]["corosync"]["token-ms"] = 1000

    assert when(after(twin(change=short), "fail-node pve1", 20), "membership") == pytest.approx(
        3.4, abs=0.3
    )


def test_the_trace_tells_links_token_and_membership_in_this_order() -> None:
    world = after(twin(), "fail-node pve2", 20)

    assert [event.kind for event in world.trace if event.subject == "cluster a"] == [
        "links-down",
        "token-lost",
        "membership",
    ]
    assert world.facts.view("pve1") == View(frozenset({"pve1", "pve3"}), quorate=True)
    assert world.facts.view("pve2").members == frozenset()


def test_two_nodes_lost_together_take_no_longer_than_one() -> None:
    world = after(twin(5), "fail-node pve1 fail-node pve2", 20)

    assert when(world, "membership") == when(after(twin(5), "fail-node pve1", 20), "membership")


def test_a_second_loss_while_a_membership_forms_starts_it_anew() -> None:
    world = after(twin(5), "fail-node pve1 fail-node pve2@5s", 40)

    assert when(world, "membership") == pytest.approx(15.4, abs=0.3)


def cut(node: str) -> str:
    return f"fail-cable {node}-eno1 fail-cable {node}-eno2"


def quorate_of(world: Twin) -> str:
    return " ".join(sorted(world.facts.quorate("a")))


@pytest.mark.parametrize(
    ("nodes", "faults", "quorate"),
    [
        (3, cut("pve1"), "pve2 pve3"),
        (3, "fail-node pve1 fail-node pve2", ""),
        (5, "fail-node pve1 fail-node pve2", "pve3 pve4 pve5"),
        (5, "fail-node pve1 fail-node pve2 fail-node pve3", ""),
        (4, f"{cut('pve1')} {cut('pve2')}", ""),
        (4, "fail-node pve1", "pve2 pve3 pve4"),
        (2, "fail-node pve1", ""),
    ],
)
def test_quorum_is_a_majority_of_all_votes(nodes: int, faults: str, quorate: str) -> None:
    assert quorate_of(after(twin(nodes), faults, 30)) == quorate


def test_the_node_that_is_cut_off_loses_quorum_at_the_same_moment_as_it_is_put_out() -> None:
    world = after(twin(), cut("pve1"), 30)

    changes = {event.at_s for event in world.trace if event.kind == "membership"}
    assert len(changes) == 1
    assert when(world, "quorum-lost") in changes
    assert world.facts.view("pve1") == View(frozenset({"pve1"}), quorate=False)


def two_node(tree: Tree) -> None:
    tree["clusters"]["a"]["corosync"]["two-node"] = True


def test_two_node_keeps_both_halves_quorate() -> None:
    assert quorate_of(after(twin(2, two_node), cut("pve1"), 30)) == "pve1 pve2"


def test_two_node_restarted_alone_waits_until_it_has_seen_the_other() -> None:
    faults = "fail-node pve2@0s..400s fail-node pve1@20s..60s"
    world = after(twin(2, two_node), faults, 399)
    assert quorate_of(world) == ""  # both gone, pve1 back alone
    world.run_until(600)
    assert quorate_of(world) == "pve1 pve2"


@pytest.mark.parametrize("seed", range(5))
def test_a_healed_node_is_a_member_again_after_links_and_merge(seed: int) -> None:
    def change(tree: Tree) -> None:
        for port in ("eno1", "eno2"):
            tree["nodes"]["pve1"]["nics"][port] = {"vlans": ["mgmt"]}
        tree["nodes"]["pve1"]["bonds"] = {}
        tree["nodes"]["pve1"]["bridges"] = {}
        for switch, port in (("sw1", "pve1-eno1"), ("sw2", "pve1-eno2")):
            del tree["switches"][switch]["ports"][port]["lag"]

    faults = cut("pve1").replace("eno1", "eno1@0s..100s").replace("eno2", "eno2@0s..100s")
    world = after(twin(change=change, seed=seed), faults, 99)
    assert quorate_of(world) == "pve2 pve3"
    world.run_until(120)
    assert 101.5 <= when(world, "quorum-regained") <= 103.3
    assert quorate_of(world) == "pve1 pve2 pve3"


def test_a_cut_shorter_than_the_token_changes_nothing() -> None:
    world = after(twin(), "silence-node pve1@0s..3s", 60)

    assert when(world, "membership") == float("inf")
    assert quorate_of(world) == "pve1 pve2 pve3"


def test_a_second_link_keeps_the_membership() -> None:
    def both(tree: Tree) -> None:
        tree["clusters"]["a"]["corosync"]["links"] = ["mgmt", "ceph"]

    world = after(twin(change=both), cut("pve1"), 60)

    assert when(world, "membership") == float("inf")


def test_nodes_that_do_not_all_reach_each_other_form_groups_that_do() -> None:
    def change(tree: Tree) -> None:
        """pve1 on sw1 only, pve3 on sw2 only, pve2 on both."""
        del tree["cables"]["pve1-eno2"], tree["cables"]["pve3-eno1"]

    world = after(twin(change=change), "fail-cable peer", 60)

    views = {node: world.facts.view(node).members for node in ("pve1", "pve2", "pve3")}
    assert views["pve1"] == views["pve2"] == {"pve1", "pve2"}
    assert views["pve3"] == {"pve3"}
