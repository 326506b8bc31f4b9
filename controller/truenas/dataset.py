"""File systems and volumes: what both have, and the file systems. Source: zfsprops(7).

A share's folder that no declared dataset holds is a dataset of its own, which nobody named: it is
made for the share, and what is in it stays when the share goes. Leaves out the root of a
pool, ACLs, encryption, quotas of people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from controller.fields import SIZE as SIZED
from controller.managed import Cost, Fragment, Key
from controller.step import Answers, Json
from controller.truenas.fields import BLOCKS_HERE, NOTE, SIZE, SWITCH, WORD, Row, field
from controller.truenas.thing import NasThing, array, rows
from lab.item import Act
from lab.kinds.nas import Nas
from lab.lab import Lab

NAMESPACE = "pool.dataset"
VOLUME = "VOLUME"
FILESYSTEM = "FILESYSTEM"
COMMON = (
    field("compression", WORD, cost=Cost.LIVE),
    field("sync", WORD, cost=Cost.LIVE),
    field("comment", NOTE, api="comments"),
)


def holder(nas: Nas, path: str) -> str:
    """The declared dataset that holds a folder; without one, the dataset of its own name."""
    name = path.removeprefix("/mnt/")
    around = name
    while "/" in around:
        if around in nas.datasets:
            return around
        around = around.rpartition("/")[0]
    return name


def stands_on(device: str, name: str) -> Key:
    """What a dataset lies in: another dataset, or the pool."""
    around = name.rpartition("/")[0]
    return Key(device, Dataset.kind if "/" in around else "pool", around)


@dataclass(frozen=True)
class AnyDataset(NasThing):
    """A dataset of either type. Its name is its number."""

    namespace = NAMESPACE

    @classmethod
    def of_type(cls, device: str, answers: Answers, type_: str) -> Iterator[tuple[str, Row]]:
        """Datasets of one type below the roots of the pools."""
        for row in rows(device, answers, NAMESPACE):
            if row.get("type") == type_ and "/" in str(row["name"]):
                yield str(row["name"]), row

    @property
    def number(self) -> str:
        return self.id

    @property
    def claims(self) -> Mapping[str, str]:
        return self.alone(f"path {self.id}")

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        return self.placed()

    def placed(self) -> Self:
        """The same with what it lies in."""
        return replace(self, needs=frozenset({stands_on(self.key.device, self.id)}))


@dataclass(frozen=True)
class Dataset(AnyDataset):
    """A file system."""

    kind = "dataset"
    words = ("nas",)
    fields = (
        *COMMON,
        field("quota_bytes", SIZE, path=("quota",), api="quota", speech=SIZED, cost=Cost.LIVE),
        field(
            "refquota_bytes", SIZE, path=("refquota",), api="refquota", speech=SIZED, cost=Cost.LIVE
        ),
        field("record_bytes", BLOCKS_HERE, path=("record-size",), api="recordsize", speech=SIZED),
        field("atime", SWITCH),
    )
    sections = {"datasets": fields}

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        yield from cls.of_type(device, answers, FILESYSTEM)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        for name, dataset in nas.datasets.items():
            yield cls.said(lab, device, name, ("datasets", name), dataset, dataset).placed()
        derived: set[str] = set()
        for key, share in nas.shares.items():
            name = holder(nas, share.path)
            if "/" in name and name not in nas.datasets and name not in derived:
                derived.add(name)
                thing = cls.said(lab, device, name, ("shares", key), None, share).placed()
                policy = replace(thing.policy, manage=thing.policy.manage - {Act.DELETE})
                yield replace(thing, policy=policy)

    def identified(self) -> dict[str, Json]:
        return {"name": self.id, "type": FILESYSTEM}

    def declare(self, lab: Lab) -> Fragment:
        return self.part(lab, "datasets", self.id)
