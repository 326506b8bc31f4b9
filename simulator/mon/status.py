"""How a cluster is: health checks, quorum, what is up. Source: Ceph's manual, health checks.

What monitors don't know they don't tell: until an OSD that is silent is marked down, its placement
groups read active+clean, though writes to them hang. A warning is no promise that I/O goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID, uuid5

from simulator.mon import osds, placement, tree
from simulator.mon.command import Args, Command, Reply, Site, maybe, reading
from simulator.mon.documents import Row

NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122, appendix C: DNS
PORTS = {"v2": 3300, "v1": 6789}


def fsid(site: Site) -> str:
    """Of this cluster, always the same."""
    return str(uuid5(NAMESPACE, f"{site.name}.ceph"))


def mons(site: Site) -> tuple[str, ...]:
    """In the order of their ranks, which is that of their addresses."""
    lab = site.twin.model.lab
    declared = lab.ceph[site.name]

    def address(mon: str) -> tuple[IPv4Address, str]:
        return lab.nodes[mon].addresses.get(declared.public) or IPv4Address(0), mon

    return tuple(sorted(declared.mons, key=address))


def address(site: Site, host: str) -> str:
    """Of a host's daemons, in the public network; as Ceph shows none if it has none there."""
    public = site.twin.model.lab.ceph[site.name].public
    return str(site.twin.model.hosts[host].addresses.get(public, "0.0.0.0"))  # noqa: S104


def quorum(site: Site) -> list[str]:
    """Monitors in it."""
    return [mon for mon in mons(site) if mon in site.twin.state.mons[site.name]]


Check = tuple[str, str, list[str]]
"""Name, summary, details."""


def checks(site: Site, found: list[placement.Group]) -> Iterator[Check]:
    """What is wrong, as far as the monitors know; all of it a warning. `found`: all groups."""
    away = [mon for mon in mons(site) if mon not in quorum(site)]
    if away:
        names = ",".join(quorum(site))
        text = f"{len(away)}/{len(mons(site))} mons down, quorum {names}"
        yield "MON_DOWN", text, [f"mon.{mon} is down (out of quorum)" for mon in away]
    dead = [osd for osd in site.osds if osd in site.inside and osd not in site.up]
    if dead:
        details = [f"osd.{osd} (root={tree.ROOT},host={site.osds[osd]}) is down" for osd in dead]
        yield "OSD_DOWN", f"{len(dead)} osds down", details
    yield from _hosts_down(site, dead)
    if held := sorted(site.documents.flags & {*osds.FLAGS, *osds.PAUSE}):
        yield "OSDMAP_FLAGS", f"{','.join(held)} flag(s) set", []
    yield from _groups(found)


def _hosts_down(site: Site, dead: list[int]) -> Iterator[Check]:
    whole = {host: each for host, each in tree.hosts(site).items() if set(each) <= set(dead)}
    if whole:
        count = sum(map(len, whole.values()))
        hosts = f"{len(whole)} host{'s' if len(whole) > 1 else ''}"
        details = [f"host {host} (root={tree.ROOT}) ({len(each)} osds) is down"
                   for host, each in whole.items()]  # fmt: skip
        yield "OSD_HOST_DOWN", f"{hosts} ({count} osds) down", details


def _groups(found: list[placement.Group]) -> Iterator[Check]:
    inactive = [group for group in found if not group.active]
    if inactive:
        words = ("down", "peering", "stale")
        counts = {word: sum(word in group.state.split("+") for group in inactive) for word in words}
        told = [f"{len(inactive)} pgs inactive"]
        told += [f"{count} pgs {word}" for word, count in counts.items() if count]
        details = [f"pg {group.id} is {group.state}" for group in inactive]
        yield "PG_AVAILABILITY", f"Reduced data availability: {', '.join(told)}", details
    short = [group for group in found if "undersized" in group.state]
    if short:
        hurt = [group for group in short if "degraded" in group.state]
        told = [f"{len(hurt)} pgs degraded"] if hurt else []
        told.append(f"{len(short)} pgs undersized")
        details = [
            f"pg {group.id} is {group.state}, acting {list(group.acting)}" for group in short
        ]
        yield "PG_DEGRADED", f"Degraded data redundancy: {', '.join(told)}", details


