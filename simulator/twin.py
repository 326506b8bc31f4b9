"""The timed engine: SimPy drives deadlines that are kept in plain state.

The physics is a row of parts (`Part`). A part never waits: it looks at the world when something
changed that it `reads` (`settle`), compares it with what it knew, and sets or clears deadlines;
when one is due it is told (`due`). So the state says everything, a fork is a copy of it, and
SimPy's events can be set again from it at any instant. Same seed, same trace; a fork has the trace
of its original.

Leaves out: the physics itself, which is in the parts, and what one may ask, which is in `facts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, repeat
from random import Random
from typing import Protocol, Self

import simpy

from lab.faults import Fault
from simulator.facts import Facts
from simulator.model import Model
from simulator.state import Due, Glimpse, State, Timer

TICKS_PER_S = 2**20
# Far more rounds than any chain of causes needs.
SETTLING_ROUNDS = 100


def on_grid(at_s: float) -> float:
    """The nearest instant of the twin's clock.

    Sums and differences of its ticks are exact in floating point,

    so a timer that a fork starts again rings at the very instant of the original's.
    """
    return round(at_s * TICKS_PER_S) / TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a trace: when, whom it concerns, what an operator would see."""

    at_s: float
    subject: str  # "node pve2", "guest luffy"
    kind: str  # stable word for machines: "quorum-lost"
    text: str


class Follower(Protocol):
    """What follows the world. Its `name` owns the timers whose first word it is."""

    name: str

    def settle(self, twin: Twin) -> bool:
        """Look at the world and follow it; True if anything changed."""

    def due(self, twin: Twin, timer: Timer) -> bool | None:
        """A timer of this part rang. False: nothing came of it, so nobody needs to look."""


class Part(Follower, Protocol):
    """A piece of physics: what it does follows from the state alone."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of all dictionaries of the state by which `settle` decides.

        Besides these it may look at its own timers, but not at the time: that is what they are for.
        """


class Device(Follower, Protocol):
    """A served device that lives on the twin and keeps documents of its own."""

    def fork(self) -> Self:
        """The same device over copied documents."""


