"""Rules of the HA manager: which nodes guests prefer or are bound to, who is together or apart.

A guest under HA that is pinned gets a strict rule of its own, `pin-VMID`; without HA a pin counts
only where the guest is made, as nothing moves it. Rules exist since Proxmox VE 9: of an older
cluster nothing is asked and nothing is managed.
Source: the administration guide, high availability, rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Self

from controller.fields import Speech, same
from controller.managed import Context, Cost, Fragment, Mark, Value
from controller.pve.fields import FLAG, INVERTED, SET, Codec, field, parameters, read
from controller.pve.guests import guest_entry, guests_of, names, sid, vmid_of
from controller.pve.thing import PveThing, cluster_of, rows, segment
from controller.step import Answers, Query, Rest
from controller.thing import policy_of
from lab.kinds.guest import Guest
from lab.kinds.ha_rule import HaRule as HaRuleEntry
from lab.lab import Lab

VERSION = Query("/version")
RULES = Query("/cluster/ha/rules")
FIRST_MAJOR = 9
PIN = "pin-"
NODE_AFFINITY = "node-affinity"


def _nodes(value: object) -> tuple[str, ...]:
    """`pve2,pve1:2` with the priority that is meant: pve1:2, pve2:0."""
    return tuple(sorted(each if ":" in each else f"{each}:0" for each in str(value).split(",")))


NODES = Codec(_nodes, ",".join)
PRIORITIES = Speech(
    lambda _lab, said: tuple(sorted(f"{node}:{priority}" for node, priority in said.items())),
    lambda _lab, value: {node: int(rank) for node, rank in (each.split(":") for each in value)},
)
SIDS = Speech(
    lambda lab, said: tuple(sorted(sid(lab.guests[name].vmid) for name in said)),
    lambda _lab, _value: None,  # `declare` names them
)
TYPE = field("type", cost=Cost.REPLACE)
RESOURCES = field("resources", SET, path=("guests",), speech=SIDS, cost=Cost.MIGRATE)


@dataclass(frozen=True)
class HaRule(PveThing):
    """One rule. A declared one is in force: somebody who disabled it made drift."""

    kind = "ha-rule"
    word = "ha-rules"
    words = ("ha-rules",)
    fields = (
        TYPE,
        RESOURCES,
        field("nodes", NODES, speech=PRIORITIES, cost=Cost.MIGRATE),
        field("strict", FLAG, cost=Cost.MIGRATE, default=False),
        field("affinity", cost=Cost.MIGRATE),
        field("comment"),
        field("enabled", INVERTED, path=(), api="disable", cost=Cost.MIGRATE, default=True),
    )
    more_costs = {"cluster": Cost.REPLACE}

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield VERSION
        if VERSION.text in answers and _major(answers[VERSION.text]) >= FIRST_MAJOR:
            yield RULES

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, RULES) if RULES.text in answers else ():
            yield cls.there(device, row["rule"], read(cls.fields, device, row)).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        cluster = lab.clusters.get(cluster_of(device))
        if cluster is None or int(cluster.version.partition(".")[0]) < FIRST_MAJOR:
            return
        for name, rule in lab.ha_rules.items():
            if rule.cluster == cluster_of(device):
                yield cls._declared(lab, device, name, rule)
        for name, guest in guests_of(lab, device):
            if guest.ha is not None and guest.placement.pin:
                yield cls._pin(lab, device, name, guest)

    @classmethod
    def _declared(cls, lab: Lab, device: str, name: str, rule: HaRuleEntry) -> Self:
        thing = cls.from_entry(lab, device, name, rule, name)
        return replace(thing, values={**thing.values, "enabled": Mark.RESET}).complete()

    @classmethod
    def _pin(cls, lab: Lab, device: str, name: str, guest: Guest) -> Self:
        values: dict[str, Value | Mark] = {
            "type": NODE_AFFINITY,
            "resources": (sid(guest.vmid),),
            "nodes": tuple(sorted(f"{node}:0" for node in guest.placement.pin)),
            "strict": True,
            "enabled": Mark.RESET,
        }
        place = lab.place("guests", name, "placement", "pin")
        thing = cls.there(device, f"{PIN}{guest.vmid}", values)
        return replace(
            thing,
            path=("guests", name),
            origin=dict.fromkeys(values, place) if place else {},
            policy=policy_of(guest),
        ).complete()

    @property
    def claims(self) -> Mapping[str, str]:
        """A guest is in one rule for nodes, and two are together or apart (rule conflicts)."""
        members = self.held(RESOURCES.name)
        if self.values.get(TYPE.name) == NODE_AFFINITY:
            return self.alone(*(f"the nodes of {each}" for each in members))
        how = str(self.values.get("affinity"))
        return {f"the affinity of {one} to {other}": how for one, other in combinations(members, 2)}

    def complete(self) -> Self:
        """The same with what it needs: the guests have to be under HA before."""
        guests = [each for each in self.held(RESOURCES.name) if vmid_of(each)]
        return replace(self, needs=self.refers("ha-resource", *guests))

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        kind = {TYPE.api: self.values[TYPE.name]} if TYPE.name in self.values else {}
        if old is not None and (not kind or same(TYPE, self.values[TYPE.name], old.values)):
            params = parameters(self.fields, self.values, old.values)
            if params:
                yield Rest("PUT", self._path, {TYPE.api: str(old.values[TYPE.name]), **params})
            return
        if old is not None:
            yield Rest("DELETE", self._path)
        params = parameters(self.fields, self.values, None)
        yield Rest("POST", "/cluster/ha/rules", {"rule": self.id, **params})

    def remove(self, context: Context) -> Iterator[Rest]:
        yield Rest("DELETE", self._path)

    def declare(self, lab: Lab) -> Fragment:
        device = self.key.device
        members = self.held(RESOURCES.name)
        guests = names(lab, device, (vmid_of(each) for each in members))
        if guests is None or not self.values.get("enabled", True):
            return {}
        if self._is_pin():
            nodes = [each.partition(":")[0] for each in self.held("nodes")]
            said = {"ha": {}, "placement": {"pin": nodes}}
            return guest_entry(lab, device, vmid_of(members[0]), guests[0], said)
        return self.entry(lab, cluster=cluster_of(device), guests=guests)

    def _is_pin(self) -> bool:
        """Whether a pin of its guest says the same."""
        nodes = [each.partition(":")[2] for each in self.held("nodes")]
        ours = [f"{PIN}{vmid_of(each)}" for each in self.held(RESOURCES.name)] == [self.id]
        return ours and bool(self.values.get("strict")) and set(nodes) == {"0"}

    @property
    def _path(self) -> str:
        return f"/cluster/ha/rules/{segment(self.id)}"


def _major(version: object) -> int:
    release = version.get("version", "") if isinstance(version, dict) else ""
    major = str(release).partition(".")[0]
    return int(major) if major.isdecimal() else 0
