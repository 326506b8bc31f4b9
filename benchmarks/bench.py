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
    """What to aim at, for one size. `imports`: times what importing the libraries takes.

    `rate`: units in a second of processor time, at least.
    """

    seconds: float | None = None
    mib: float | None = None
    imports: float | None = None
    cpu_s: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Bench:
    """`prepare` gets the size and where to register what is to be closed, and gives what to run.

    The best of `repeats` runs counts. `process`: it starts a process, whose cost is meant. `unit`:
    of what each run says how much it did.
    """

    name: str
    prepare: Callable[[int, ExitStack], Run]
    of: str = ""  # what a size counts; nothing: the lab of desired-state/
    sizes: tuple[int, ...] = (0,)
    repeats: int = 3
    process: bool = False
    bars: Mapping[int, Bar] = field(default_factory=dict)
    unit: str = ""


@dataclass(frozen=True)
class Figures:
    """The best of the runs, and the peak of the process's memory."""

    seconds: float
    cpu_s: float
    mib: float
    units: float = 0.0  # done in the last run


def measured(bench: Bench, size: int) -> Figures:
    """Prepare and run, in this process."""
    with ExitStack() as opened:
        run = bench.prepare(size, opened)
        taken = [_timed(run) for _ in range(bench.repeats)]
        units = max(units for _, _, units in taken) if bench.unit else 0.0
        whose = resource.RUSAGE_CHILDREN if bench.process else resource.RUSAGE_SELF
        peak_kib = resource.getrusage(whose).ru_maxrss
    wall_s, cpu_s = (min(one[column] for one in taken) for column in (0, 1))
    return Figures(wall_s, cpu_s, peak_kib / 1024, units)


def _timed(run: Run) -> tuple[float, float, float]:
    """Seconds of wall and processor time, and what the run says it did, if a number.

    Processes that ended meanwhile are counted.
    """
    before_s, start_s = _cpu_s(), time.perf_counter()
    done = run()
    units = float(done) if isinstance(done, int | float) else 0.0
    return time.perf_counter() - start_s, _cpu_s() - before_s, units


def _cpu_s() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime
