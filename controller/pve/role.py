"""Roles of our own: named sets of privileges. The built-in ones are part of Proxmox VE, left alone.

Source: the Proxmox VE administration guide, user management, roles. Which privileges exist differs
between releases; an unknown one is refused by the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.managed import Context, Fragment
from controller.pve.fields import SET, field, parameters, read
from controller.pve.thing import PveThing, cluster_of, emptied, is_on, rows, segment
from controller.step import Answers, Query, Rest, Step
from lab.lab import Lab

ROLES = Query("/access/roles")


def is_built_in(role: str) -> bool:
    """Whether a role comes with Proxmox VE: those names are reserved."""
    return role in ("Administrator", "NoAccess") or role.startswith("PVE")


@dataclass(frozen=True)
class Role(PveThing):
    """A role."""

    kind = "role"
    word = "roles"
    words = ("roles",)
    fields = (field("privileges", SET, api="privs", default=()),)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield ROLES

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, ROLES):
            if not row.get("special"):
                yield cls.there(device, row["roleid"], read(cls.fields, device, row))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, role in lab.roles.items():
            if is_on(role.clusters, device):
                yield cls.from_entry(lab, device, name, role, name)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", "/access/roles", {"roleid": self.id, **params})
        elif params:
            yield Rest("PUT", self._path, emptied(params))

    def remove(self, context: Context) -> Iterator[Step]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        return self.entry(lab, clusters=[cluster_of(self.key.device)])

    @property
    def _path(self) -> str:
        return f"/access/roles/{segment(self.id)}"
