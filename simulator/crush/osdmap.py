"""From an object to the OSDs that serve it: placement groups on an OSD map.

    name -> hash -> placement group -> rule -> upmap -> those that are up -> primary

Source: Ceph's documentation of placement groups, upmap and primary affinity. Leaves out: pg_temp
(who serves while others are filled), cache tiers, and pools without the hashpspool flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.crush.crushmap import NONE, WEIGHT_ONE, CrushMap
from simulator.crush.hashes import hash2, hash_name
from simulator.crush.mapper import map_rule

AFFINITY_ONE = 0x10000
SEPARATOR = b"\x1f"  # between a namespace and a name


@dataclass(frozen=True)
class PlacedPool:
    """A pool as far as placing goes. `shifts`: members may move up a place (replicated pools)."""

    id: int
    rule: int
    size: int
    pg_num: int
    pgp_num: int
    shifts: bool = True


@dataclass(frozen=True)
class OsdMap:
    """Who is up and in, and the exceptions that were made.

    `weights` (16.16, 0 is out) and `affinities` (of 65536) of OSDs that are not wholly in or have
    less than full affinity; `upmap`: (pool, pg) -> OSDs instead, `upmap_items`: (from, to) each.
    """

    crush: CrushMap
    up: frozenset[int]
    weights: Mapping[int, int] = field(default_factory=dict)
    affinities: Mapping[int, int] = field(default_factory=dict)
    upmap: Mapping[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)
    upmap_items: Mapping[tuple[int, int], tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def raw(self, pool: PlacedPool, pg: int) -> list[int]:
        """What the rule gives, whoever is up."""
        return map_rule(self.crush, pool.rule, seed(pool, pg), pool.size, self.weights)

    def serving(self, pool: PlacedPool, pg: int) -> tuple[list[int], int]:
        """The OSDs that are up for a placement group, and its primary; -1: nobody."""
        return self.filtered(pool, pg, self.raw(pool, pg))

    def filtered(self, pool: PlacedPool, pg: int, raw: list[int]) -> tuple[list[int], int]:
        """The same from what the rule gives."""
        osds = self._exceptions(pool, pg, raw)
        here = [osd if osd in self.up else NONE for osd in osds]
        if pool.shifts:
            here = [osd for osd in here if osd != NONE]
        return self._primary(pool, pg, here)

    def _exceptions(self, pool: PlacedPool, pg: int, raw: list[int]) -> list[int]:
        key, osds = (pool.id, pg), list(raw)
        whole = self.upmap.get(key, ())
        if whole and all(self._inside(osd) for osd in whole):
            osds = list(whole)
        elif whole:
            return osds
        for old, new in self.upmap_items.get(key, ()):
            if old in osds and new not in osds and self._inside(new):
                osds[osds.index(old)] = new
        return osds

    def _inside(self, osd: int) -> bool:
        return self.weights.get(osd, WEIGHT_ONE) > 0

    def _primary(self, pool: PlacedPool, pg: int, osds: list[int]) -> tuple[list[int], int]:
        """The first whose affinity lets it; if none does, the first."""
        there = [place for place, osd in enumerate(osds) if osd != NONE]
        if not there:
            return osds, -1
        chosen = there[0]
        for place in there:
            affinity = self.affinities.get(osds[place], AFFINITY_ONE)
            draws = affinity < AFFINITY_ONE and hash2(seed(pool, pg), osds[place]) >> 16
            if draws is False or draws < affinity:
                chosen = place
                break
        primary = osds[chosen]
        if pool.shifts:
            osds = [primary, *(osd for osd in osds if osd != primary)]
        return osds, primary


def placement_group(pool: PlacedPool, name: str, namespace: str = "") -> int:
    """The placement group of an object."""
    text = name.encode()
    whole = namespace.encode() + SEPARATOR + text if namespace else text
    return stable_mod(hash_name(whole), pool.pg_num)


def seed(pool: PlacedPool, pg: int) -> int:
    """What a placement group enters CRUSH with."""
    return hash2(stable_mod(pg, pool.pgp_num), pool.id)


def stable_mod(number: int, count: int) -> int:
    """A residue that moves few when `count` grows towards the next power of two."""
    mask = (1 << (count - 1).bit_length()) - 1
    return number & mask if number & mask < count else number & mask >> 1
