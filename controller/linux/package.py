"""Packages that must be there. Installed only where the desired state allows it; never removed.

Source: dpkg-query(1), apt-get(8). Versions are the distribution's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from controller.linux.luns import luns_of
from controller.linux.shell import asked, outputs
from controller.linux.thing import HostThing, entry_of, host_of, policy_of, systems
from controller.managed import Context, Cost, Fragment, Key
from controller.step import Answers, Command, Query, Step
from lab.errors import DeviceError, Refused
from lab.item import Path
from lab.kinds.backup_server import BackupServer
from lab.kinds.system import HostPackage
from lab.lab import Lab

_ASKED = ("dpkg-query", "--show", "--showformat=${db:Status-Status}", "--")
_UNKNOWN = "dpkg-query: no packages found matching "
INITIATOR, MULTIPATH, NFS, XFS = "open-iscsi", "multipath-tools", "nfs-kernel-server", "xfsprogs"


def packages_of(lab: Lab, device: str) -> frozenset[Key]:
    """Everything that must be installed on a host, before its files are written."""
    return frozenset(Key(device, Package.kind, name) for name in _places(lab, device))


def _places(lab: Lab, device: str) -> Mapping[str, Path]:
    """Names of packages, and where it is written that they are needed."""
    host = host_of(device)
    system = systems(lab).get(host)
    if system is None:
        return {}
    at = entry_of(lab, host)
    found: dict[str, Path] = {}
    if isinstance(system, BackupServer):
        found |= {NFS: (*at, "exports"), XFS: (*at, "mount")}
    for lun in luns_of(lab, host):
        found |= dict.fromkeys((INITIATOR, MULTIPATH), ("storages", lun.storage))
    return found | {name: (*at, "packages", name) for name in system.packages}


@dataclass(frozen=True)
class Package(HostThing):
    """A package. `install`: whether we may install it."""

    kind = "package"
    section = "packages"
    settles_s = 10.0

    install: bool = field(default=False, compare=False)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from ()

    @classmethod
    def fetch_named(cls, device: str, ids: Collection[str], answers: Answers) -> Iterator[Query]:
        for name in ids:
            yield asked(*_ASKED, name, about=name)

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for name, found in outputs(answers, asked(*_ASKED)):
            if found.status and not found.stderr.startswith(_UNKNOWN):
                raise DeviceError(device, f"dpkg-query: {found.told}")
            if found.stdout == "installed":
                yield cls.there(device, name, {"installed": True})

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, place in _places(lab, device).items():
            system = systems(lab)[host_of(device)]
            item = system.packages.get(name, HostPackage())
            thing = cls.follows(lab, device, name, {"installed": True}, place)
            yield replace(thing, install=item.install, policy=policy_of(system, item))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.NONE

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        if not self.install:
            fix = (
                f"write `{self.id}: {{install: true}}` under packages of {self.host}, or install it"
            )
            raise Refused(f"{self.id} is not installed on {self.host}", fix)
        argv = ("apt-get", "--yes", "--no-install-recommends", "install", self.id)
        yield Command(argv, timeout_s=900.0)

    def remove(self, context: Context) -> Iterator[Step]:
        raise Refused(f"{self.id} stays installed: others may use it", "remove it by hand")

    def declare(self, lab: Lab) -> Fragment:
        return self.entry(lab, {self.section: {self.id: {}}})
