"""Look at devices: ask what each kind asks until nothing new comes, then let each kind read.

First half of every pass, and the proof after each operation (`look`). A question is asked once,
however many kinds ask it. What does not answer becomes Unanswered, and what needed it unknown:
nothing else does. Pauses between attempts are the passed-in clock's.
Leaves out: who changed what (history), what follows from it (planning).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from controller.clock import Clock
from controller.devices import Device
from controller.managed import Context, Key, Managed
from controller.observed import Observed
from controller.silence import given_up
from controller.step import Query, Unanswered
from lab.errors import DeviceError

PAUSES_S = (1.0, 2.0)  # between attempts at questions that may be answered later
WAITED_S = 10.0  # an answer that was waited for so long is not waited for again in the same look
POLLS_S = (0.5, 1.0, 2.0)  # between looks at what settles later; the last one repeats
LOOK_S = 120.0  # a look that takes longer leaves the rest unanswered
ROUNDS = 16  # of questions that follow from answers; kinds need three
UNREADABLE = (DeviceError, ValueError, TypeError, AttributeError, LookupError)
"""What reading an answer raises that has another form than its kind knows: of a newer release, or
cut short. What needs it is unknown then, and nothing else is."""


def observe(
    devices: Sequence[Device], clock: Clock, *, named: Iterable[Key] = (), parallel: int = 1
) -> Observed:
    """Everything of our kinds on all devices.

    `named`: things to be asked for by name, as no list may show them. `parallel` questions at a
    time to each device, and all devices side by side, so that none waits for a slow one; more than
    1 only for ports and clocks that may be used from threads.
    """
    named = frozenset(named)
    looks = [_Look(device, device.kinds, named=named) for device in devices]
    if parallel > 1:
        with ThreadPoolExecutor(max(len(looks), 1)) as pool:
            list(pool.map(lambda look: _ask_all(look, clock, parallel), looks))
    else:
        for look in looks:
            _ask_all(look, clock, parallel)
    seen = {look.name: look.read() for look in looks}
    return Observed(
        kinds={look.name: look.kinds for look in looks},
        things={key: thing for each in seen.values() for key, thing in each.things.items()},
        contexts={look.name: look.context() for look in looks},
        unknown={(name, kind): why for name in seen for kind, why in seen[name].unknown.items()},
        doubtful={key: why for each in seen.values() for key, why in each.doubtful.items()},
        documents={look.name: {**look.answers, **look.failed} for look in looks},
    )


def look_at(device: Device, key: Key, clock: Clock) -> Managed | Unanswered | None:
    """One thing as it is now, asking no more than its kind needs for it; None: it is not there."""
    kind = next((kind for kind in device.kinds if kind.kind == key.kind), None)
    if kind is None:
        return Unanswered(f"{device.name} has no kind {key.kind} in this version")
    look = _Look(device, (kind,), only=key.id, named=frozenset({key}))
    _ask_all(look, clock, parallel=1)
    seen = look.read()
    why = seen.unknown.get(key.kind) or seen.doubtful.get(key)
    return Unanswered(why) if why else seen.things.get(key)


def look_until(
    device: Device,
    key: Key,
    clock: Clock,
    settled: Callable[[Managed | None], bool],
    deadline_s: float,
) -> Managed | Unanswered | None:
    """One thing once it has settled, or as it is when the time is up; always looked at once.

    What a look finds may be as old as its beginning, so the last one begins when the time is up.
    """
    polls_s = iter(POLLS_S)
    while True:
        as_of_s = clock.now()
        seen = look_at(device, key, clock)
        if isinstance(seen, Unanswered):
            as_of_s = clock.now()  # a device that is silent is not waited for once more
        elif settled(seen):
            return seen
        if as_of_s >= deadline_s or given_up(device.port):
            return seen
        clock.sleep(next(polls_s, POLLS_S[-1]))


@dataclass
class _Seen:
    """What the answers of one device come to."""

    things: dict[Key, Managed] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    doubtful: dict[Key, str] = field(default_factory=dict)


@dataclass
class _Look:
    """What has been asked of one device so far. `only`: the id of the one thing looked for."""

    device: Device
    kinds: tuple[type[Managed], ...]
    only: str = ""
    named: frozenset[Key] = frozenset()
    answers: dict[str, object] = field(default_factory=dict)
    failed: dict[str, Unanswered] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.device.name

    def queries(self, kind: type[Managed]) -> Iterator[Query]:
        """What a kind asks, as far as the answers go."""
        ids = sorted(
            key.id for key in self.named if (key.device, key.kind) == (self.name, kind.kind)
        )
        for query in chain(
            kind.fetch(self.name, self.answers), kind.fetch_named(self.name, ids, self.answers)
        ):
            if not (self.only and query.about) or query.about == self.only:
                yield query

    def open(self) -> list[Query]:
        """Questions that were neither answered nor given up, each once."""
        asked: dict[str, Query] = {}
        for kind in self.kinds:
            with suppress(*UNREADABLE):  # `read` tells of it
                asked |= {query.text: query for query in self.queries(kind)}
        known = self.answers.keys() | self.failed.keys()
        return [query for text, query in asked.items() if text not in known]

    def read(self) -> _Seen:
        """Things, kinds of which nothing is known, and single things that did not answer."""
        seen = _Seen()
        for kind in self.kinds:
            try:
                self._read(kind, seen)
            except UNREADABLE as error:
                seen.unknown[kind.kind] = self._told(error)
        return seen

    def _read(self, kind: type[Managed], seen: _Seen) -> None:
        for query in [query for query in self.queries(kind) if query.text in self.failed]:
            why = self.failed[query.text].why
            if query.about:
                seen.doubtful[Key(self.name, kind.kind, query.about)] = why
            else:
                seen.unknown.setdefault(kind.kind, why)
        if kind.kind not in seen.unknown:
            found = {thing.key: thing for thing in kind.read(self.name, self.answers)}
            seen.things |= {key: thing for key, thing in found.items() if key not in seen.doubtful}

    def _told(self, error: Exception) -> str:
        if isinstance(error, DeviceError):
            return str(error)
        return f"{self.name}: an answer has a form that can't be read: {error!r}"

    def context(self) -> Context:
        """What steps depend on; nothing known of it where an answer can't be read."""
        try:
            return self.device.context(self.name, self.answers)
        except UNREADABLE:
            return Context()


