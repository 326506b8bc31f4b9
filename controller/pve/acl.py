"""Who may do what where: one entry for each path, subject and role, as the device keeps them.

An entry of the language stands for several. Source: the Proxmox VE administration guide, user
management, permissions. Leaves out rights of API tokens: the language has no word for tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from controller.managed import Context, Cost, Fragment, Key, Mark
from controller.pve.fields import FLAG, parameters, read
from controller.pve.fields import field as field_of
from controller.pve.role import is_built_in
from controller.pve.thing import PveThing, cluster_of, emptied, is_on, rows
from controller.step import Answers, Query, Rest, Scalar
from lab.kinds.access import Acl as AclEntry
from lab.lab import Lab

ACL = Query("/access/acl")
_KINDS = {"/vms": "vm", "/storage": "storage", "/pool": "pool"}


@dataclass(frozen=True)
class Grant:
    """The identity of an entry; `kind` is user, group or token."""

    path: str
    kind: str
    who: str
    role: str

    def __str__(self) -> str:
        return f"{self.path} {self.kind}:{self.who} {self.role}"


@dataclass(frozen=True)
class Acl(PveThing):
    """One entry of the access control list."""

    kind = "acl"
    word = "acls"
    words = ("acls",)
    fields = (field_of("propagate", FLAG, default=True),)
    more_costs = dict.fromkeys(("path", "roles", "groups", "users"), Cost.NONE)

    grant: Grant = field(default=Grant("/", "user", "", ""), compare=False)  # the key says it too

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield ACL

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, ACL):
            grant = Grant(row["path"], row["type"], row["ugid"], row["roleid"])
            thing = cls.there(device, str(grant), read(cls.fields, device, row))
            yield replace(thing, grant=grant, needs=_needs(device, grant))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, acl in lab.acls.items():
            for grant in _grants(acl) if is_on(acl.clusters, device) else ():
                thing = cls.from_entry(lab, device, name, acl, str(grant))
                needs = frozenset(need for need in _needs(device, grant) if _declared(lab, need))
                yield replace(thing, grant=grant, needs=needs)

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        params = parameters(self.fields, self.values, old.values if old else None)
        if old is None or params:
            yield Rest("PUT", "/access/acl", self._identity | emptied(params, propagate=1))

    def remove(self, context: Context) -> Iterator[Rest]:
        yield Rest("PUT", "/access/acl", {**self._identity, "delete": 1})

    def declare(self, lab: Lab) -> Fragment:
        if self.grant.kind == "token":
            return {}
        grant = self.grant
        where = grant.path.strip("/").replace("/", "-") or "all"
        name = self.path[1] if self.path else f"{where}-{grant.who}-{grant.role}"
        entry: dict[str, object] = {
            "clusters": [cluster_of(self.key.device)],
            "path": grant.path,
            "roles": [grant.role],
            f"{grant.kind}s": [grant.who],
        }
        propagate = self.values.get("propagate", Mark.RESET)
        said = {} if propagate is Mark.RESET else {"propagate": propagate}
        return {self.word: {name: entry | said}}

    @property
    def _identity(self) -> dict[str, Scalar]:
        grant = self.grant
        return {"path": grant.path, "roles": grant.role, f"{grant.kind}s": grant.who}


def _grants(acl: AclEntry) -> Iterator[Grant]:
    path = "/" + "/".join(part for part in acl.path.split("/") if part)
    subjects = [("group", who) for who in acl.groups] + [("user", who) for who in acl.users]
    for role in dict.fromkeys(acl.roles):
        for kind, who in dict.fromkeys(subjects):
            yield Grant(path, kind, who, role)


def _needs(device: str, grant: Grant) -> frozenset[Key]:
    """The subject or its user, a role of our own, and what the path names."""
    token = grant.kind == "token"  # it goes with its user
    needs = {Key(device, "user" if token else grant.kind, grant.who.partition("!")[0])}
    if not is_built_in(grant.role):
        needs.add(Key(device, "role", grant.role))
    parts = grant.path.split("/", 2)
    kind = _KINDS.get(f"/{parts[1]}")
    if kind is not None and len(parts) == 3:
        needs.add(Key(device, kind, parts[2]))
    return frozenset(needs)


def _declared(lab: Lab, need: Key) -> bool:
    """Whether what a path or a role names is ours to wait for: others' things just are there."""
    match need.kind:
        case "vm":
            return any(str(guest.vmid) == need.id for guest in lab.guests.values())
        case "storage" | "pool" | "role":
            return need.id in lab.map(f"{need.kind}s")
        case _:
            return True
