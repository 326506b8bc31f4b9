"""kill -9 of the whole controller, anywhere: history, journal and device agree afterwards.

A real process is killed after each event in turn: a journal record that is safe, a change that the
device made, before a transaction of the history. The next process of the same installation goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from controller.history import History
from controller.managed import Key
from controller.owned import OwnedRecord
from controller.reconcile import Ending
from tests.controller.remotes import Remote
from tests.controller.shelf import ManualClock, Shelf
from tests.controller.station import Station, crew, station

BEFORE = """
guests:
  zoro: {vmid: 102, cluster: a, cores: 2, memory: 2GiB, manage: [observe, create, update, delete]}
  nami: {vmid: 103, cluster: a, cores: 2, memory: 2GiB, manage: [observe, create, update, delete]}
"""
AFTER = """
guests:
  luffy: {vmid: 101, cluster: a, cores: 4, memory: 8GiB, pool: mugiwara}
  nami: {vmid: 103, cluster: a, cores: 1, memory: 2GiB, manage: [observe, create, update, delete]}
"""
MOST_EVENTS = 60
T0_S = 1_700_000_000.0
Owned = dict[Key, OwnedRecord]


def started(folder: Path, now_s: float) -> Station:
    """A process of the installation in `folder`."""
    clock = ManualClock(now_s)
    port = Shelf(folder / "shelf-a", clock)
    return Station(folder / "state", port, Remote(folder / "lab.git", fresh=False), clock)


def child(folder: str, fatal: int) -> None:
    """Make passes until in sync, and die after the event number `fatal`."""
    made = started(Path(folder), T0_S + 100)
    left = fatal

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    keep = made.journal._after_record

    def recorded(record: object) -> None:
        count()
        if keep is not None:
            keep(record)  # type: ignore[arg-type]

    made.journal._after_record = recorded
    made.port.on_event = count
    listen_to_writes(made.history, count)
    while made.passes("poll").ending is not Ending.IN_SYNC:
        pass
    made.stop()


def listen_to_writes(history: History, count: Callable[[], None]) -> None:
    """Call `count` when a transaction that wrote more than the lease is about to be committed."""
    wrote = False

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal wrote
        wrote = wrote or not statement.startswith(("SELECT", "PRAGMA", "INSERT INTO lease"))

    def committed(_connection: object) -> None:
        nonlocal wrote
        if wrote:
            wrote = False
            count()

    event.listen(history.engine, "after_cursor_execute", executed)
    event.listen(history.engine, "commit", committed)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """An installation at BEFORE whose remote has moved on to AFTER; to be copied."""
    folder = tmp_path / "before"
    folder.mkdir()
    made = station(folder)
    made.remote.commit({"a.yaml": crew(BEFORE)})
    assert [made.passes().ending for _ in range(2)] == [Ending.APPLIED, Ending.IN_SYNC]
    made.remote.commit({"a.yaml": crew(AFTER)})
    made.stop()
    return folder


def copy(before: Path, folder: Path) -> Path:
    return Path(shutil.copytree(before, folder))


def end(folder: Path, now_s: float) -> tuple[Owned, object, list[str], list[tuple[str, str]]]:
    """What one more process comes to: what is ours, documents, changes made, runs."""
    made = started(folder, now_s)
    endings = [made.passes("start").ending]
    while endings[-1] is not Ending.IN_SYNC:
        endings.append(made.passes("verify").ending)
        assert len(endings) < 5
    assert made.journal.records == []
    assert {str(type_): c.reason for type_, c in made.history.conditions()[""].items()} == {
        "Ready": "InSync",
        "Reconciling": "Idle",
        "Stalled": "Progressing",
        "Safe": "NotRehearsed",
        "Drifted": "NoDrift",
    }
    runs = [(str(run.result), run.commit) for run in made.history.runs()]
    found = (made.history.owned(), made.port.documents(), made.port.log, runs)
    unfinished(made.history)
    made.stop()
    return found


def unfinished(history: History) -> None:
    """No run is left open."""
    assert all(run.ended_s is not None for run in history.runs())


def test_killed_at_any_event_the_next_process_ends_with_the_same_history(
    before: Path, tmp_path: Path
) -> None:
    owned, documents, log, _ = end(copy(before, tmp_path / "undisturbed"), T0_S + 100)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.controller.station"])
    for number in range(1, MOST_EVENTS):
        folder = copy(before, tmp_path / str(number))
        process = processes.Process(target=child, args=(str(folder), number))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        again = end(folder, T0_S + 105)
        assert again[0] == owned
        assert again[1] == documents
        assert sorted(again[2]) == sorted(log)  # nothing twice, nothing left out
        assert {result for result, _ in again[3]} <= {"applied", "interrupted"}
    assert 25 < number < MOST_EVENTS
