"""Whole files of ours: content, mode and owner.

The directory is not listed: a file is known if it is declared, or was written by us. What is there
besides a regular file (a link, a folder) is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from controller.fields import PLAIN, Field
from controller.linux.checks import check_of
from controller.linux.package import packages_of
from controller.linux.shell import asked, output, outputs
from controller.linux.thing import HostThing
from controller.linux.writing import FORM, KEPT, PENDING
from controller.managed import Context, Key, Value
from controller.step import Answers, Command, Query, Step, WriteFile
from lab.errors import DeviceError, Refused
from lab.lab import Lab

STAT, CAT = asked("stat", "-c", FORM, "--"), asked("cat", "--")
_WAITS = ("ls", "-d", "--")
REGULAR = "regular file"


def questions(path: str) -> tuple[Query, Query, Query]:
    """What is asked of a file: what it is, what it holds, whether its daemon has read it."""
    return (
        asked("stat", "-c", FORM, "--", path, about=path),
        asked("cat", "--", path, about=path),
        waits(path, about=path),
    )


def waits(path: str, about: str = "") -> Query:
    """Whether the daemon of a file still has to read it."""
    return asked(*_WAITS, f"{path}{PENDING}", about=about)


def pending(answers: Answers, path: str) -> bool:
    """Whether a file was written, and its daemon has not read it yet."""
    return output(answers, waits(path)).status == 0


@dataclass(frozen=True)
class File(HostThing):
    """A file. `check` and `after`: see WriteFile. `what`: a regular file, or what else is there."""

    kind = "file"
    section = "files"
    fields = (
        Field("content", ("content",), PLAIN),
        Field("mode", ("mode",), PLAIN),
        Field("owner", ("owner",), PLAIN),
    )

    check: tuple[str, ...] = field(default=(), compare=False)
    after: tuple[str, ...] = field(default=(), compare=False)
    what: str = field(default=REGULAR, compare=False)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from ()

    @classmethod
    def fetch_named(cls, device: str, ids: Collection[str], answers: Answers) -> Iterator[Query]:
        for path in ids:
            yield from questions(path)

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for path, found in outputs(answers, STAT):
            if found.absent:
                continue
            if found.status:
                raise DeviceError(device, f"stat {path}: {found.told}")
            mode, owner, what = found.stdout.strip().split(" ", 2)
            regular = what.startswith("regular")
            values: dict[str, Value] = {
                "content": output(answers, questions(path)[1]).stdout if regular else "",
                "mode": f"{int(mode, 8):04o}",
                "owner": owner,
                "in_force": not pending(answers, path),
            }
            thing = cls.there(device, path, values)
            yield replace(thing, what=REGULAR if regular else what)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for path, item in cls.parts(lab, device):
            if item.content is None:
                continue
            thing = cls.said(lab, device, path, ("files", path), item, item)
            values = {**thing.values, "in_force": True}
            if item.secret:
                values.setdefault("mode", "0600")
            check = item.check or check_of(path)
            needs = packages_of(lab, device)
            yield replace(thing, values=values, needs=needs, check=check, after=item.after)

    @property
    def awaits(self) -> frozenset[Key]:
        """The block in it, if only that was ours before."""
        return self.refers("block", self.id)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if old is not None and old.what != REGULAR:
            raise Refused(f"{self.id} is a {old.what}", "take it away by hand, or name its target")
        held = old.values if old is not None else {}
        goal = {**held, **self.values}
        yield WriteFile(
            self.id,
            str(goal["content"]),
            mode=int(str(goal.get("mode", "0644")), 8),
            owner=str(goal.get("owner", "")),
            check=self.check,
            after=self.after,
        )

    def remove(self, context: Context) -> Iterator[Step]:
        yield Command(("mv", "-f", "-T", "--", self.id, f"{self.id}{KEPT}"))
