"""A target at one portal: the node record, and the session that follows from it at every start.

Discovery only adds records (`--op new`): what is there, also of other arrays, stays. Logins are put
into the record's file, never on a command line. Source: iscsiadm(8). Leaves out: mutual discovery
logins, interfaces, iSNS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from controller.linux.initiator import initiator_key
from controller.linux.luns import Lun, luns_of
from controller.linux.package import packages_of
from controller.linux.resolve import NODES
from controller.linux.sessions import EXISTS, NOTHING, RECORDS, SESSIONS, Record, records, sessions
from controller.linux.shell import asked, output, succeeded
from controller.linux.thing import HostThing, host_of
from controller.managed import Context, Cost, Key, Value
from controller.step import Answers, Command, Query, Step, WriteFile
from lab.errors import Refused
from lab.lab import Lab

LISTED, LOGGED_IN = asked(*RECORDS), asked(*SESSIONS)
STARTUP = "node.startup"
_FIELDS = {
    "startup": STARTUP,
    "user": "node.session.auth.username",
    "secret": "node.session.auth.password",
    "peer_user": "node.session.auth.username_in",
    "peer_secret": "node.session.auth.password_in",
}
_FOUND: Mapping[str, Value] = {"startup": "manual", "session": False}
"""What discovery leaves of a portal that nobody logs in to: it finds all portals of a target."""
_METHOD = "node.session.auth.authmethod"
LOGIN_S = 180.0  # iscsiadm tries eight times, 15 s each, before it gives up


def login_key(device: str, iqn: str, portal: str) -> Key:
    """The login of a host at a portal."""
    return Key(device, Login.kind, f"{iqn} {portal}")


def _file(record: Record) -> Query:
    address, _, port = record.portal.rpartition(":")
    path = f"{NODES}/{record.iqn}/{address},{port},{record.tag}/default"
    return asked("cat", "--", path, about=f"{record.iqn} {record.portal}")


def _listed(answers: Answers) -> list[Record]:
    return list(records(output(answers, LISTED).stdout))


@dataclass(frozen=True)
class Login(HostThing):
    """A login: its id is `IQN ADDRESS:PORT`."""

    kind = "login"
    settles_s = 60.0

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield LISTED
        yield LOGGED_IN
        if LISTED.text in answers:
            yield from (_file(record) for record in _listed(answers))

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        found = output(answers, LISTED)
        if found.missing:
            return  # a host without open-iscsi
        succeeded(device, LISTED, found, done=(0, NOTHING))
        told = succeeded(device, LOGGED_IN, output(answers, LOGGED_IN), done=(0, NOTHING))
        live = {(each.iqn, each.portal) for each in sessions(told.stdout)}
        for record in _listed(answers):
            query = _file(record)
            if query.text not in answers or (text := output(answers, query)).status:
                continue
            values = {**_settings(text.stdout), "session": (record.iqn, record.portal) in live}
            if values == _FOUND:
                continue
            key = login_key(device, record.iqn, record.portal)
            yield replace(cls.there(device, key.id, values), needs=_needs(device))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        made: set[str] = set()
        for lun in luns_of(lab, host_of(device)):
            needs = {lun.target_on_array, *packages_of(lab, device), *_needs(device)}
            for portal in lun.portals:
                key = login_key(device, lun.iqn, portal)
                if key.id not in made:
                    made.add(key.id)
                    at = ("storages", lun.storage)
                    thing = cls.follows(lab, device, key.id, _values(lab, lun), at)
                    yield replace(thing, needs=frozenset(needs))

    @classmethod
    def default(cls, field_name: str) -> Value | None:
        return "manual" if field_name == "startup" else None

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.NONE if field_name == "session" else Cost.LIVE

    @property
    def awaits(self) -> frozenset[Key]:
        """An array takes no LUN from a target with sessions."""
        return frozenset(need for need in self.needs if need.kind == "target")

    @property
    def _target(self) -> tuple[str, ...]:
        iqn, _, portal = self.id.partition(" ")
        return ("iscsiadm", "-m", "node", "-T", iqn, "-p", portal)

    def steps(self, old: Self | None, context: Context) -> Iterator[Step]:
        held = old.values if old is not None else {}
        if old is None:
            portal = self.id.partition(" ")[2]
            discovery = ("iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", portal)
            yield Command((*discovery, "-o", "new"), timeout_s=LOGIN_S)
        lines = {
            known: str(self.values[name])
            for name, known in _FIELDS.items()
            if name in self.values and self.values[name] != held.get(name)
        }
        if lines:
            if "secret" in self.values:
                lines = {_METHOD: "CHAP"} | lines
            told = "".join(f"{name} = {_put(value)}\n" for name, value in lines.items())
            yield WriteFile(f"{{record:{self.id}}}", told, settings=True)
        if self.values.get("session") and not held.get("session"):
            yield Command((*self._target, "--login"), done=(0, EXISTS), timeout_s=LOGIN_S)

    def remove(self, context: Context) -> Iterator[Step]:
        if users := context.around.get(f"in_use.{self.id}"):
            raise Refused(f"{users} of {self.host} is on a LUN of {self.id}", "unmount it first")
        if self.values.get("session"):
            yield Command((*self._target, "--logout"), done=(0, NOTHING), timeout_s=LOGIN_S)
        yield Command((*self._target, "-o", "delete"), done=(0, NOTHING))


def _needs(device: str) -> frozenset[Key]:
    return frozenset({initiator_key(device)})


def _values(lab: Lab, lun: Lun) -> dict[str, Value]:
    nas = lab.nas[lun.nas]
    values: dict[str, Value] = {"startup": "automatic", "session": True}
    chap = nas.chap.get(nas.targets[lun.target].chap or "")
    if chap is not None:
        values |= {"user": chap.user, "secret": chap.secret}
        if chap.peer_user is not None and chap.peer_secret is not None:
            values |= {"peer_user": chap.peer_user, "peer_secret": chap.peer_secret}
    return values


def _settings(text: str) -> dict[str, Value]:
    """What a record says of our fields."""
    says = dict(line.partition(" = ")[::2] for line in text.splitlines())
    held = {name: says.get(known, "<empty>") for name, known in _FIELDS.items()}
    return {
        name: _hidden(value) if "secret" in name else value
        for name, value in held.items()
        if value != "<empty>"
    }


def _hidden(value: str) -> str:
    """A secret as the reference that the port put in braces; one that we don't know is not told."""
    known = re.fullmatch(r"\{(secret://.+)\}", value)
    return known[1] if known else "not ours"


def _put(value: str) -> str:
    """A value in a file: a reference to a secret in braces."""
    return f"{{{value}}}" if value.startswith("secret://") else value
