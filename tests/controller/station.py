"""A whole controller for tests: a git remote, a shelf as its device, a history, a journal.

Opened, dropped and opened again as its process would be; remote, device and disk live on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.attribution import Entry
from controller.desired import Commits
from controller.gate import Judgement, judge
from controller.history import History, open_history
from controller.keeping import open_journal
from controller.loop import Controller, Pace
from controller.managed import Key
from controller.observed import Observed
from controller.plan import Plan
from controller.planning import wanted_things
from controller.reconcile import Gate, Pass
from controller.settings import Apply
from controller.source import Source
from controller.step import Answers, Query
from controller.triggers import Triggers
from controller.world import World
from lab.lab import Lab
from tests.controller.remotes import Remote
from tests.controller.shelf import KINDS, ManualClock, Shelf, device, shelf

HEAD = """
vlans: {management: {id: 99, role: management}}
clusters: {a: {version: "9.2", corosync: {links: [management]}}}
"""


def crew(guests: str = "", pools: str = "pools: {mugiwara: {comment: the crew}}") -> str:
    """A desired state that follows all rules."""
    return f"{HEAD}{pools}\n{guests}\n"


LUFFY = "guests: {luffy: {vmid: 101, cluster: a, cores: 4, memory: 8GiB, pool: mugiwara}}"


def by_policy(plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
    """The gate without a rehearsal."""
    return judge(plan, None)


@dataclass
class Signs:
    """The trail of a shelf: what people sign in its book, `[id, at, who, kind, thing, fields]`."""

    queries = (Query("/signs/book"),)

    def read(self, device: str, answers: Answers) -> Iterator[Entry]:
        book: Any = answers.get("/signs/book") or {"rows": "[]"}
        for id_, at_s, who, kind, thing, says in json.loads(book["rows"]):
            about = Key(device, kind, thing)
            yield Entry(id_, at_s, who, about, f"{who} signed", frozenset(says))

    def word(self, key: Key, field_name: str) -> str:
        return field_name.removesuffix("_bytes")


@dataclass
class Station:
    """One controller of the lab of `remote`, with what it keeps in `folder`."""

    folder: Path
    port: Shelf
    remote: Remote
    clock: ManualClock
    history_url: str = ""
    apply: Apply = Apply.AUTO
    gate: Gate = by_policy
    holder: str = "this"
    path: str = "."
    triggers: Triggers = field(default_factory=Triggers)

    def __post_init__(self) -> None:
        self._open = ExitStack()
        self.start()

    def start(self) -> None:
        """As when its process begins."""
        url = self.history_url or f"sqlite:///{self.folder / 'history.db'}"
        self.history: History = open_history(url)
        self._open.callback(self.history.close)
        self.journal = open_journal(self.folder / "journal", self.history)
        self._open.callback(self.journal.close)
        source = Source(self.remote.url, "main", self.path, self.folder / "mirror")
        kinds = {self.port.device: KINDS}
        self.commits = Commits(source, self.history, lambda lab: wanted_things(lab, kinds))
        self.world = World([device(self.port)], self.journal, self.clock, {"shelf/a": Signs()})
        self.controller = Controller(
            self.commits,
            self.world,
            self.history,
            self.gate,
            self.triggers,
            holder=self.holder,
            apply=self.apply,
            pace=Pace(30.0, 15.0),
        )

    def stop(self) -> None:
        """As when its process is gone."""
        self._open.close()

    def again(self) -> None:
        """Another process of the same installation."""
        self.stop()
        self.start()

    def passes(self, *reasons: str) -> Pass:
        """One pass, which must come to something."""
        done = self.controller.once(reasons or ("poll",))
        assert done is not None
        return done

    def sign(self, who: str, kind: str, thing: str, *says: str) -> None:
        """Somebody signs in the book of the device, as if the device had noted it."""
        file = self.port.folder / "signs" / "book.json"
        rows: Sequence[Any] = (
            json.loads(json.loads(file.read_text())["rows"]) if file.exists() else []
        )
        row = [f"{len(rows)}", 5_000.0 + len(rows), who, kind, thing, says]
        self.port.by_hand("signs", "book", rows=json.dumps([*rows, row]))

    def condition(self, type_: str, subject: str = "") -> tuple[str, str]:
        """Status and reason as the history shows them."""
        shown = {str(t): c for t, c in self.history.conditions()[subject].items()}
        return str(shown[type_].status), shown[type_].reason


def station(folder: Path, **more: Any) -> Station:
    """A new one, with an empty device and an empty remote."""
    clock = ManualClock(1_700_000_000.0)
    remote = more.pop("remote", None) or Remote(folder / "lab.git")
    state = folder / more.pop("name", "state")
    state.mkdir()
    port = more.pop("port", None) or shelf(folder, clock)
    return Station(state, port, remote, more.pop("clock", clock), **more)
