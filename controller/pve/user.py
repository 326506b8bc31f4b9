"""Users and the groups they are in. The realm is part of the identity, `name@realm`.

Source: the Proxmox VE administration guide, user management, users. Leaves out passwords (only a
ticket may set them, and realms such as AD keep their own), API tokens, second factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.managed import Context, Fragment
from controller.pve.fields import FLAG, SET, field, parameters, read
from controller.pve.thing import PveThing, cluster_of, emptied, is_on, rows, segment
from controller.step import Answers, Query, Rest, Step
from lab.lab import Lab

USERS = Query("/access/users", {"full": 1})


@dataclass(frozen=True)
class User(PveThing):
    """A user."""

    kind = "user"
    word = "users"
    words = ("users",)
    fields = (
        field("groups", SET, default=()),
        field("enabled", FLAG, api="enable", default=True),
        field("first_name", api="firstname"),
        field("last_name", api="lastname"),
        field("email"),
        field("comment"),
    )

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield USERS

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, USERS):
            yield cls.there(device, row["userid"], read(cls.fields, device, row)).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, user in lab.users.items():
            if is_on(user.clusters, device):
                yield cls.from_entry(lab, device, name, user, name).complete()

    def complete(self) -> Self:
        """The same with what it needs."""
        return replace(self, needs=self.refers("group", *self.held("groups")))

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", "/access/users", {"userid": self.id, **params})
        elif params:
            yield Rest("PUT", self._path, emptied(params, enable=1))

    def remove(self, context: Context) -> Iterator[Step]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        return self.entry(lab, clusters=[cluster_of(self.key.device)])

    @property
    def _path(self) -> str:
        return f"/access/users/{segment(self.id)}"
