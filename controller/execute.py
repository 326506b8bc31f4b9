"""Do a plan, wave by wave. What fails stops what depends on it, and nothing else.

The gate comes before it. Rehearsal and the real thing run this same code: only the devices, the
journal and the clock that are passed in differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

from controller.clock import Clock
from controller.devices import Device
from controller.journal import Journal
from controller.managed import Key
from controller.perform import Fate, Result, perform
from controller.plan import Action, Operation, Plan
from controller.silence import given_up

AfterOperation = Callable[[Result], None]
DOUBTS = 2  # after which a device gets nothing more in this run


@dataclass(frozen=True)
class Outcome:
    """What became of every operation of a plan, in the order of the plan."""

    commit: str
    results: tuple[Result, ...]

    @property
    def done(self) -> bool:
        """Everything was done and proved."""
        return all(result.fate is Fate.DONE for result in self.results)

    def fated(self, fate: Fate) -> tuple[Result, ...]:
        """The results of one fate."""
        return tuple(result for result in self.results if result.fate is fate)


def execute(
    plan: Plan,
    devices: Sequence[Device],
    journal: Journal,
    clock: Clock,
    after_operation: AfterOperation | None = None,
    *,
    parallel: int = 1,
) -> Outcome:
    """Do everything in `plan`; never raises for what a device does.

    `after_operation` hears of each result, and may raise to stop. `parallel` devices work at a
    time, each on one operation; with 1 the order is that of the plan.
    """
    by_name = {device.name: device for device in devices}
    broken: dict[Key, Result] = {}
    doubts: Counter[str] = Counter()

    def act(share: Sequence[Operation]) -> list[Result]:
        return [one(operation) for operation in share]

    def one(operation: Operation) -> Result:
        device = by_name[operation.key.device]
        why = _stopped(operation, broken) or given_up(device.port)
        if not why and doubts[device.name] >= DOUBTS:
            why = f"{device.name} left {DOUBTS} operations in doubt"
        if why:
            result = Result(operation, Fate.SKIPPED, why)
        else:
            result = perform(operation, device, plan.commit, journal, clock)
            doubts[device.name] += result.fate is Fate.IN_DOUBT
        if after_operation is not None:
            after_operation(result)
        return result

    results: list[Result] = []
    for wave in plan.waves:
        found = _spread(wave, act, parallel)
        results += found
        broken |= {each.operation.key: each for each in found if each.fate is not Fate.DONE}
    return Outcome(plan.commit, tuple(results))


def _spread(
    wave: Sequence[Operation], act: Callable[[Sequence[Operation]], list[Result]], parallel: int
) -> list[Result]:
    """Act on a wave: in order, or on several devices at a time."""
    if parallel <= 1:
        return act(wave)
    shares = [list(share) for _, share in groupby(wave, key=lambda operation: operation.key.device)]
    with ThreadPoolExecutor(parallel) as pool:
        return [result for found in pool.map(act, shares) for result in found]


def _stopped(operation: Operation, broken: Mapping[Key, Result]) -> str:
    """Why an operation can't be done after what happened before it; empty if it can."""
    needs = operation.wanted.needs if operation.wanted else frozenset()
    for key, result in broken.items():
        other = result.operation.old
        in_use = operation.action is Action.DELETE and other and operation.key in other.needs
        if key in needs or in_use or result.operation.makes_way(operation):
            return f"depends on {key}, which {_SAID[result.fate]}: {result.reason}"
    return ""


_SAID = {Fate.FAILED: "failed", Fate.SKIPPED: "was skipped", Fate.IN_DOUBT: "is in doubt"}
