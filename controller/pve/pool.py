"""Resource pools and the storages in them. Which guests are in a pool is said by the guests.

Source: the Proxmox VE administration guide, user management, pools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.managed import Context, Fragment
from controller.pve.fields import SET, field, parameters, read
from controller.pve.thing import PveThing, cluster_of, emptied, is_on, rows
from controller.step import Answers, Query, Rest, Scalar
from lab.lab import Lab

POOLS = Query("/pools")
COMMENT = field("comment")
STORAGES = field("storages", SET, default=())


def _members(name: str) -> Query:
    return Query("/pools", {"poolid": name}, about=name)


@dataclass(frozen=True)
class Pool(PveThing):
    """A pool. Nested ones (`a/b`) need the pool around them."""

    kind = "pool"
    word = "pools"
    words = ("pools",)
    fields = (COMMENT, STORAGES)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield POOLS
        if POOLS.text in answers:
            for row in rows(device, answers, POOLS):
                yield _members(row["poolid"])

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, POOLS):
            if _members(row["poolid"]).text in answers:
                document = {**row, "storages": _storages(device, answers, row["poolid"])}
                values = read(cls.fields, device, document)
                yield cls.there(device, row["poolid"], values).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, pool in lab.pools.items():
            if is_on(pool.clusters, device):
                yield cls.from_entry(lab, device, name, pool, name).complete()

    def complete(self) -> Self:
        """The same with what it needs."""
        storages = self.refers("storage", *self.held(STORAGES.name))
        around = self.refers("pool", self.id.rpartition("/")[0]) if "/" in self.id else frozenset()
        return replace(self, needs=storages | around)

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        comment = parameters((COMMENT,), self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", "/pools", {"poolid": self.id, **comment})
        elif comment:
            yield self._put(**emptied(comment))
        if STORAGES.name in self.values:
            now, then = set(old.held(STORAGES.name) if old else ()), set(self.held(STORAGES.name))
            if then - now:
                yield self._put(storage=",".join(sorted(then - now)))
            if now - then:
                yield self._put(storage=",".join(sorted(now - then)), delete=1)

    def remove(self, context: Context) -> Iterator[Rest]:
        if storages := self.held(STORAGES.name):
            yield self._put(storage=",".join(storages), delete=1)
        yield Rest("DELETE", "/pools", {"poolid": self.id})

    def declare(self, lab: Lab) -> Fragment:
        return self.entry(lab, clusters=[cluster_of(self.key.device)])

    def _put(self, **params: Scalar) -> Rest:
        return Rest("PUT", "/pools", {"poolid": self.id, **params})


def _storages(device: str, answers: Answers, name: str) -> list[str]:
    """Members have one row for each node that sees the storage."""
    found = list[Mapping[str, Any]](rows(device, answers, _members(name)))
    members = [member for row in found for member in row.get("members", ())]
    return [member["storage"] for member in members if member.get("type") == "storage"]
