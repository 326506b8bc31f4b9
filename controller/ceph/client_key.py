"""Clients' keys: who may ask what of which daemons. Source: Ceph's manual, user management.

Ceph makes the key; it is neither asked for nor kept here. Caps are replaced as a whole, as Ceph
does. A cap on a pool makes the key need the pool, so that a pool stays while somebody may use it.
Keys of daemons, of the administrator and for bootstrapping are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.ceph.pool import Pool
from controller.ceph.thing import CephThing, cluster, rows
from controller.fields import Field, Speech
from controller.managed import Context, Cost, Fragment, Mark
from controller.step import Answers, MonCommand, Query
from lab.kinds.ceph import OWN_CLIENT
from lab.lab import Lab

AUTH = Query("auth ls")
CLIENT = "client."
_POOL = re.compile(r"\bpool[= ]([\w.-]+)")


def _lines(_lab: Lab, caps: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(f"{kind} {text}" for kind, text in caps.items()))


def _by_kind(_lab: Lab, lines: tuple[str, ...]) -> dict[str, str]:
    parted = (line.partition(" ") for line in lines)
    return {kind: text for kind, _, text in parted}


CAPS = Field("caps", ("caps",), Speech(_lines, _by_kind), Cost.LIVE)


@dataclass(frozen=True)
class ClientKey(CephThing):
    """A key, by its entity: `client.pve`."""

    kind = "client-key"
    section = "clients"
    fields = (CAPS,)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield AUTH

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, AUTH, "auth_dump"):
            name = str(row["entity"]).removeprefix(CLIENT)
            if row["entity"] != name and not OWN_CLIENT.fullmatch(name):
                lines = tuple(sorted(f"{kind} {text}" for kind, text in row["caps"].items()))
                yield cls.there(device, row["entity"], {CAPS.name: lines}).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        ceph = cluster(lab, device)
        for name, client in ceph.clients.items() if ceph else ():
            path = ("clients", name)
            yield cls.from_part(lab, device, path, client, f"{CLIENT}{name}").complete()

    def complete(self) -> Self:
        """The same with the pools that its caps name."""
        pools = {name for line in self.held(CAPS.name) for name in _POOL.findall(line)}
        return replace(self, needs=self.refers(Pool.kind, *pools))

    def steps(self, old: Self | None, context: Context) -> Iterator[MonCommand]:
        if self.values[CAPS.name] is Mark.RESET or not self.changes(old):
            return
        caps = [word for line in self.held(CAPS.name) for word in line.split(" ", 1)]
        prefix = "auth add" if old is None else "auth caps"
        yield MonCommand(prefix, {"entity": self.id, "caps": caps})

    def remove(self, context: Context) -> Iterator[MonCommand]:
        yield MonCommand("auth rm", {"entity": self.id})

    def declare(self, lab: Lab) -> Fragment:
        if not any(line.startswith("mon ") for line in self.held(CAPS.name)):
            return {}  # it can do nothing, and the language has no such client
        return self.fragment(lab, self.id.removeprefix(CLIENT))