class Twin:
    """A running lab. Times are seconds of simulated time since its start."""

    def __init__(
        self, model: Model, parts: Sequence[Part], state: State, devices: Iterable[Device] = ()
    ) -> None:
        self.model = model
        self.parts = parts
        self.state = state
        self.devices = {device.name: device for device in devices}
        self.trace: list[Event] = []
        self.env = simpy.Environment(initial_time=on_grid(state.now_s))
        self._changed = False
        self._moves: Counter[str] = Counter()  # times that timers were touched, by their owner
        self._rests: dict[Part, tuple[int, Glimpse]] = {}  # as each last changed nothing
        for timer, due in sorted(state.timers.items(), key=lambda item: item[1].rank):
            self._start(timer, due)

    @property
    def now_s(self) -> float:
        """The instant the twin stands at."""
        return float(self.env.now)

    def attach(self, device: Device) -> None:
        """Let a device live on this twin."""
        self.devices[device.name] = device

    def fork(self) -> Twin:
        """A copy that shares nothing that changes; its trace starts empty."""
        self.state.now_s = self.now_s
        devices = [device.fork() for device in self.devices.values()]
        fork = Twin(self.model, self.parts, self.state.copy(), devices)
        fork._changed = self._changed
        fork._moves, fork._rests = self._moves.copy(), self._rests.copy()
        return fork

    def note(self, subject: str, kind: str, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(Event(round(self.now_s, 3), subject, kind, text))

    def at(self, due_s: float, timer: Timer) -> float:
        """Ring `timer` at `due_s`; one that is set already is moved. Answers the exact instant."""
        due_s = max(on_grid(due_s), self.now_s)
        self.state.rank += 1
        due = self.state.timers[timer] = Due(due_s, self.state.rank)
        self._moves[timer[0]] += 1
        self._start(timer, due)
        return due_s

    def after(self, delay_s: float, timer: Timer) -> float:
        """Ring `timer` in `delay_s`. Answers the exact instant."""
        return self.at(self.now_s + delay_s, timer)

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; unset ones are fine."""
        if self.state.timers.pop(timer, None) is not None:
            self._moves[timer[0]] += 1

    def is_set(self, timer: Timer) -> bool:
        """Whether `timer` waits to ring."""
        return timer in self.state.timers

    def between(self, low: float, high: float, *words: str) -> float:
        """A number that chance picks for these words at this instant, by the seed: always alike."""
        words = (str(self.state.seed), repr(self.now_s), *words)
        return Random(" ".join(words)).uniform(low, high)

    @property
    def facts(self) -> Facts:
        """What holds at this instant."""
        return Facts(self.model, self.state)

    def changed(self) -> None:
        """Say that the world is not as the parts last saw it."""
        self._changed = True

    def inject(self, faults: Iterable[Fault]) -> None:
        """Let faults happen at their times, counted from now.

        Raises ValueError for what is not there.
        """
        faults = tuple(faults)
        for fault in faults:
            self.model.check(fault)
        for fault in faults:
            timed = replace(
                fault,
                at_s=on_grid(self.now_s + fault.at_s),
                restore_at_s=None
                if fault.restore_at_s is None
                else on_grid(self.now_s + fault.restore_at_s),
            )
            self.state.pending[str(timed)] = timed
            self.at(timed.at_s, ("fault", "fail", str(timed)))
            if timed.restore_at_s is not None:
                self.at(timed.restore_at_s, ("fault", "restore", str(timed)))

    def run_until(self, until_s: float) -> None:
        """Let time pass, `until_s` included."""
        until_s = on_grid(until_s)
        self.settle()
        while (due := self.env.peek()) <= until_s:
            while self.env.peek() <= due:
                self.env.step()
            self.settle()
        if until_s > self.now_s:
            self.env.run(until=until_s)
        self.state.now_s = self.now_s

    def settle(self) -> None:
        """Let every part follow what changed, in turn, until a whole round finds nothing to do.

        Raises RuntimeError if the parts never agree, which is an error of theirs.
        """
        if not self._changed:
            return
        looks = [
            *(partial(self._look, part) for part in self.parts),
            *(partial(self._ask, device) for device in self.devices.values()),
        ]
        quiet = 0
        for look in chain.from_iterable(repeat(looks, SETTLING_ROUNDS)):
            self._changed = False
            quiet = 0 if look() else quiet + 1
            if quiet == len(looks):
                return
        raise RuntimeError("the parts of the twin do not settle")

    def _look(self, part: Part) -> bool:
        """Ask a part whether it changes anything, unless that is known.

        It does not while the dictionaries that it reads are as when it last changed nothing, and
        none of its timers was set, cleared or due since.
        """
        rest = self._rests.get(part)
        if rest is not None and rest[0] == self._moves[part.name] and rest[1].holds(self.state):
            return False
        if self._ask(part):
            return True
        self._rests[part] = self._moves[part.name], Glimpse(self.state, part.reads)
        return False

    def _ask(self, follower: Follower) -> bool:
        """Let it follow the world; whether that changed anything."""
        return follower.settle(self) or self._changed

    def _start(self, timer: Timer, due: Due) -> None:
        """Let SimPy ring. A timer moved or forgotten meanwhile has another rank, or none."""

        def ring(_: simpy.Event) -> None:
            if self.state.timers.get(timer) == due:
                del self.state.timers[timer]
                self._moves[timer[0]] += 1
                self._ring(timer)

        self.env.timeout(due.at_s - self.now_s).callbacks.append(ring)

    def _ring(self, timer: Timer) -> None:
        part = self.devices.get(timer[0]) or next(p for p in self.parts if p.name == timer[0])
        if part.due(self, timer) is not False:
            self.changed()
