"""LUNs: which extent a target shows under which number. Source: SAM-5, 4.7, logical unit numbers.

The array calls it an associated target. An extent is in one target only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from controller.managed import Context, Cost, Fragment
from controller.step import Answers, Json, JsonRpc
from controller.truenas.clients import clients
from controller.truenas.extent import Extent, extent_name
from controller.truenas.fields import Codec, Row, field
from controller.truenas.target import Target
from controller.truenas.thing import NasThing, array, nas_of, reference, rows, writable
from lab.errors import Refused
from lab.lab import Lab

EXTENT = field(
    "extent",
    Codec(str, lambda name: reference(Extent.kind, name)),
    path=(),
    cost=Cost.REPLACE,
)


def lun_id(target: str, number: object) -> str:
    """The identity of a LUN: `cluster-b/0`."""
    return f"{target}/{number}"


@dataclass(frozen=True)
class Lun(NasThing):
    """A LUN of a target."""

    kind = "lun"
    words = ("nas",)
    namespace = "iscsi.targetextent"
    asks = (*Target.asks, Target.namespace, Extent.namespace)
    fields = (EXTENT,)

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        targets = {row["id"]: row["name"] for row in rows(device, answers, Target.namespace)}
        extents = {row["id"]: row["name"] for row in rows(device, answers, Extent.namespace)}
        for row in rows(device, answers, cls.namespace):
            if row["target"] in targets and row["extent"] in extents:
                identity = lun_id(targets[row["target"]], row["lunid"])
                yield identity, {**row, EXTENT.api: extents[row["extent"]]}

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        for name, target in nas.targets.items():
            for number, zvol in target.luns.items():
                if zvol not in nas.zvols:
                    continue  # the language says so
                at = ("targets", name, "luns", number)
                thing = cls.said(lab, device, lun_id(name, number), at, None, target)
                values = {EXTENT.name: extent_name(zvol, nas.zvols[zvol])}
                place = lab.place(*thing.path)
                origin = {EXTENT.name: place} if place else {}
                yield replace(thing, values=values, origin=origin).joined()

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        return self.joined()

    def joined(self) -> Self:
        """The same with the target and the extent that it needs."""
        extent = str(self.values[EXTENT.name])
        needs = self.refers(Target.kind, self.target) | self.refers(Extent.kind, extent)
        return replace(self, needs=needs)

    @property
    def claims(self) -> Mapping[str, str]:
        return self.alone(f"extent {self.values[EXTENT.name]}")

    @property
    def target(self) -> str:
        """The target that shows it."""
        return self.id.rpartition("/")[0]

    def identified(self) -> dict[str, Json]:
        number = int(self.id.rpartition("/")[2])
        return {"target": reference(Target.kind, self.target), "lunid": number}

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        writable(context)
        if old is None:
            yield from super().steps(old, context)
        elif members := self.changed(old):
            self._unused(context)
            changed = {**self.identified(), **members}
            yield JsonRpc(f"{self.namespace}.update", (self.number, changed))

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        self._unused(context)
        yield from super().remove(context)

    def _unused(self, context: Context) -> None:
        if who := clients(context, self.target):
            what = f"{self.target} has sessions of {', '.join(sorted(who))}"
            raise Refused(f"{what}, which may use LUN {self.id}", "log them out first")

    def declare(self, lab: Lab) -> Fragment:
        nas = array(lab, self.key.device)
        extent = self.values.get(EXTENT.name)
        known = {} if nas is None else {extent_name(n, z): n for n, z in nas.zvols.items()}
        if extent not in known:
            return {}
        luns = {self.id.rpartition("/")[2]: known[str(extent)]}
        return {"nas": {nas_of(self.key.device): {"targets": {self.target: {"luns": luns}}}}}
