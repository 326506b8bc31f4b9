"""The array's own iSCSI name: what the names of its targets begin with. Source: RFC 7143, 4.2.7.

Another one renames every target, and every session drops: refused while there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.managed import Context, Cost, Fragment, Key
from controller.step import Answers, JsonRpc, Query
from controller.truenas.fields import NAME, field, read
from controller.truenas.thing import NasThing, array, writable
from lab.errors import DeviceError, Refused
from lab.lab import Lab

CONFIG = Query("iscsi.global.config")
IQN = field("iqn", NAME, api="basename", cost=Cost.STOP_START)
ISCSI = Key("", "iscsi", "global")


@dataclass(frozen=True)
class Iscsi(NasThing):
    """Settings of iSCSI."""

    kind = ISCSI.kind
    inherent = True
    words = ("nas",)
    namespace = "iscsi.global"
    fields = (IQN,)
    sections = {"": fields}

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield CONFIG

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        config = answers[CONFIG.text]
        if not isinstance(config, dict):
            raise DeviceError(device, f"{CONFIG.path} answered {str(config)[:80]!r}")
        yield cls.there(device, ISCSI.id, read(cls.fields, device, config))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is not None:
            yield cls.said(lab, device, ISCSI.id, (), nas, None)

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        writable(context)
        members = self.changed(old)
        if not members:
            return
        sessions = context.around.get("sessions")
        if sessions != 0:
            count = "an unknown number of" if sessions is None else f"{sessions}"
            what = f"another iqn renames every target, and there are {count} sessions"
            raise Refused(what, "log out every initiator first")
        yield JsonRpc("iscsi.global.update", (members,))

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        raise Refused("the settings of iSCSI are part of the array")

    def declare(self, lab: Lab) -> Fragment:
        return {}
