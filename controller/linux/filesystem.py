"""File systems on disks of a host. Made once, on a disk that carries nothing; never made anew.

Source: lsblk(8), mkfs.xfs(8), wipefs(8).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.linux.package import packages_of
from controller.linux.shell import Output, asked, output, outputs, succeeded
from controller.linux.thing import HostThing, entry_of, host_of
from controller.managed import Context, Cost, Key
from controller.step import Answers, Command, Query, Step
from lab.errors import DeviceError, Refused
from lab.lab import Lab

_COLUMNS = ("lsblk", "--json", "-o", "name,path,type,fstype,uuid,mountpoints")
DISKS = asked(*_COLUMNS)
NO_DEVICE = 32  # lsblk(8): none of the devices asked for
TYPE = "xfs"  # of a backup server


def disk_rows(device: str, answers: Answers) -> Iterator[dict[str, Any]]:
    """Every block device, those on others after them. Raises DeviceError."""
    waiting = _rows(device, succeeded(device, DISKS, output(answers, DISKS)))
    while waiting:
        row = waiting.pop(0)
        yield row
        waiting += row.get("children", ())


def _rows(device: str, found: Output) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads(found.stdout)["blockdevices"]
    except (ValueError, KeyError) as error:
        raise DeviceError(device, f"can't read what lsblk says: {error}") from error
    return rows


@dataclass(frozen=True)
class Filesystem(HostThing):
    """What a disk carries: its id is the device's path."""

    kind = "filesystem"

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from ()

    @classmethod
    def fetch_named(cls, device: str, ids: Collection[str], answers: Answers) -> Iterator[Query]:
        for path in ids:
            yield asked(*_COLUMNS, path, about=path)

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for path, found in outputs(answers, DISKS):
            if found.status == NO_DEVICE:
                continue
            for row in _rows(device, succeeded(device, DISKS, found)):
                type_ = row["fstype"] or ("partitions" if row.get("children") else "")
                if row["path"] == path and type_:
                    yield cls.there(device, path, {"type": type_})

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        server = lab.backup_servers.get(host_of(device))
        if server is not None and server.disk in server.disks:
            at = (*entry_of(lab, host_of(device)), "disk")
            thing = cls.follows(lab, device, f"/dev/{server.disk}", {"type": TYPE}, at)
            yield replace(thing, needs=packages_of(lab, device))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.REPLACE

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if old is not None:
            what = f"{self.id} of {self.host} carries {old.values['type']}"
            raise Refused(what, "nothing that carries data is formatted: save it, then `wipefs`")
        blank = (("wipefs", "--noheadings", self.id),)
        yield Command((f"mkfs.{self.values['type']}", self.id), blank=blank, timeout_s=600.0)

    def remove(self, context: Context) -> Iterator[Step]:
        raise Refused(f"the file system on {self.id} stays: it may hold data", "wipe it by hand")


def filesystem_key(device: str, path: str) -> Key:
    """The one on a disk."""
    return Key(device, Filesystem.kind, path)
