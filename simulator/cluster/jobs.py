"""What an LRM does to guests: the jobs it derives from records, their results, its restarts.

Jobs take no time here. A failed start is tried again on the spot as often as the service allows;
only then the manager hears of it.
"""

from __future__ import annotations

from simulator.cluster import guests
from simulator.cluster.documents import LrmResult
from simulator.cluster.state import LRM, CfsUnavailable, Cluster, Job, Lrm

OK, ERROR, WRONG_NODE, UNKNOWN_TYPE, UNKNOWN_COMMAND = 0, 1, 3, 4, 5
INVALID_PARAMETER, UNKNOWN_SERVICE, IGNORED = 6, 7, 8
"""Exit codes. Source: pve-ha-manager, Tools."""

NOT_THE_LRMS = frozenset({"recovery", "freeze", "request_start"})


def process(cluster: Cluster, node: str) -> None:
    """Derive jobs from what the manager wants, and do them; raises CfsUnavailable."""
    lrm = cluster.lrms[node]
    lrm.restarts = {sid: n for sid, n in lrm.restarts.items() if sid in lrm.records}
    for sid, record in lrm.records.items():
        if record.node != node or not record.uid or record.state in NOT_THE_LRMS:
            continue
        if record.state == "stopped" or record.uid not in lrm.results:
            job = Job(sid, record.uid, record.state, record.target, record.timeout_s)
            lrm.jobs[sid] = job
    _run(cluster, node, lrm)


def finished(cluster: Cluster, node: str) -> bool:
    """Do the jobs that are left; False if they can't be done."""
    try:
        _run(cluster, node, cluster.lrms[node])
    except CfsUnavailable:
        return False
    return True


def _run(cluster: Cluster, node: str, lrm: Lrm) -> None:
    if lrm.jobs:
        cluster.need_cfs(node)
    for sid in sorted(lrm.jobs):
        job = lrm.jobs.pop(sid)
        done = _do(cluster, node, job)
        code = _counted(cluster, node, lrm, job, done) if job.state == "started" else done
        if not job.uid:
            lrm.failed_stops += code != OK
        elif code is not None:
            uids = {record.uid for record in lrm.records.values()}
            lrm.results[job.uid] = LrmResult(sid, job.state, code)
            lrm.results = {uid: res for uid, res in lrm.results.items() if uid in uids}


def _counted(cluster: Cluster, node: str, lrm: Lrm, job: Job, code: int) -> int | None:
    """Return what the manager hears of a start; None: nothing, it is tried again."""
    sid, tried = job.sid, lrm.restarts.get(job.sid, 0)
    if code == OK:
        lrm.restarts[sid] = 0
    if code != ERROR:
        return code
    if tried >= cluster.services[sid].max_restart:
        failed = f"unable to start service {sid} on local node after {tried} retries"
        cluster.tell(node, LRM, "err", failed)
        lrm.restarts[sid] = 0
        return code
    lrm.restarts[sid] = tried + 1
    retry = f"restart policy: retry number {tried + 1} for service '{sid}'"
    cluster.tell(node, LRM, "warning", retry)
    return None


def _do(cluster: Cluster, node: str, job: Job) -> int:
    sid, config = job.sid, cluster.services.get(job.sid)

    def failed(message: str, code: int) -> int:
        cluster.tell(node, LRM, "err", message)
        return code

    if guests.type_of(sid) not in guests.TYPES:
        return failed(f"service type '{guests.type_of(sid)}' not implemented", UNKNOWN_TYPE)
    if config is None:
        return failed(f"missing resource configuration for '{sid}'", UNKNOWN_SERVICE)
    if job.state == "error":
        help_text = "Look up 'ERROR RECOVERY' in the documentation."
        state = f"service {sid} is in an error state and needs manual intervention."
        return failed(f"{state} {help_text}", OK)
    if config.node != node:
        return failed(f"service '{sid}' not on this node", WRONG_NODE)
    match job.state:
        case "started":
            return _start(cluster, node, sid)
        case "request_stop" | "stopped":
            return _stop(cluster, node, job)
        case "migrate" | "relocate" | "request_start_balance":
            return _move(cluster, node, job)
    return failed(f"implement me (cmd '{job.state}')", UNKNOWN_COMMAND)


def _start(cluster: Cluster, node: str, sid: str) -> int:
    if guests.running(cluster, node, sid):
        return OK
    cluster.tell(node, LRM, "info", f"starting service {sid}")
    guests.start(cluster, node, sid)
    if guests.running(cluster, node, sid):
        cluster.tell(node, LRM, "info", f"service status {sid} started")
        return OK
    cluster.tell(node, LRM, "warning", f"unable to start service {sid}")
    return ERROR


def _stop(cluster: Cluster, node: str, job: Job) -> int:
    sid = job.sid
    if not guests.running(cluster, node, sid):
        return OK
    timeout = "" if job.timeout_s is None else f" (timeout={job.timeout_s})"
    cluster.tell(node, LRM, "info", f"stopping service {sid}{timeout}")
    guests.shut_down(cluster, node, sid)
    if guests.running(cluster, node, sid):
        cluster.tell(node, LRM, "info", f"unable to stop service {sid} (still running)")
        return ERROR
    cluster.tell(node, LRM, "info", f"service status {sid} stopped")
    return OK


def _move(cluster: Cluster, node: str, job: Job) -> int:
    sid = job.sid
    if not job.target:
        cluster.tell(node, LRM, "err", f"{job.state} '{sid}' failed - missing target")
        return INVALID_PARAMETER
    if job.target == node:
        return OK
    if job.state == "request_start_balance" and guests.running(cluster, node, sid):
        ignored = f"ignoring rebalance-on-start for service {sid} - already running"
        cluster.tell(node, LRM, "info", ignored)
        return IGNORED
    if guests.move(cluster, node, sid, job.target, live=job.state == "migrate"):
        return OK
    cluster.tell(node, LRM, "err", f"service {sid} not moved (migration error)")
    return ERROR
