"""Flags of the whole cluster: noout, norebalance, pause ... Source: Ceph's manual, OSD flags.

Declared as one set: whatever is set and not in it is unset. Flags that Ceph sets for itself
(sortbitwise ...) do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.ceph.thing import CephThing, cluster
from controller.fields import PLAIN, Field
from controller.managed import Context, Cost, Fragment, Mark
from controller.step import Answers, MonCommand, Query
from lab.errors import DeviceError
from lab.kinds.ceph import CephFlag
from lab.lab import Lab

DUMP = Query("osd dump")
FLAGS = Field("flags", ("flags",), PLAIN, Cost.LIVE, ())
PAUSED = "pauserd"  # `pause` stands for this and pausewr
KNOWN = frozenset(flag.value for flag in CephFlag)


@dataclass(frozen=True)
class Flags(CephThing):
    """All of a cluster; its identity is `osdmap`, where they are kept."""

    kind = "flags"
    section = "flags"
    inherent = True
    fields = (FLAGS,)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield DUMP

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        told = answers[DUMP.text]
        if not isinstance(told, dict) or not isinstance(told.get("flags_set"), list):
            raise DeviceError(device, f"{DUMP.text} answered no flags: {str(told)[:80]!r}")
        found = {"pause" if flag == PAUSED else str(flag) for flag in told["flags_set"]}
        yield cls.there(device, "osdmap", {FLAGS.name: tuple(sorted(found & KNOWN))})

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (ceph := cluster(lab, device)) is not None:
            thing = cls.from_part(lab, device, (), ceph, "osdmap")
            if thing.values:
                yield thing

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        """Who sets or lifts `pause` stops or starts every client."""
        changed = {*self.held(FLAGS.name)} ^ {*old.held(FLAGS.name)}
        return Cost.STOP_START if CephFlag.PAUSE.value in changed else Cost.LIVE

    def steps(self, old: Self | None, context: Context) -> Iterator[MonCommand]:
        value = self.values[FLAGS.name]
        then = set() if value is Mark.RESET else {*self.held(FLAGS.name)}
        now = {*old.held(FLAGS.name)} if old else set()
        for flag in sorted(then - now):
            yield MonCommand("osd set", {"key": flag})
        for flag in sorted(now - then):
            yield MonCommand("osd unset", {"key": flag})

    def remove(self, context: Context) -> Iterator[MonCommand]:
        yield from ()  # part of the cluster

    def declare(self, lab: Lab) -> Fragment:
        return {}  # part of the entry that the cluster has
