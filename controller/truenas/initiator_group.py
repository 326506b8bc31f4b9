"""Initiator groups: who may log in to a target. Source: RFC 7143, 4.2.7, iSCSI names.

Known by its members and its comment, so another set of members is another group: the target moves
to it, and the old one goes when nothing needs it. An empty group lets in everybody. A group in use
stays: the array would take it away and let in everybody instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from controller.managed import Context, Fragment
from controller.step import Json, JsonRpc
from controller.truenas.fields import Row
from controller.truenas.thing import NasThing, array, writable
from lab.item import Part
from lab.kinds.iscsi import InitiatorGroup as GroupEntry
from lab.kinds.iscsi import Target as TargetEntry
from lab.kinds.nas import Nas
from lab.lab import Lab

EVERYBODY = "everybody"


def group_id(members: Iterable[str], comment: str) -> str:
    """The identity of a group: members, then the comment."""
    return f"{','.join(sorted(set(members))) or EVERYBODY} {comment}".rstrip()


def members_of(identity: str) -> frozenset[str] | None:
    """Who is in the group of this identity; None: everybody."""
    names = identity.split(" ", 1)[0]
    return None if names in (EVERYBODY, "") else frozenset(names.split(","))


def declared_group(lab: Lab, name: str, group: GroupEntry) -> str:
    """The identity that an entry says; its own name is its comment unless one is written."""
    known = [lab.nodes[node].initiator for node in group.nodes if node in lab.nodes]
    comment = name if group.comment is None else group.comment
    return group_id([*(each for each in known if each), *group.names], comment)


def group_of(lab: Lab, nas: Nas, name: str, target: TargetEntry) -> str:
    """The identity of the group of a declared target; empty: everybody."""
    if target.initiator_group in nas.initiator_groups:
        group = nas.initiator_groups[target.initiator_group]
        return declared_group(lab, target.initiator_group, group)
    nodes = [lab.nodes[node].initiator for node in target.initiators if node in lab.nodes]
    names = [initiator for initiator in nodes if initiator]
    return group_id(names, name) if names else ""


@dataclass(frozen=True)
class InitiatorGroup(NasThing):
    """A group."""

    kind = "initiator-group"
    words = ("nas",)
    namespace = "iscsi.initiator"
    fields = ()

    @classmethod
    def identity(cls, row: Row) -> str:
        return group_id(row["initiators"], str(row.get("comment") or ""))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        found: dict[str, tuple[tuple[str, str], Part]] = {}
        for name, group in nas.initiator_groups.items():
            identity = declared_group(lab, name, group)
            found[identity] = (("initiator-groups", name), group)
        for name, target in nas.targets.items():
            if identity := group_of(lab, nas, name, target):
                found.setdefault(identity, (("targets", name), target))
        for identity, (path, part) in found.items():
            yield cls.said(lab, device, identity, path, None, part)

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        writable(context)
        if old is None:
            yield JsonRpc(f"{self.namespace}.create", (self.identified(),))

    def identified(self) -> dict[str, Json]:
        members = members_of(self.id)
        return {"initiators": sorted(members or ()), "comment": self.comment}

    @property
    def comment(self) -> str:
        """What follows the members."""
        return self.id.partition(" ")[2]

    def declare(self, lab: Lab) -> Fragment:
        members = members_of(self.id) or frozenset()
        nodes = {
            node.initiator: name for name, node in lab.nodes.items() if node.initiator in members
        }
        names = sorted(members - nodes.keys())
        said = {"nodes": sorted(nodes.values())} if nodes else {}
        said |= {"names": names} if names else {}
        name = self.comment or min(members, default=EVERYBODY)
        return self.part(lab, "initiator-groups", name, **said, comment=self.comment)
