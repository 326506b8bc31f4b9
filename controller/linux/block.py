"""A block of lines of ours in a file that others write too, such as /etc/hosts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from controller.fields import PLAIN, Field
from controller.linux.blocks import block_in
from controller.linux.checks import check_of
from controller.linux.file import CAT, File, pending, questions
from controller.linux.package import packages_of
from controller.linux.shell import outputs
from controller.linux.thing import HostThing
from controller.managed import Context, Key, Value
from controller.step import Answers, Query, Step, WriteFile
from lab.errors import DeviceError, Refused
from lab.lab import Lab

MARK = "vlab"


def block_of(device: str, text: str, name: str) -> str | None:
    """The lines of a block. Raises DeviceError for half a block."""
    try:
        return block_in(text, name)
    except Refused as refused:
        raise DeviceError(device, str(refused)) from refused


@dataclass(frozen=True)
class Block(HostThing):
    """The block of a file: its id is the file's path."""

    kind = "block"
    section = "files"
    fields = (Field("block", ("block",), PLAIN),)

    check: tuple[str, ...] = field(default=(), compare=False)
    after: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from ()

    @classmethod
    def fetch_named(cls, device: str, ids: Collection[str], answers: Answers) -> Iterator[Query]:
        for path in ids:
            yield from questions(path)[1:]

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for path, found in outputs(answers, CAT):
            waits = questions(path)[2].text in answers
            lines = block_of(device, found.stdout, MARK) if not found.status and waits else None
            if lines is not None:
                values: dict[str, Value] = {"block": lines, "in_force": not pending(answers, path)}
                yield cls.there(device, path, values)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for path, item in cls.parts(lab, device):
            if item.block is None:
                continue
            thing = cls.said(lab, device, path, ("files", path), item, item)
            lines = item.block if item.block.endswith("\n") else f"{item.block}\n"
            values = {"block": lines, "in_force": True}
            check, needs = item.check or check_of(path), packages_of(lab, device)
            yield replace(thing, values=values, needs=needs, check=check, after=item.after)

    @property
    def awaits(self) -> frozenset[Key]:
        """The whole file, if that was ours before."""
        return self.refers(File.kind, self.id)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        yield self._written(str(self.values.get("block", old.values["block"] if old else "")))

    def remove(self, context: Context) -> Iterator[Step]:
        yield self._written("")

    def _written(self, lines: str) -> WriteFile:
        return WriteFile(self.id, lines, block=MARK, check=self.check, after=self.after)
