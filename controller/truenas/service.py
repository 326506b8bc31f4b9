"""Services: whether iSCSI and NFS serve now, and whether they start with the array.

Where nothing is written of one, it serves as soon as there is something to offer.

None is stopped while somebody uses it. Source: the TrueNAS documentation, services.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from controller.managed import Context, Cost, Fragment
from controller.step import Answers, JsonRpc, Query
from controller.truenas.fields import FLAG, Codec, Row, field
from controller.truenas.thing import NasThing, array, nas_of, policy_of, writable
from controller.truenas.versions import CLIENTS_COUNTED, VERSION, release_in
from lab.errors import Refused
from lab.item import Part
from lab.kinds.nas import NasService, NasServices
from lab.lab import Lab

NAMES = {"iscsi": "iscsitarget", "nfs": "nfs"}  # in the language -> on the array
NFS_CLIENTS = Query("nfs.client_count")
ENABLED = field("enabled", FLAG, api="enable")
RUNNING = field(
    "running",
    Codec(lambda state: state == "RUNNING", bool),
    api="state",
    cost=Cost.STOP_START,
)


@dataclass(frozen=True)
class Service(NasThing):
    """A service."""

    kind = "service"
    inherent = True
    words = ("nas",)
    namespace = "service"
    fields = (ENABLED, RUNNING)
    sections = {"services.iscsi": fields, "services.nfs": fields}
    settles_s = 60.0

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield from super().fetch(device, answers)
        if VERSION.text in answers and release_in(device, answers) >= CLIENTS_COUNTED:
            yield NFS_CLIENTS

    @classmethod
    def identity(cls, row: Row) -> str:
        return str(row["service"])

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        yield from (
            (name, row) for name, row in super().found(device, answers) if name in NAMES.values()
        )

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        said = nas.services or NasServices()
        users: tuple[tuple[str, NasService | None, str, Mapping[str, Part]], ...] = (
            ("iscsi", said.iscsi, "targets", nas.targets),
            ("nfs", said.nfs, "shares", nas.shares),
        )
        for word, item, section, parts in users:
            if item is not None:
                yield cls.said(lab, device, NAMES[word], ("services", word), item, None)
            elif parts:
                yield cls._implied(lab, device, word, section, parts)

    @classmethod
    def _implied(
        cls, lab: Lab, device: str, word: str, section: str, parts: Mapping[str, Part]
    ) -> Self:
        """What is offered is served, as far as the author lets anything of it be changed."""
        thing = cls.said(lab, device, NAMES[word], (section,), None, None)
        nas = lab.nas[nas_of(device)]
        allowed = [policy_of(nas, part).manage for part in parts.values()]
        policy = replace(thing.policy, manage=frozenset().union(*allowed))
        place = lab.place(*thing.path)
        origin = {known.name: place for known in cls.fields if place is not None}
        values = {ENABLED.name: True, RUNNING.name: True}
        return replace(thing, values=values, origin=origin, policy=policy)

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        if field_name == RUNNING.name and self.values[RUNNING.name] is True:
            return Cost.NONE
        return super().cost(field_name, old, context)

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        writable(context)
        held = {} if old is None else old.values
        enable, run = self.values.get(ENABLED.name), self.values.get(RUNNING.name)
        if isinstance(enable, bool) and enable is not held.get(ENABLED.name):
            yield JsonRpc("service.update", (self.id, {ENABLED.api: enable}))
        if isinstance(run, bool) and run is not held.get(RUNNING.name):
            if not run:
                self._unused(context)
            yield JsonRpc("service.control", ("START" if run else "STOP", self.id), 180.0)

    def _unused(self, context: Context) -> None:
        name, who = ("sessions", "sessions") if self.id == NAMES["iscsi"] else ("mounts", "clients")
        count = context.around.get(name)
        if count != 0:
            told = "the array does not tell how many" if count is None else f"there are {count}"
            raise Refused(f"{self.id} is in use: {told} {who}", "let them go first")

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        raise Refused(f"service {self.id} is part of the array")

    def declare(self, lab: Lab) -> Fragment:
        return {}
