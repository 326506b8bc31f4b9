"""The OSD map: who is up and in, where each OSD stands, what is held back by flags.

Source: Ceph's manual, monitoring OSDs and placement groups. An OSD that is told to go down while it
runs comes back by itself, as a real one does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from simulator.crush.crushmap import WEIGHT_ONE
from simulator.mon import placement, tree
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
    return {"nodes": _tree_rows(site), "stray": []}


def _tree_rows(site: Site) -> list[Row]:
    ids, hosts = tree.bucket_ids(site), tree.hosts(site)
    root = {"id": ids[tree.ROOT], "name": tree.ROOT, "type": "root", "type_id": tree.TYPES["root"],
            "children": [ids[host] for host in hosts]}  # fmt: skip
    nodes: list[Row] = [root]
    for host, osds in hosts.items():
        nodes.append({"id": ids[host], "name": host, "type": "host", "type_id": tree.TYPES["host"],
                      "children": osds[::-1]})  # fmt: skip
        nodes += [_leaf(site, osd) for osd in osds]
    return nodes


def _df(site: Site, args: Args) -> object:
    """How full OSDs are; with `output_method` tree, in the tree with the sums of its buckets."""
    held, found = placement.used_bytes(site), placement.groups(site)
    kib = {osd: tree.size_bytes(site, osd) // 1024 for osd in site.osds}
    all_, all_used = sum(kib.values()), sum(held.values()) // 1024
    mean = _percent(all_used, all_)

    def figures(osds: Collection[int]) -> Row:
        size, used = sum(kib[osd] for osd in osds), sum(held[osd] for osd in osds) // 1024
        share = _percent(used, size)
        return {"kb": size, "kb_used": used, "kb_used_data": used, "kb_avail": size - used,
                "utilization": share, "var": share / mean if mean else 1.0}  # fmt: skip

    nodes: list[Row] = []
    for row in _tree_rows(site):
        if row["type"] == "osd":
            pgs = sum(row["id"] in group.acting for group in found)
            row = {name: row[name] for name in row if name not in ("exists", "primary_affinity")}
            nodes.append({**row, **figures([row["id"]]), "pgs": pgs})
        elif args.get("output_method") == "tree":
            osds = tree.hosts(site)[row["name"]] if row["type"] == "host" else [*site.osds]
            nodes.append({**row, "reweight": -1, **figures(osds), "pgs": 0})
    summary = {"total_kb": all_, "total_kb_used": all_used, "total_kb_avail": all_ - all_used,
               "average_utilization": mean}  # fmt: skip
    return {"nodes": nodes, "stray": [], "summary": summary}


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


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


def _scrubbing(word: str) -> Command:
    """`osd scrub 3`: a check of the copies. There are none here, so nothing comes of it."""

    def scrub(site: Site, args: Args) -> Reply:
        osd = str(args["who"]).removeprefix("osd.")
        if not osd.isdigit() or int(osd) not in site.up:
            raise MonError(errno.EAGAIN, f"osd.{osd} is not up")
        return done(f"instructed osd(s) {osd} to {word}")

    return Command(scrub, given("who"), reads=True)


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
    "osd scrub": _scrubbing("scrub"),
    "osd deep-scrub": _scrubbing("deep-scrub"),
    "osd down": _marking("down", lambda osd: replace(osd, up=False)),
}
