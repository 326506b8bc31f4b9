"""CHAP logins of initiators. Source: RFC 7143, 12.1; RFC 1994.

Known by tag and user. Secrets are references (`secret://`); a secret of the array that none of them
stands for is never shown: it reads as one of somebody else's. A key that may not see secrets gets
them masked, and then nothing is known of logins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.managed import Context, Cost, Fragment
from controller.step import SECRET, Answers, Json, JsonRpc
from controller.truenas.fields import TEXT, Row, field
from controller.truenas.thing import NasThing, array
from lab.errors import DeviceError, Refused
from lab.lab import Lab

FOREIGN = f"{SECRET}somebody/else"
SHORTEST, LONGEST = 12, 16  # characters that the array takes


def chap_id(tag: object, user: object) -> str:
    """The identity of a login."""
    return f"{tag} {user}"


@dataclass(frozen=True)
class Chap(NasThing):
    """A login."""

    kind = "chap"
    words = ("nas",)
    namespace = "iscsi.auth"
    fields = (
        field("secret", TEXT, cost=Cost.LIVE),
        field("peer_user", TEXT, api="peeruser", cost=Cost.LIVE),
        field("peer_secret", TEXT, api="peersecret", cost=Cost.LIVE),
    )
    sections = {"chap": fields}

    @classmethod
    def identity(cls, row: Row) -> str:
        return chap_id(row["tag"], row["user"])

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is not None:
            for name, chap in nas.chap.items():
                identity = chap_id(chap.tag, chap.user)
                yield cls.said(lab, device, identity, ("chap", name), chap, chap)

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        if set(str(row.get("secret"))) == {"*"}:
            why = "the login that we use may not see secrets, so they can't be compared"
            raise DeviceError(device, why)
        return self

    def identified(self) -> dict[str, Json]:
        tag, _, user = self.id.partition(" ")
        return {"tag": int(tag), "user": user}

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        if old is None and "secret" not in self.values:
            raise Refused(f"a login needs a secret of {SHORTEST} to {LONGEST} characters")
        yield from super().steps(old, context)

    def declare(self, lab: Lab) -> Fragment:
        if FOREIGN in self.values.values():
            return {}
        tag, _, user = self.id.partition(" ")
        return self.part(lab, "chap", user, tag=int(tag), user=user)
