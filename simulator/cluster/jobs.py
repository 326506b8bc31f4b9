"""What an LRM does to guests: the jobs it derives from records, their results, its restarts.

A failed start is tried again on the spot as often as the service allows; only then the manager
hears of it. Acts end at once but for a move, which may go on for as long as its `Hypervisor` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from simulator.cluster.documents import LrmResult
from simulator.cluster.guests import TYPES, type_of
from simulator.cluster.state import LRM, CfsUnavailable, Cluster, Job, Lrm

OK, ERROR, WRONG_NODE, UNKNOWN_TYPE, UNKNOWN_COMMAND = 0, 1, 3, 4, 5
INVALID_PARAMETER, UNKNOWN_SERVICE, IGNORED = 6, 7, 8
"""Exit codes. Source: pve-ha-manager, Tools."""

NOT_THE_LRMS = frozenset({"recovery", "freeze", "request_start"})


class Hypervisor(Protocol):
    """What acts on guests for an LRM: `guests` pretends, the twin has real ones."""

    def running(self, cluster: Cluster, node: str, sid: str) -> bool:
        """Whether it runs on this node."""

    def start(self, cluster: Cluster, node: str, sid: str) -> None:
        """Start it, if nothing hinders."""

    def shut_down(self, cluster: Cluster, node: str, sid: str) -> None:
        """Stop it, if nothing hinders."""

    def move(
        self, cluster: Cluster, node: str, sid: str, target: str, *, live: bool
    ) -> bool | None:
        """Bring it to another node; False if it stays, None while it goes on (`end_move`)."""


def process(cluster: Cluster, node: str, hypervisor: Hypervisor) -> None:
    """Derive jobs from what the manager wants, and do them; raises CfsUnavailable."""
    lrm = cluster.lrms[node]
    lrm.restarts = {sid: n for sid, n in lrm.restarts.items() if sid in lrm.status.services}
    for sid, record in lrm.status.services_of(node).items():
        if record.node != node or not record.uid or record.state in NOT_THE_LRMS:
            continue
        if sid in lrm.moving:
            continue
        if record.state == "stopped" or record.uid not in lrm.results:
            job = Job(sid, record.uid, record.state, record.target, record.timeout_s)
            lrm.jobs[sid] = job
    _run(cluster, node, lrm, hypervisor)


def finished(cluster: Cluster, node: str, hypervisor: Hypervisor) -> bool:
    """Do the jobs that are left; False if they can't be done, or go on."""
    lrm = cluster.lrms[node]
    try:
        _run(cluster, node, lrm, hypervisor)
    except CfsUnavailable:
        return False
    return not lrm.moving


def end_move(cluster: Cluster, node: str, sid: str, *, arrived: bool) -> None:
    """Let a move that went on be over."""
    lrm = cluster.lrms[node]
    job = lrm.moving.pop(sid)
    _report(lrm, [(job, _moved(cluster, node, sid, arrived=arrived))])


def _run(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> None:
    if lrm.jobs:
        cluster.need_cfs(node)
    ended: list[tuple[Job, int]] = []
    for sid in sorted(lrm.jobs):
        job = lrm.jobs.pop(sid)
        code = _do(cluster, node, job, hypervisor)
        if code is None:
            lrm.moving[sid] = job
            continue
        heard = _counted(cluster, node, lrm, job, code) if job.state == "started" else code
        if not job.uid:
            lrm.failed_stops += code != OK
        elif heard is not None:
            ended.append((job, heard))
    if ended:
        _report(lrm, ended)


def _report(lrm: Lrm, ended: Iterable[tuple[Job, int]]) -> None:
    """Keep exit codes for the manager; results that nobody waits for any more go."""
    new = {job.uid: LrmResult(job.sid, job.state, code) for job, code in ended}
    uids = lrm.status.uids
    lrm.results = {uid: res for uid, res in {**lrm.results, **new}.items() if uid in uids}


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


def _do(cluster: Cluster, node: str, job: Job, hypervisor: Hypervisor) -> int | None:
    """Do a job; returns its exit code, None if it goes on."""
    sid, config = job.sid, cluster.services.get(job.sid)

    def failed(message: str, code: int) -> int:
        cluster.tell(node, LRM, "err", message)
        return code

    if type_of(sid) not in TYPES:
        return failed(f"service type '{type_of(sid)}' not implemented", UNKNOWN_TYPE)
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
            return _start(cluster, node, sid, hypervisor)
        case "request_stop" | "stopped":
            return _stop(cluster, node, job, hypervisor)
        case "migrate" | "relocate" | "request_start_balance":
            return _move(cluster, node, job, hypervisor)
    return failed(f"implement me (cmd '{job.state}')", UNKNOWN_COMMAND)


def _start(cluster: Cluster, node: str, sid: str, hypervisor: Hypervisor) -> int:
    if hypervisor.running(cluster, node, sid):
        return OK
    cluster.tell(node, LRM, "info", f"starting service {sid}")
    hypervisor.start(cluster, node, sid)
    if hypervisor.running(cluster, node, sid):
        cluster.tell(node, LRM, "info", f"service status {sid} started")
        return OK
    cluster.tell(node, LRM, "warning", f"unable to start service {sid}")
    return ERROR


def _stop(cluster: Cluster, node: str, job: Job, hypervisor: Hypervisor) -> int:
    sid = job.sid
    if not hypervisor.running(cluster, node, sid):
        return OK
    timeout = "" if job.timeout_s is None else f" (timeout={job.timeout_s})"
    cluster.tell(node, LRM, "info", f"stopping service {sid}{timeout}")
    hypervisor.shut_down(cluster, node, sid)
    if hypervisor.running(cluster, node, sid):
        cluster.tell(node, LRM, "info", f"unable to stop service {sid} (still running)")
        return ERROR
    cluster.tell(node, LRM, "info", f"service status {sid} stopped")
    return OK


def _move(cluster: Cluster, node: str, job: Job, hypervisor: Hypervisor) -> int | None:
    sid = job.sid
    if not job.target:
        cluster.tell(node, LRM, "err", f"{job.state} '{sid}' failed - missing target")
        return INVALID_PARAMETER
    if job.target == node:
        return OK
    if job.state == "request_start_balance" and hypervisor.running(cluster, node, sid):
        ignored = f"ignoring rebalance-on-start for service {sid} - already running"
        cluster.tell(node, LRM, "info", ignored)
        return IGNORED
    arrived = hypervisor.move(cluster, node, sid, job.target, live=job.state == "migrate")
    return None if arrived is None else _moved(cluster, node, sid, arrived=arrived)


def _moved(cluster: Cluster, node: str, sid: str, *, arrived: bool) -> int:
    if arrived:
        return OK
    cluster.tell(node, LRM, "err", f"service {sid} not moved (migration error)")
    return ERROR