def _ask_all(look: _Look, clock: Clock, parallel: int) -> None:
    """Ask until no answer leads to another question."""
    deadline_s = clock.now() + LOOK_S

    def ask(query: Query) -> object:
        if clock.now() > deadline_s:
            return DeviceError(look.name, f"not asked: the look took longer than {LOOK_S:.0f} s")
        begun_s = clock.now()
        try:
            return look.device.port.ask(query)
        except DeviceError as error:
            again = error.retryable and clock.now() - begun_s < WAITED_S
            return DeviceError(error.device, error.what, retryable=again)

    with ThreadPoolExecutor(parallel) as pool:

        def ask_each(asked: list[Query]) -> list[object]:
            return list(pool.map(ask, asked) if parallel > 1 else map(ask, asked))

        for _ in range(ROUNDS):
            asked = look.open()
            if not asked:
                return
            _ask_round(look, asked, ask_each, clock)
    raise AssertionError(f"still asking after {ROUNDS} rounds: {asked[0].text}")


def _ask_round(
    look: _Look, asked: list[Query], ask: Callable[[list[Query]], list[object]], clock: Clock
) -> None:
    """Put these questions; those that may be answered later are put again, a few times."""
    for pause_s in (*PAUSES_S, None):
        again: list[Query] = []
        for query, answer in zip(asked, ask(asked), strict=True):
            if not isinstance(answer, DeviceError):
                look.answers[query.text] = answer
                look.failed.pop(query.text, None)
                continue
            look.failed[query.text] = Unanswered(str(answer))
            again += [query] if answer.retryable else []
        if not again or pause_s is None:
            return
        clock.sleep(pause_s)
        asked = again
