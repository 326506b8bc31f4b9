"""The history: what is ours survives, runs and events can be read again, on both databases."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, select

from controller import database as db
from controller.conditions import Condition, ConditionType, Status
from controller.database import HistoryAway, reading, transaction
from controller.history import Event, Judged, open_history
from controller.managed import Key, Mark, Policy
from controller.owned import OwnedRecord
from controller.plan import Plan
from controller.runs import Result
from controller.source import Revision
from controller.status import run_view, status
from lab.item import Act, Drift

LUFFY = Key("pve/a", "vm", "101")
ZORO = Key("pve/a", "vm", "102")
POLICY = Policy(frozenset({Act.OBSERVE, Act.DELETE}), protect=True, drift=Drift.REPORT)
RECORD = OwnedRecord(
    "c0ffee",
    ("guests", "luffy"),
    {"memory_bytes": 2**33, "tags": ("crew", "dns"), "onboot": True, "cpu": Mark.RESET},
    POLICY,
    needs=frozenset({Key("nas/nas1", "lun", "vms/0"), Key("pve/a", "pool", "mugiwara")}),
)


def revision(commit: str) -> Revision:
    return Revision(commit, "Nami", "Draw the map", 1_700_000_000.0)


def test_what_is_ours_is_read_back_as_it_was_by_another_process(history_url: str) -> None:
    history = open_history(history_url)
    begun = OwnedRecord("c0ffee", ("guests", "zoro"), {}, Policy(), proved=False)
    history.take_over({LUFFY: RECORD, ZORO: begun})
    history.close()

    again = open_history(history_url)
    assert again.owned() == {LUFFY: RECORD, ZORO: begun}
    again.take_over({ZORO: None, LUFFY: begun})
    assert again.owned() == {LUFFY: begun}
    again.take_over({})
    assert again.owned() == {LUFFY: begun}
    again.close()


def test_the_good_revision_seen_last_is_in_force(history_url: str) -> None:
    history = open_history(history_url)
    assert history.in_force() is None
    history.see(revision("aaa"), Judged.GOOD, "", 1.0)
    history.see(revision("bbb"), Judged.INVALID, "guests.yaml:1:1: no", 2.0)
    history.see(revision("bbb"), Judged.INVALID, "guests.yaml:1:1: no", 3.0)
    good, newest = history.in_force(), history.newest()
    assert good is not None
    assert newest is not None
    assert (good.revision, good.judged) == (revision("aaa"), Judged.GOOD)
    assert (newest.revision, newest.told, newest.seen_s) == (
        revision("bbb"), "guests.yaml:1:1: no", 2.0,
    )  # fmt: skip
    history.close()


def test_conditions_are_replaced_subject_by_subject(history_url: str) -> None:
    history = open_history(history_url)
    ready = Condition(ConditionType.READY, Status.TRUE, "InSync", "as c0ffee says", 5.0)
    drifted = Condition(ConditionType.DRIFTED, Status.FALSE, "NoDrift", "", 5.0)
    history.set_conditions({"": [ready, drifted], "guests/luffy": [ready]})
    history.set_conditions({"guests/luffy": [], "": [drifted]})
    assert history.conditions() == {"": {ConditionType.DRIFTED: drifted}}
    history.close()


def test_events_come_newest_first_and_old_ones_go(
    history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.history.KEEP_EVENTS", 3)
    history = open_history(history_url)
    history.tell([Event(float(n), "drift", "guests/luffy", f"change {n}") for n in range(5)])
    assert [event.told for event in history.events()] == ["change 4", "change 3", "change 2"]
    newest = history.events(limit=1)[0]
    assert history.events(after=newest.number) == []
    history.close()


def test_a_refusal_is_shown_once_and_never_as_a_run_under_way(history_url: str) -> None:
    history, shown = open_history(history_url), list[str]()
    other = open_history(history_url)
    event.listen(
        history.engine, "commit", lambda _: shown.extend(run.result for run in other.runs())
    )
    for now_s in (1.0, 2.0):
        history.refuse(Plan("aaa", ()), {"poll"}, "it would hurt", now_s)
    (run,) = history.runs()
    assert (run.result, run.told, run.started_s, run.ended_s) == (
        Result.REFUSED, "it would hurt", 1.0, 1.0,
    )  # fmt: skip
    assert set(shown) == {Result.REFUSED}
    other.close()
    history.close()


def test_a_run_cut_off_by_a_crash_is_ended_by_the_next_process(history_url: str) -> None:
    history = open_history(history_url)
    first = history.begin_run(Plan("aaa", ()), {"start"}, 1.0)
    history.end_run(first, Result.APPLIED, "1 done", 2.0)
    history.begin_run(Plan("bbb", ()), {"poll", "file"}, 3.0)
    history.close()

    again = open_history(history_url)
    again.end_interrupted("the controller was killed", 9.0)
    newest, oldest = again.runs()
    assert (newest.commit, newest.reasons) == ("bbb", ("file", "poll"))
    assert (newest.result, newest.ended_s) == (Result.INTERRUPTED, 9.0)
    assert (oldest.result, oldest.ended_s, oldest.told) == (Result.APPLIED, 2.0, "1 done")
    again.close()


def test_what_is_remembered_by_name_is_the_last_value(history_url: str) -> None:
    history = open_history(history_url)
    assert history.recall("plan") == ""
    history.remember({"plan": "{}"})
    history.remember({"plan": '{"waves": []}'})
    assert history.recall("plan") == '{"waves": []}'
    history.close()


def test_many_may_open_an_empty_database_at_once(history_url: str) -> None:
    failed: list[BaseException] = []
    start = threading.Barrier(6)

    def open_and_close() -> None:
        start.wait()
        try:
            open_history(history_url).close()
        except HistoryAway as error:
            failed.append(error)

    threads = [threading.Thread(target=open_and_close) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_opening_waits_for_whoever_writes_to_a_file_that_has_no_log_yet(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    later = threading.Timer(0.2, other.execute, ["COMMIT"])
    later.start()
    history = open_history(f"sqlite:///{path}")
    assert history.recall("version") == db.VERSION
    later.join()
    other.close()
    history.close()


def test_who_reads_does_not_wait_for_who_writes_and_sees_nothing_half(history_url: str) -> None:
    history = open_history(history_url)
    with transaction(history.engine) as connection:
        connection.execute(db.meta.insert(), {"name": "half", "value": "written"})
        assert history.recall("half") == ""
    assert history.recall("half") == "written"
    history.close()


def test_what_is_read_at_one_instant_shows_nothing_written_since(history_url: str) -> None:
    history = open_history(history_url)
    history.remember({"looked": "1", "plan": "first"})
    with history.at_one_instant() as seen:
        assert seen.recall("looked") == "1"
        history.remember({"looked": "2", "plan": "second"})
        assert (seen.recall("looked"), seen.recall("plan")) == ("1", "first")
        assert history.recall("plan") == "second"
    assert history.recall("looked") == "2"
    history.close()


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than one to a database at a time, and nobody waits for it."""
    few = partial(create_engine, pool_size=1, max_overflow=0, pool_timeout=0)
    monkeypatch.setattr("controller.database.create_engine", few)


