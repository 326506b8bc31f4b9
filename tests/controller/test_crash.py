"""Stopped after every journal record and every effect in turn, and started again: the same end.

Once by an exception that nothing catches, once by kill -9 of a real process. The device lives on.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.journal import FileJournal
from controller.managed import Key
from controller.owned import OwnedRecord
from tests.controller.passes import Passes
from tests.controller.shelf import ManualClock, Shelf, shelf

BEFORE = """
pools: {old: {manage: [create, update, delete]}, mugiwara: {comment: once}}
guests: {zoro: {vmid: 102, cluster: a, cores: 2, manage: [create, update, delete],
                disks: {scsi0: {storage: vm, size: 4GiB}, scsi1: {storage: vm, size: 4GiB}}}}
"""
AFTER = """
pools: {mugiwara: {comment: the company}}
guests:
  luffy: {vmid: 101, cluster: a, cores: 8, pool: mugiwara, tags: [x], ha: {restart: 1}}
  zoro: {vmid: 102, cluster: a, cores: 4, manage: [create, update, delete],
         disks: {scsi0: {storage: vm, size: 4GiB}}}
"""
MOST_EVENTS = 60
Stop = Callable[[], None]
Owned = dict[Key, OwnedRecord]
Device = tuple[Path, Owned]
"""Where it is, and what is ours of it."""
End = tuple[Owned, dict[str, object]]
"""What is ours, and all documents."""


class Killed(BaseException):
    """The process is gone; nothing of ours catches it."""


class Countdown:
    """Calls `stop` at the event of that number."""

    def __init__(self, number: int, stop: Stop) -> None:
        self.left, self.stop = number, stop

    def __call__(self, _event: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.stop()


def _started(
    folder: Path,
    owned: Owned,
    now_s: float,
    hook: Countdown | None = None,
    slow_s: float = 0.0,
) -> Passes:
    """A controller's process: what it knows is on the disk, save `owned`, the history's."""
    clock = ManualClock(now_s)
    port = Shelf(folder / "shelf-a", clock, slow_s=slow_s, on_event=hook)
    return Passes(port, clock, FileJournal(folder / "journal", after_record=hook), dict(owned))


@pytest.fixture
def before(tmp_path: Path) -> Device:
    """A device at BEFORE, to be copied."""
    clock = ManualClock()
    passes = Passes(shelf(tmp_path / "before", clock), clock)
    assert passes.act(BEFORE).done
    return tmp_path / "before", passes.owned


@pytest.fixture
def end(before: Device, tmp_path: Path) -> End:
    """What an undisturbed run comes to."""
    passes = _started(_copy(before, tmp_path / "undisturbed"), before[1], 5000.0)
    assert passes.act(AFTER).done
    return passes.owned, passes.port.documents()


def _copy(before: Device, folder: Path) -> Path:
    return Path(shutil.copytree(before[0], folder))


def _check(passes: Passes, end: End) -> None:
    """A restarted controller ends as an undisturbed run does, and each change was made once."""
    assert passes.act(AFTER).done
    assert passes.plan(AFTER).empty
    assert (passes.owned, passes.port.documents()) == end
    assert passes.journal.records == []
    assert sorted(passes.port.log) == sorted(set(passes.port.log))


def _killed() -> None:
    raise Killed


@pytest.mark.parametrize("slow_s", [0.0, 30.0])
def test_stopped_at_any_event_and_started_again_it_ends_in_the_same_lab(
    tmp_path: Path, before: Device, end: End, slow_s: float
) -> None:
    for number in range(1, MOST_EVENTS):
        folder, owned = _copy(before, tmp_path / str(number)), before[1]
        passes = _started(folder, owned, 5000.0, Countdown(number, _killed), slow_s)
        try:
            passes.act(AFTER)
        except Killed:
            _check(_started(folder, owned, passes.clock.now() + 1.0, None, slow_s), end)
        else:
            break
    assert 15 < number < MOST_EVENTS


def test_stopped_again_while_it_recovers_it_still_ends_in_the_same_lab(
    tmp_path: Path, before: Device, end: End
) -> None:
    for number, again in ((number, again) for number in range(1, 16, 3) for again in (1, 2, 3)):
        folder, owned = _copy(before, tmp_path / f"{number}-{again}"), before[1]
        for stop_at in (number, again):
            passes = _started(folder, owned, 5000.0, Countdown(stop_at, _killed))
            with pytest.raises(Killed):
                passes.act(AFTER)
            owned = passes.owned
        _check(_started(folder, owned, 5001.0), end)


def _child(folder: str, owned: Owned, number: int) -> None:
    kill: Stop = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731 - one act
    _started(Path(folder), owned, 5000.0, Countdown(number, kill)).act(AFTER)


def test_killed_with_signal_9_at_any_event_it_ends_in_the_same_lab(
    tmp_path: Path, before: Device, end: End
) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    for number in range(1, MOST_EVENTS):
        folder, owned = _copy(before, tmp_path / str(number)), before[1]
        child = processes.Process(target=_child, args=(str(folder), owned, number))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        _check(_started(folder, owned, 9000.0), end)
    assert 15 < number < MOST_EVENTS
