"""What HA promises in the twin whatever happens: faults, users and orderly ends in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.build import twin_of
from simulator.ha.part import documents_of
from simulator.twin import Event, Twin
from tests.simulator.test_ha_skips import LAB, moments, play
from tests.simulator.three_nodes import NODES

GUESTS = ("luffy", "zoro", "nami")
MENDED_S = 1300.0
Story = Sequence[tuple[float, str]]
stories = st.lists(moments(), max_size=5)
armed = stories.filter(lambda story: not any("disarm" in what for _, what in story))
"""Whoever disarms gives up the protection, see the last test."""


def told(story: Story, seed: int) -> Twin:
    twin = twin_of(LAB, seed=seed)
    play(twin, story)
    return twin


def runs(trace: Sequence[Event]) -> Iterator[tuple[Event, dict[str, str]]]:
    """Each line with where machines run after it, as the lines have it."""
    at = {"luffy": "pve2", "zoro": "pve3", "nami": "pve3"}
    for event in trace:
        kind, _, name = event.subject.partition(" ")
        if kind == "guest":
            if event.kind in ("killed", "stopped"):
                at.pop(name, None)
            elif event.kind == "starting":
                assert name not in at, f"{event}: it still runs on {at[name]}"
                at[name] = event.text.rpartition(" ")[2]
            elif event.kind == "moved" and name in at:
                at[name] = event.text.rpartition(" ")[2]
        yield event, at


@settings(max_examples=60)
@given(armed, st.integers(0, 99))
def test_no_guest_runs_on_two_nodes(story: Story, seed: int) -> None:
    for event, _ in runs(told(story, seed).trace):
        assert event.kind != "ha-orphan", event


@settings(max_examples=60)
@given(armed, st.integers(0, 99))
def test_a_guest_is_recovered_only_after_its_node_was_fenced(story: Story, seed: int) -> None:
    fenced: set[str] = set()
    for event, at in runs(told(story, seed).trace):
        if event.kind == "ha-fenced":
            fenced.add(event.subject.removeprefix("node "))
        if "recovered from fenced node" in event.text:
            node = event.text.split()[5]
            assert node in fenced
            assert at.get(event.subject.removeprefix("guest ")) != node
        if event.kind == "up":
            fenced.discard(event.subject.removeprefix("node "))


@settings(max_examples=60)
@given(stories, st.integers(0, 99))
def test_in_a_mended_cluster_every_wanted_guest_runs(story: Story, seed: int) -> None:
    twin = told(story, seed)
    mend = [
        (MENDED_S + 200, "command arm-ha"),
        *((MENDED_S + 200, f"command disable-node-maintenance {node}") for node in NODES),
        *((MENDED_S + 200, f"start {node}") for node in NODES),
    ]
    play(twin, mend)
    twin.run_until(3600)
    wanted = {
        sid for sid, config in documents_of(twin, "a").services.items() if config.state == "started"
    }
    assert {twin.state.guests["a", int(sid[3:])].power for sid in wanted} <= {"running"}
    assert set(documents_of(twin, "a").status.nodes.values()) == {"online"}
    assert not [timer for timer in twin.state.timers if timer[0] == "ha"]


@settings(max_examples=30)
@given(stories, st.integers(0, 99))
def test_a_seed_has_one_trace(story: Story, seed: int) -> None:
    assert told(story, seed).trace == told(story, seed).trace


@settings(max_examples=30)
@given(stories, st.integers(0, 99), st.integers(1, 1499))
def test_a_fork_goes_on_as_its_original(story: Story, seed: int, at_s: int) -> None:
    twin = twin_of(LAB, seed=seed)
    play(twin, [moment for moment in story if moment[0] < at_s], until_s=at_s)
    fork, before = twin.fork(), len(twin.trace)
    for one in (twin, fork):
        play(one, [moment for moment in story if moment[0] >= at_s])
    assert fork.trace == twin.trace[before:]
    assert documents_of(fork, "a") == documents_of(twin, "a")


def test_arming_while_a_node_is_cut_off_can_start_its_guest_twice_and_the_trace_says_so() -> None:
    story = [
        (10.0, "command disarm-ha ignore"),
        (100.0, "fail-cable pve3 900"),
        (300.0, "command arm-ha"),
    ]
    twin = twin_of(LAB)
    play(twin, story)
    orphans = [event for event in twin.trace if event.kind == "ha-orphan"]
    assert {event.subject for event in orphans} == {"guest zoro", "guest nami"}
    assert all("pve3" in event.text for event in orphans)
