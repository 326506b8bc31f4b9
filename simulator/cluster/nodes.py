"""States of nodes as the master keeps them, and the fence.

A node that is silent for `FENCE_DELAY_S` is fenced by waiting for its LRM's lock: when that is
free its watchdog has shot it. Hardware fencing is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from simulator.cluster import locks
from simulator.cluster.state import CRM, Cluster, Manager

FENCE_DELAY_S = 60  # pve-ha-manager: NodeStatus
GONE_S = 3600  # likewise: a node that left the cluster is forgotten

Say = Callable[[str, str], None]


def update(
    manager: Manager, nodes: Mapping[str, bool], modes: Mapping[str, str], now_s: float, say: Say
) -> None:
    """Let states follow membership. `nodes`: online, by name; `modes`: of their LRMs."""
    for node in sorted(nodes):
        if nodes[node]:
            manager.last_online_s[node] = now_s
            old = manager.node_states.get(node, "unknown")
            _enter(manager, node, _while_online(old, modes.get(node, "unknown")), say)
    for node in sorted(manager.node_states):
        if not nodes.get(node, False):
            _while_offline(manager, node, nodes, modes.get(node, "active"), now_s, say)


def _while_online(state: str, mode: str) -> str:
    if state == "online" and mode == "maintenance":
        return "maintenance"
    if state in ("unknown", "gone") or (state == "maintenance" and mode != "maintenance"):
        return "online"
    return state


def _while_offline(
    manager: Manager, node: str, known: Collection[str], mode: str, now_s: float, say: Say
) -> None:
    state = manager.node_states[node]
    if state == "online" or (state == "maintenance" and mode != "maintenance"):
        _enter(manager, node, "unknown", say)
    elif state == "unknown" and node not in known:
        _enter(manager, node, "gone", say)
    elif state == "gone" and now_s - manager.last_online_s.setdefault(node, now_s) >= GONE_S:
        say("notice", f"deleting gone node '{node}', not a cluster member anymore.")
        del manager.node_states[node]


def _enter(manager: Manager, node: str, state: str, say: Say) -> None:
    old = manager.node_states.get(node, "unknown")
    manager.node_states[node] = state
    if state != old:
        say("info", f"node '{node}': state changed from '{old}' => '{state}'")


def offline_delayed(manager: Manager, node: str, now_s: float) -> bool:
    """Whether it has been silent so long that it may be fenced; the first look starts the clock.

    A node that was never seen is known from then on.
    """
    if manager.node_states.setdefault(node, "unknown") == "online":
        return False
    return now_s - manager.last_online_s.setdefault(node, now_s) >= FENCE_DELAY_S


def fence(cluster: Cluster, master: str, manager: Manager, node: str, say: Say) -> bool:
    """Fence a node; True once it is certain that nothing runs there."""
    if manager.node_states.get(node, "unknown") != "fence":
        _enter(manager, node, "fence", say)
        say("email", f"FENCE: Try to fence node '{node}'")
    if not locks.acquire(cluster, master, CRM, locks.agent_lock(node)):
        return False
    acknowledged = f"fencing: acknowledged - got agent lock for node '{node}'"
    say("info", acknowledged)
    _enter(manager, node, "unknown", say)
    say("email", f"SUCCEED: {acknowledged}")
    return True
