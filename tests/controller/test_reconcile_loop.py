"""The loop: who may write, what wakes it, what stops it, and what it survives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from controller import lease
from controller.database import transaction
from controller.gate import Judgement
from controller.lease import LIFETIME_S, SKEW_S
from controller.observed import Observed
from controller.plan import Plan
from controller.reconcile import Ending, Pass
from controller.settings import Apply
from controller.status import Sync, run_view, status
from controller.step import Step
from controller.triggers import TreeWatch, Triggers
from lab.errors import DeviceError
from lab.lab import Lab
from tests.controller.station import LUFFY, Station, crew, station

LONG_S = LIFETIME_S + SKEW_S + 1


@pytest.fixture
def east(tmp_path: Path, history_url: str) -> Iterator[Station]:
    made = station(tmp_path, name="east", holder="east", history_url=history_url)
    made.remote.commit({"a.yaml": crew()})
    yield made
    made.stop()


@pytest.fixture
def west(east: Station, tmp_path: Path, history_url: str) -> Iterator[Station]:
    """A second controller of the same lab: the same remote, device and history."""
    more: dict[str, Any] = {"remote": east.remote, "port": east.port, "clock": east.clock}
    made = station(tmp_path, name="west", holder="west", history_url=history_url, **more)
    yield made
    made.stop()


def test_of_two_controllers_one_writes_and_both_show_the_same(east: Station, west: Station) -> None:
    assert east.passes("start").ending is Ending.APPLIED
    assert west.controller.once({"start"}) is None
    east.passes("verify")
    east.remote.commit({"a.yaml": crew(LUFFY)})
    assert west.controller.once({"poll"}) is None
    assert "guest/101" not in east.port.documents()
    assert east.passes().ending is Ending.APPLIED
    east.passes("verify")
    shown = status(west.history)
    assert (shown.sync, shown.lease and shown.lease.holder) == (Sync.IN_SYNC, "east")
    assert shown == status(east.history)


def test_the_other_controller_goes_on_where_the_first_one_died(
    east: Station, west: Station
) -> None:
    east.passes()
    east.passes()
    east.remote.commit({"a.yaml": crew(LUFFY)})

    class Killed(BaseException):
        """The process is gone."""

    def die(_step: Step) -> None:
        if any("guest" in line for line in east.port.log):
            raise Killed

    east.port.on_event = die
    with pytest.raises(Killed):
        east.controller.once({"poll"})
    assert "guest/101" in east.port.documents()
    east.port.on_event = None
    east.clock.now_s += LIFETIME_S - 1
    assert west.controller.once({"poll"}) is None
    east.clock.now_s += LONG_S

    # What the first one made and did not live to prove is no stranger to the second one.
    west.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    assert west.passes("poll").ending is Ending.APPLIED
    assert west.passes("verify").ending is Ending.IN_SYNC
    assert [line for line in west.port.log if "guest" in line] == [
        "POST /guest id=101 name=luffy cores=4 memory_mib=8192 pool=mugiwara",
        "PUT /guest/101 cores=2",
    ]
    results = [run.result for run in west.history.runs()]
    assert sorted(results) == ["applied", "applied", "interrupted"]


def test_what_a_returning_controller_has_in_its_journal_does_not_undo_what_was_done_since(
    east: Station, west: Station
) -> None:
    east.remote.commit({"a.yaml": crew(LUFFY)})
    east.passes()
    held = [dict(record) for record in _records_of_a_dying_run(east)]
    assert held
    east.clock.now_s += LONG_S
    west.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 8"))})
    while west.passes().ending is not Ending.IN_SYNC:
        pass
    ours = west.history.owned()
    west.clock.now_s += LONG_S
    assert east.passes("start").ending is Ending.IN_SYNC
    assert east.history.owned() == ours
    assert east.journal.records == []


def _records_of_a_dying_run(made: Station) -> list[Any]:
    """Leave a proved operation in the journal that the history was not told of."""

    class Killed(BaseException):
        """The process is gone."""

    def die(*_: object) -> None:
        raise Killed

    made.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
    progress = made.history.progress
    made.history.progress = die  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        made.controller.once({"poll"})
    made.history.progress = progress  # type: ignore[method-assign]
    return list(made.journal.records)


def test_a_controller_that_lost_the_lease_during_a_run_stops_before_the_next_step(
    east: Station, west: Station
) -> None:
    def slow(_step: Step) -> None:
        east.clock.now_s += LONG_S
        assert lease.acquire(west.history.engine, "west", east.clock.now()) is not None

    east.remote.commit({"a.yaml": crew(LUFFY)})
    east.port.on_event = slow
    assert east.controller.once({"start"}) is None
    assert len(east.port.log) == 1  # the first of two
    assert [str(run.result) for run in east.history.runs()] == ["interrupted"]
    assert "west took the lease over" in east.history.runs()[0].told
    east.port.on_event = None
    assert west.passes("poll").ending is Ending.APPLIED
    assert len(east.port.log) == len(set(east.port.log))


def test_being_stopped_during_a_run_ends_it_after_the_operation(east: Station) -> None:
    east.remote.commit({"a.yaml": crew(LUFFY)})
    east.port.on_event = lambda _step: east.triggers.stop()
    east.controller.run()
    assert len(east.port.log) == 1
    assert [run.result for run in east.history.runs()] == ["interrupted"]
    assert east.condition("Reconciling") == ("False", "Interrupted")
    held = lease.current(east.history.engine)
    assert held is not None
    assert held.until_s == 0.0  # let go
    assert east.journal.records  # and what was done is in the journal
    east.port.on_event = None
    east.triggers = Triggers()
    east.again()
    assert east.passes("start").ending is Ending.APPLIED
    assert len(east.port.log) == len(set(east.port.log))


class Watcher:
    """A gate that lets everything through and tells another thread when a pass came by."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)

    def __call__(self, _plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
        self.came.release()
        return Judgement()


def test_the_loop_passes_at_the_start_and_after_each_trigger_until_it_is_stopped(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    gate = Watcher()
    made = station(tmp_path, gate=gate, apply=Apply.REPORT)
    made.remote.commit({"a.yaml": crew()})
    loop = threading.Thread(target=made.controller.run)
    with TreeWatch(tree, made.triggers):
        loop.start()
        assert gate.came.acquire(timeout=60)
        made.remote.commit({"a.yaml": crew(LUFFY)})
        made.triggers.pull("webhook")
        assert gate.came.acquire(timeout=60)
        made.remote.commit({"a.yaml": crew(LUFFY.replace("cores: 4", "cores: 2"))})
        (tree / "touched").touch()
        assert gate.came.acquire(timeout=60)
    made.triggers.stop()
    loop.join(60)
    assert not loop.is_alive()
    made.stop()


def test_the_timers_wake_the_loop(tmp_path: Path) -> None:
    made = station(tmp_path)
    made.remote.commit({"a.yaml": crew()})
    seen: list[set[str]] = []
    once = made.controller.once

    def noting(reasons: set[str]) -> Pass | None:
        done = once(reasons)
        if "verify" not in reasons:
            seen.append(set(reasons))
        made.clock.now_s += 16  # the clock goes on while nobody triggers anything
        if len(seen) == 3:
            made.triggers.stop()
        return done

    made.controller.once = noting  # type: ignore[method-assign,assignment]
    made.controller.run()
    assert seen[0] == {"start"}
    assert {"drift"} in seen[1:]
    assert any("poll" in reasons for reasons in seen[1:])
    made.stop()


def test_the_loop_goes_on_when_the_clock_is_set_back(tmp_path: Path) -> None:
    made = station(tmp_path)
    made.remote.commit({"a.yaml": crew()})
    made.passes("start")
    made.passes("verify")
    seen: list[set[str]] = []

    def noting(reasons: set[str]) -> None:
        seen.append(set(reasons))
        if len(seen) == 2:
            made.triggers.stop()
        once(reasons)
        made.clock.now_s -= 3600

    once = made.controller.once
    made.controller.once = noting  # type: ignore[method-assign,assignment]
    bound = threading.Timer(60, made.triggers.stop)
    bound.start()
    made.triggers.wait(0)
    made.controller.run()
    bound.cancel()
    bound.join()
    assert seen == [{"start"}, {"poll", "drift"}]
    made.stop()


def test_what_is_applied_is_verified_at_once_and_a_tug_of_war_goes_by_the_timer(
    east: Station,
) -> None:
    east.remote.commit({"a.yaml": crew(LUFFY)})
    woken: list[set[str]] = []
    for _ in range(4):
        assert east.passes("drift" if woken else "start").ending is Ending.APPLIED
        woken.append(east.triggers.wait(0))
        east.port.by_hand("guest", "101", cores=1)
    assert woken == [{"verify"}, {"verify"}, set(), set()]  # made, corrected, and again, and again
    east.port.by_hand("guest", "101", cores=4)
    assert east.passes("drift").ending is Ending.IN_SYNC


def test_a_database_that_is_away_stops_the_acting_and_not_the_loop(
    east: Station, history_url: str
) -> None:
    east.passes()
    east.passes()
    with transaction(east.history.engine) as connection:
        connection.execute(text("ALTER TABLE lease RENAME TO gone"))
    sent = east.port.sent
    east.remote.commit({"a.yaml": crew(LUFFY)})
    assert east.controller.once({"poll"}) is None
    assert east.port.sent == sent
    with transaction(east.history.engine) as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO lease"))
    assert east.passes().ending is Ending.APPLIED


def test_an_error_of_the_gate_is_a_condition_and_the_next_pass_tries_again(
    tmp_path: Path,
) -> None:
    broken = [True]

    def gate(_plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
        if broken:
            raise DeviceError("twin", "has no such kind")
        return Judgement()

    made = station(tmp_path, gate=gate)
    made.remote.commit({"a.yaml": crew(LUFFY)})
    assert made.controller.once({"start"}) is None
    assert made.condition("Stalled") == ("True", "DeviceError")
    assert made.port.sent == 0
    broken.clear()
    assert made.passes().ending is Ending.APPLIED
    made.stop()


def test_in_sync_is_said_of_a_commit_only_after_a_look_at_the_lab(tmp_path: Path) -> None:
    said: list[tuple[Sync, str]] = []

    def gate(_plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
        now = status(made.history)
        said.append((now.sync, now.in_force.subject if now.in_force else ""))
        return Judgement()

    made = station(tmp_path, gate=gate)
    made.remote.commit({"a.yaml": crew()}, "Sign on a crew")
    made.passes("start")
    made.passes("verify")
    assert status(made.history).sync is Sync.IN_SYNC
    made.remote.commit({"a.yaml": crew(LUFFY)}, "Bring luffy aboard")
    made.passes()
    assert said[-1] == (Sync.RECONCILING, "Bring luffy aboard")
    made.passes("verify")
    assert status(made.history).sync is Sync.IN_SYNC
    made.stop()


def test_status_shows_it_all_and_secrets_nowhere(east: Station) -> None:
    shown = status(east.history)
    assert (shown.sync, shown.in_force, shown.plan, shown.lease) == (Sync.UNKNOWN, None, None, None)
    east.remote.commit({"a.yaml": crew(LUFFY)}, "Bring luffy aboard")
    east.passes()
    assert status(east.history).sync is Sync.RECONCILING
    east.passes("verify")
    bad = east.remote.commit({"a.yaml": crew("guests: 7")})
    east.passes()
    shown = status(east.history)
    assert shown.sync is Sync.OUT_OF_SYNC
    assert shown.in_force is not None
    assert shown.newest is not None
    assert (shown.in_force.subject, shown.newest.commit) == ("Bring luffy aboard", bad)
    assert (shown.newest.judged, "guests" in shown.newest.told) == ("invalid", True)
    assert [each.type for each in shown.conditions] == [
        *("Ready", "Reconciling", "Stalled", "Safe", "Drifted")
    ]
    assert "guests/luffy" in [each.subject for each in shown.objects]
    assert shown.looked_s == east.clock.now()
    run = run_view(east.history, shown.runs[0].number)
    assert run is not None
    created = next(done for done in run.operations if done.kind == "guest")
    assert (created.subject, created.action, created.state) == ("guests/luffy", "create", "done")
    assert "8GiB" in [change.new for change in created.changes]
    assert run_view(east.history, 999) is None
    assert type(shown).model_validate_json(shown.model_dump_json()) == shown
    kinds = {event.kind for event in shown.events}
    assert {"commit", "condition"} <= kinds
