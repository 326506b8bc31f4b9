"""Guests under HA. The resource's state is the power of its guest: HA starts and stops it.

Where a guest is does not stand here: HA moves it. Source: the Proxmox VE administration guide, high
availability, resources. Containers are read and left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.managed import Context, Cost, Fragment, Key, Mark
from controller.pve.fields import NUMBER, Codec, field, parameters, read
from controller.pve.guests import HA_RESOURCES, guest_entry, guest_name, guests_of, sid, vmid_of
from controller.pve.thing import PveThing, rows
from controller.step import Answers, Query, Rest
from lab.lab import Lab

STATE = Codec(lambda value: "started" if value == "enabled" else str(value), str)


@dataclass(frozen=True)
class HaResource(PveThing):
    """A guest under HA: `vm:101`."""

    kind = "ha-resource"
    word = "guests"
    words = ("guests",)
    fields = (
        field("state", STATE, cost=Cost.STOP_START, default="started"),
        field("max_restart", NUMBER, path=("ha", "restart"), default=1),
        field("max_relocate", NUMBER, path=("ha", "relocate"), default=1),
    )

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield HA_RESOURCES

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, HA_RESOURCES):
            thing = cls.there(device, row["sid"], read(cls.fields, device, row))
            guest = vmid_of(row["sid"])
            needs = frozenset({Key(device, "vm", guest)} if guest else ())
            yield replace(thing, needs=needs)

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, guest in guests_of(lab, device):
            if guest.ha is not None:
                thing = cls.from_entry(lab, device, name, guest, sid(guest.vmid))
                yield replace(thing, needs=thing.refers("vm", str(guest.vmid)))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        stops = field_name == "state" and self.values.get("state") not in ("started", Mark.RESET)
        runs = Key(self.key.device, "vm", vmid_of(self.id)) in context.running
        return Cost.STOP_START if stops and runs else Cost.NONE

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None:
            yield Rest("POST", "/cluster/ha/resources", {"sid": self.id, **params})
        elif params:
            yield Rest("PUT", self._path, params)

    def remove(self, context: Context) -> Iterator[Rest]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        cluster, vmid = self.key.device, vmid_of(self.id)
        if not vmid:
            return {}
        said = self.entry(lab)[self.word].popitem()[1]
        return guest_entry(lab, cluster, vmid, guest_name(lab, cluster, vmid), {"ha": {}} | said)

    @property
    def _path(self) -> str:
        return f"/cluster/ha/resources/{self.id}"
