"""All benchmarks, in the order of the table. What each needs is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import import_module

from benchmarks.bench import Bar, Bench, Run

SIZES = (10, 100, 1000)
LUNS = (50, 500)
HOSTS = (4, 32)


def _in(module: str, name: str) -> Callable[[int, ExitStack], Run]:
    """What prepares a benchmark; no process pays for another one's imports."""

    def prepare(size: int, opened: ExitStack) -> Run:
        found: Callable[[int, ExitStack], Run] = getattr(
            import_module(f"benchmarks.{module}"), name
        )
        return found(size, opened)

    return prepare


_ROWS = (
    Bench("imports", _in("shell", "importing"), repeats=5, process=True),
    Bench("help", _in("shell", "helping"), repeats=5, process=True, bars={0: Bar(seconds=0.2)}),
    Bench(
        "simulate-command",
        _in("shell", "simulating"),
        process=True,
        bars={0: Bar(seconds=1.5, imports=4)},
    ),
    Bench("load", _in("offline", "loading"), "guests", SIZES, 5, bars={1000: Bar(seconds=0.5)}),
    Bench("validate", _in("offline", "validating"), "guests", SIZES),
    Bench("twin", _in("simulating", "building"), "guests", SIZES),
    Bench("fail-node", _in("simulating", "failing"), "guests", SIZES),
    Bench("plan-new", _in("offline", "planning_new"), "objects", SIZES, bars={1000: Bar(1.0)}),
    Bench(
        "plan-drift", _in("offline", "planning_drifted"), "objects", SIZES, bars={1000: Bar(1.0)}
    ),
    Bench("plan-none", _in("offline", "planning_nothing"), "objects", SIZES, bars={1000: Bar(1.0)}),
    Bench("pass", _in("passing", "passing"), "guests", SIZES, bars={1000: Bar(10.0, mib=250)}),
    Bench("ha-cases", _in("ha", "cases"), unit="cases", bars={0: Bar(cpu_s=2.0)}),
    Bench("ha-clock", _in("ha", "clock"), unit="simulated s"),
    Bench("timelines", _in("ha", "timelines"), unit="timelines", bars={0: Bar(rate=200)}),
    Bench("api-requests", _in("answering", "requests"), "requests", (1000,), bars={1000: Bar(2.0)}),
    Bench(
        "api-lists", _in("answering", "lists"), "guests", (100, 1000, 5000), bars={5000: Bar(1.0)}
    ),
    Bench("array-look", _in("array", "observing"), "LUNs", LUNS),
    Bench("array-pass", _in("array", "passing"), "LUNs", LUNS),
    Bench("hosts-look", _in("hosts", "observing"), "hosts", HOSTS),
    Bench("hosts-pass", _in("hosts", "passing"), "hosts", HOSTS),
    Bench("sweep", _in("simulating", "sweeping"), repeats=1),
    Bench("rehearsal", _in("simulating", "rehearsing"), repeats=1),
)
BENCHES: Mapping[str, Bench] = {bench.name: bench for bench in _ROWS}
