"""`vlab lab up` as a process: when it may be asked, and that it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
