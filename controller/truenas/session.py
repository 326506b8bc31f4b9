"""iSCSI sessions: seen, never declared.

A session needs its target and all that the target is made of, so nothing of that goes while it
lasts. Where sessions do not answer, nothing of the array goes. Source: RFC 7143, 2.1, sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.managed import Context, Fragment, Key
from controller.step import Answers, JsonRpc, Query
from controller.truenas.clients import SESSIONS, session_rows
from controller.truenas.fields import Row, field
from controller.truenas.lun import Lun
from controller.truenas.service import NAMES, Service
from controller.truenas.target import Target
from controller.truenas.thing import NasThing
from lab.errors import Refused
from lab.lab import Lab


@dataclass(frozen=True)
class Session(NasThing):
    """A session of an initiator with a target."""

    kind = "session"
    inherent = True
    namespace = "iscsi.global"
    fields = (field("address"),)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield SESSIONS
        yield from Lun.fetch(device, answers)

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        for initiator, address, target in session_rows(device, answers):
            yield f"{initiator} {address} {target}", {"address": address}

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        targets = {thing.id: thing for thing in Target.read(device, answers)}
        luns: dict[str, set[Key]] = {}
        for lun in Lun.read(device, answers):
            luns.setdefault(lun.target, set()).update({lun.key, *lun.needs})
        for session in super().read(device, answers):
            name = session.id.rpartition(" ")[2]
            needs = {Key(device, Service.kind, NAMES["iscsi"]), *luns.get(name, ())}
            if name in targets:
                needs |= {targets[name].key, *targets[name].needs}
            yield replace(session, needs=frozenset(needs))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        yield from ()

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        raise Refused("a session is the initiator's to make")

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        raise Refused("a session is the initiator's to end")

    def declare(self, lab: Lab) -> Fragment:
        return {}
