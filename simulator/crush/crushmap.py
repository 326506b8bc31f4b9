"""A CRUSH map: buckets, rules and tunables, as `osd crush dump` and `crushtool --dump` tell them.

Shadow trees of device classes are ordinary buckets here (`default~ssd`), with ids of their own,
which enter the hash: they are taken from the dump, as nobody can guess them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulator.crush.hashes import Words

WEIGHT_ONE = 0x10000
NONE = 0x7FFFFFFF
"""The hole of an indep rule (CRUSH_ITEM_NONE)."""


class NotBuilt(ValueError):
    """A kind of bucket or step that this implementation does not have."""


@dataclass(frozen=True)
class Bucket:
    """Items below one node of the tree; weights are 16.16 fixed point."""

    id: int
    type: int
    alg: str
    items: tuple[int, ...]
    weights: tuple[int, ...]
    ids: Words  # of the items, as they enter the hash

    @property
    def size(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Args:
    """`choose_args` of a bucket: weights by position of the result, and other ids to hash."""

    weight_sets: tuple[tuple[int, ...], ...] = ()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tunables:
    """What changed over Ceph's releases. Defaults: the jewel profile."""

    choose_local_tries: int = 0
    choose_local_fallback_tries: int = 0
    choose_total_tries: int = 50
    chooseleaf_descend_once: int = 1
    chooseleaf_vary_r: int = 1
    chooseleaf_stable: int = 1


@dataclass(frozen=True)
class Step:
    """One step of a rule. `type` is the id of the type that a choose step looks for."""

    op: str
    num: int = 0
    type: int = 0
    item: int = 0


@dataclass(frozen=True)
class CrushMap:
    """All of it. `args`: bucket -> its choose_args, of the one set that applies."""

    buckets: Mapping[int, Bucket]
    rules: Mapping[int, tuple[Step, ...]]
    tunables: Tunables = Tunables()
    max_devices: int = 0
    types: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, int] = field(default_factory=dict)  # of buckets
    args: Mapping[int, Args] = field(default_factory=dict)


def bucket(id_: int, type_: int, items: Mapping[int, int], alg: str = "straw2") -> Bucket:
    """A bucket of items (id -> weight), in order."""
    words = np.array([item & 0xFFFFFFFF for item in items], dtype=np.uint32)
    return Bucket(id_, type_, alg, tuple(items), tuple(items.values()), words)


def from_dump(dump: Mapping[str, Any]) -> CrushMap:
    """From the JSON of a dump."""
    types = {row["name"]: row["type_id"] for row in dump["types"]}
    known = {name: dump["tunables"][name] for name in Tunables.__dataclass_fields__}
    buckets = {
        row["id"]: bucket(
            row["id"],
            row["type_id"],
            {item["id"]: item["weight"] for item in row["items"]},
            row["alg"],
        )
        for row in dump["buckets"]
    }
    return CrushMap(
        buckets=buckets,
        rules={
            row["rule_id"]: tuple(_step(step, types) for step in row["steps"])
            for row in dump["rules"]
        },
        tunables=Tunables(**known),
        max_devices=max((row["id"] for row in dump["devices"]), default=-1) + 1,
        types=types,
        names={row["name"]: row["id"] for row in dump["buckets"]},
        args=_args(dump.get("choose_args", {})),
    )


def _step(row: Mapping[str, Any], types: Mapping[str, int]) -> Step:
    return Step(row["op"], row.get("num", 0), types.get(row.get("type", ""), 0), row.get("item", 0))


def _args(sets: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[int, Args]:
    """Those of the compat set (-1 where a cluster has one, else the first)."""
    if not sets:
        return {}
    rows = sets.get("-1", next(iter(sets.values())))
    return {
        row["bucket_id"]: Args(
            tuple(
                tuple(round(weight * WEIGHT_ONE) for weight in weights)
                for weights in row.get("weight_set", ())
            ),
            tuple(row.get("ids", ())),
        )
        for row in rows
    }
