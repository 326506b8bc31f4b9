"""Containers: read for what they need, and left alone; the language has no word for them.

Source: the Proxmox VE administration guide, Linux containers. Leaves out what waits for a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.managed import Context, Fragment
from controller.pve.guests import GUESTS
from controller.pve.thing import PveThing, rows
from controller.pve.volumes import storages_of
from controller.step import Answers, Query, Rest
from lab.errors import DeviceError
from lab.lab import Lab


@dataclass(frozen=True)
class Container(PveThing):
    """A container. It needs its pool, and the storages of its root and its mount points."""

    kind = "container"
    word = ""
    fields = ()

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield GUESTS
        if GUESTS.text in answers:
            yield from map(_config, _rows(device, answers))

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in _rows(device, answers):
            config = answers.get(_config(row).text)
            if config is None:
                continue
            if not isinstance(config, Mapping):
                raise DeviceError(device, f"container {row['vmid']} answered no configuration")
            thing = cls.there(device, str(row["vmid"]), {})
            pools = [str(row["pool"])] if row.get("pool") else []
            needs = thing.refers("storage", *storages_of(config)) | thing.refers("pool", *pools)
            yield replace(thing, needs=needs)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        yield from ()

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        yield from ()

    def remove(self, context: Context) -> Iterator[Rest]:
        yield from ()

    def declare(self, lab: Lab) -> Fragment:
        return {}


def _rows(device: str, answers: Answers) -> Iterator[Mapping[str, Any]]:
    return (row for row in rows(device, answers, GUESTS) if row.get("type") == "lxc")


def _config(row: Mapping[str, Any]) -> Query:
    return Query(f"/nodes/{row['node']}/lxc/{row['vmid']}/config", about=str(row["vmid"]))
