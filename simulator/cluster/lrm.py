"""A node's LRM: holds its node's lock and watchdog while services are its to look after.

When it loses the lock the watchdog stays open, unanswered: that is what stops its guests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.cluster import jobs, locks
from simulator.cluster.documents import LrmStatus
from simulator.cluster.jobs import Hypervisor
from simulator.cluster.locks import agent_lock
from simulator.cluster.manager import active_count
from simulator.cluster.state import LRM, CfsUnavailable, Cluster, Job, Lrm

IDLE_ROUNDS = 60  # pve-ha-manager: LRM
GIVE_UP_S = 90  # likewise: a restart that never gets its lock back
SHUTDOWN_POLICIES = ("conditional", "freeze", "failover", "migrate")


def iterate(cluster: Cluster, node: str, hypervisor: Hypervisor) -> bool:
    """Do one iteration of this node's LRM at its clock; True if it leaves."""
    lrm = cluster.lrms[node]
    if not cluster.lrm_status_written:
        if not publish(cluster, node):
            return lrm.shutdown
        cluster.lrm_status_written = True
    _read(cluster, node)
    _TRANSITIONS[lrm.state](cluster, node, lrm, hypervisor)
    return _WORK[lrm.state](cluster, node, lrm, hypervisor)


def request_shutdown(cluster: Cluster, node: str) -> None:
    """Ask it to leave: to restart, or as its node's shutdown and the policy for that say."""
    lrm, word = cluster.lrms[node], cluster.machines[node].shutdown
    policy = cluster.datacenter.shutdown_policy
    if lrm.shutdown:
        return
    if word:
        _say(cluster, node, "info", f"got shutdown request with shutdown policy '{policy}'")
    if policy not in SHUTDOWN_POLICIES:
        unknown = f"unknown shutdown policy '{policy}', fall back to conditional"
        _say(cluster, node, "err", unknown)
    if word:
        _prepare_shutdown(cluster, node, lrm, word)
    elif lrm.mode == "maintenance":
        _say(cluster, node, "notice", "restart of LRM may be delayed, in maintenance mode")
    else:
        _say(cluster, node, "info", "restart LRM, freeze all services")
        lrm.mode = "restart"
    lrm.shutdown = True
    if not publish(cluster, node):
        _say(cluster, node, "err", "unable to update lrm status file - not quorate?")


def _prepare_shutdown(cluster: Cluster, node: str, lrm: Lrm, word: str) -> None:
    policy = cluster.datacenter.shutdown_policy
    freeze = policy == "freeze" or (word == "reboot" and policy not in ("failover", "migrate"))
    if policy != "migrate":
        for sid, record in lrm.status.services_of(node).items():
            if record.node == node and sid not in lrm.moving:
                lrm.jobs[sid] = Job(sid, "", "request_stop")
    if lrm.mode == "maintenance":
        if policy == "migrate":
            told = "ignore maintenance policy, already in maintenance mode"
        else:
            told = f"ignore {policy} policy as manual maintenance mode is enabled"
        _say(cluster, node, "info", f"{word} LRM, {told}")
    elif policy == "migrate":
        removed = "doing maintenance, removing this node from active list"
        _say(cluster, node, "info", f"{word} LRM, {removed}")
        lrm.mode = "maintenance"
    elif freeze:
        _say(cluster, node, "info", f"{word} LRM, stop and freeze all services")
        lrm.mode = "restart"
    else:
        _say(cluster, node, "info", "shutdown LRM, stop all services")
        lrm.mode = "shutdown"


def _say(cluster: Cluster, node: str, level: str, message: str) -> None:
    cluster.tell(node, LRM, level, message)


def _enter(cluster: Cluster, node: str, state: str) -> None:
    lrm = cluster.lrms[node]
    _say(cluster, node, "info", f"status change {lrm.state} => {state}")
    lrm.state, lrm.entered_s = state, cluster.clock_s(node, LRM)


def publish(cluster: Cluster, node: str) -> bool:
    """Publish its state; False if that can't be."""
    if not cluster.quorate(node):
        return False
    try:
        cluster.need_cfs(node)
    except CfsUnavailable as error:
        _say(cluster, node, "err", f"unable to write lrm status file - {error}")
        return False
    lrm = cluster.lrms[node]
    now_s = cluster.clock_s(node, LRM)
    cluster.lrm_status[node] = LrmStatus(lrm.state, lrm.mode, dict(lrm.results), now_s)
    return True


def _read(cluster: Cluster, node: str) -> bool:
    """Learn what the master wants; False, and what it knew stays, if that can't be."""
    lrm, status = cluster.lrms[node], cluster.status
    try:
        cluster.need_cfs(node)
    except CfsUnavailable as error:
        _say(cluster, node, "err", f"updating service status from manager failed: {error}")
        return False
    lrm.status = status
    if lrm.shutdown:
        return True
    if node in status.maintenance:
        lrm.mode = "maintenance"
    elif status.disarm:
        lrm.mode = "disarm"
    elif lrm.mode in ("maintenance", "disarm"):
        lrm.mode = "active"
    return True


def _to_be_fenced(node: str, lrm: Lrm) -> bool:
    return lrm.status.nodes.get(node) == "fence" or node in lrm.status.fenced


def _active(node: str, lrm: Lrm) -> int:
    return active_count(node, lrm.status.services_of(node))


def _renew(cluster: Cluster, node: str) -> bool:
    """Get or renew its lock, and with it the watchdog."""
    if not locks.acquire(cluster, node, LRM, agent_lock(node)):
        return False
    locks.update_watchdog(cluster, node, LRM)
    return True


