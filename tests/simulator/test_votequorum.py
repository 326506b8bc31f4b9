"""The rules of votequorum, each as an operator would see it; the network is not looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kinds.corosync import Algorithm, Corosync, Edge, Qdevice
from simulator.membership.qdevice import granted
from simulator.membership.votequorum import Ballot, Votequorum

Ballots = dict[str, Ballot]


def rules(nodes: int, **settings: object) -> Votequorum:
    """A cluster of n1, n2, ..."""
    names = tuple(f"n{number}" for number in range(1, nodes + 1))
    return Votequorum(names, Corosync.model_validate({"links": ("mgmt",), **settings}))


def whole(rules: Votequorum, *, device: bool = False) -> Ballots:
    """All nodes, together since they started."""
    fresh = replace(rules.fresh(), device=device)
    return rules.formed(dict.fromkeys(rules.nodes, fresh))


def split(rules: Votequorum, before: Mapping[str, Ballot], *groups: str) -> Ballots:
    """Each group forms a membership: `split(rules, before, "n1 n2", "n3")`."""
    after: Ballots = {}
    for group in groups:
        after |= rules.formed({node: before[node] for node in group.split()})
    return after


def started(rules: Votequorum, *nodes: str) -> Ballots:
    """Nodes that have just started, each alone."""
    return {node: rules.formed({node: rules.fresh()})[node] for node in nodes}


def quorate(ballots: Mapping[str, Ballot]) -> str:
    return " ".join(node for node, ballot in ballots.items() if ballot.quorate)


@pytest.mark.parametrize(
    ("nodes", "groups", "winners"),
    [
        (1, ["n1"], "n1"),
        (2, ["n1", "n2"], ""),
        (3, ["n1 n2", "n3"], "n1 n2"),
        (4, ["n1 n2", "n3 n4"], ""),
        (4, ["n1", "n2 n3 n4"], "n2 n3 n4"),
        (5, ["n1 n2 n3", "n4", "n5"], "n1 n2 n3"),
        (5, ["n1 n2", "n3 n4", "n5"], ""),
    ],
)
def test_more_than_half_of_the_expected_votes_are_a_quorum(
    nodes: int, groups: list[str], winners: str
) -> None:
    plain = rules(nodes)
    assert quorate(split(plain, whole(plain), *groups)) == winners


def test_a_majority_is_taken_of_the_votes_that_are_declared_as_expected() -> None:
    more = rules(3, expected_votes=5)
    assert quorate(whole(more)) == "n1 n2 n3"
    assert quorate(split(more, whole(more), "n1 n2", "n3")) == ""


def test_more_votes_than_expected_are_expected_from_then_on() -> None:
    fewer = rules(4, expected_votes=2)
    assert {ballot.expected for ballot in whole(fewer).values()} == {4}


# two_node and wait_for_all


def test_two_node_lets_both_halves_go_on() -> None:
    pair = rules(2, two_node=True)
    assert quorate(split(pair, whole(pair), "n1", "n2")) == "n1 n2"


def test_two_node_started_alone_waits_for_the_other() -> None:
    pair = rules(2, two_node=True)
    alone = started(pair, "n1", "n2")
    assert quorate(alone) == ""
    assert quorate(split(pair, alone, "n1 n2")) == "n1 n2"


def test_two_node_without_wait_for_all_starts_alone() -> None:
    assert quorate(started(rules(2, two_node=True, wait_for_all=False), "n1")) == "n1"


def test_a_majority_that_has_not_seen_all_nodes_waits_for_them() -> None:
    patient = rules(3, wait_for_all=True)
    fresh = started(patient, "n1", "n2", "n3")
    two = split(patient, fresh, "n1 n2")
    assert quorate(two) == ""
    three = split(patient, {**two, "n3": fresh["n3"]}, "n1 n2 n3")
    assert quorate(three) == "n1 n2 n3"
    assert quorate(split(patient, three, "n1 n2", "n3")) == "n1 n2"


def test_who_has_lost_quorum_waits_for_all_again() -> None:
    patient = rules(3, wait_for_all=True)
    last = split(patient, whole(patient), "n1")
    assert quorate(split(patient, {**last, **started(patient, "n2")}, "n1 n2")) == ""


def test_who_joins_a_quorum_does_not_wait() -> None:
    patient = rules(3, wait_for_all=True)
    two = split(patient, whole(patient), "n1 n2")
    again = split(patient, {**two, **started(patient, "n3")}, "n1 n2 n3")
    assert quorate(again) == "n1 n2 n3"


# last_man_standing


def survivors(cluster: Votequorum, *groups: str) -> Ballots:
    """One membership after the other, each with its window over."""
    now = whole(cluster)
    for group in groups:
        now = cluster.lowered(split(cluster, now, group))
    return now


def test_last_man_standing_goes_on_with_two_of_four_but_not_with_one() -> None:
    standing = rules(4, last_man_standing=True, wait_for_all=True)
    assert quorate(survivors(standing, "n1 n2 n3")) == "n1 n2 n3"
    assert quorate(survivors(standing, "n1 n2 n3", "n1 n2")) == "n1 n2"
    assert quorate(survivors(standing, "n1 n2 n3", "n1 n2", "n1")) == ""


def test_last_man_standing_with_a_tie_breaker_goes_down_to_one() -> None:
    standing = rules(4, last_man_standing=True, auto_tie_breaker=True, wait_for_all=True)
    assert quorate(survivors(standing, "n1 n2 n3", "n1 n2", "n1")) == "n1"
    assert quorate(survivors(standing, "n1 n2 n3", "n1 n2", "n2")) == ""


def test_last_man_standing_is_of_no_use_to_those_who_lost_half_at_once() -> None:
    standing = rules(4, last_man_standing=True, wait_for_all=True)
    half = survivors(standing, "n1 n2")
    assert (quorate(half), half["n1"].expected) == ("", 4)


def test_votes_are_not_lowered_before_the_window_is_over() -> None:
    standing = rules(5, last_man_standing=True)
    four = split(standing, whole(standing), "n1 n2 n3 n4")
    assert quorate(split(standing, split(standing, four, "n1 n2 n3"), "n1 n2")) == ""
    assert quorate(survivors(standing, "n1 n2 n3 n4", "n1 n2 n3", "n1 n2")) == "n1 n2"


def test_a_node_that_starts_beside_the_last_man_expects_more_than_he_until_a_third_joins() -> None:
    standing = rules(4, last_man_standing=True, wait_for_all=True)
    last = survivors(standing, "n1 n2 n3", "n1 n2", "n1")
    two = split(standing, {**last, **started(standing, "n2")}, "n1 n2")
    assert (quorate(two), two["n1"].expected, two["n2"].expected) == ("n1", 2, 4)
    three = split(standing, {**two, **started(standing, "n3")}, "n1 n2 n3")
    assert quorate(three) == "n1 n2 n3"
    assert {ballot.expected for ballot in three.values()} == {3}


# auto_tie_breaker


@pytest.mark.parametrize(("node", "winners"), [("lowest", "n1 n2"), ("highest", "n3 n4")])
def test_of_two_halves_the_one_with_the_tie_breaker_goes_on(node: str, winners: str) -> None:
    tie = rules(4, auto_tie_breaker=True, auto_tie_breaker_node=node)
    assert quorate(split(tie, whole(tie), "n1 n2", "n3 n4")) == winners


def test_half_of_a_cluster_that_starts_has_no_tie_breaker_yet() -> None:
    tie = rules(4, auto_tie_breaker=True)
    assert quorate(split(tie, started(tie, "n1", "n2"), "n1 n2")) == ""


def test_less_than_half_is_no_tie() -> None:
    tie = rules(4, auto_tie_breaker=True)
    half = split(tie, whole(tie), "n1 n2")
    assert quorate(split(tie, half, "n1", "n2")) == ""


def test_the_tie_breaker_is_the_lowest_of_those_who_had_a_majority() -> None:
    tie = rules(4, auto_tie_breaker=True)
    three = split(tie, whole(tie), "n2 n3 n4")
    assert quorate(split(tie, three, "n2", "n3 n4")) == ""
    assert quorate(split(tie, three, "n2 n3", "n4")) == "n2 n3"


def test_nodes_that_remember_other_tie_breakers_come_to_other_verdicts() -> None:
    tie = rules(4, auto_tie_breaker=True)
    apart = split(tie, whole(tie), "n1", "n2 n3 n4")
    assert quorate(split(tie, apart, "n1 n4", "n2 n3")) == "n1 n2 n3"  # measured so


def test_a_smaller_half_of_an_odd_cluster_goes_on_only_if_the_others_cannot() -> None:
    tie = rules(5, auto_tie_breaker=True, wait_for_all=True)
    assert quorate(split(tie, whole(tie), "n1 n2", "n3 n4 n5")) == "n3 n4 n5"
    four = split(tie, whole(tie), "n1 n2 n3 n4")
    assert quorate(split(tie, four, "n1 n2", "n3 n4")) == "n1 n2"


# The quorum device


def device(**settings: object) -> dict[str, object]:
    return {"qdevice": {"host": "q", "vlan": "mgmt", **settings}}


def test_the_vote_of_the_device_replaces_that_of_a_node() -> None:
    pair = rules(2, **device())
    both = whole(pair, device=True)
    assert {ballot.expected for ballot in both.values()} == {3}
    assert quorate(split(pair, both, "n1")) == "n1"
    without = {node: replace(ballot, device=False) for node, ballot in both.items()}
    assert quorate(split(pair, without, "n1 n2")) == "n1 n2"
    assert quorate(split(pair, without, "n1")) == ""


def test_with_lms_the_last_node_that_the_device_sees_goes_on() -> None:
    three = rules(3, **device(algorithm="lms"))
    now = whole(three, device=True)
    assert quorate(split(three, now, "n3")) == "n3"
    alone = {**now, "n3": replace(now["n3"], device=False)}
    assert quorate(split(three, alone, "n1 n2", "n3")) == "n1 n2"


@pytest.mark.parametrize(
    ("algorithm", "nodes", "votes"), [("ffsplit", 2, 1), ("ffsplit", 4, 1), ("lms", 4, 3)]
)
def test_how_many_votes_a_device_has_is_the_algorithms(
    algorithm: str, nodes: int, votes: int
) -> None:
    assert Qdevice(host="q", vlan="m", algorithm=Algorithm(algorithm)).votes(nodes) == votes


@pytest.mark.parametrize(
    ("groups", "connected", "quorate", "tie", "winners"),
    [
        (["n1 n2", "n3 n4"], "n1 n2 n3 n4", "", "lowest", "n1 n2"),
        (["n1 n2", "n3 n4"], "n1 n2 n3 n4", "", "highest", "n3 n4"),
        (["n1", "n2 n3 n4"], "n1 n2 n3 n4", "", "lowest", "n2 n3 n4"),
        (["n1 n2", "n3 n4"], "n2 n3 n4", "", "lowest", "n3 n4"),  # n1 has lost the device
        (["n1 n2", "n3 n4"], "n2 n3", "", "lowest", "n2"),  # only who sees it gets its vote
        (["n1", "n2"], "n1 n2", "n2", "lowest", "n2"),  # who goes on is not stopped for a newcomer
        (["n2 n3", "n4"], "", "", "lowest", ""),
    ],
)
def test_the_device_votes_for_one_partition(
    groups: list[str], connected: str, quorate: str, tie: str, winners: str
) -> None:
    four = rules(4, **device(tie_breaker=Edge(tie)))
    parts = [frozenset(group.split()) for group in groups]
    assert granted(four, parts, connected.split(), quorate.split()) == {*winners.split()}


# Properties

PARTS = st.lists(st.integers(0, 2), min_size=1, max_size=6)


def parts(cluster: Votequorum, places: Collection[int]) -> list[str]:
    """Nodes of one place are together."""
    return [
        " ".join(node for node, at in zip(cluster.nodes, places, strict=True) if at == place)
        for place in dict.fromkeys(places)
    ]


@given(PARTS, PARTS, st.booleans(), st.sampled_from(["plain", "device", "lms"]))
def test_never_do_two_partitions_have_quorum(
    first: list[int], second: list[int], waits: bool, kind: str
) -> None:
    settings = {"plain": {}, "device": device(), "lms": device(algorithm="lms")}[kind]
    cluster = rules(len(first), wait_for_all=waits, **settings)
    now = whole(cluster, device=kind != "plain")
    for places in (first, (second * 6)[: len(first)]):
        groups = parts(cluster, places)
        if kind != "plain":
            winners = [node for node, ballot in now.items() if ballot.quorate]
            sets = [frozenset(group.split()) for group in groups]
            voted = granted(cluster, sets, cluster.nodes, winners)
            now = {node: replace(ballot, device=node in voted) for node, ballot in now.items()}
        now = split(cluster, now, *groups)
        assert sum(any(now[node].quorate for node in group.split()) for group in groups) <= 1


@given(
    PARTS,
    st.fixed_dictionaries(
        {
            "wait_for_all": st.booleans(),
            "last_man_standing": st.booleans(),
            "auto_tie_breaker": st.booleans(),
        }
    ),
)
def test_a_cluster_that_is_whole_again_has_quorum(
    places: list[int], settings: dict[str, object]
) -> None:
    cluster = rules(len(places), **settings)
    apart = split(cluster, whole(cluster), *parts(cluster, places))
    if settings["last_man_standing"]:
        for group in parts(cluster, places):
            apart |= cluster.lowered({node: apart[node] for node in group.split()})
    assert {*quorate(cluster.formed(apart)).split()} == {*cluster.nodes}
