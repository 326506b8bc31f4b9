"""A silent device: given up for the length of a pass; a slow one is not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from controller.execute import execute
from controller.journal import Journal
from controller.managed import Key
from controller.observe import look_at, observe
from controller.perform import Fate
from controller.planning import plan_changes
from controller.silence import PatientPort
from controller.step import Query, Step, Unanswered
from controller.world import World
from lab.errors import DeviceError
from tests.controller.shelf import CLUSTERS, KINDS, ManualClock, Shelf, device, shelf
from tests.controller.station import crew, station
from tests.labs import lab_of

ANSWER_S = 30.0
GUEST = Key("shelf/a", "guest", "101")


@dataclass
class Deaf(Shelf):
    """Takes calls; those to `hung` paths, or all while `silent`, are never answered."""

    silent: bool = False
    hung: Collection[str] = field(default_factory=set)
    waited: int = 0  # calls that somebody waited for in vain

    def ask(self, query: Query) -> object:
        self._hang(query.path)
        return super().ask(query)

    def send(self, step: Step) -> object:
        self._hang()
        return super().send(step)

    def settle(self, step: Step, since_s: float) -> None:
        """Knows without asking: what was told has ended with its answer."""

    def _hang(self, path: str = "") -> None:
        if self.silent or path in self.hung:
            self.waited += 1
            self.clock.sleep(ANSWER_S)
            raise DeviceError(self.device, "no answer within 30 s", retryable=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def port(tmp_path: Path, clock: ManualClock) -> Deaf:
    made = Deaf(shelf(tmp_path, clock).folder, clock)
    made.by_hand("pool", "mugiwara", comment="the company")
    made.by_hand("guest", "101", name="luffy", pool="mugiwara")
    return made


def _pass(clock: ManualClock, *ports: Shelf) -> World:
    return World([device(port) for port in ports], Journal(), clock).patient()


def test_a_silent_device_is_waited_for_a_minute_in_all(
    port: Deaf, clock: ManualClock, tmp_path: Path
) -> None:
    port.silent = True
    other = shelf(tmp_path, clock, "shelf/b")
    world, begun_s = _pass(clock, port, other), clock.now()

    observed = observe(world.devices, clock)

    assert {name for name, _ in observed.unknown} == {"shelf/a"}
    assert len(observed.unknown) == len(KINDS)
    given_up = "shelf/a: it is silent, and not asked again in this pass: no answer within 30 s"
    assert list(observed.unknown.values()).count(given_up) == len(KINDS) - 2
    assert (port.waited, clock.now() - begun_s) == (2, 60.0)
    assert isinstance(look_at(world.devices[0], GUEST, clock), Unanswered)
    assert port.waited == 2


def test_the_next_pass_asks_it_again_but_not_for_long(port: Deaf, clock: ManualClock) -> None:
    port.silent = True
    world = World([device(port)], Journal(), clock)
    assert observe(world.patient().devices, clock).unknown
    assert port.waited == 2
    for more in (1, 2):
        assert len(observe(world.patient().devices, clock).unknown) == len(KINDS)
        assert port.waited == 2 + more
    port.silent = False
    assert not observe(world.patient().devices, clock).unknown
    port.silent = True
    assert observe(world.patient().devices, clock).unknown
    assert port.waited == 4 + 2


def test_a_device_that_starts_refuses_for_as_long_as_it_likes(
    port: Deaf, clock: ManualClock
) -> None:
    ways = PatientPort(port, clock, {"shelf/a"})
    port.down = True
    for _ in range(100):
        with pytest.raises(DeviceError, match="no route to host"):
            ways.ask(Query("/pool"))
    port.down = False
    assert ways.ask(Query("/pool")) == ["mugiwara"]
    port.silent = True
    with pytest.raises(DeviceError, match="no answer within 30 s"):
        ways.ask(Query("/pool"))
    assert not ways.given_up


def test_a_device_that_falls_silent_is_asked_once_more_what_it_has_answered(
    port: Deaf, clock: ManualClock
) -> None:
    world = _pass(clock, port)
    assert look_at(world.devices[0], GUEST, clock)
    known = port.asked[-1]
    port.silent = True
    assert observe(world.devices, clock).unknown
    port.silent = False
    assert observe(world.devices, clock).unknown
    assert (port.waited, port.asked[-1]) == (3, known)


def test_questions_that_hang_leave_a_living_device_known(port: Deaf, clock: ManualClock) -> None:
    port.hung = {"/guest", "/ha", "/guest/101"}
    observed = observe(_pass(clock, port).devices, clock)
    assert {kind for _, kind in observed.unknown} == {"guest", "ha"}
    assert Key("shelf/a", "pool", "mugiwara") in observed.things


def test_a_slow_device_is_waited_for(port: Deaf, clock: ManualClock) -> None:
    world = _pass(clock, port)
    ways = world.devices[0].port
    for _ in range(5):
        port.silent = True
        with pytest.raises(DeviceError, match="no answer within 30 s"):
            ways.ask(Query("/pool"))
        port.silent = False
        assert ways.ask(Query("/pool")) == ["mugiwara"]


def test_refusals_and_broken_connections_cost_no_patience(port: Deaf, clock: ManualClock) -> None:
    ways = PatientPort(port, clock, set())
    port.down = True
    for _ in range(100):
        clock.sleep(10.0)
        with pytest.raises(DeviceError, match="no route to host"):
            ways.ask(Query("/pool"))
    port.down = False
    assert ways.ask(Query("/pool")) == ["mugiwara"]


def test_another_device_that_is_silent_is_not_held_against_this_one(
    port: Deaf, clock: ManualClock
) -> None:
    class Borrowing(Deaf):
        def send(self, step: Step) -> object:
            self.clock.sleep(100.0)
            raise DeviceError("shelf/b", "no answer, where the key is", retryable=True)

    world = _pass(clock, Borrowing(port.folder, clock))
    plan = plan_changes(
        lab_of(CLUSTERS, "pools: {p: {}}", rules=False), observe(world.devices, clock), {}, "c0ffee"
    )
    outcome = execute(plan, world.devices, world.journal, clock)
    assert "where the key is" in outcome.results[-1].reason
    assert not isinstance(look_at(world.devices[0], GUEST, clock), Unanswered)


def test_nothing_more_is_sent_to_a_device_that_falls_silent(
    port: Deaf, clock: ManualClock, tmp_path: Path
) -> None:
    other = shelf(tmp_path, clock, "shelf/b")
    world = _pass(clock, port, other)
    names = [f"p{number:02}" for number in range(20)]
    clusters = CLUSTERS.replace("}}}", "}}, b: {version: '8', corosync: {links: []}}}")
    both = lab_of(clusters, f"pools: {dict.fromkeys(names, {})}", rules=False)
    plan = plan_changes(both, observe(world.devices, clock), {}, "c0ffee")
    begun_s = clock.now()
    port.silent = True

    outcome = execute(plan, world.devices, world.journal, clock)

    mine = [result for result in outcome.results if result.operation.key.device == "shelf/a"]
    sent = [result for result in mine if result.fate is not Fate.DONE]
    assert [result.fate for result in sent][:2] == [Fate.IN_DOUBT, Fate.SKIPPED]
    assert {result.fate for result in sent[1:]} == {Fate.SKIPPED}
    assert sent[-1].reason.startswith("it is silent, and not asked again in this pass")
    assert port.waited == 3  # the step, a look, what it had answered before
    assert clock.now() - begun_s < 100.0
    assert len(other.log) == len(names)
    assert not port.log


def test_a_pass_with_a_silent_device_ends_soon_and_the_next_one_resumes(tmp_path: Path) -> None:
    clock = ManualClock()
    port = Deaf(shelf(tmp_path, clock).folder, clock)
    here = station(tmp_path, port=port, clock=clock)
    here.remote.commit({"lab.yaml": crew().encode()}, "the crew")
    port.silent = True
    begun_s = clock.now()
    assert here.passes().ending == "not all was seen"
    assert clock.now() - begun_s < 120.0
    assert not port.log
    port.silent = False
    assert here.passes().ending == "applied"
    assert here.passes().ending == "in sync"
    here.stop()
