"""Services: whether they run now, and whether they start with the host. Source: systemctl(1)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.fields import PLAIN, Field
from controller.linux.package import packages_of
from controller.linux.shell import asked, outputs
from controller.linux.thing import HostThing, entry_of, host_of, systems
from controller.managed import Context, Cost
from controller.step import Answers, Command, Query, Step
from lab.errors import DeviceError, Refused
from lab.kinds.backup_server import BackupServer
from lab.lab import Lab

NFS_SERVER = "nfs-server"
_ASKED = ("systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", "--")
_RUNS = ("active", "reloading", "activating")
_STARTS = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


@dataclass(frozen=True)
class Service(HostThing):
    """A service: its id is the unit's name without `.service`."""

    kind = "service"
    section = "services"
    fields = (
        Field("running", ("running",), PLAIN, Cost.LIVE),
        Field("enabled", ("enabled",), PLAIN),
    )

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
            if found.status:
                raise DeviceError(device, f"systemctl show {name}: {found.told}")
            says = dict(line.partition("=")[::2] for line in found.stdout.splitlines())
            if says.get("LoadState") == "loaded":
                running = says["ActiveState"] in _RUNS
                enabled = says["UnitFileState"] in _STARTS
                yield cls.there(device, name, {"running": running, "enabled": enabled})

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        host, needs = host_of(device), packages_of(lab, device)
        for name, item in cls.parts(lab, device):
            thing = cls.said(lab, device, name, ("services", name), item, item)
            yield replace(thing, needs=needs)
        system = systems(lab).get(host)
        if isinstance(system, BackupServer) and NFS_SERVER not in system.services:
            values = {"running": True, "enabled": True}
            at = (*entry_of(lab, host), "exports")
            yield replace(cls.follows(lab, device, NFS_SERVER, values, at), needs=needs)

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        if field_name == "running" and self.values.get("running") is False:
            return Cost.STOP_START
        return super().cost(field_name, old, context)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        held = old.values if old is not None else {}
        for name, verbs in (("enabled", ("disable", "enable")), ("running", ("stop", "start"))):
            goal = self.values.get(name)
            if isinstance(goal, bool) and goal != held.get(name):
                yield Command(("systemctl", verbs[goal], "--", self.id))

    def remove(self, context: Context) -> Iterator[Step]:
        raise Refused(f"{self.id} came with its package, and stays as it is", "stop it by hand")
