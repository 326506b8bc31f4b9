"""File systems in fstab, mounted. Source: fstab(5), findmnt(8).

A line is a block of ours. A disk is written by the UUID of its file system, as names of disks may
change from start to start; both say the same here. Leaves out: swap, automounts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.fields import PLAIN, Field
from controller.linux.block import block_of
from controller.linux.checks import CHECKS
from controller.linux.file import pending, waits
from controller.linux.filesystem import DISKS, Filesystem, disk_rows, filesystem_key
from controller.linux.package import packages_of
from controller.linux.shell import Output, asked, output, outputs, succeeded
from controller.linux.thing import HostThing, entry_of, host_of, systems
from controller.managed import Context, Cost, Key, Value
from controller.step import Answers, Command, Query, Step, WriteFile
from lab.errors import DeviceError, Refused
from lab.kinds.backup_server import BackupServer
from lab.lab import Lab

FSTAB = "/etc/fstab"
LINES = asked("findmnt", "--fstab", "--json", "--mountpoint")
TEXT = asked("cat", "--", FSTAB)
MOUNTED = asked("findmnt", "--json", "--list")


def mount_key(device: str, path: str) -> Key:
    """What is mounted at a path."""
    return Key(device, Mount.kind, path)


def mount_mark(path: str) -> str:
    """The name of the block of a mount."""
    return f"vlab mount {path}"


def _rows(device: str, found: Output) -> list[Mapping[str, Any]]:
    """What findmnt found; nothing is status 1. Raises DeviceError."""
    succeeded(device, MOUNTED, found, done=(0, 1))
    try:
        rows: list[Mapping[str, Any]] = (
            json.loads(found.stdout)["filesystems"] if found.stdout.strip() else []
        )
    except (ValueError, KeyError) as error:
        raise DeviceError(device, f"can't read what findmnt says: {error}") from error
    return rows


@dataclass(frozen=True)
class Mount(HostThing):
    """A mount point. `ours`: its line is a block of ours."""

    kind = "mount"
    section = "mounts"
    fields = (
        Field("source", ("source",), PLAIN, Cost.STOP_START),
        Field("type", ("type",), PLAIN, Cost.STOP_START),
        Field("options", ("options",), PLAIN, Cost.LIVE, ()),
    )

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from ()

    @classmethod
    def fetch_named(cls, device: str, ids: Collection[str], answers: Answers) -> Iterator[Query]:
        for path in ids:
            yield asked("findmnt", "--fstab", "--json", "--mountpoint", path, about=path)
        if ids:
            yield from (TEXT, MOUNTED, DISKS, waits(FSTAB))

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for path, found in outputs(answers, LINES):
            for row in _rows(device, found)[-1:]:
                disks = disk_rows(device, answers)
                paths = {f"UUID={disk['uuid']}": disk["path"] for disk in disks}
                source = paths.get(row["source"], row["source"])
                live = {each["target"] for each in _rows(device, output(answers, MOUNTED))}
                text = output(answers, TEXT).stdout
                ours = block_of(device, text, mount_mark(path)) is not None
                values: dict[str, Value] = {
                    "source": source,
                    "type": row["fstype"],
                    "options": tuple(sorted({*row["options"].split(",")} - {"defaults"})),
                    "mounted": path in live,
                    "ours": ours,
                    "in_force": not (ours and pending(answers, FSTAB)),
                }
                needs = frozenset({filesystem_key(device, source)})
                yield replace(cls.there(device, path, values), needs=needs)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        system, packages = systems(lab).get(host_of(device)), packages_of(lab, device)
        for path, item in cls.parts(lab, device):
            thing = cls.said(lab, device, path, ("mounts", path), item, item)
            values = {"options": (), **thing.values, **_IN_USE}
            disk = str(values["source"])
            needs = packages | ({filesystem_key(device, disk)} if _formatted(lab, disk, device)
                                else set())  # fmt: skip
            yield replace(thing, values=values, needs=needs)
        if isinstance(system, BackupServer) and system.mount not in system.mounts:
            disk = f"/dev/{system.disk}"
            if _formatted(lab, disk, device):
                values = {"source": disk, "type": "xfs", "options": ("nofail",), **_IN_USE}
                at = (*entry_of(lab, host_of(device)), "mount")
                thing = cls.follows(lab, device, system.mount, values, at)
                yield replace(thing, needs=packages | {filesystem_key(device, disk)})

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        held = old.values if old is not None else {}
        goal = {"options": (), **held, **self.values}
        moved = [name for name in ("source", "type", "options") if goal[name] != held.get(name)]
        if old is not None and moved:
            if not held["ours"]:
                fix = f"take its line out of {FSTAB} of {self.host}, or say what it says"
                raise Refused(f"{self.id} is in {FSTAB} by another hand", fix)
            if held["mounted"] and moved != ["options"]:
                yield Command(("umount", "--", self.id))
        yield Command(("mkdir", "-p", "--", self.id))
        if moved or not held["in_force"]:
            yield self._line(goal)
        if old is not None and held["mounted"] and moved == ["options"]:
            yield Command(("mount", "-o", "remount", self.id))
        elif not held.get("mounted") or moved:
            yield Command(("mount", self.id))

    def remove(self, context: Context) -> Iterator[Step]:
        if not self.values["ours"]:
            raise Refused(f"{self.id} is in {FSTAB} by another hand", "take it out by hand")
        if self.values["mounted"]:
            yield Command(("umount", "--", self.id))
        yield WriteFile(FSTAB, "", block=mount_mark(self.id), after=_RELOAD)

    def _line(self, goal: Mapping[str, Any]) -> WriteFile:
        source = str(goal["source"])
        named = f"UUID={{uuid:{source}}}" if source.startswith("/dev/") else escaped(source)
        options = ",".join(goal["options"]) or "defaults"
        line = f"{named} {escaped(self.id)} {goal['type']} {options} 0 0\n"
        mark = mount_mark(self.id)
        return WriteFile(FSTAB, line, block=mark, check=CHECKS[FSTAB], after=_RELOAD)


_RELOAD = ("systemctl", "daemon-reload")
_IN_USE: Mapping[str, Value] = {"mounted": True, "in_force": True}


def escaped(path: str) -> str:
    """A path as a word of fstab and exports. Source: fstab(5), getmntent(3)."""
    return re.sub(r"[\s\\#\"]", lambda found: f"\\{ord(found[0]):03o}", path)


def _formatted(lab: Lab, path: str, device: str) -> bool:
    """Whether the file system on a device is ours to make."""
    return any(thing.id == path for thing in Filesystem.wanted(lab, device))