def _let_go(cluster: Cluster, node: str) -> None:
    locks.release(cluster, node, LRM, agent_lock(node))
    locks.close_watchdog(cluster, node, LRM)


def _wait(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> None:
    needed = lrm.mode != "disarm" and not _to_be_fenced(node, lrm) and _active(node, lrm) > 0
    if needed and _renew(cluster, node):
        _enter(cluster, node, "active")


def _regain(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> None:
    if not _to_be_fenced(node, lrm) and _renew(cluster, node):
        _enter(cluster, node, "active")


def _stay_active(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> None:
    if _to_be_fenced(node, lrm):
        _say(cluster, node, "err", "node needs to be fenced - releasing agent_lock")
        _enter(cluster, node, "lost_agent_lock")
    elif not _renew(cluster, node):
        _enter(cluster, node, "lost_agent_lock")
    elif lrm.mode == "maintenance":
        _enter(cluster, node, "maintenance")
    elif lrm.mode == "disarm" and jobs.finished(cluster, node, hypervisor):
        disarmed = "HA disarm requested, releasing agent lock and watchdog"
        _say(cluster, node, "info", disarmed)
        _let_go(cluster, node)
        _enter(cluster, node, "wait_for_agent_lock")
    elif any(
        rec.node == node for rec in lrm.status.services_of(node).values()
    ) or not jobs.finished(cluster, node, hypervisor):
        lrm.idle_rounds = 0
    elif lrm.idle_rounds < IDLE_ROUNDS:
        lrm.idle_rounds += 1
    else:
        lrm.idle_rounds = 0
        idle = f"node had no service configured for {IDLE_ROUNDS} rounds, going idle."
        _say(cluster, node, "info", idle)
        _let_go(cluster, node)
        _enter(cluster, node, "wait_for_agent_lock")


def _stay_in_maintenance(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> None:
    if _to_be_fenced(node, lrm):
        fenced = "node needs to be fenced during maintenance mode - releasing agent_lock"
        _say(cluster, node, "err", fenced)
        _enter(cluster, node, "lost_agent_lock")
        return
    busy = _active(node, lrm) > 0 or not jobs.finished(cluster, node, hypervisor)
    if lrm.mode == "disarm" and not busy:
        disarmed = "HA disarm requested during maintenance, releasing agent lock and watchdog"
        _say(cluster, node, "info", disarmed)
        _let_go(cluster, node)
        _enter(cluster, node, "wait_for_agent_lock")
    elif busy:
        if not _renew(cluster, node):
            _enter(cluster, node, "lost_agent_lock")
    elif lrm.mode != "maintenance":
        _enter(cluster, node, "active" if _renew(cluster, node) else "lost_agent_lock")


def _work_waiting(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> bool:
    if not lrm.shutdown:
        publish(cluster, node)
    return lrm.shutdown


def _work_active(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> bool:
    exits = False
    if _read(cluster, node):
        try:
            exits = (
                _end(cluster, node, lrm, hypervisor)
                if lrm.shutdown
                else _serve(cluster, node, lrm, hypervisor)
            )
        except CfsUnavailable as error:
            _say(cluster, node, "err", f"got unexpected error - {error}")
    publish(cluster, node)
    return exits


def _serve(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> bool:
    if cluster.machines[node].cfs_current:
        jobs.process(cluster, node, hypervisor)
    else:
        skipped = "temporary inconsistent cluster state (cfs restart?), skip round"
        _say(cluster, node, "notice", skipped)
    return False


def _end(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> bool:
    """Work towards leaving; a restart waits until the master has frozen the services."""
    if not jobs.finished(cluster, node, hypervisor):
        return False
    if lrm.mode == "restart":
        if _active(node, lrm) > 0:
            return False
        _let_go(cluster, node)
    elif not lrm.failed_stops:
        _let_go(cluster, node)
    return True


def _work_lost(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> bool:
    if not lrm.shutdown:
        return False
    active = _active(node, lrm)
    if not active:
        locks.close_watchdog(cluster, node, LRM)
        return True
    detected = f"got shutdown request in state 'lost_agent_lock' - detected {active}"
    _say(cluster, node, "err", f"{detected} running services")
    if lrm.mode == "restart" and cluster.clock_s(node, LRM) - lrm.entered_s > GIVE_UP_S:
        given_up = "lost agent lock and restart request for over 90 seconds - giving up!"
        _say(cluster, node, "err", given_up)
        return True
    return False


def _work_in_maintenance(cluster: Cluster, node: str, lrm: Lrm, hypervisor: Hypervisor) -> bool:
    exits = False
    if _read(cluster, node):
        try:
            if _active(node, lrm) == 0 and jobs.finished(cluster, node, hypervisor):
                _let_go(cluster, node)
                exits = lrm.shutdown
            if not exits:
                jobs.process(cluster, node, hypervisor)
        except CfsUnavailable as error:
            _say(cluster, node, "err", f"got unexpected error - {error}")
    publish(cluster, node)
    return exits


_TRANSITIONS: Mapping[str, Callable[[Cluster, str, Lrm, Hypervisor], None]] = {
    "wait_for_agent_lock": _wait,
    "lost_agent_lock": _regain,
    "active": _stay_active,
    "maintenance": _stay_in_maintenance,
}

_WORK: Mapping[str, Callable[[Cluster, str, Lrm, Hypervisor], bool]] = {
    "wait_for_agent_lock": _work_waiting,
    "lost_agent_lock": _work_lost,
    "active": _work_active,
    "maintenance": _work_in_maintenance,
}
