"""Groups of users. Who is in one is said by the users.

Source: the Proxmox VE administration guide, user management, groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.managed import Context, Fragment
from controller.pve.fields import field, parameters, read
from controller.pve.thing import PveThing, cluster_of, emptied, is_on, rows, segment
from controller.step import Answers, Query, Rest, Step
from lab.lab import Lab

GROUPS = Query("/access/groups")


@dataclass(frozen=True)
class Group(PveThing):
    """A group."""

    kind = "group"
    word = "groups"
    words = ("groups",)
    fields = (field("comment"),)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield GROUPS

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, GROUPS):
            yield cls.there(device, row["groupid"], read(cls.fields, device, row))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, group in lab.groups.items():
            if is_on(group.clusters, device):
                yield cls.from_entry(lab, device, name, group, name)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", "/access/groups", {"groupid": self.id, **params})
        elif params:
            yield Rest("PUT", self._path, emptied(params))

    def remove(self, context: Context) -> Iterator[Step]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        return self.entry(lab, clusters=[cluster_of(self.key.device)])

    @property
    def _path(self) -> str:
        return f"/access/groups/{segment(self.id)}"
