"""ZFS pools: read only. What is kept on one needs it. Source: zpool(8).

Leaves out making pools and changing their disks, which is a person's work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.managed import Context, Fragment
from controller.step import JsonRpc
from controller.truenas.thing import NasThing, array
from lab.errors import Refused
from lab.lab import Lab


@dataclass(frozen=True)
class Pool(NasThing):
    """A pool."""

    kind = "pool"
    inherent = True
    namespace = "pool"
    fields = ()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is not None:
            for name, pool in nas.pools.items():
                yield cls.said(lab, device, name, ("pools", name), pool, None)

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        raise Refused(f"pool {self.id} is a person's to make")

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        raise Refused(f"pool {self.id} is a person's to destroy")

    def declare(self, lab: Lab) -> Fragment:
        return {}
