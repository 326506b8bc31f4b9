"""What groups, roles and users have in common: a list with all of them, and a path for each.

Source: the Proxmox VE administration guide, user management. They have no `delete` parameter: an
empty text unsets a field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from controller.managed import Context, Fragment
from controller.pve.fields import parameters, read
from controller.pve.thing import PveThing, cluster_of, emptied, is_on, rows, segment
from controller.step import Answers, Query, Rest, Scalar
from lab.kinds.access import Everywhere
from lab.lab import Lab


@dataclass(frozen=True)
class Principal(PveThing):
    """A thing under `/access`. `listed` asks for all; `named`: where a row has its name."""

    listed: ClassVar[Query]
    named: ClassVar[str]
    instead: ClassVar[Mapping[str, Scalar]] = {}  # what unsets a field, where no empty text does

    @classmethod
    def ours(cls, row: Mapping[str, Any]) -> bool:
        """Whether a row can be declared; what comes with Proxmox VE can't."""
        return True

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield cls.listed

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, cls.listed):
            if cls.ours(row):
                yield cls.there(device, row[cls.named], read(cls.fields, device, row)).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, item in lab.map(cls.word).items():
            assert isinstance(item, Everywhere)
            if is_on(item.clusters, device):
                yield cls.from_entry(lab, device, name, item, name).complete()

    def complete(self) -> Self:
        """The same with what it needs."""
        return self

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", self.listed.path, {self.named: self.id, **params})
        elif params:
            yield Rest("PUT", self._path, emptied(params, **self.instead))

    def remove(self, context: Context) -> Iterator[Rest]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        return self.entry(lab, clusters=[cluster_of(self.key.device)])

    @property
    def _path(self) -> str:
        return f"{self.listed.path}/{segment(self.id)}"