@pytest.mark.usefixtures("one_connection")
def test_who_shows_the_status_holds_one_connection_and_waits_for_no_second(
    history_url: str,
) -> None:
    """Else as many as there are connections would wait for each other."""
    history = open_history(history_url)
    number = history.begin_run(Plan("aaa", ()), {"start"}, 1.0)
    assert [run.number for run in status(history).runs] == [number]
    assert run_view(history, number) is not None
    history.close()


@pytest.mark.usefixtures("one_connection")
def test_when_all_connections_are_taken_the_history_is_away(history_url: str) -> None:
    history = open_history(history_url)
    with history.at_one_instant(), pytest.raises(HistoryAway, match="limit"):
        history.recall("plan")
    assert history.recall("plan") == ""
    history.close()


def test_revisions_that_many_see_at_once_are_all_kept(history_url: str) -> None:
    history = open_history(history_url)
    with ThreadPoolExecutor(6) as threads:
        for number in range(30):
            threads.submit(history.see, revision(f"{number}"), Judged.GOOD, "", 1.0)
    with reading(history.engine) as connection:
        commits = connection.execute(select(db.revisions.c.commit)).scalars().all()
    assert sorted(map(int, commits)) == list(range(30))
    history.close()


def test_tables_of_a_newer_version_are_not_touched(history_url: str) -> None:
    history = open_history(history_url)
    history.remember({"version": "999"})
    history.close()
    with pytest.raises(HistoryAway, match="made by another version of vlab .tables 999"):
        open_history(history_url)


def test_a_transaction_that_fails_changes_nothing(history_url: str) -> None:
    history = open_history(history_url)
    row = {"device": "d", "kind": "k", "thing": "t", "proved": True, "record": "{}"}
    with (
        pytest.raises(HistoryAway, match=r"(?i)unique"),
        transaction(history.engine) as connection,
    ):
        connection.execute(db.owned.insert(), [row, row])
    assert history.owned() == {}
    history.close()


@pytest.mark.parametrize(
    "url",
    ["sqlite:////proc/nowhere/history.db", "postgresql://vlab:meat@127.0.0.1:1/vlab",
     "nosuch://x", "no url"],
)  # fmt: skip
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(HistoryAway) as away:
        open_history(url)
    assert "meat" not in str(away.value)


def test_an_approval_is_used_up_together_with_what_it_was_for(history_url: str) -> None:
    history = open_history(history_url)
    history.approve([LUFFY, ZORO])
    commits: list[str] = []
    event.listen(history.engine, "commit", lambda _connection: commits.append("commit"))

    history.take_over({LUFFY: RECORD})

    assert commits == ["commit"]
    assert history.approved() == {ZORO}
    history.close()


def test_approvals_used_up_side_by_side_are_all_used_up(history_url: str) -> None:
    history = open_history(history_url)
    keys = [Key("pve/a", "vm", str(number)) for number in range(100, 108)]
    history.approve(keys)
    together = threading.Barrier(len(keys), timeout=60)

    def take_over(key: Key) -> None:
        together.wait()
        history.take_over({key: RECORD})

    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(take_over, keys))

    assert history.approved() == frozenset()
    assert history.owned().keys() == set(keys)
    history.close()
