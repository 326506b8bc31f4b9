"""`vlab lab up` as a process: when it may be asked, and that it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api import served_lab
from lab.load import load_tree
from simulator.build import twin_of
from simulator.served.lab import ServedLab
from tests.api.exhibit import TREE

UP = f"""
import json, signal, threading
from pathlib import Path
from api import served_lab

def result(text):
    assert served_lab._last().read_text() == json.loads(text)["control"]

def say(_text):
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    threading.Condition.wait = interrupted

def interrupted(condition, timeout=None):
    if threading.current_thread() is threading.main_thread():
        signal.raise_signal(signal.SIGTERM)
    return wait(condition, timeout)

wait = threading.Condition.wait
served_lab.result, served_lab.say = result, say
served_lab.up(Path("{TREE}"), 1.0, empty=False, port=0)
"""


def test_a_lab_that_is_told_can_be_broken_and_ends_wherever_a_signal_comes(tmp_path: Path) -> None:
    """In a process of its own, since a handler that waits for its own thread does so for good."""
    variables = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", UP], env=variables, check=True, timeout=120)


def test_a_fault_is_told_from_its_beginning_however_much_came_of_it_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def slow(lab: ServedLab) -> None:
        """On a machine that needs half a minute of the lab for anything."""
        lab.twin.run_until(lab.twin.now_s + 30)

    monkeypatch.setattr(ServedLab, "advance", slow)
    with ServedLab.start(twin_of(load_tree(TREE)), tmp_path, port=0) as served:
        served_lab.remember(served.control)
        served_lab.fail(["fail-node", "pve2"])
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith(" node pve2 pve2 loses power")
    assert len(told) > 10
