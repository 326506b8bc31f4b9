"""The device class of each OSD: hdd, ssd, or a name of one's own. Source: Ceph's manual, CRUSH.

An OSD is part of the cluster: it comes and goes through Proxmox VE. A class in place has to be
taken away before another is given, and what rules of the class hold moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.ceph.thing import CephThing, cluster, rows
from controller.fields import PLAIN, Field
from controller.managed import Context, Cost, Fragment, Mark
from controller.step import Answers, MonCommand, Query
from lab.lab import Lab

TREE = Query("osd tree")
CLASS = Field("device_class", ("device-class",), PLAIN, Cost.MIGRATE)


@dataclass(frozen=True)
class DeviceClass(CephThing):
    """An OSD's class, by the OSD's number."""

    kind = "device-class"
    section = "osds"
    inherent = True
    fields = (CLASS,)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield TREE

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, TREE, "nodes"):
            if row["type"] == "osd":
                class_ = row.get("device_class")
                yield cls.there(device, str(row["id"]), {CLASS.name: class_} if class_ else {})

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        ceph = cluster(lab, device)
        for osd, item in ceph.osds.items() if ceph else ():
            thing = cls.from_part(lab, device, ("osds", osd), item, osd)
            if thing.values:
                yield thing

    def steps(self, old: Self | None, context: Context) -> Iterator[MonCommand]:
        ids = {"ids": [f"osd.{self.id}"]}
        if old is not None and CLASS.name in old.values:
            yield MonCommand("osd crush rm-device-class", ids)
        if (class_ := self.values[CLASS.name]) is not Mark.RESET:
            yield MonCommand("osd crush set-device-class", {"class": class_, **ids})

    def remove(self, context: Context) -> Iterator[MonCommand]:
        yield from ()  # part of the cluster

    def declare(self, lab: Lab) -> Fragment:
        return {}  # where an OSD is is not said here
