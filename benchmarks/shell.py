"""What a user waits for at the prompt: whole processes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import Run
from benchmarks.lab import DESIRED

VLAB = Path(sys.executable).parent / "vlab"


def importing(_size: int, _opened: ExitStack) -> Run:
    """The libraries that every simulation needs, and nothing else."""
    return lambda: _run(sys.executable, "-c", "import networkx, simpy, pydantic")


def helping(_size: int, _opened: ExitStack) -> Run:
    """`vlab --help`."""
    return lambda: _run(str(VLAB), "--help")


def simulating(_size: int, _opened: ExitStack) -> Run:
    """`vlab simulate` on the lab of desired-state/."""
    return lambda: _run(str(VLAB), "simulate", "fail-node", "pve2", "--tree", str(DESIRED))


def _run(*command: str) -> None:
    """Raises CalledProcessError unless the exit code is 0, or 3 for a verdict."""
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 3):
        raise subprocess.CalledProcessError(done.returncode, command)
