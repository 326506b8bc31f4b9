"""Placement groups: which OSDs serve each, in which state. Source: Ceph's manual, PG states.

Leaves out: recovery, which never begins (a group that was given other OSDs waits for it with what
it has), past intervals, scrubbing. What a pool holds is not known, only for how many guests.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from simulator.crush.osdmap import OsdMap, PlacedPool, placement_group
from simulator.mon import tree
from simulator.mon.command import Args, Command, MonError, Site, given, maybe, reading
from simulator.mon.documents import Row

GUEST_BYTES = 2**30
OBJECT_BYTES = 4 * 2**20  # of an RBD image


@dataclass(frozen=True)
class Group:
    """A placement group, `2.1f`. `up`: where it belongs; `acting`: who serves, `primary` first."""

    id: str
    pool: str
    up: tuple[int, ...]
    acting: tuple[int, ...]
    primary: int
    state: str

    @property
    def active(self) -> bool:
        """Whether it serves."""
        return "active" in self.state.split("+")


def osd_map(site: Site) -> OsdMap:
    """As the monitors have it."""
    out = {osd: 0 for osd in site.osds if osd not in site.inside}
    return OsdMap(tree.crush_map(site), site.up, out)


def placed(row: Row) -> PlacedPool:
    """A pool as far as placing goes."""
    return PlacedPool(
        row["pool_id"], row["crush_rule"], row["size"], row["pg_num"], row["pg_placement_num"]
    )


def groups(site: Site) -> list[Group]:
    """All of them."""
    now = osd_map(site)
    whole = replace(now, weights={})
    peering = ("ceph", "peering", site.name) in site.twin.state.timers
    return [
        _group(site, now, whole, row, number, peering=peering)
        for row in site.documents.pools.values()
        for number in range(row["pg_num"])
    ]


def _group(
    site: Site, now: OsdMap, whole: OsdMap, row: Row, number: int, *, peering: bool
) -> Group:
    up, primary = now.serving(placed(row), number)
    acting = up
    if now.weights:  # else both are the same, and working them out is what takes long
        acting, primary = whole.serving(placed(row), number)
    state = _state(
        row,
        len(acting),
        moved=set(up) != set(acting),
        peering=peering,
        degraded=stored_bytes(site, row["pool_name"]) > 0,
    )
    pgid = f"{row['pool_id']}.{number:x}"
    return Group(pgid, row["pool_name"], tuple(up), tuple(acting), primary, state)


def _state(row: Row, alive: int, *, moved: bool, peering: bool, degraded: bool) -> str:
    """The words of a state, in Ceph's order. `moved`: others are to be filled and take over."""
    if alive >= row["size"]:
        return "active+remapped+backfill_wait" if moved else "active+clean"
    if peering:
        return "peering"
    serves = alive >= row["min_size"]
    words = {
        "stale": not alive,
        "active": serves,
        "undersized": True,
        "degraded": degraded,
        "remapped": moved,
        "backfill_wait": moved,
        "peered": not serves,
    }
    return "+".join(word for word, holds in words.items() if holds)


def stored_bytes(site: Site, pool: str) -> int:
    """What a pool holds: disks are thin, and what guests have written is not known; 1 GiB each."""
    cluster = site.twin.model.lab.ceph[site.name].cluster
    load = site.twin.state.workloads.get(cluster)
    if load is None:
        return 0
    storages = {s.name for s in load.storages.values() if s.type == "rbd" and s.backing == pool}
    return GUEST_BYTES * sum(bool(storages & guest.storages) for guest in load.guests.values())


def used_bytes(site: Site) -> dict[int, int]:
    """What each OSD holds: of each pool the groups that it was given when all were up and in."""
    full = OsdMap(tree.crush_map(site), frozenset(site.osds))
    held = dict.fromkeys(site.osds, 0)
    for row in site.documents.pools.values():
        each = stored_bytes(site, row["pool_name"]) // row["pg_num"]
        for number in range(row["pg_num"] if each else 0):
            for osd in full.serving(placed(row), number)[0]:
                held[osd] += each
    return held


def _df(site: Site, _args: Args) -> object:
    total = sum(tree.size_bytes(site, osd) for osd in site.osds)
    pools = []
    for row in site.documents.pools.values():
        stored = stored_bytes(site, row["pool_name"])
        objects, most = stored // OBJECT_BYTES, (total - stored * row["size"]) // row["size"]
        bytes_used = stored * row["size"]
        stats = {"stored": stored, "objects": objects, "max_avail": most,
                 "bytes_used": bytes_used, "kb_used": bytes_used // 1024,
                 "percent_used": bytes_used / max(1, total)}  # fmt: skip
        pools.append({"name": row["pool_name"], "id": row["pool_id"], "stats": stats})
    used = sum(used_bytes(site).values())
    free = {"total_bytes": total, "total_avail_bytes": total - used, "total_used_bytes": used,
            "total_used_raw_bytes": used}  # fmt: skip
    return {"stats": {**free, "num_osds": len(site.osds)}, "pools": pools}


def by_state(found: list[Group]) -> list[Row]:
    """How many are in each state, most first."""
    counted = Counter(group.state for group in found)
    return [{"state_name": state, "count": count} for state, count in counted.most_common()]


def _dump(site: Site, _args: Args) -> object:
    return {"pg_ready": True, "pg_stats": list(_rows(groups(site)))}


def _rows(found: list[Group]) -> Iterator[Row]:
    for group in found:
        sets = {"up": list(group.up), "acting": list(group.acting)}
        first = {"up_primary": [*group.up, -1][0], "acting_primary": group.primary}
        yield {"pgid": group.id, "state": group.state, **sets, **first}


def _stat(site: Site, _args: Args) -> object:
    found = groups(site)
    states = [{"name": row["state_name"], "num": row["count"]} for row in by_state(found)]
    return {"pg_ready": True, "pg_summary": {"num_pg_by_state": states, "num_pgs": len(found)}}


def _by_pool(site: Site, args: Args) -> object:
    name = str(args["poolstr"])
    if name not in site.documents.pools:
        raise MonError(errno.ENOENT, f"pool {name} does not exist")
    return {"pg_ready": True, "pg_stats": list(_rows([g for g in groups(site) if g.pool == name]))}


def _map(site: Site, args: Args) -> object:
    name, object_ = str(args["pool"]), str(args["object"])
    if (row := site.documents.pools.get(name)) is None:
        raise MonError(errno.ENOENT, f"pool {name} does not exist")
    pg = placement_group(placed(row), object_, str(args.get("nspace", "")))
    osds, primary = osd_map(site).serving(placed(row), pg)
    where = {"up": osds, "up_primary": primary, "acting": osds, "acting_primary": primary}
    pgid = f"{row['pool_id']}.{pg:x}"
    return {"epoch": site.documents.epoch, "pool": name, "pool_id": row["pool_id"],
            "objname": object_, "pgid": pgid, **where}  # fmt: skip


COMMANDS: Mapping[str, Command] = {
    "df": reading(_df, *maybe("detail")),
    "pg dump": reading(_dump, *maybe("dumpcontents", kind="list")),
    "pg ls": reading(_dump),
    "pg ls-by-pool": reading(_by_pool, *given("poolstr")),
    "pg stat": reading(_stat),
    "osd map": reading(_map, *given("pool", "object"), *maybe("nspace")),
}
