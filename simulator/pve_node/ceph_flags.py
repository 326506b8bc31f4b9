"""Flags of the OSD map, which hold back what Ceph would do. Source: PVE::API2::Cluster::Ceph.

`pause` is told as set when both flags are that it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.mon.osds import flag_words
from simulator.pve.call import Call, Environment
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError
from simulator.pve_node.ceph_rados import CHANGE_S, MODIFY, mon_command, need_ceph

routes = Routes()
FLAGS: Mapping[str, str] = {
    "nobackfill": "Backfilling of PGs is suspended.",
    "nodeep-scrub": "Deep Scrubbing is disabled.",
    "nodown": "OSD failure reports are being ignored, such that the monitors will not mark OSDs"
    " down.",
    "noin": "OSDs that were previously marked out will not be marked back in when they start.",
    "noout": "OSDs will not automatically be marked out after the configured interval.",
    "norebalance": "Rebalancing of PGs is suspended.",
    "norecover": "Recovery of PGs is suspended.",
    "noscrub": "Scrubbing is disabled.",
    "notieragent": "Cache tiering activity is suspended.",
    "noup": "OSDs are not allowed to start.",
    "pause": "Pauses read and writes.",
}
_FLAG = f"flag enum({','.join(FLAGS)})\n"


def _set_now(scene: Environment) -> frozenset[str]:
    """Those of `FLAGS` that are set."""
    now = frozenset(mon_command(scene, "osd dump")["flags"].split(","))
    return frozenset(flag for flag in FLAGS if now.issuperset(flag_words(flag)))


@routes.add("GET /cluster/ceph/flags", "/ Sys.Audit")
def flags(call: Call) -> object:
    """All of them."""
    now = _set_now(call)
    return [
        {"name": flag, "description": text, "value": int(flag in now)}
        for flag, text in FLAGS.items()
    ]


@routes.add("GET /cluster/ceph/flags/{flag}", "/ Sys.Audit", _FLAG)
def flag(call: Call) -> object:
    """Whether one is set."""
    return int(call.text("flag") in _set_now(call))


@routes.add("PUT /cluster/ceph/flags/{flag}", MODIFY, _FLAG + "value boolean")
def update_flag(call: Call) -> object:
    """Set or lift one, at once."""
    prefix = "osd set" if call.flag("value") else "osd unset"
    mon_command(call, prefix, key=call.text("flag"))
    return None


@routes.add("PUT /cluster/ceph/flags", MODIFY, "".join(f"{flag}? boolean\n" for flag in FLAGS))
def update_flags(call: Call) -> object:
    """Set and lift several, as a task."""
    need_ceph(call)
    wanted = {flag: int(call.flag(flag)) for flag in FLAGS if call.has(flag)}
    return start_task(call, "cephsetflags", "", wanted, took_s=CHANGE_S * max(1, len(wanted)))


def _finish(worker: Worker) -> None:
    now, errors = _set_now(worker), 0
    for flag, value in worker.task.work.items():
        if bool(value) == (flag in now):
            continue
        try:
            mon_command(worker, "osd set" if value else "osd unset", key=flag)
        except ApiError as error:
            worker.say(f"error with {flag}: {error.spoken.strip()}")
            errors += 1
    if errors:
        raise TaskError(f"could not set/unset {errors} flags")


FINISH["cephsetflags"] = _finish
