"""Extents: how a volume shows itself to initiators. Source: SPC-4, 7.8 (serial, identifiers).

What hosts know a disk by, its serial and its block size, never changes: it would destroy the LVM on
it. Nothing of a LUN in use is disabled or made read only. Extents over files are read and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.fields import SIZE as SIZED
from controller.managed import Context, Cost, Fragment
from controller.step import Answers, Json, JsonRpc
from controller.truenas.clients import clients
from controller.truenas.fields import FLAG, NAME, NUMBER, TEXT, Row, field
from controller.truenas.thing import NasThing, array
from controller.truenas.zvol import Zvol
from lab.errors import Refused
from lab.kinds.nas import Nas
from lab.kinds.zfs import Zvol as ZvolEntry
from lab.lab import Lab

PREFIX = "zvol/"
BLANK, IN_A_PATH = " ", "+"  # of a volume's name, and in the path of its device
DISK = field("disk", NAME, path=(), cost=Cost.REPLACE)
SERIAL = field("serial", NAME, path=("extent", "serial"), cost=Cost.REPLACE)
BLOCK = field(
    "block_bytes", NUMBER, path=("extent", "block-size"), api="blocksize", speech=SIZED,
    cost=Cost.REPLACE, default=512,
)  # fmt: skip
READ_ONLY = field(
    "read_only", FLAG, path=("extent", "read-only"), api="ro", cost=Cost.STOP_START, default=False
)
ENABLED = field("enabled", FLAG, path=("extent", "enabled"), cost=Cost.STOP_START, default=True)
COMMENT = field("comment", TEXT, path=("extent", "comment"))
FIXED = (
    (DISK, "the data of a LUN would be other data; make another extent"),
    (SERIAL, "hosts know the disk by it, and lose the LVM on it"),
    (BLOCK, "hosts can't read what is on it with other blocks"),
)


def extent_name(name: str, zvol: ZvolEntry) -> str:
    """The name of a declared volume's extent; an array wants no slashes in it."""
    return (zvol.extent.name if zvol.extent else None) or name.replace("/", "-")


def shown(nas: Nas) -> Iterator[tuple[str, ZvolEntry]]:
    """Declared volumes with an extent: those that are a LUN, or say something of their extent."""
    luns = {zvol for target in nas.targets.values() for zvol in target.luns.values()}
    for name, zvol in nas.zvols.items():
        if name in luns or zvol.extent is not None:
            yield name, zvol


@dataclass(frozen=True)
class Extent(NasThing):
    """An extent over a volume."""

    kind = "extent"
    words = ("nas",)
    namespace = "iscsi.extent"
    fields = (DISK, SERIAL, BLOCK, READ_ONLY, ENABLED, COMMENT)
    sections = {"zvols": fields}

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        for name, zvol in shown(nas):
            identity = extent_name(name, zvol)
            thing = cls.said(lab, device, identity, ("zvols", name), zvol, zvol)
            disk = f"{PREFIX}{zvol.pool}/{name.replace(BLANK, IN_A_PATH)}"
            yield replace(thing, values={DISK.name: disk, **thing.values}).backed()

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        return self.backed()

    def backed(self) -> Self:
        """The same with the volume that it needs."""
        return replace(self, needs=self.refers(Zvol.kind, *self.volume))

    @property
    def claims(self) -> Mapping[str, str]:
        held = ((known.name, self.values.get(known.name)) for known in (DISK, SERIAL))
        return self.alone(*(f"{name} {value}" for name, value in held if value))

    @property
    def volume(self) -> tuple[str, ...]:
        """The volume behind it; none for a file."""
        disk = str(self.values.get(DISK.name, ""))
        name = disk.removeprefix(PREFIX).replace(IN_A_PATH, BLANK)
        return (name,) if disk.startswith(PREFIX) else ()

    def identified(self) -> dict[str, Json]:
        return {"name": self.id, "type": "DISK"}

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        if old is not None:
            for known, why in FIXED:
                self.keep(old, known.name, why)
            for known, ends in ((ENABLED, False), (READ_ONLY, True)):
                if self.values.get(known.name) is ends is not old.values.get(known.name):
                    self._unused(context)
        yield from super().steps(old, context)

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        self._unused(context)
        yield from super().remove(context)

    def _unused(self, context: Context) -> None:
        """Raises Refused if somebody has a session with the target of this extent."""
        target = context.around.get(f"extents.{self.id}.target")
        if target is not None and (who := clients(context, str(target))):
            what = f"{self.id} is a LUN of {target}, which has sessions of"
            raise Refused(f"{what} {', '.join(sorted(who))}", "log them out first")

    def declare(self, lab: Lab) -> Fragment:
        if not self.volume:
            return {}
        pool, _, name = self.volume[0].partition("/")
        plain = extent_name(name, ZvolEntry(pool=pool, size=0)) == self.id
        fragment = self.part(lab, "zvols", name)
        entry: dict[str, Any] = next(iter(fragment["nas"].values()))["zvols"][name]
        entry["extent"] = ({} if plain else {"name": self.id}) | entry.get("extent", {})
        return fragment