def _health(site: Site, args: Args) -> object:
    return health(site, placement.groups(site), detailed=args.get("detail") == "detail")


def health(site: Site, groups: list[placement.Group], *, detailed: bool = False) -> Row:
    """Status and checks."""
    found: dict[str, Any] = {}
    for name, text, details in checks(site, groups):
        told: Row = {"severity": "HEALTH_WARN", "summary": {"message": text, "count": len(details)}}
        if detailed:
            told["detail"] = [{"message": line} for line in details]
        found[name] = {**told, "muted": False}
    return {"status": "HEALTH_WARN" if found else "HEALTH_OK", "checks": found, "mutes": []}


def _status(site: Site, _args: Args) -> object:
    names, found = quorum(site), placement.groups(site)
    stored = [placement.stored_bytes(site, pool) for pool in site.documents.pools]
    total = sum(tree.size_bytes(site, osd) for osd in site.osds)
    used = sum(placement.used_bytes(site).values())
    return {
        "fsid": fsid(site),
        "health": health(site, found),
        "quorum": [mons(site).index(mon) for mon in names],
        "quorum_names": names,
        "monmap": {"epoch": 1, "num_mons": len(mons(site))},
        "osdmap": {
            "epoch": site.documents.epoch,
            "num_osds": len(site.osds),
            "num_up_osds": len(site.up),
            "num_in_osds": len(site.inside),
            "num_remapped_pgs": sum(group.up != group.acting for group in found),
        },
        "pgmap": {
            "pgs_by_state": placement.by_state(found),
            "num_pgs": len(found),
            "num_pools": len(site.documents.pools),
            "num_objects": sum(each // placement.OBJECT_BYTES for each in stored),
            "data_bytes": sum(stored),
            "bytes_used": used,
            "bytes_avail": total - used,
            "bytes_total": total,
        },
        "fsmap": {"epoch": 1, "by_rank": [], "up:standby": 0},
        "mgrmap": {"available": bool(names), "num_standbys": max(0, len(names) - 1)},
    }


def _quorum_status(site: Site, _args: Args) -> object:
    names = quorum(site)
    return {
        "quorum": [mons(site).index(mon) for mon in names],
        "quorum_names": names,
        "quorum_leader_name": names[0] if names else "",
        "monmap": _mon_dump(site, {}),
    }


def _mon_dump(site: Site, _args: Args) -> Row:
    rows = []
    for rank, mon in enumerate(mons(site)):
        where = address(site, mon)
        vector = [{"type": kind, "addr": f"{where}:{port}", "nonce": 0}
                  for kind, port in PORTS.items()]  # fmt: skip
        old = f"{where}:{PORTS['v1']}/0"
        rows.append({"rank": rank, "name": mon, "public_addrs": {"addrvec": vector},
                     "addr": old, "public_addr": old, "priority": 0, "weight": 0})  # fmt: skip
    ranks = [mons(site).index(mon) for mon in quorum(site)]
    return {"epoch": 1, "fsid": fsid(site), "mons": rows, "quorum": ranks}


def _versions(site: Site, _args: Args) -> object:
    version = f"ceph version {site.twin.model.lab.ceph[site.name].version}"
    daemons = {"mon": {version: len(mons(site))}, "osd": {version: len(site.osds)}}
    return {**daemons, "overall": {version: len(mons(site)) + len(site.osds)}}


def _fsid(site: Site, _args: Args) -> Reply | Row:
    return {"fsid": fsid(site)}


COMMANDS: Mapping[str, Command] = {
    "status": reading(_status),
    "health": reading(_health, *maybe("detail")),
    "quorum_status": reading(_quorum_status),
    "mon dump": reading(_mon_dump),
    "versions": reading(_versions),
    "fsid": reading(_fsid),
}
