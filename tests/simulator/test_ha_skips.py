"""Rounds of the HA daemons that are put off or left out change nothing that anybody sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab.faults import Fault, FaultKind
from simulator.build import twin_of
from simulator.cluster.state import Cluster
from simulator.ha.part import HaPart, documents_of, ha_command
from simulator.outcome.simulate import simulate
from simulator.twin import Twin
from tests.simulator.three_nodes import NODES, apart, guest, three_nodes

LAB = three_nodes(
    guest("luffy", 101, on="pve2"),
    guest("zoro", 102, on="pve3"),
    guest("nami", 103, on="pve3"),
    more=apart("luffy", "zoro"),
)
COMMANDS = (
    "migrate vm:101 pve1",
    "relocate vm:103 pve1",
    "stop vm:103 10",
    "enable-node-maintenance pve3",
    "disable-node-maintenance pve3",
    "disarm-ha freeze",
    "disarm-ha ignore",
    "arm-ha",
)


def unskipped(seed: int) -> Twin:
    """The lab in a twin in which every round of every daemon is done at its time."""
    twin = twin_of(LAB, seed=seed)
    twin.parts = tuple(
        HaPart(skips=False) if isinstance(part, HaPart) else part for part in twin.parts
    )
    twin.changed()
    twin.settle()
    return twin


def known(twin: Twin) -> Cluster:
    """What the daemons know, but for names that count their rounds."""
    cluster = documents_of(twin, "a")
    records = {sid: replace(rec, uid="") for sid, rec in cluster.status.services.items()}
    return replace(
        Cluster(cluster.machines),
        status=replace(cluster.status, services=records),
        locks=cluster.locks,
        watchdogs=cluster.watchdogs,
        running=cluster.running,
        views=cluster.views,
        services=cluster.services,
    )


@st.composite
def moments(draw: st.DrawFn) -> tuple[float, str]:
    """When something happens, and what: a fault, a command, a node that goes down in order."""
    at_s = draw(st.integers(0, 900))
    node = draw(st.sampled_from(NODES))
    return at_s, draw(
        st.one_of(
            st.builds(
                lambda verb, long: f"{verb} {node} {long}",
                st.sampled_from(["fail-node", "silence-node", "fail-cable", "silence-cable"]),
                st.integers(1, 400),
            ),
            st.sampled_from([f"command {command}" for command in COMMANDS]),
            st.sampled_from([f"reboot {node}", f"shutdown {node}"]),
        )
    )


def play(twin: Twin, story: Sequence[tuple[float, str]], until_s: float = 1500) -> None:
    """Let a story happen; a fault of a thing that is broken already is left out."""
    for at_s, what in sorted(story):
        twin.run_until(at_s)
        word, _, rest = what.partition(" ")
        match word:
            case "command":
                ha_command(twin, "a", rest)
            case "reboot" | "shutdown" | "start":
                twin.state.orders[rest] = word
                twin.changed()
            case _:
                verb, _, kind = word.partition("-")
                node, _, long = rest.partition(" ")
                silent = verb == "silence"
                fault = Fault(FaultKind(kind), node, 0, float(long), silent)
                if fault.subject not in twin.state.faults:
                    twin.inject([fault])
    twin.run_until(until_s)


@settings(max_examples=60)
@given(st.lists(moments(), max_size=4), st.integers(0, 50))
@example([(0, "fail-node pve2 900")], 0)
@example([(0, "fail-node pve2 900")], 3)
@example([(100, "command enable-node-maintenance pve3"), (400, "shutdown pve3")], 1)
def test_a_story_reads_the_same_with_every_round_played(
    story: list[tuple[float, str]], seed: int
) -> None:
    twin, eager = twin_of(LAB, seed=seed), unskipped(seed)
    play(twin, story)
    play(eager, story)
    assert twin.trace == eager.trace
    assert twin.state.guests == eager.state.guests
    assert known(twin) == known(eager)


@pytest.mark.parametrize("at_s", [0, 3.7, 600, 86_400])
def test_locks_of_a_cluster_at_rest_are_as_old_as_if_it_had_not_rested(at_s: float) -> None:
    twin, eager = twin_of(LAB), unskipped(0)
    twin.run_until(at_s)
    assert not [timer for timer in twin.state.timers if timer[0] == "ha"]
    eager.run_until(at_s)
    assert known(twin) == known(eager)
    assert max(at_s - lock.renewed_s for lock in known(twin).locks.values()) <= 10


def test_far_fewer_timers_ring_when_rounds_are_skipped() -> None:
    def rings(twin: Twin) -> int:
        before = twin.state.rank
        twin.inject([Fault(FaultKind.NODE, "pve2")])
        twin.run_until(1500)
        return twin.state.rank - before

    assert rings(twin_of(LAB)) < rings(unskipped(0)) / 10
    assert simulate(twin_of(LAB), [Fault(FaultKind.NODE, "pve2")]).settled
