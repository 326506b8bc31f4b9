"""CRUSH rules for copies: a root, a device class, a failure domain. Source: Ceph's manual, CRUSH.

Ceph can't change a rule, and one that is in use can't go; so a wrong one is told, not replaced.
Rules of another shape (several steps, erasure codes) are seen and left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from controller.ceph.device_class import DeviceClass
from controller.ceph.thing import WORD, CephThing, Row, ceph_of, cluster, rows
from controller.fields import PLAIN, Field
from controller.managed import Context, Cost, Fragment, Key, Values
from controller.step import Answers, MonCommand, Query
from controller.thing import policy_of
from lab.errors import Refused
from lab.kinds.ceph import DEFAULT_ROOT, Ceph, CrushRule
from lab.lab import Lab

RULES = Query("osd crush rule dump")
CLASS_MARK = "~"  # between a root and the class of its shadow tree
REPLICATED = 1  # type of a rule and of a pool
ROOT = Field("root", ("root",), PLAIN, Cost.REPLACE, DEFAULT_ROOT)
CLASS = Field("device_class", ("device-class",), PLAIN, Cost.REPLACE)
DOMAIN = Field("domain", ("domain",), PLAIN, Cost.REPLACE, "host")


def rule_names(device: str, answers: Answers) -> dict[int, str]:
    """Rule id -> its name."""
    return {row["rule_id"]: row["rule_name"] for row in rows(device, answers, RULES)}


@dataclass(frozen=True)
class Rule(CephThing):
    """A rule, by its name."""

    kind = "crush-rule"
    section = "rules"
    fields = (ROOT, CLASS, DOMAIN)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield RULES

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, RULES):
            yield cls.there(device, row["rule_name"], _values(row))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (ceph := cluster(lab, device)) is None:
            return
        for name, rule in ceph.rules.items():
            thing = cls.from_part(lab, device, ("rules", name), rule, name)
            yield thing.whole(ceph, rule)
        implied = {
            ceph.rule_name(pool): (name, pool)
            for name, pool in ceph.pools.items()
            if pool.rule is None and "domain" in pool.written
        }
        for name, (pool_name, pool) in implied.items():
            if name not in ceph.rules:
                path = (WORD, ceph_of(device), "pools", pool_name)
                said = cls(Key(device, cls.kind, name), {}, path=path, policy=policy_of(ceph, pool))
                yield said.whole(ceph, ceph.rule_of(pool))

    def whole(self, ceph: Ceph, rule: CrushRule) -> Self:
        """All three values, as a rule can't be had in part; OSDs get its class first."""
        values: dict[str, str] = {ROOT.name: rule.root, DOMAIN.name: rule.domain.value}
        needs: frozenset[Key] = frozenset()
        if rule.device_class is not None:
            values[CLASS.name] = rule.device_class
            osds = ceph.osds.items()
            having = (osd for osd, item in osds if item.device_class == rule.device_class)
            needs = self.refers(DeviceClass.kind, *having)
        return replace(self, values=values, needs=needs)

    def steps(self, old: Self | None, context: Context) -> Iterator[MonCommand]:
        if old is not None and self.changes(old):
            fix = "declare another rule under a new name, name it in the pools, and remove this one"
            raise Refused(f"Ceph can't change rule {self.id}", fix)
        if old is None:
            args = {
                "name": self.id,
                "root": self.values[ROOT.name],
                "type": self.values[DOMAIN.name],
            }
            if CLASS.name in self.values:
                args["class"] = self.values[CLASS.name]
            yield MonCommand("osd crush rule create-replicated", args)

    def remove(self, context: Context) -> Iterator[MonCommand]:
        yield MonCommand("osd crush rule rm", {"name": self.id})

    def declare(self, lab: Lab) -> Fragment:
        if ROOT.name not in self.values or self.values[DOMAIN.name] not in ("osd", "host"):
            return {}
        return self.fragment(lab, self.id)


def _values(row: Row) -> Values:
    """Values of a rule with one choice; nothing of any other."""
    match row["steps"]:
        case [
            {"op": "take", "item_name": str(root)},
            {"op": "chooseleaf_firstn" | "choose_firstn", "num": 0, "type": str(domain)},
            {"op": "emit"},
        ] if row["type"] == REPLICATED:
            base, _, class_ = root.partition(CLASS_MARK)
            return {ROOT.name: base, DOMAIN.name: domain} | ({CLASS.name: class_} if class_ else {})
    return {}
