"""Reasons to look: collected from any thread, never lost, never more than one pass at a time."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from watchdog.events import DirModifiedEvent, FileModifiedEvent, FileOpenedEvent

from controller.triggers import TreeWatch, Triggers, WatchFailed

LONG_S = 60.0  # never waited out: a reason or a stop comes first


def test_reasons_pulled_while_nobody_waits_are_one_look() -> None:
    triggers = Triggers()
    for reason in ("webhook", "file", "webhook"):
        triggers.pull(reason)
    assert triggers.wait(LONG_S) == {"webhook", "file"}
    assert triggers.wait(0) == set()


def test_a_reason_from_another_thread_ends_the_wait() -> None:
    triggers = Triggers()
    other = threading.Thread(target=triggers.pull, args=("webhook",))
    other.start()
    assert triggers.wait(LONG_S) == {"webhook"}
    other.join()


def test_stopping_ends_the_wait_and_every_later_one() -> None:
    triggers = Triggers()
    other = threading.Thread(target=triggers.stop)
    other.start()
    assert triggers.wait(LONG_S) == set()
    assert triggers.wait(LONG_S) == set()
    assert triggers.stopped
    other.join()


def test_a_change_in_a_watched_folder_says_look_now(tmp_path: Path) -> None:
    triggers = Triggers()
    with TreeWatch(tmp_path, triggers):
        (tmp_path / "guests.yaml").write_text("guests: {}\n")
        assert triggers.wait(LONG_S) == {"file"}


def test_our_own_state_in_the_watched_folder_is_no_reason(tmp_path: Path) -> None:
    triggers = Triggers()
    watch = TreeWatch(tmp_path, triggers, besides=tmp_path / ".vlab")
    watch.on_any_event(FileModifiedEvent(str(tmp_path / ".vlab" / "history.db")))
    watch.on_any_event(DirModifiedEvent(str(tmp_path / ".vlab")))
    watch.on_any_event(FileOpenedEvent(str(tmp_path / "guests.yaml")))
    assert triggers.wait(0) == set()
    watch.on_any_event(FileModifiedEvent(str(tmp_path / "guests.yaml")))
    assert triggers.wait(0) == {"file"}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WatchFailed, match="nowhere can't be watched: No such file"):
        TreeWatch(tmp_path / "nowhere", Triggers()).__enter__()


def test_a_signal_ends_the_wait_of_the_thread_that_it_interrupts() -> None:
    triggers = Triggers()
    before = signal.signal(signal.SIGALRM, lambda *_: triggers.stop_soon())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert triggers.wait(LONG_S) == set()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert triggers.stopped
