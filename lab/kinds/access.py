"""People and what they may do. Source: the Proxmox VE administration guide, user management.

Everything here belongs to clusters; without `clusters` it belongs to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from lab.item import Flaw, Owned
from lab.names import ClusterName, GroupName, StorageName, UserName
from lab.units import Flag


class Everywhere(Owned):
    """Kept on the clusters named, or on all."""

    clusters: tuple[ClusterName, ...] | None = None


class Pool(Everywhere):
    """A resource pool: guests name it; storages are listed here."""

    comment: str | None = None
    storages: tuple[StorageName, ...] = ()


class Group(Everywhere):
    """A group of users; users name it."""

    comment: str | None = None


class User(Everywhere):
    """A user; the key is `name@realm`."""

    groups: tuple[GroupName, ...] = ()
    enabled: Flag = True
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    comment: str | None = None


class RoleSet(Everywhere):
    """A named set of privileges of our own; the built-in ones need no declaration."""

    privileges: frozenset[str]


class Acl(Everywhere):
    """`roles` on `path` for groups and users."""

    path: str
    groups: tuple[GroupName, ...] = ()
    users: tuple[UserName, ...] = ()
    roles: tuple[str, ...]
    propagate: Flag = True

    def flaws(self) -> Iterator[Flaw]:
        if not self.groups and not self.users:
            yield Flaw((), "the ACL names nobody", fix="add groups or users")
        if not self.path.startswith("/"):
            yield Flaw(("path",), f"{self.path!r} is no ACL path", fix=f"write /{self.path}")


class RealmType(StrEnum):
    """Where users prove who they are."""

    PAM = "pam"
    PVE = "pve"
    AD = "ad"
    LDAP = "ldap"


class Realm(Everywhere):
    """An authentication realm; `pam` and `pve` always exist."""

    type: RealmType
    domain: str | None = None
    server: str | None = None
    comment: str | None = None
