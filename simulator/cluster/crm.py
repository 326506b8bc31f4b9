"""A node's CRM: competes for the manager lock, and is the master while it holds it.

It gives up without harm when it loses the lock: only the LRM's watchdog shoots its node.
"""

from __future__ import annotations

from simulator.cluster import locks
from simulator.cluster.locks import MANAGER_LOCK
from simulator.cluster.manager import new_manager, round_of
from simulator.cluster.state import CRM, CfsUnavailable, Cluster, Crm, Manager

IDLE_ROUNDS = 90  # pve-ha-manager: CRM


def iterate(cluster: Cluster, node: str) -> bool:
    """Do one iteration of this node's CRM at its clock; True if it leaves."""
    crm = cluster.crms[node]
    _TRANSITIONS[crm.state](cluster, node, crm)
    if crm.state == "lost_manager_lock":
        locks.close_watchdog(cluster, node, CRM)
        if not crm.shutdown:
            _enter(cluster, node, "wait_for_quorum")
    elif crm.state == "master":
        return _lead(cluster, node, crm)
    return crm.shutdown


def request_shutdown(cluster: Cluster, node: str) -> None:
    """Ask it to leave; it does so in its next iteration."""
    crm = cluster.crms[node]
    if not crm.shutdown:
        cluster.tell(node, CRM, "info", "server received shutdown request")
    crm.shutdown = True


def _enter(cluster: Cluster, node: str, state: str) -> None:
    crm = cluster.crms[node]
    cluster.tell(node, CRM, "info", f"status change {crm.state} => {state}")
    crm.state = state
    crm.manager = new_manager(cluster, node) if state == "master" else None


def _wait(cluster: Cluster, node: str, crm: Crm) -> None:
    if _can_lead(cluster, node):
        _enter(cluster, node, "master" if _renew(cluster, node, crm) else "slave")


def _stand_by(cluster: Cluster, node: str, crm: Crm) -> None:
    if not _can_lead(cluster, node):
        _enter(cluster, node, "wait_for_quorum")
    elif _renew(cluster, node, crm):
        _enter(cluster, node, "master")


def _keep_leading(cluster: Cluster, node: str, crm: Crm) -> None:
    if not _renew(cluster, node, crm):
        _enter(cluster, node, "lost_manager_lock")
    elif not _may_idle(cluster, node):
        crm.idle_rounds = 0
    elif crm.idle_rounds < IDLE_ROUNDS:
        crm.idle_rounds += 1
    else:
        crm.idle_rounds = 0
        idle = f"cluster had no service configured for {IDLE_ROUNDS} rounds, going idle."
        cluster.tell(node, CRM, "info", idle)
        locks.release(cluster, node, CRM, MANAGER_LOCK)
        locks.close_watchdog(cluster, node, CRM)
        _enter(cluster, node, "wait_for_quorum")


_TRANSITIONS = {
    "wait_for_quorum": _wait,
    "slave": _stand_by,
    "master": _keep_leading,
}
"""By state; lost_manager_lock is left in the iteration in which it is entered."""


def _renew(cluster: Cluster, node: str, crm: Crm) -> bool:
    """Get or renew the manager lock, and with it the watchdog, unless disarmed."""
    if not locks.acquire(cluster, node, CRM, MANAGER_LOCK):
        return False
    if (node, CRM) not in cluster.watchdogs and not crm.disarmed:
        disarm = cluster.status.disarm
        if disarm and disarm.state == "disarmed":
            taken = "taking over as disarmed master, skipping watchdog"
            cluster.tell(node, CRM, "info", taken)
            crm.disarmed = True
    if not crm.disarmed:
        locks.update_watchdog(cluster, node, CRM)
    return True


def _healthy(cluster: Cluster, node: str) -> bool:
    try:
        cluster.need_cfs(node)
    except CfsUnavailable as error:
        cluster.tell(node, CRM, "err", f"could not read manager status: {error}")
        return False
    return (
        cluster.quorate(node)
        and cluster.machines[node].cfs_current
        and node not in cluster.status.fenced
    )


def _can_lead(cluster: Cluster, node: str) -> bool:
    """Whether it may take the lock: always when there is work, else only to end what is left."""
    if not _healthy(cluster, node):
        return False
    if cluster.services:
        return True
    status = cluster.status
    free = status.master_node in ("", node) or status.nodes.get(status.master_node) != "online"
    leftover = {n for n, state in status.nodes.items() if state == "maintenance"}
    unfinished = leftover - status.maintenance or cluster.queue or status.services
    return free and bool(unfinished or status.disarm)


def _may_idle(cluster: Cluster, node: str) -> bool:
    status = cluster.status
    return (
        _healthy(cluster, node)
        and not status.disarm
        and not cluster.services
        and not status.services
    )


def _lead(cluster: Cluster, node: str, crm: Crm) -> bool:
    """Do the master's work; True if it leaves."""
    if crm.shutdown:
        locks.close_watchdog(cluster, node, CRM)
        cluster.tell(node, CRM, "info", "voluntary release CRM lock")
        if not locks.release(cluster, node, CRM, MANAGER_LOCK):
            failed = "CRM lock release failed, let the lock timeout"
            cluster.tell(node, CRM, "notice", failed)
        return True
    if not cluster.machines[node].cfs_current:
        skipped = "temporary inconsistent cluster state (cfs restart?), skip round"
        cluster.tell(node, CRM, "notice", skipped)
    elif crm.manager:
        try:
            round_of(cluster, node, crm.manager)
            _follow_disarm(cluster, node, crm, crm.manager)
        except CfsUnavailable as error:
            cluster.tell(node, CRM, "err", f"got unexpected error - {error}")
    return False


def _follow_disarm(cluster: Cluster, node: str, crm: Crm, manager: Manager) -> None:
    if manager.fully_disarmed and not crm.disarmed:
        released = "HA stack fully disarmed, releasing CRM watchdog"
        cluster.tell(node, CRM, "info", released)
        locks.close_watchdog(cluster, node, CRM)
    elif crm.disarmed and not manager.fully_disarmed:
        cluster.tell(node, CRM, "info", "re-arming HA stack")
    crm.disarmed = manager.fully_disarmed
