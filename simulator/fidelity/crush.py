"""CRUSH, against mappings that Ceph's own tools printed.

Each recorded case is a rule under given conditions; it is equal when every one of its inputs is
mapped to the same devices in the same order. Of an OSD map each pool is a case, for its placement
groups (before and after upmap, with the primary) and for its objects. Format: `ceph-crush/*.json`,
the dump of a map with what `crushtool --test` or `osdmaptool --test-map-pgs-dump-all` said of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.crush.crushmap import WEIGHT_ONE, CrushMap, NotBuilt, from_dump
from simulator.crush.hashes import hash2, hash3, log2
from simulator.crush.mapper import map_rule
from simulator.crush.osdmap import OsdMap, PlacedPool, placement_group
from simulator.fidelity.case import Case, Verdict, not_built

REPLICATED = 1  # type of a pool


def cases(file: Path) -> Iterator[Case]:
    """Every comparison of a file."""
    data = json.loads(file.read_text())
    try:
        if "cases" in data:
            yield from _rules(data)
        elif "pgs" in data:
            yield from _pools(data)
        elif "crush_ln" in data:
            yield from _vectors(data)
    except NotBuilt as error:
        yield not_built(file.stem, str(error))


def _rules(data: Mapping[str, Any]) -> Iterator[Case]:
    crush = from_dump(data["crush"])
    for number, case in enumerate(data["cases"]):
        name = f"{data['name']} {number} rule {case['rule']} x{case['num_rep']}"
        yield _counted(name, _mapped(crush, case))


def _mapped(crush: CrushMap, case: Mapping[str, Any]) -> Iterator[tuple[object, object, object]]:
    """Input, recorded, ours."""
    reweights = {int(osd): int(weight * WEIGHT_ONE) for osd, weight in case["reweight"].items()}
    for number, recorded in enumerate(case["mappings"]):
        x = case["x_first"] + number
        inside = x if case["pool_id"] is None else hash2(x, case["pool_id"])
        yield x, recorded, map_rule(crush, case["rule"], inside, case["num_rep"], reweights)


def _pools(data: Mapping[str, Any]) -> Iterator[Case]:
    osdmap = _osdmap(data)
    pools = {
        row["pool"]: PlacedPool(
            row["pool"],
            row["crush_rule"],
            row["size"],
            row["pg_num"],
            row["pg_placement_num"],
            row["type"] == REPLICATED,
        )
        for row in data["pools"]
    }
    for id_, pool in pools.items():
        yield _counted(
            f"{data['name']} pool {id_}",
            (
                (pgid, told[:1] + told[2:4], _placed(osdmap, pool, pgid))
                for pgid, told in data["pgs"].items()
                if _pgid(pgid)[0] == id_
            ),
        )
    for name, objects in data["objects"].items():
        pool = pools[int(name)]
        yield _counted(
            f"{data['name']} objects of pool {name}",
            (
                (text, pgid, f"{name}.{placement_group(pool, text):x}")
                for text, pgid in objects.items()
            ),
        )


def _placed(osdmap: OsdMap, pool: PlacedPool, pgid: str) -> list[object]:
    pg = _pgid(pgid)[1]
    raw = osdmap.raw(pool, pg)
    return [raw, *osdmap.filtered(pool, pg, raw)]


def _osdmap(data: Mapping[str, Any]) -> OsdMap:
    osds = data["osds"]
    return OsdMap(
        from_dump(data["crush"]),
        frozenset(row["osd"] for row in osds if row["up"] and row.get("exists", True)),
        {row["osd"]: round(row["weight"] * WEIGHT_ONE) for row in osds if row["weight"] < 1},
        {
            row["osd"]: round(row["primary_affinity"] * WEIGHT_ONE)
            for row in osds
            if row["primary_affinity"] < 1
        },
        {_pgid(row["pgid"]): tuple(row["osds"]) for row in data["pg_upmap"]},
        {
            _pgid(row["pgid"]): tuple((pair["from"], pair["to"]) for pair in row["mappings"])
            for row in data["pg_upmap_items"]
        },
    )


def _pgid(text: str) -> tuple[int, int]:
    """`2.1f` -> pool 2, placement group 31."""
    pool, _, group = text.partition(".")
    return int(pool), int(group, 16)


def _vectors(data: Mapping[str, Any]) -> Iterator[Case]:
    yield _counted("crush_ln", ((u, told, log2(int(u))) for u, told in data["crush_ln"].items()))
    yield _counted("hash32_2", ((args, told, hash2(*args)) for *args, told in data["hash32_2"]))
    yield _counted("hash32_3", ((args, told, hash3(*args)) for *args, told in data["hash32_3"]))


def _counted(name: str, compared: Iterator[tuple[object, object, object]]) -> Case:
    """Equal if all of them are; else says how many are not, and the first."""
    wrong = [(x, told, ours) for x, told, ours in compared if told != ours]
    if not wrong:
        return Case(name, Verdict.EQUAL)
    x, told, ours = wrong[0]
    return Case(name, Verdict.DIFFERENT, f"{len(wrong)} differ, first {x}: {told}, ours {ours}")
