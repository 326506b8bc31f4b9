"""One thing that is measured, at growing sizes: how to prepare it, what to run, what to aim at.

Each size runs in a process of its own, so that the peak of its memory is its own. Wall time is what
a user waits, processor time what it is made of: on a busy machine only the latter can be compared.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

Run = Callable[[], object]


@dataclass(frozen=True)
class Bar:
    """What to aim at, for one size. `imports`: times what importing the libraries takes."""

    seconds: float | None = None
    mib: float | None = None
    imports: float | None = None


@dataclass(frozen=True)
class Bench:
    """`prepare` gets the size and where to register what is to be closed, and gives what to run.

    The best of `repeats` runs counts. `process`: it starts a process, whose cost is meant.
    """

    name: str
    prepare: Callable[[int, ExitStack], Run]
    of: str = ""  # what a size counts; nothing: the lab of desired-state/
    sizes: tuple[int, ...] = (0,)
    repeats: int = 3
    process: bool = False
    bars: Mapping[int, Bar] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """The best of the runs, and the peak of the process's memory."""

    seconds: float
    cpu_s: float
    mib: float


def measured(bench: Bench, size: int) -> Figures:
    """Prepare and run, in this process."""
    with ExitStack() as opened:
        run = bench.prepare(size, opened)
        taken = [_timed(run) for _ in range(bench.repeats)]
        whose = resource.RUSAGE_CHILDREN if bench.process else resource.RUSAGE_SELF
        peak_kib = resource.getrusage(whose).ru_maxrss
    return Figures(min(wall for wall, _ in taken), min(cpu for _, cpu in taken), peak_kib / 1024)


def _timed(run: Run) -> tuple[float, float]:
    """Seconds of wall and processor time; processes that ended meanwhile are counted."""
    before_s, start_s = _cpu_s(), time.perf_counter()
    run()
    return time.perf_counter() - start_s, _cpu_s() - before_s


def _cpu_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime
