"""Walks: one valid desired state after the other, at random and the same each time.

A walk is through the choices for each part of an entry: absent, or one of its variants. So things
come, go, change, take each other's names and places, and come again as something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from controller.ceph.kinds import KINDS as CEPH_KINDS
from controller.devices import Device
from controller.planning import wanted_things
from controller.secrets import Vault
from controller.step import Query, Step
from controller.truenas.kinds import KINDS as NAS_KINDS
from lab.errors import DeviceError, LabInvalid
from lab.lab import Lab
from tests.controller.linux.worlds import World
from tests.labs import lab_of
from tests.simulator.rack import Tree, rack

Choices = Mapping[tuple[str, str], Sequence[Any]]
"""(section, name) -> variants of that part."""
KINDS = {"nas/nas1": NAS_KINDS, "ceph/a": CEPH_KINDS}
ALL = ["observe", "create", "update", "delete"]


@dataclass(frozen=True)
class Country:
    """Where a walk goes: an entry (`nas`, `nas1`) of a tree, and the choices for its parts."""

    tree: Tree
    entry: tuple[str, str]
    choices: Choices

    def lab(self, chosen: Mapping[tuple[str, str], Any]) -> Lab:
        """The lab with these parts. Raises LabInvalid."""
        tree = deepcopy(self.tree)
        word, name = self.entry
        for (section, part), said in chosen.items():
            tree[word][name].setdefault(section, {})[part] = said
        lab = lab_of(json.dumps(tree), rules=False)
        if any(flawed := [[*each.flaws()] for each in _items(lab.map(word)[name])]):
            raise LabInvalid(tuple(problem for found in flawed for problem in found))
        wanted_things(lab, KINDS)  # nothing twice
        return lab

    def walk(self, seed: int, commits: int) -> Iterator[Lab]:
        """Valid labs, each a few choices away from the one before."""
        random, chosen = Random(seed), dict[tuple[str, str], Any]()
        changes = len(self.choices)  # the first one is far from nothing
        while commits:
            then = dict(chosen)
            for place in random.sample(sorted(self.choices), changes):
                variants = self.choices[place]
                if place in then and random.random() < 0.4:
                    del then[place]
                else:
                    then[place] = random.choice(variants)
            try:
                lab = self.lab(then)
            except LabInvalid:
                continue
            commits -= 1
            chosen, changes = then, random.choice((1, 1, 2, 3))
            yield lab


def _items(entry: Any) -> Iterator[Any]:
    """An entry and its parts."""
    yield entry
    for section in type(entry).model_fields:
        parts = getattr(entry, section)
        if isinstance(parts, dict):
            yield from (part for part in parts.values() if hasattr(part, "flaws"))


@dataclass
class Walker(World):
    """A world that notes what is sent. `disturb`: does a step, or fails as a device or a line."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    disturb: Callable[[Callable[[Step], object], Step], object] = lambda send, step: send(step)

    @property
    def devices(self) -> list[Device]:
        found = super().devices
        things = wanted_things(self.lab, {device.name: device.kinds for device in found})
        for each in found:
            vault: Vault = each.port._vault  # type: ignore[attr-defined]
            vault.learn([*things.values(), *self.owned.values()])
        return [replace(each, port=_Port(each, self)) for each in found]

    def held(self) -> dict[str, Mapping[str, Any]]:
        """What is there, without what a device makes up."""
        return {
            str(key): {name: value for name, value in thing.values.items() if name != "serial"}
            for key, thing in self.seen().things.items()
        }


class _Port:
    """The way to a device, watched."""

    def __init__(self, device: Device, walker: Walker) -> None:
        self.device, self._port, self._walker = device.name, device.port, walker

    def ask(self, query: Query) -> object:
        return self._port.ask(query)

    def send(self, step: Step) -> object:
        self._walker.sent.append((self.device, str(step)))
        return self._walker.disturb(self._port.send, step)

    def settle(self, step: Step, since_s: float) -> None:
        self._port.settle(step, since_s)


def unlucky(seed: int) -> Callable[[Callable[[Step], object], Step], object]:
    """Of seven steps one is not answered: half of these were done."""
    random = Random(seed)

    def disturb(send: Callable[[Step], object], step: Step) -> object:
        luck = random.random()
        answer = send(step) if luck > 0.07 else None
        if luck < 0.14:
            raise DeviceError("line", "no answer", retryable=True)
        return answer

    return disturb


def array(version: str) -> Country:
    """An array with all kinds of things."""
    got: Tree = {}

    def bare(tree: Tree) -> None:
        tree |= {"storages": {}, "guests": {}, "ceph": {}}
        for name, node in tree["nodes"].items():
            node["initiator"] = f"iqn.1993-08.org.debian:01:{name}"
        tree["vlans"]["nfs"]["subnet"] = "10.0.103.0/24"
        nas = tree["nas"]["nas1"]
        nas |= {"version": version, "manage": ALL, "zvols": {}, "portals": {}, "targets": {}}
        nas |= {"shares": {}}
        nas["addresses"] |= {"iscsi1": "10.0.101.21", "iscsi2": "10.0.102.21"}
        got.update(deepcopy(tree))

    rack(change=bare)
    return Country(got, ("nas", "nas1"), ARRAY)


def _volume(pool: str, gib: int, **more: object) -> Tree:
    return {"pool": pool, "size": f"{gib}GiB", **more}


def _target(portals: str, *nodes: str, **more: object) -> Tree:
    return {"portals": portals.split(), "initiators": list(nodes), "luns": {}, **more}


_LUNS: list[Tree] = [{"0": "v1"}, {"1": "v1"}, {"0": "v2"}, {"0": "v1", "3": "v2"}, {"2": "tank/x"}]
_VOLUMES = [
    _volume("tank", 2),
    _volume("tank", 4, compression="zstd", comment="a b"),
    _volume("tank", 8, sparse=True, extent={"comment": "x", "serial": "one"}),
    _volume("images", 2, extent={"name": "other", "read-only": True}),
    _volume("images", 4, manage=["observe", "create", "update"], sync="always"),
]
_TARGETS = [
    _target(portals, *nodes, **more, luns=luns)
    for luns in _LUNS
    for portals, nodes, more in (
        ("p1", (), {"alias": "A"}),
        ("p1 p2", ("pve1", "pve2"), {}),
        ("p2", ("pve3",), {"chap": "c"}),
        ("p1 p2", (), {"initiator-group": "g", "alias": "B"}),
    )
]
_SHARES = [
    {"pool": "images", "path": "/mnt/images/iso", "vlan": "nfs", "comment": "ISO"},
    {"pool": "images", "path": "/mnt/images/iso", "vlan": "nfs", "read-only": True},
    {"pool": "tank", "path": "/mnt/tank/d", "vlan": "nfs", "networks": [], "hosts": ["bak.lab"]},
    {"pool": "tank", "path": "/mnt/tank/d", "vlan": "nfs", "maproot-user": "root"},
]
_TASKS = [
    {"dataset": dataset, "schedule": schedule, "keep": keep}
    for dataset in ("tank", "tank/d", "tank/v1", "images/v2")
    for schedule, keep in (("0 3 * * *", "2 weeks"), ("30 4 * * 1", "1 day"))
]
_LOGINS = [
    {"tag": tag, "user": user, "secret": f"secret://env/{secret}"}
    for tag, user, secret in ((7, "one", "A"), (7, "two", "A"), (7, "one", "B"), (8, "one", "A"))
]
_P1, _P2 = (
    {"vlan": "iscsi1", "address": "10.0.101.21"},
    {"vlan": "iscsi2", "address": "10.0.102.21"},
)
ARRAY: Choices = {
    **{("zvols", name): _VOLUMES for name in ("v1", "v2", "v3")},
    **{("targets", name): _TARGETS for name in ("t", "u")},
    **{("shares", name): _SHARES for name in ("s1", "s2")},
    **{("snapshot-tasks", name): _TASKS for name in ("k1", "k2")},
    ("datasets", "tank/d"): [{}, {"quota": "2GiB"}, {"quota": "3GiB", "atime": False}],
    ("datasets", "tank/d/sub"): [{}, {"record-size": "1MiB"}],
    ("datasets", "tank/v3"): [{}, {"comment": "no volume any more"}],
    ("portals", "p1"): [_P1, _P1 | {"comment": "first"}, _P1 | {"group": "both"}],
    ("portals", "p2"): [_P2, _P2 | {"comment": "second"}, _P2 | {"group": "both"}],
    ("initiator-groups", "g"): [{"nodes": ["pve1"]}, {"names": ["iqn.2020-01.x:y"]}, {}],
    ("chap", "c"): _LOGINS,
    ("services", "iscsi"): [{"running": True}, {"enabled": False}],
}


def ceph() -> Country:
    """A Ceph cluster with all kinds of things."""
    got: Tree = {}

    def bare(tree: Tree) -> None:
        tree |= {"storages": {}, "guests": {}, "nas": {}}
        tree["ceph"]["a"] |= {"pools": {}, "manage": ALL}
        tree["ceph"]["a"]["osds"]["0"]["device-class"] = "fast"
        tree["ceph"]["a"]["osds"]["2"]["device-class"] = "fast"
        got.update(deepcopy(tree))

    rack(change=bare)
    return Country(got, ("ceph", "a"), CEPH)


_POOLS: list[Tree] = [
    {"size": 3, "pgs": 8},
    {"size": 2, "min-size": 1, "pgs": 16, "application": "rbd"},
    {"size": 3, "min-size": 2, "autoscale": "on", "rule": "r1"},
    {"size": 2, "domain": "osd", "quota": {"size": "10GiB", "objects": 100}},
    {"size": 2, "quota": {"objects": None}, "compression": {"mode": "force", "algorithm": "zstd"}},
    {"size": 3, "compression": {"mode": None}, "application": None, "manage": ["create", "update"]},
]
CEPH: Choices = {
    **{("pools", name): _POOLS for name in ("p1", "p2", "p3")},
    ("rules", "r1"): [{}, {"domain": "osd"}, {"device-class": "fast"}],
    ("rules", "r2"): [{"device-class": "fast", "domain": "osd"}],
    ("clients", "c1"): [
        {"caps": {"mon": "profile rbd", "osd": "profile rbd pool=p1"}},
        {"caps": {"mon": "profile rbd", "osd": "profile rbd pool=p2", "mgr": "profile rbd"}},
        {"caps": {"mon": "allow r"}},
    ],
    ("config", "osd"): [{"osd_recovery_sleep": "0.5"}, {"osd_recovery_sleep": ".50"}, {}],
    ("config", "osd.1"): [{"osd_recovery_sleep": "2"}],
}
