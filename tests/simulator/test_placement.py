"""Where guests are when a twin starts."""

from __future__ import annotations

from simulator.build import twin_of
from tests.simulator.three_nodes import bound, guest, local_storage, three_nodes


def _placed(*guests: str, more: str = "") -> dict[str, str]:
    twin = twin_of(three_nodes(*guests, more=more))
    return {twin.facts.spec(key).name: state.node for key, state in twin.state.guests.items()}


def test_guests_spread_by_memory_with_the_biggest_first() -> None:
    placed = _placed(
        guest("small", 101, memory="1GiB"),
        guest("other", 102, memory="1GiB"),
        guest("big", 103, memory="8GiB"),
        guest("large", 104, memory="6GiB"),
        guest("middle", 105, memory="4GiB"),
    )
    assert placed == {
        "big": "pve1",
        "large": "pve2",
        "middle": "pve3",
        "small": "pve3",
        "other": "pve3",
    }


def test_a_wish_is_followed_while_there_is_memory() -> None:
    first = guest("zoro", 101, on="pve3", memory="8GiB")
    second = guest("luffy", 102, on="pve3", memory="8GiB")
    assert _placed(first, second) == {"zoro": "pve3", "luffy": "pve1"}


def test_a_pin_binds_even_without_memory() -> None:
    pinned = "    placement: {pin: [pve2]}\n"
    first = guest("zoro", 101, memory="8GiB", more=pinned)
    second = guest("luffy", 102, memory="8GiB", more=pinned)
    assert set(_placed(first, second).values()) == {"pve2"}


def test_pinned_guests_choose_before_bigger_free_ones() -> None:
    pinned = guest("nami", 101, memory="4GiB", more="    placement: {pin: [pve1]}\n")
    assert _placed(pinned, guest("luffy", 102, memory="8GiB")) == {"nami": "pve1", "luffy": "pve2"}


def test_rivals_are_placed_apart_and_bundles_together() -> None:
    rules = """
ha-rules:
  apart: {cluster: a, type: resource-affinity, affinity: negative, guests: [luffy, zoro]}
  bundle: {cluster: a, type: resource-affinity, affinity: positive, guests: [luffy, nami]}
"""
    luffy, zoro = guest("luffy", 101, on="pve1"), guest("zoro", 102, on="pve1")
    placed = _placed(luffy, zoro, guest("nami", 103, on="pve3"), more=rules)
    assert placed["zoro"] != placed["luffy"] == placed["nami"]


def test_a_rule_of_nodes_is_followed_by_priority() -> None:
    rule = bound("luffy", pve2=1, pve3=2)
    assert _placed(guest("luffy", 101), more=rule) == {"luffy": "pve3"}


def test_a_guest_that_is_off_takes_no_memory() -> None:
    off = guest("ussop", 101, on="pve1", memory="8GiB", more="    state: stopped\n")
    running = guest("luffy", 102, on="pve1", memory="8GiB")
    twin = twin_of(three_nodes(off, running))
    assert {state.node for state in twin.state.guests.values()} == {"pve1"}
    assert twin.facts.overcommit_bytes("pve1") == 0


def test_a_guest_is_not_placed_where_its_storage_is_missing() -> None:
    nami = guest("nami", 103, more="    disks: {scsi0: {storage: local, size: 8GiB}}\n")
    lab = three_nodes(nami, more=local_storage("pve3"), rules=False)
    assert twin_of(lab).state.guests["a", 103].node == "pve3"
