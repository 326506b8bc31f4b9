"""The OSD map: who is up and in, where each OSD stands, what is held back by flags.

Source: Ceph's manual, monitoring OSDs and placement groups. An OSD that is told to go down while it
runs comes back by itself, as a real one does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from simulator.crush.crushmap import WEIGHT_ONE
from simulator.mon import tree
from simulator.mon.command import (
    Args,
    Command,
    MonError,
    Parameter,
    Reply,
    Site,
    done,
    given,
    maybe,
    reading,
)
from simulator.mon.documents import Row
from simulator.state import OsdState

FLAGS = frozenset(
    ("noup", "nodown", "noin", "noout", "nobackfill", "norebalance", "norecover", "noscrub",
     "nodeep-scrub", "nosnaptrim", "notieragent", "pause")
)  # fmt: skip
PAUSE = ("pauserd", "pausewr")  # what `pause` stands for
ALWAYS = ("pglog_hardlimit", "purged_snapdirs", "recovery_deletes", "sortbitwise")


def state_of(site: Site, osd: int) -> OsdState:
    """As the map has it."""
    return site.twin.state.osds[f"{site.name}/{osd}"]


def _dump(site: Site, _args: Args) -> object:
    flags = sorted({*site.documents.flags, *ALWAYS})
    return {
        "epoch": site.documents.epoch,
        "flags": ",".join(flags),
        "flags_set": flags,
        "full_ratio": 0.95,
        "backfillfull_ratio": 0.9,
        "nearfull_ratio": 0.85,
        "pool_max": site.documents.pool_ids,
        "max_osd": max(site.osds, default=-1) + 1,
        "pools": [{"pool": row["pool_id"], **{k: v for k, v in row.items() if k != "pool_id"}}
                  for row in site.documents.pools.values()],
        "osds": [
            {
                "osd": osd,
                "up": int(state_of(site, osd).up),
                "in": int(state_of(site, osd).inside),
                "weight": float(state_of(site, osd).inside),
                "primary_affinity": 1.0,
            }
            for osd in site.osds
        ],
        "pg_upmap": [],
        "pg_upmap_items": [],
    }  # fmt: skip


def _leaf(site: Site, osd: int) -> Row:
    state = state_of(site, osd)
    class_ = site.documents.classes.get(osd, "")
    return {
        "id": osd,
        **({"device_class": class_} if class_ else {}),
        "name": f"osd.{osd}",
        "type": "osd",
        "type_id": 0,
        "crush_weight": tree.weight(site, osd) / WEIGHT_ONE,
        "depth": 2,
        "exists": 1,
        "status": "up" if state.up else "down",
        "reweight": float(state.inside),
        "primary_affinity": 1.0,
    }


def _tree(site: Site, _args: Args) -> object:
    ids, hosts = tree.bucket_ids(site), tree.hosts(site)
    root = {"id": ids[tree.ROOT], "name": tree.ROOT, "type": "root", "type_id": tree.TYPES["root"],
            "children": [ids[host] for host in hosts]}  # fmt: skip
    nodes: list[Row] = [root]
    for host, osds in hosts.items():
        nodes.append({"id": ids[host], "name": host, "type": "host", "type_id": tree.TYPES["host"],
                      "children": osds[::-1]})  # fmt: skip
        nodes += [_leaf(site, osd) for osd in osds]
    return {"nodes": nodes, "stray": []}


def _df(site: Site, _args: Args) -> object:
    nodes = []
    for osd in site.osds:
        kib = tree.size_bytes(site, osd) // 1024
        nodes.append({**_leaf(site, osd), "kb": kib, "kb_used": 0, "kb_avail": kib,
                      "utilization": 0.0, "var": 1.0})  # fmt: skip
    total = sum(row["kb"] for row in nodes)
    summary = {"total_kb": total, "total_kb_used": 0, "total_kb_avail": total,
               "average_utilization": 0.0}  # fmt: skip
    return {"nodes": nodes, "stray": [], "summary": summary}


def _stat(site: Site, _args: Args) -> object:
    return {
        "epoch": site.documents.epoch,
        "num_osds": len(site.osds),
        "num_up_osds": len(site.up),
        "num_in_osds": len(site.inside),
    }


def flag_words(word: str) -> tuple[str, ...]:
    """The flags of the map that a word stands for. Raises MonError for none."""
    if word not in FLAGS:
        raise MonError(errno.EINVAL, f"unrecognized flag '{word}'")
    return PAUSE if word == "pause" else (word,)


def _set(site: Site, args: Args) -> Reply:
    flags = flag_words(str(args["key"]))
    site.documents.flags |= set(flags)
    return done(f"{','.join(flags)} is set")


def _unset(site: Site, args: Args) -> Reply:
    flags = flag_words(str(args["key"]))
    site.documents.flags -= set(flags)
    return done(f"{','.join(flags)} is unset")


def _marking(word: str, change: Callable[[OsdState], OsdState]) -> Command:
    """`osd out 3 4`: a change of the state of OSDs."""

    def mark(site: Site, args: Args) -> Reply:
        osds = list(_numbers(site, args))
        for osd in osds:
            site.twin.state.osds[f"{site.name}/{osd}"] = change(state_of(site, osd))
        return done(f"marked {word} osd.{' osd.'.join(map(str, osds))}. ")

    return Command(mark, (Parameter("ids", "list"),))


def _numbers(site: Site, args: Args) -> Iterator[int]:
    for word in args.get("ids", ()):
        text = str(word).removeprefix("osd.")
        if not text.isdigit():
            raise MonError(errno.EINVAL, f"invalid osd id {word}")
        if int(text) not in site.osds:
            raise MonError(errno.ENOENT, f"osd.{text} does not exist.")
        yield int(text)


def _ls(site: Site, _args: Args) -> object:
    return list(site.osds)


def _find(site: Site, args: Args) -> object:
    (osd,) = _numbers(site, {"ids": [args["id"]]})
    host = site.osds[osd]
    return {"osd": osd, "host": host, "crush_location": {"host": host, "root": tree.ROOT}}


COMMANDS: Mapping[str, Command] = {
    "osd dump": reading(_dump),
    "osd tree": reading(_tree),
    "osd df": reading(_df, *maybe("output_method")),
    "osd stat": reading(_stat),
    "osd ls": reading(_ls),
    "osd find": reading(_find, *given("id")),
    "osd set": Command(_set, (*given("key"), *maybe("yes_i_really_mean_it", kind="flag"))),
    "osd unset": Command(_unset, given("key")),
    "osd out": _marking("out", lambda osd: replace(osd, inside=False, out_s=None)),
    "osd in": _marking("in", lambda osd: replace(osd, inside=True)),
    "osd down": _marking("down", lambda osd: replace(osd, up=False)),
}
