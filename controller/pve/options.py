"""Datacenter options. Always there: never created, adopted or deleted, only changed.

What the language does not say stays, also inside property strings. Source: datacenter.cfg(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from controller.fields import PLAIN, Speech, wanted
from controller.managed import Context, Fragment, Key, Value
from controller.pve.fields import LINES, PROSE, TEXT, Codec, Field, field, parameters, read
from controller.pve.members import MEMBERS
from controller.pve.thing import PveThing, cluster_of
from controller.step import Answers, Query, Rest
from controller.thing import policy_of
from lab.errors import DeviceError
from lab.lab import Lab

OPTIONS = Query("/cluster/options")
ID = "datacenter"


def _subnet(lab: Lab, vlan: str) -> Value | None:
    """The network of a VLAN, as `migration` names it."""
    subnet = lab.vlans[vlan].subnet
    return None if subnet is None else str(subnet)


def _vlan(lab: Lab, subnet: str) -> str | None:
    return next((name for name, vlan in lab.vlans.items() if str(vlan.subnet) == subnet), None)


def _option(
    name: str,
    api: str = "",
    key: str = "",
    *,
    codec: Codec = TEXT,
    speech: Speech = PLAIN,
    default: str | None = None,
) -> Field:
    path = ("options", name.replace("_", "-"))
    return field(name, codec, path=path, api=api, key=key, speech=speech, default=default)


@dataclass(frozen=True)
class Options(PveThing):
    """The options of one cluster."""

    kind = "options"
    word = "clusters"
    words = ("clusters",)
    inherent = True
    fields = (
        _option("keyboard"),
        _option("console"),
        _option("email_from"),
        _option("mac_prefix", default="BC:24:11"),
        _option("migration_vlan", "migration", "network", speech=Speech(_subnet, _vlan)),
        _option("shutdown_policy", "ha", "shutdown_policy", default="conditional"),
        _option("scheduler", "crs", "ha", default="basic"),
        _option("description", codec=LINES, speech=PROSE),
    )

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield OPTIONS
        yield MEMBERS  # no option, but what a rehearsal must know of a cluster as a whole

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        answer = answers[OPTIONS.text]
        if not isinstance(answer, dict):
            raise DeviceError(device, f"GET {OPTIONS.text} answered no options: {answer!r}"[:200])
        yield cls.there(device, ID, read(cls.fields, device, answer))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        name = cluster_of(device)
        if (cluster := lab.clusters.get(name)) is not None:
            path = ("clusters", name)
            values, origin = wanted(cls.fields, lab, path, cluster)
            key = Key(device, cls.kind, ID)
            yield cls(key, values, frozenset(), path, origin, policy_of(cluster))

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        if params := parameters(self.fields, self.values, old.values if old else {}):
            yield Rest("PUT", "/cluster/options", params)

    def remove(self, context: Context) -> Iterator[Rest]:
        yield from ()

    def declare(self, lab: Lab) -> Fragment:
        said = self.entry(lab)[self.word].popitem()[1]
        return {self.word: {cluster_of(self.key.device): said}}
