"""Which commit is in force: the newest of the branch that is fit to be, else the last good one.

First step of a pass, between the source and planning. A newest commit that may not come into force
is a `Trouble`; what is in force stays, and drift from it is still corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.history import Event, History, Judged, Seen
from controller.managed import Key, Managed
from controller.source import Revision, Source, SourceUnreachable
from lab.errors import LabInvalid, VlabError
from lab.lab import WORDS, Lab
from lab.load import load

Things = Callable[[Lab], Mapping[Key, Managed]]
"""What a lab means on the devices of the settings. Raises LabInvalid."""


@dataclass(frozen=True)
class Trouble:
    """Why the newest commit is not in force: a CamelCase word, a sentence, the commit if known."""

    reason: str
    message: str
    revision: Revision | None = None


@dataclass(frozen=True)
class Desired:
    """What the lab shall be; `things` by identity."""

    revision: Revision
    lab: Lab
    things: Mapping[Key, Managed]
    trouble: Trouble | None = None


class NothingInForce(VlabError):
    """There is no commit to go by yet."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"{trouble.reason}: {trouble.message}")
        self.trouble = trouble


_REASONS = {
    Judged.INVALID: "LabInvalid",
    Judged.REWRITTEN: "HistoryRewritten",
    Judged.EMPTY: "EmptyTree",
}


@dataclass(frozen=True)
class _Loaded:
    commit: str
    lab: Lab
    things: Mapping[Key, Managed]

    @property
    def empty(self) -> bool:
        """Whether it declares nothing at all."""
        return not any(self.lab.map(word) for word in WORDS)


class Commits:
    """The commits of the branch: each new one judged once, the one in force kept loaded."""

    def __init__(self, source: Source, history: History, things: Things) -> None:
        self._source = source
        self._history = history
        self._things = things
        self._loaded: _Loaded | None = None
        self._trouble: Trouble | None = None
        self._refused: Seen | None = None

    def look(self, now_s: float, *, fetch: bool = True) -> Desired:
        """What is in force now; without `fetch`, as far as is known.

        Raises NothingInForce, HistoryAway.
        """
        if fetch:
            self._trouble = self._fetch(now_s)
        good = self._history.in_force()
        if good is None:
            raise NothingInForce(self._trouble or Trouble("NotFetched", "no commit was seen yet"))
        loaded = self._load_good(good.revision)
        return Desired(good.revision, loaded.lab, loaded.things, self._trouble)

    def accept(self, name: str) -> Revision:
        """A person takes a rewritten history as it is; it comes into force with the next look.

        Raises SourceUnreachable for a commit that was not fetched, HistoryAway.
        """
        revision = self._source.revision(name)
        self._history.remember({"accepted": revision.commit})
        return revision

    def _fetch(self, now_s: float) -> Trouble | None:
        """The trouble with the newest commit, if any."""
        try:
            seen = self._seen(self._source.fetch(), now_s)
        except SourceUnreachable as error:
            return Trouble("SourceUnreachable", str(error))
        if self._history.see(seen.revision, seen.judged, seen.told, now_s):
            self._history.tell([_event(seen, now_s)])
        if seen.judged is Judged.GOOD:
            self._refused = None
            return None
        self._refused = seen
        return Trouble(_REASONS[seen.judged], seen.told, seen.revision)

    def _seen(self, newest: Revision, now_s: float) -> Seen:
        """What is thought of the newest commit; each is judged once."""
        good = self._history.in_force()
        if good is not None and good.revision == newest:
            return Seen(newest, Judged.GOOD, "", now_s)
        accepted = self._history.recall("accepted") == newest.commit
        known = self._refused
        again = accepted and known is not None and known.judged is Judged.REWRITTEN
        if known is not None and known.revision == newest and not again:
            return known
        return self._judge(newest, None if accepted else good, now_s)

    def _judge(self, newest: Revision, good: Seen | None, now_s: float) -> Seen:
        """What is thought of a commit; `good`: the one that it must follow."""
        if good is not None and not self._source.follows(good.revision.commit, newest.commit):
            told = (
                f"{newest.commit[:12]} does not follow {good.revision.commit[:12]}, which stays in"
                " force: bring the branch back, or accept it by `vlab apply --accept-rewrite`"
            )
            return Seen(newest, Judged.REWRITTEN, told, now_s)
        try:
            loaded = self._load(newest)
        except LabInvalid as invalid:
            return Seen(newest, Judged.INVALID, str(invalid), now_s)
        if loaded.empty:
            return Seen(newest, Judged.EMPTY, self._nothing_in(newest), now_s)
        self._loaded = loaded
        return Seen(newest, Judged.GOOD, "", now_s)

    def _load_good(self, revision: Revision) -> _Loaded:
        """The commit in force. It was good once; another version of us may think otherwise, and
        other settings may look for it in another folder.
        """
        if self._loaded is None or self._loaded.commit != revision.commit:
            try:
                self._loaded = self._load(revision)
            except LabInvalid as invalid:
                raise NothingInForce(Trouble("LabInvalid", str(invalid), revision)) from invalid
            except SourceUnreachable as error:
                raise NothingInForce(Trouble("SourceUnreachable", str(error), revision)) from error
        if self._loaded.empty:
            raise NothingInForce(Trouble("EmptyTree", self._nothing_in(revision), revision))
        return self._loaded

    def _nothing_in(self, revision: Revision) -> str:
        return (
            f"{self._source.path} declares nothing in {revision.commit[:12]}; an empty tree is"
            " taken for a mistake, and nothing is deleted"
        )

    def _load(self, revision: Revision) -> _Loaded:
        lab = load(self._source.files(revision.commit))
        return _Loaded(revision.commit, lab, self._things(lab))


def _event(seen: Seen, now_s: float) -> Event:
    revision = seen.revision
    fate = "in force" if seen.judged is Judged.GOOD else f"not in force: {_REASONS[seen.judged]}"
    told = f"{revision.commit[:12]} of {revision.author} ({revision.subject}) is {fate}"
    return Event(now_s, "commit", revision.commit, told)
