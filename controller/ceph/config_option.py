"""Options in the monitors' configuration store. Source: Ceph's manual, configuring a cluster.

Each is its own thing: what is not declared is left alone. The store rewrites values (0.8 becomes
0.800000, yes becomes true), so they are compared by what they mean. What stands in a daemon's own
ceph.conf counts more there and is not seen from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from controller.ceph.thing import WORD, CephThing, ceph_of, cluster, rows
from controller.managed import Context, Cost, Fragment, Key, Mark
from controller.step import Answers, MonCommand, Query
from controller.thing import policy_of
from lab.item import Path
from lab.lab import Lab

CONFIG = Query("config dump")
VALUE = "value"
_WHOLE = re.compile(r"[+-]?\d+")


def canonical(text: str) -> str:
    """A value by what it means: whole numbers, decimal ones, flags; else as it is."""
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return str(int(text))
    with suppress(ValueError):
        return f"{float(text):f}"
    return text.lower() if text.lower() in ("true", "false") else text


@dataclass(frozen=True)
class ConfigOption(CephThing):
    """One option in one section: `osd osd_memory_target`."""

    kind = "config-option"
    section = "config"

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield CONFIG

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for row in rows(device, answers, CONFIG):
            section = "/".join(part for part in (row["section"], row.get("mask", "")) if part)
            yield cls.there(device, f"{section} {row['name']}", {VALUE: canonical(str(row[VALUE]))})

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        ceph = cluster(lab, device)
        if ceph is None:
            return
        base: Path = (WORD, ceph_of(device))
        said = [
            (section, option, value, (*base, "config", section, option))
            for section, options in ceph.config.items()
            for option, value in options.items()
        ]
        if "osd_memory_target" in ceph.written:
            target = str(ceph.osd_memory_target)
            said.append(("osd", "osd_memory_target", target, (*base, "osd-memory-target")))
        if "down_out" in ceph.written:
            interval = f"{ceph.down_out:.0f}"
            said.append(("mon", "mon_osd_down_out_interval", interval, (*base, "down-out")))
        for section, option, value, path in said:
            key = Key(device, cls.kind, f"{section} {option}")
            place = lab.place(*path)
            origin = {VALUE: place} if place else {}
            values = {VALUE: canonical(value)}
            yield cls(key, values, frozenset(), path, origin, policy_of(ceph))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        return Cost.LIVE

    def steps(self, old: Self | None, context: Context) -> Iterator[MonCommand]:
        if (value := self.values[VALUE]) is Mark.RESET:
            yield from self.remove(context)
        elif old is None or old.values.get(VALUE) != value:
            yield MonCommand("config set", {**self._args, "value": str(value)})

    def remove(self, context: Context) -> Iterator[MonCommand]:
        yield MonCommand("config rm", self._args)

    def declare(self, lab: Lab) -> Fragment:
        who, name = self.id.split(" ")
        value = str(self.values[VALUE])
        said = {name: int(value) if _WHOLE.fullmatch(value) else value}
        return {WORD: {ceph_of(self.key.device): {self.section: {who: said}}}}

    @property
    def _args(self) -> dict[str, str]:
        who, name = self.id.split(" ")
        return {"who": who, "name": name}
