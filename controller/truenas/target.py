"""iSCSI targets: on which portals, to whom, with which login. Source: RFC 7143, 2.1.

The groups of a target are rewritten as a whole. Taking a portal or an initiator away from a target
with sessions cuts them off without a word, so it is refused here. LUNs are things of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from controller.managed import Context, Cost, Fragment, Key, Mark, Value
from controller.step import Answers, Json, JsonRpc
from controller.truenas.chap import Chap, chap_id
from controller.truenas.clients import clients
from controller.truenas.fields import NAME, Codec, Row, field
from controller.truenas.initiator_group import (
    InitiatorGroup,
    declared_group,
    group_of,
    members_of,
)
from controller.truenas.iscsi import ISCSI
from controller.truenas.portal import Portal, portal_ids
from controller.truenas.thing import NasThing, array, reference, rows
from lab.errors import Refused
from lab.kinds.iscsi import TARGET
from lab.kinds.iscsi import Target as TargetEntry
from lab.kinds.nas import Nas
from lab.lab import Lab

Group = tuple[str, str, str, int]
"""Portal group, initiator group (empty: everybody), how they log in, tag of the logins or 0."""


def _written(groups: Any) -> Json:
    """Groups as the array takes them, with the numbers left open."""
    return [
        {
            "portal": reference(Portal.kind, portal),
            "initiator": reference(InitiatorGroup.kind, initiator) if initiator else None,
            "authmethod": method,
            "auth": tag or None,
        }
        for portal, initiator, method, tag in groups
    ]


GROUPS = field("groups", Codec(tuple, _written), path=(), cost=Cost.LIVE, default=())
ALIAS = field("alias", NAME)


@dataclass(frozen=True)
class Target(NasThing):
    """A target."""

    kind = "target"
    words = ("nas",)
    namespace = "iscsi.target"
    asks = (Portal.namespace, InitiatorGroup.namespace, Chap.namespace)
    fields = (GROUPS, ALIAS)
    sections = {"targets": fields}

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        portals = {row["id"]: name for name, row in Portal.found(device, answers)}
        initiators = {row["id"]: name for name, row in InitiatorGroup.found(device, answers)}
        for row in rows(device, answers, cls.namespace):
            groups = [_read(group, portals, initiators) for group in row["groups"]]
            yield str(row["name"]), {**row, GROUPS.api: sorted(groups)}

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        return self.served([name for name, _ in Chap.found(device, answers)])

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        logins = [chap_id(chap.tag, chap.user) for chap in nas.chap.values()]
        for name, target in nas.targets.items():
            thing = cls.said(lab, device, name, ("targets", name), target, target)
            groups = _groups(lab, nas, name, target)
            place = lab.place(*thing.path, "portals")
            origin = {**thing.origin, **({GROUPS.name: place} if place else {})}
            values = {**thing.values, GROUPS.name: groups}
            yield replace(thing, values=values, origin=origin).served(logins)

    def served(self, logins: list[str]) -> Self:
        """The same with what it needs. `logins`: all that there are, `TAG USER`."""
        needs = {Key(self.key.device, ISCSI.kind, ISCSI.id)}
        for portal, initiator, _, tag in self.groups:
            needs |= self.refers(Portal.kind, portal)
            needs |= self.refers(InitiatorGroup.kind, initiator) if initiator else set()
            mine = [login for login in logins if tag and login.startswith(f"{tag} ")]
            needs |= self.refers(Chap.kind, *mine)
        return replace(self, needs=frozenset(needs))

    @property
    def claims(self) -> Mapping[str, str]:
        alias = self.values.get(ALIAS.name, Mark.RESET)
        return {} if alias is Mark.RESET else self.alone(f"alias {alias}")

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups; none if nothing is said of them."""
        value = self.values.get(GROUPS.name)
        return value if isinstance(value, tuple) else ()

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        if field_name == GROUPS.name and not set(old.groups) <= set(self.groups):
            return Cost.STOP_START
        return super().cost(field_name, old, context)

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        if old is not None and GROUPS.name in self.values:
            self._keep_sessions(old, clients(context, self.id))
        yield from super().steps(old, context)

    def _keep_sessions(self, old: Self, initiators: frozenset[str]) -> None:
        """Raises Refused if somebody who is logged in would be cut off."""
        if not initiators:
            return
        offered = {portal: (group, method, tag) for portal, group, method, tag in self.groups}
        for portal, _, method, tag in old.groups:
            if portal not in offered:
                why = f"portal {portal} would go"
            elif offered[portal][1:] != (method, tag):
                why = f"the login on portal {portal} would be another one"
            elif not _lets_in(offered[portal][0], initiators):
                why = f"portal {portal} would not let all of them in"
            else:
                continue
            who = ", ".join(sorted(initiators))
            raise Refused(f"{self.id} has sessions of {who}, and {why}", "log them out first")

    def declare(self, lab: Lab) -> Fragment:
        nas = array(lab, self.key.device)
        ways = {group[1:] for group in self.groups}
        if nas is None or len(ways) != 1 or not re.fullmatch(TARGET, self.id):
            return {}
        ((initiator, method, tag),) = ways
        known = portal_ids(nas)
        offered = {group[0] for group in self.groups}
        portals = [name for name, identity in known.items() if identity in offered]
        if {known[name] for name in portals} != offered:
            return {}
        said: dict[str, Any] = {"portals": portals, "initiators": _nodes(lab, initiator)}
        if initiator:
            names = [
                name
                for name, group in nas.initiator_groups.items()
                if declared_group(lab, name, group) == initiator
            ]
            if not names:
                return {}
            said["initiator-group"] = names[0]
        if tag:
            logins = [name for name, chap in nas.chap.items() if chap.tag == tag]
            if not logins or _method(nas, logins[0]) != method:
                return {}
            said["chap"] = logins[0]
        return self.part(lab, "targets", self.id, **said, luns={})


def _read(group: Row, portals: Mapping[int, str], initiators: Mapping[int, str]) -> Group:
    """A group by the identities behind its numbers; a number of nothing lets in everybody."""
    method, tag = str(group["authmethod"]), int(group["auth"] or 0)
    portal = portals.get(group["portal"], "")
    return portal, initiators.get(group["initiator"], ""), method, tag


def _groups(lab: Lab, nas: Nas, name: str, target: TargetEntry) -> tuple[Value, ...]:
    known = portal_ids(nas)
    initiator = group_of(lab, nas, name, target)
    method, tag = "NONE", 0
    if target.chap in nas.chap:
        method, tag = _method(nas, target.chap), nas.chap[target.chap].tag
    portals = {known[portal] for portal in target.portals if portal in known}
    return tuple((portal, initiator, method, tag) for portal in sorted(portals))


def _method(nas: Nas, login: str) -> str:
    return "CHAP" if nas.chap[login].peer_user is None else "CHAP_MUTUAL"


def _lets_in(group: str, initiators: frozenset[str]) -> bool:
    members = members_of(group)
    return members is None or initiators <= members


def _nodes(lab: Lab, group: str) -> list[str]:
    """Nodes of the lab that a group lets in by name."""
    members = members_of(group) or frozenset()
    return sorted(name for name, node in lab.nodes.items() if node.initiator in members)
