"""Looking at devices: each question once, silence is unknown, and nothing else is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from controller.managed import Key
from controller.observe import look_at, observe
from controller.step import Answers, Query, Unanswered
from lab.errors import DeviceError
from tests.controller.shelf import KINDS, Guest, ManualClock, Pool, Shelf, device, shelf

GUEST = Key("shelf/a", "guest", "101")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def port(tmp_path: Path, clock: ManualClock) -> Shelf:
    made = shelf(tmp_path, clock)
    made.by_hand("pool", "mugiwara", comment="the company")
    made.by_hand("guest", "101", name="luffy", pool="mugiwara", memory_mib=8)
    made.by_hand("guest", "102", name="zoro", tags="running")
    return made


def test_everything_of_our_kinds_is_seen_and_each_question_asked_once(
    port: Shelf, clock: ManualClock
) -> None:
    observed = observe([device(port)], clock)
    assert sorted(map(str, observed.things)) == [
        "shelf/a guest 101", "shelf/a guest 102", "shelf/a options main", "shelf/a pool mugiwara",
    ]  # fmt: skip
    assert observed.things[GUEST].values["memory_bytes"] == 8 * 2**20
    assert observed.things[GUEST].needs == {Key("shelf/a", "pool", "mugiwara")}
    assert len(port.asked) == len(set(port.asked))
    assert observed.kinds == {"shelf/a": KINDS}


def test_documents_are_kept_word_for_word(port: Shelf, clock: ManualClock) -> None:
    documents = observe([device(port)], clock).documents["shelf/a"]
    assert documents["/guest/101"] == {"name": "luffy", "pool": "mugiwara", "memory_mib": 8}
    assert documents["/guest"] == ["101", "102"]


def test_what_is_around_the_things_comes_with_them(port: Shelf, clock: ManualClock) -> None:
    context = observe([device(port)], clock).context("shelf/a")
    assert context.running == {Key("shelf/a", "guest", "102")}


def test_a_denied_list_leaves_that_kind_unknown_and_the_others_known(
    port: Shelf, clock: ManualClock
) -> None:
    port.deny.add("/pool")
    observed = observe([device(port)], clock)
    assert observed.unknown == {("shelf/a", "pool"): "shelf/a: /pool: permission denied"}
    assert not observed.known(Key("shelf/a", "pool", "anything"))
    assert observed.known(Key("shelf/a", "guest", "999"))
    assert GUEST in observed.things
    assert observed.documents["shelf/a"]["/pool"] == Unanswered("shelf/a: /pool: permission denied")
    assert clock.slept == []


def test_an_answer_about_one_thing_that_fails_leaves_that_thing_alone_unknown(
    port: Shelf, clock: ManualClock
) -> None:
    port.deny.add("/guest/101")
    observed = observe([device(port)], clock)
    assert list(observed.doubtful) == [GUEST]
    assert GUEST not in observed.things
    assert not observed.known(GUEST)
    assert Key("shelf/a", "guest", "102") in observed.things


def test_a_device_that_is_off_is_unknown_and_the_other_one_known(
    port: Shelf, clock: ManualClock, tmp_path: Path
) -> None:
    other = shelf(tmp_path, clock, "shelf/b")
    other.down = True
    observed = observe([device(port), device(other)], clock)
    assert {name for name, _ in observed.unknown} == {"shelf/b"}
    assert len(observed.unknown) == len(KINDS)
    assert GUEST in observed.things


def test_what_may_be_answered_later_is_asked_again_a_few_times(
    port: Shelf, clock: ManualClock
) -> None:
    port.busy = {"/guest": 2, "/pool": 1}
    observed = observe([device(port)], clock)
    assert not observed.unknown
    assert GUEST in observed.things
    assert clock.slept == [1.0, 2.0]


def test_asking_again_has_an_end(port: Shelf, clock: ManualClock) -> None:
    port.busy = {"/guest": 1000}
    observed = observe([device(port)], clock)
    assert "got timeout" in observed.unknown["shelf/a", "guest"]
    assert port.asked.count("/guest") == 3


def test_an_answer_that_a_kind_cannot_read_leaves_it_unknown(
    port: Shelf, clock: ManualClock
) -> None:
    (port.folder / "guest" / "101.json").write_text('["a list"]')
    observed = observe([device(port)], clock)
    assert observed.unknown == {("shelf/a", "guest"): "shelf/a: /guest/101 is no map"}
    assert Key("shelf/a", "pool", "mugiwara") in observed.things


@pytest.mark.parametrize("found", ['{"memory_mib": {}}', '{"tags": 7}', '"cut sho"', "[[]]"])
def test_an_answer_in_a_form_that_nobody_knows_stops_nothing_else(
    found: str, port: Shelf, clock: ManualClock, tmp_path: Path
) -> None:
    (port.folder / "guest" / "101.json").write_text(found)
    other = shelf(tmp_path, clock, "shelf/b")
    other.by_hand("guest", "201", name="nami", memory_mib=8)

    observed = observe([device(port), device(other)], clock)

    assert set(observed.unknown) == {("shelf/a", "guest")}
    assert observed.unknown["shelf/a", "guest"].startswith("shelf/a: ")
    assert Key("shelf/a", "pool", "mugiwara") in observed.things
    assert Key("shelf/b", "guest", "201") in observed.things


def test_a_list_in_a_form_that_nobody_knows_leads_to_no_question(
    port: Shelf, clock: ManualClock
) -> None:
    port.says["/guest"] = 7
    observed = observe([device(port)], clock)
    assert set(observed.unknown) == {("shelf/a", "guest")}
    assert isinstance(look_at(device(port), GUEST, clock), Unanswered)


def test_one_thing_is_looked_at_without_asking_for_the_others(
    port: Shelf, clock: ManualClock
) -> None:
    found = look_at(device(port), GUEST, clock)
    assert isinstance(found, Guest)
    assert port.asked == ["/guest", "/guest/101"]
    assert look_at(device(port), Key("shelf/a", "guest", "999"), clock) is None


def test_one_thing_that_does_not_answer_is_not_absent(port: Shelf, clock: ManualClock) -> None:
    port.deny.add("/guest/101")
    assert isinstance(look_at(device(port), GUEST, clock), Unanswered)
    port.down = True
    assert isinstance(look_at(device(port), Key("shelf/a", "guest", "999"), clock), Unanswered)
    old = Key("shelf/a", "teapot", "1")
    assert look_at(device(port), old, clock) == Unanswered(
        "shelf/a has no kind teapot in this version"
    )


class Listed(Pool):
    """Is read from the list alone."""

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        yield cls.made(device, "mugiwara", {})


def test_a_thing_whose_own_answer_failed_is_not_taken_as_there(
    port: Shelf, clock: ManualClock
) -> None:
    port.deny.add("/pool/mugiwara")
    observed = observe([device(port, (Listed,))], clock)
    assert (list(observed.things), len(observed.doubtful)) == ([], 1)


class Slow(Shelf):
    """Answers a question only once another one is put at the same time."""

    barrier = threading.Barrier(2, timeout=60)

    def ask(self, query: Query) -> object:
        if query.path.startswith("/guest/"):
            self.barrier.wait()
        return super().ask(query)


def test_questions_are_put_side_by_side(port: Shelf, clock: ManualClock) -> None:
    slow = Slow(port.folder, clock)
    assert len(observe([device(slow)], clock, parallel=2).things) == 4


class Tedious(Shelf):
    """Every answer takes its time."""

    def ask(self, query: Query) -> object:
        self.clock.sleep(50.0)
        return super().ask(query)


def test_a_look_that_takes_too_long_leaves_the_rest_unanswered(
    port: Shelf, clock: ManualClock
) -> None:
    observed = observe([device(Tedious(port.folder, clock))], clock)
    assert observed.unknown["shelf/a", "ha"].endswith("the look took longer than 120 s")


def test_a_tedious_device_leaves_the_others_their_time(
    port: Shelf, clock: ManualClock, tmp_path: Path
) -> None:
    tedious = Tedious(shelf(tmp_path, clock, "shelf/b").folder, clock, "shelf/b")
    observed = observe([device(tedious), device(port)], clock)
    assert {name for name, _ in observed.unknown} == {"shelf/b"}
    assert GUEST in observed.things


class Stuck(Shelf):
    """Answers once the other device has been seen."""

    seen = threading.Event()

    def ask(self, query: Query) -> object:
        assert self.seen.wait(60), "nobody looked at the other one meanwhile"
        return super().ask(query)


class Quick(Shelf):
    """Says when the last question was put."""

    def ask(self, query: Query) -> object:
        if query.path == "/guest/102":
            Stuck.seen.set()
        return super().ask(query)


def test_devices_are_looked_at_side_by_side(
    port: Shelf, clock: ManualClock, tmp_path: Path
) -> None:
    stuck = Stuck(shelf(tmp_path, clock, "shelf/b").folder, clock, "shelf/b")
    ports = [device(stuck), device(Quick(port.folder, clock))]
    assert not observe(ports, clock, parallel=2).unknown


def test_what_was_waited_for_long_is_not_waited_for_again(port: Shelf, clock: ManualClock) -> None:
    class Hanging(Shelf):
        def ask(self, query: Query) -> object:
            if query.path != "/pool":
                return super().ask(query)
            self.asked.append(query.text)
            self.clock.sleep(30.0)
            raise DeviceError(self.device, "no answer within 30 s", retryable=True)

    hanging = Hanging(port.folder, clock)
    observed = observe([device(hanging)], clock)
    assert observed.unknown == {("shelf/a", "pool"): "shelf/a: no answer within 30 s"}
    assert hanging.asked.count("/pool") == 1


class Endless(Pool):
    """Every answer leads to another question."""

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield Query("/pool", {"page": len(answers)})


def test_a_kind_that_never_stops_asking_is_our_own_mistake(port: Shelf, clock: ManualClock) -> None:
    with pytest.raises(AssertionError, match="still asking after 16 rounds: /pool"):
        observe([device(port, (Endless,))], clock)


@dataclass
class Many(Shelf):
    """So many guests, from memory."""

    guests: int = 0

    def ask(self, query: Query) -> object:
        if query.path == "/guest":
            return [str(number) for number in range(100, 100 + self.guests)]
        if query.path.startswith("/guest/"):
            return {"name": query.path, "memory_mib": 1}
        raise DeviceError(self.device, "nothing else", status=404)


def calls_for(port: Many) -> int:
    """How many calls of functions, of Python and of C, a look at all of its guests takes."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        observed = observe([device(port)], port.clock)
    finally:
        sys.setprofile(before)
    assert len(observed.things) == port.guests
    return calls


def test_ten_times_as_many_guests_are_ten_times_the_work(
    tmp_path: Path, clock: ManualClock
) -> None:
    few, many = (calls_for(Many(tmp_path, clock, guests=guests)) for guests in (100, 1000))
    assert many < 12 * few
