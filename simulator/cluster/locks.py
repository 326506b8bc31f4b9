"""The cluster's locks, which expire, and the watchdogs of nodes, which shoot.

Both are renewed by daemons: a lock outlives the watchdog of its holder, so whoever gets the lock
of a silent node knows that its guests are stopped. Source: pve-cluster, pve-ha-manager.
"""

from __future__ import annotations

from simulator.cluster.state import Cluster, Lock

MANAGER_LOCK = "ha_manager_lock"
LIFETIME_S = 120  # pmxcfs: locks not renewed for so long are free
WATCHDOG_S = 60  # watchdog-mux: client timeout


def agent_lock(node: str) -> str:
    """Return the lock of this node's LRM."""
    return f"ha_agent_{node}_lock"


def acquire(cluster: Cluster, node: str, kind: str, name: str) -> bool:
    """Get or renew a lock for a daemon's node."""
    if not cluster.quorate(node):
        return False
    now_s = cluster.clock_s(node, kind)
    held = cluster.locks.get(name)
    fresh = held is not None and now_s - held.renewed_s <= LIFETIME_S
    if held is not None and fresh and held.node != node:
        return False
    cluster.locks[name] = Lock(node, now_s)
    if not fresh:
        cluster.tell(node, kind, "info", f"got lock '{name}'")
    return True


def release(cluster: Cluster, node: str, kind: str, name: str) -> bool:
    """Give a lock back; False if it is another's, or none, or there is no quorum."""
    held = cluster.locks.get(name)
    if held is None or not cluster.quorate(node):
        return False
    if cluster.clock_s(node, kind) - held.renewed_s > LIFETIME_S:
        return True
    if held.node != node:
        return False
    del cluster.locks[name]
    return True


def update_watchdog(cluster: Cluster, node: str, kind: str) -> None:
    """Open a daemon's watchdog, or say that it lives."""
    cluster.watchdogs[node, kind] = cluster.now_s


def close_watchdog(cluster: Cluster, node: str, kind: str) -> None:
    """Close it, so that it never shoots."""
    cluster.watchdogs.pop((node, kind), None)


def expired(cluster: Cluster) -> list[str]:
    """Nodes that a watchdog shoots now, in order of their names."""
    late = {
        node
        for (node, _), updated_s in cluster.watchdogs.items()
        if cluster.now_s - updated_s > WATCHDOG_S
    }
    return sorted(late)
