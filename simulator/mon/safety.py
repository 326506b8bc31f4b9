"""Whether a daemon may be stopped or destroyed, by what its placement groups and the quorum need.

A "no" is EBUSY with the reason; that of OSDs has the groups as well. Source: Ceph's manual,
`ok-to-stop`, `safe-to-destroy`; words as 16.2 answered. Leaves out `--max`, and that a real cluster
knows for a while after a change less than all.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping

from simulator.mon import placement
from simulator.mon.command import Args, Command, MonError, Parameter, Reply, Site, done, given
from simulator.mon.documents import Row
from simulator.mon.status import mons, quorum


def _ids(args: Args) -> Iterator[int]:
    """OSDs, those that do not exist among them. Raises MonError."""
    for word in args.get("ids", ()):
        text = str(word).removeprefix("osd.")
        if not text.isdigit():
            raise MonError(errno.EINVAL, f"invalid osd id {word}")
        yield int(text)


def _osd_stop(site: Site, args: Args) -> Reply:
    osds = sorted({*_ids(args)})
    sorted_out: dict[str, list[str]] = {}
    for group in placement.groups(site):
        if not {*osds} & {*group.acting}:
            continue
        row = site.documents.pools[group.pool]
        left = len({*group.acting} - {*osds})
        if not group.active:
            kind = "bad_already_inactive"
        elif left < row["min_size"]:
            kind = "bad_become_inactive"
        elif len(group.acting) < row["size"]:
            kind = "ok_become_more_degraded"
        else:
            kind = "ok_become_degraded"
        sorted_out.setdefault(kind, []).append(group.id)
    bad = sum(len(found) for kind, found in sorted_out.items() if kind.startswith("bad"))
    good = sum(map(len, sorted_out.values())) - bad
    told: Row = {"ok_to_stop": not bad, "osds": osds, "num_ok_pgs": good, "num_not_ok_pgs": bad}
    output = json.dumps({**told, **sorted_out})
    if bad:
        text = f"unsafe to stop osd(s) at this time ({bad} PGs are or would become offline)"
        return Reply(-errno.EBUSY, output, text)
    return Reply(0, output)


def _osd_destroy(site: Site, args: Args) -> Reply:
    osds, found = sorted({*_ids(args)}), placement.groups(site)
    clean = all(group.state == "active+clean" for group in found)
    counts = {osd: sum(osd in (*group.up, *group.acting) for group in found) for osd in osds}
    active = [osd for osd in osds if osd in site.osds and counts[osd]]
    down = [] if clean else [osd for osd in site.osds if osd not in site.up]
    silent = [osd for osd in osds if osd in down and osd not in active]
    held = {} if clean else placement.used_bytes(site)
    stored = [osd for osd in osds if osd in site.up and osd not in active and held.get(osd)]
    safe = [osd for osd in osds if osd not in (*active, *silent, *stored)]
    output = json.dumps({"safe_to_destroy": safe, "active": active, "missing_stats": silent,
                         "stored_pgs": stored})  # fmt: skip
    if len(safe) == len(osds):
        text = "are safe to destroy without reducing data durability."
        return Reply(0, output, f"OSD(s) {_listed(safe)} {text}")
    reasons = []
    if active:
        total = sum(counts[osd] for osd in active)
        reasons.append(f"OSD(s) {_listed(active)} have {total} pgs currently mapped to them.")
    if silent:
        text = "have no reported stats, and not all PGs are active+clean; we cannot draw any"
        reasons.append(f"OSD(s) {_listed(silent)} {text} conclusions.")
    if stored:
        text = "last reported they still store some PG data, and not all PGs are active+clean;"
        reasons.append(f"OSD(s) {_listed(stored)} {text} we cannot be sure they aren't needed.")
    code = errno.EBUSY if active or stored else errno.EAGAIN
    return Reply(-code, output, " ".join(reasons))


def _listed(osds: list[int]) -> str:
    return ",".join(map(str, osds))


def _mon_stop(site: Site, args: Args) -> Reply:
    names = [str(word) for word in args.get("ids", ())]
    left = [mon for mon in quorum(site) if mon not in names]
    listed, stopped = ",".join(left), ",".join(names)
    if len(left) < len(mons(site)) // 2 + 1:
        text = f"not enough monitors would be available ({listed}) after stopping mons [{stopped}]"
        raise MonError(errno.EBUSY, text)
    return done(f"quorum should be preserved ({listed}) after stopping [{stopped}]")


def _mon_remove(site: Site, args: Args) -> Reply:
    name = str(args["id"])
    if name not in mons(site):
        return done(f"mon.{name} does not exist")
    left = [mon for mon in quorum(site) if mon != name]
    if len(left) < (len(mons(site)) - 1) // 2 + 1:
        raise MonError(errno.EBUSY, f"removing mon.{name} would break quorum")
    return done(f"safe to remove mon.{name}")


def _mds_stop(_site: Site, args: Args) -> Reply:
    return done(f"should be safe to stop [{','.join(map(str, args.get('ids', ())))}]")


_IDS = (Parameter("ids", "list"),)
COMMANDS: Mapping[str, Command] = {
    "osd ok-to-stop": Command(_osd_stop, _IDS, reads=True),
    "osd safe-to-destroy": Command(_osd_destroy, _IDS, reads=True),
    "mon ok-to-stop": Command(_mon_stop, _IDS, reads=True),
    "mon ok-to-rm": Command(_mon_remove, given("id"), reads=True),
    "mds ok-to-stop": Command(_mds_stop, _IDS, reads=True),
}
