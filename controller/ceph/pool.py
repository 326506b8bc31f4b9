"""Replicated pools: copies, placement groups, rule, limits. Source: Ceph's manual, pools.

Order matters: a change of `size` sets `min_size` anew, so `size` goes first and `min_size` after
it. Creating one that exists changes nothing and answers success, so a pool is made bare and then
told each value. Destroying one needs `delete` in `manage`, the monitors' own switch, which is never
set from here, and that it holds no data. Pools of other kinds, and those of the managers, are left
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from controller.ceph.crush_rule import REPLICATED, RULES, Rule, rule_names
from controller.ceph.thing import CephThing, Row, cluster, rows
from controller.fields import PLAIN, SIZE, Field
from controller.managed import Context, Cost, Fragment, Mark, Value, Values
from controller.step import Answers, Json, MonCommand, Query
from lab.errors import Refused
from lab.lab import Lab
from lab.units import format_size

POOLS = Query("osd pool ls", {"detail": "detail"})
USAGE = Query("df")
METADATA_BYTES = 64 * 1024  # of a pool that was made ready for images and has none
MANAGERS = frozenset((".mgr", "device_health_metrics"))
SIZE_ = Field("size", ("size",), PLAIN, Cost.MIGRATE)
MIN_SIZE = Field("min_size", ("min-size",), PLAIN, Cost.LIVE)
PGS = Field("pgs", ("pgs",), PLAIN, Cost.MIGRATE)
AUTOSCALE = Field("autoscale", ("autoscale",), PLAIN, Cost.LIVE)
RULE = Field("rule", ("rule",), PLAIN, Cost.MIGRATE)
APPLICATION = Field("application", ("application",), PLAIN)
MAX_BYTES = Field("quota.size_bytes", ("quota", "size"), SIZE, Cost.LIVE, 0)
MAX_OBJECTS = Field("quota.objects", ("quota", "objects"), PLAIN, Cost.LIVE, 0)
MODE = Field("compression.mode", ("compression", "mode"), PLAIN, Cost.LIVE)
ALGORITHM = Field("compression.algorithm", ("compression", "algorithm"), PLAIN, Cost.LIVE)
VARIABLES: Mapping[str, str] = {  # in the order in which they are set
    RULE.name: "crush_rule",
    SIZE_.name: "size",
    MIN_SIZE.name: "min_size",
    AUTOSCALE.name: "pg_autoscale_mode",
    PGS.name: "pg_num",
    MODE.name: "compression_mode",
    ALGORITHM.name: "compression_algorithm",
}
QUOTAS: Mapping[str, str] = {MAX_BYTES.name: "max_bytes", MAX_OBJECTS.name: "max_objects"}
UNSET = "unset"


@dataclass(frozen=True)
class Pool(CephThing):
    """A pool, by its name. `stored_bytes`: what it holds, without copies."""

    stored_bytes: int = field(default=0, compare=False)
    kind = "pool"
    section = "pools"
    fields = (
        SIZE_, MIN_SIZE, PGS, AUTOSCALE, RULE, APPLICATION, MAX_BYTES, MAX_OBJECTS, MODE, ALGORITHM,
    )  # fmt: skip

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield POOLS
        yield RULES
        yield USAGE

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        names = rule_names(device, answers)
        stats = {row["name"]: row["stats"] for row in rows(device, answers, USAGE, "pools")}
        for row in rows(device, answers, POOLS):
            if row["type"] == REPLICATED and row["pool_name"] not in MANAGERS:
                thing = cls.there(device, row["pool_name"], _values(row, names))
                stored = int(stats.get(row["pool_name"], {}).get("stored", 0))
                yield replace(thing, stored_bytes=stored).complete()

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (ceph := cluster(lab, device)) is None:
            return
        for name, pool in ceph.pools.items():
            thing = cls.from_part(lab, device, ("pools", name), pool, name)
            rule = ceph.rule_name(pool) if "domain" in pool.written else pool.rule
            values = {**thing.values, **({RULE.name: rule} if rule else {})}
            yield replace(thing, values=values).complete()

    def complete(self) -> Self:
        """The same with what it needs."""
        rule = self.values.get(RULE.name, Mark.RESET)
        known = () if rule is Mark.RESET else (str(rule),)
        return replace(self, needs=self.refers(Rule.kind, *known))

    def steps(self, old: Self | None, context: Context) -> Iterator[MonCommand]:
        changes = dict(self.changes(old))
        if SIZE_.name in changes and MIN_SIZE.name in self.values:
            changes[MIN_SIZE.name] = self.values[MIN_SIZE.name]
        self._possible(changes)
        if old is None:
            yield self._create(changes)
        for name, variable in VARIABLES.items():
            if name in changes:
                yield self._set(variable, changes[name])
        for name, quota in QUOTAS.items():
            if name in changes:
                value = 0 if changes[name] is Mark.RESET else changes[name]
                args = {"pool": self.id, "field": quota, "val": str(value)}
                yield MonCommand("osd pool set-quota", args)
        if APPLICATION.name in changes:
            yield from self._label(old, changes[APPLICATION.name])

    def _possible(self, changes: Values) -> None:
        """Raises Refused for what Ceph would do only if told that we really mean it."""
        if changes.get(SIZE_.name) == 1:
            fix = "write size: 2 or more, or set it by hand with --yes-i-really-mean-it"
            raise Refused(f"pool {self.id} with one copy loses data with the first dead disk", fix)
        for name in (RULE.name, SIZE_.name, MIN_SIZE.name, PGS.name):
            if changes.get(name) is Mark.RESET:
                raise Refused(f"{name} of pool {self.id} has no default to go back to", "write it")

    def _create(self, changes: dict[str, Value | Mark]) -> MonCommand:
        """The pool with its first placement groups, so that none have to be split afterwards."""
        args: dict[str, Value] = {"pool": self.id, "pool_type": "replicated"}
        if isinstance(pgs := changes.get(PGS.name), int):
            args |= {"pg_num": pgs, "pgp_num": pgs}
        if isinstance(rule := changes.get(RULE.name), str):
            args["rule"] = rule
        return MonCommand("osd pool create", args)

    def _set(self, variable: str, value: Value | Mark) -> MonCommand:
        told = UNSET if value is Mark.RESET else str(value)
        return MonCommand("osd pool set", {"pool": self.id, "var": variable, "val": told})

    def _label(self, old: Self | None, value: Value | Mark) -> Iterator[MonCommand]:
        """One application instead of another. Ceph asks whether we mean it; it is only a label."""
        before = old.values.get(APPLICATION.name) if old else None
        sure: dict[str, Json] = {"yes_i_really_mean_it": True}
        if value is not Mark.RESET:
            args: dict[str, Json] = {"pool": self.id, "app": value}
            yield MonCommand("osd pool application enable", args | (sure if before else {}))
        for app in str(before or "").split():
            if app != value:
                args = {"pool": self.id, "app": app}
                yield MonCommand("osd pool application disable", args | sure)

    def remove(self, context: Context) -> Iterator[MonCommand]:
        if self.stored_bytes > METADATA_BYTES:
            fix = "remove its images first, or delete the pool by hand"
            what = f"pool {self.id} holds {format_size(self.stored_bytes)} of data"
            raise Refused(what, fix)
        sure = {"yes_i_really_really_mean_it": True}
        yield MonCommand("osd pool delete", {"pool": self.id, "pool2": self.id, **sure})

    def declare(self, lab: Lab) -> Fragment:
        values = dict(self.values)
        if values.get(AUTOSCALE.name) == "on":
            values.pop(PGS.name)
        return replace(self, values=values).fragment(lab, self.id)


def _values(row: Row, names: Mapping[int, str]) -> dict[str, Value]:
    """Of a row; `pg_num` is what it is on its way to."""
    values: dict[str, Value | None] = {
        SIZE_.name: row["size"],
        MIN_SIZE.name: row["min_size"],
        PGS.name: row.get("pg_num_target", row["pg_num"]),
        AUTOSCALE.name: row["pg_autoscale_mode"],
        RULE.name: names.get(row["crush_rule"]),
        APPLICATION.name: " ".join(sorted(row["application_metadata"])) or None,
        MAX_BYTES.name: row["quota_max_bytes"] or None,
        MAX_OBJECTS.name: row["quota_max_objects"] or None,
        MODE.name: row["options"].get("compression_mode"),
        ALGORITHM.name: row["options"].get("compression_algorithm"),
    }
    return {name: value for name, value in values.items() if value is not None}
