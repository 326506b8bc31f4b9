"""The engine: the same seed gives the same trace, and so does a fork, whenever it is taken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.faults import Fault, FaultKind, parse_faults
from simulator import guests
from simulator.build import twin_of
from simulator.facts import Facts
from simulator.model import Model
from simulator.outcome.steady import steady
from simulator.state import GuestState, State
from simulator.twin import Event, Part, Twin
from tests.simulator.rack import Tree, rack, twin

HORIZON_S = 1200.0
OWN = {"ha": {"ha"}}  # what nobody else changes


def with_ha(tree: Tree) -> None:
    for guest in ("g1", "g2", "b1"):
        tree["guests"][guest]["ha"] = {}


WORLD = twin(change=with_ha)
MODEL: Model = WORLD.model
NAMES = {kind: MODEL.elements(kind) for kind in FaultKind if MODEL.elements(kind)}


@st.composite
def faults(draw: st.DrawFn, *, last: bool = False) -> Fault:
    """Any fault of anything; `last`: it stays."""
    kind = draw(st.sampled_from(sorted(NAMES)))
    at_s = draw(st.sampled_from([0.0, 3.7, 40.0, 301.2]))
    lasts_s = None if last else draw(st.sampled_from([None, 2.0, 30.1, 100.0]))
    return Fault(
        kind,
        draw(st.sampled_from(NAMES[kind])),
        at_s,
        None if lasts_s is None else at_s + lasts_s,
        draw(st.booleans()),
    )


def run(world: Twin, *instants: float) -> list[Event]:
    for until_s in instants:
        world.run_until(until_s)
    return world.trace


@settings(max_examples=40)
@given(
    st.lists(faults(), max_size=4),
    st.lists(st.floats(0, HORIZON_S), max_size=3).map(sorted),
    st.integers(0, 3),
)
def test_a_fork_at_any_instant_has_the_trace_of_its_original(
    happening: list[Fault], instants: list[float], seed: int
) -> None:
    original = WORLD.fork()
    original.state.seed = seed
    original.inject(happening)
    alike = original.fork()
    expected = run(original, HORIZON_S)

    trace: list[Event] = []
    for until_s in instants:
        trace += run(alike, until_s)
        alike = alike.fork()
    trace += run(alike, HORIZON_S)

    assert trace == expected
    assert alike.state == original.state


@settings(max_examples=30)
@given(st.lists(faults(), min_size=1, max_size=4), st.integers(0, 3))
def test_a_part_that_is_not_asked_would_change_nothing(happening: list[Fault], seed: int) -> None:
    world = WORLD.fork()
    world.state.seed = seed
    world.inject(happening)
    look, asked = Twin._look, set[str]()
    kept = {name for name, value in vars(world.state).items() if isinstance(value, dict)} - {
        "timers"
    }

    def doubted(twin: Twin, part: Part) -> bool:
        if look(twin, part):
            return True
        known, told = twin.state.copy(), list(twin.trace)
        asked.clear()
        assert not part.settle(twin), part.name
        assert asked.intersection(kept) <= {*part.reads, *OWN.get(part.name, ())}, part.name
        assert (twin.state, twin.trace) == (known, told), part.name
        return False

    def heard(state: State, name: str) -> object:
        asked.add(name)
        return object.__getattribute__(state, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Twin, "_look", doubted)
        patch.setattr(State, "__getattribute__", heard)
        trace = run(world, HORIZON_S)

    assert [event for event in trace if event.kind == "fault"]


@settings(max_examples=25)
@given(st.lists(faults(last=True), max_size=4))
def test_the_timed_engine_ends_where_the_steady_one_says(happening: list[Fault]) -> None:
    world = twin()  # without HA, whose fencing is not physics
    world.inject(happening)
    world.run_until(3000)
    ended, expected = world.facts, Facts(world.model, steady(world.model, happening))
    expected.state.workloads = ended.state.workloads

    hosts, nodes = list(MODEL.hosts), MODEL.nodes["a"]
    for vlan in MODEL.lab.vlans:
        assert [(a, b, ended.talks(a, b, vlan)) for a in hosts for b in hosts] == [
            (a, b, expected.talks(a, b, vlan)) for a in hosts for b in hosts
        ]
    assert ended.quorate("a") == expected.quorate("a")
    for node in nodes:
        for storage in ("vm", "lun", "iso"):
            served = [not f.storage_problem("a", storage, node) for f in (ended, expected)]
            assert served[0] == served[1], ended.storage_problem("a", storage, node)
        for key in world.state.guests:
            assert (not ended.can_run(key, node)) == (not expected.can_run(key, node))
    for key, guest in world.state.guests.items():
        if not ended.guest_problem(key):
            assert not expected.can_run(key, guest.node)


def test_the_same_seed_gives_the_same_trace_and_another_seed_other_times() -> None:
    def trace(seed: int) -> list[Event]:
        world = twin(change=with_ha, seed=seed)
        world.inject(parse_faults(["fail-switch sw1@0s..100s fail-node pve2@5s"]))
        return run(world, 900)

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_letting_time_pass_in_pieces_changes_nothing() -> None:
    whole, pieces = WORLD.fork(), WORLD.fork()
    for world in (whole, pieces):
        world.inject(parse_faults(["fail-node pve2@1s..400s"]))
    run(pieces, *(number / 3 for number in range(2701)))

    assert run(whole, 900) == pieces.trace
    assert whole.state == pieces.state


def test_a_fork_shares_nothing_that_changes() -> None:
    original = WORLD.fork()
    fork = original.fork()
    fork.inject(parse_faults(["fail-node pve1"]))
    guests.stop(fork, ("a", 102))
    fork.run_until(100)

    assert original.state == WORLD.fork().state
    assert original.trace == []


def test_an_act_before_a_fork_is_followed_in_the_fork() -> None:
    original = WORLD.fork()
    original.state.guests[("a", 203)] = GuestState("pve3")
    guests.start(original, ("a", 203))

    fork = original.fork()
    fork.run_until(60)

    assert fork.facts.guest_problem(("a", 203)) == ""


def test_a_fault_of_nothing_is_refused_and_nothing_happens() -> None:
    world = WORLD.fork()
    with pytest.raises(ValueError, match="there is no node pve7"):
        world.inject(parse_faults(["fail-node pve1 fail-node pve7"]))
    world.run_until(10)
    assert world.trace == []


def test_faults_count_from_the_instant_they_are_injected() -> None:
    world = WORLD.fork()
    world.run_until(100)
    world.inject(parse_faults(["fail-cable pve1-eno1@5s..10s"]))
    world.run_until(200)

    assert [(e.at_s, e.kind) for e in world.trace if e.subject == "cable pve1-eno1"] == [
        (105.0, "fault"),
        (110.0, "restored"),
    ]


def test_an_empty_lab_is_installed_and_wired_and_holds_nothing() -> None:
    world = twin_of(rack(), empty=True)

    assert world.facts.quorate("a") == {"pve1", "pve2", "pve3"}
    assert all(osd.up for osd in world.state.osds.values())
    assert world.state.guests == {}
    assert world.facts.workload("a").guests == {}
