"""Power, network and cluster file system of the nodes, and the daemons that come and go with them.

Whoever causes an act is its `source` in the log: the list of commands, a watchdog, a reboot.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.cluster import locks
from simulator.cluster.state import CRM, LRM, Cluster, Crm, Lrm


def set_power(cluster: Cluster, node: str, source: str, *, on: bool) -> None:
    """Switch a node; its network follows, and a shutdown that went on is over."""
    word = "on" if on else "off"
    cluster.tell_hardware(f"execute power {node} {word}", source)
    machine = cluster.machines[node]
    if on and not machine.power:
        start_crm(cluster, node)
        start_lrm(cluster, node)
        machine = replace(machine, cfs_readable=True, cfs_current=True)
    elif machine.power and not on:
        kill(cluster, node)
    cluster.machines[node] = replace(machine, power=on, network=on, shutdown="")


def kill(cluster: Cluster, node: str) -> None:
    """Let all that runs on a node be gone."""
    for kind, daemons in ((CRM, cluster.crms), (LRM, cluster.lrms)):
        if node in daemons:
            cluster.tell(node, kind, "info", "killed by poweroff")
            del daemons[node]
        locks.close_watchdog(cluster, node, kind)
    cluster.running.pop(node, None)


def start_crm(cluster: Cluster, node: str) -> None:
    """Start this node's CRM."""
    cluster.crms[node] = crm = Crm()
    cluster.tell(node, CRM, "info", f"status change startup => {crm.state}")


def start_lrm(cluster: Cluster, node: str) -> None:
    """Start this node's LRM."""
    cluster.lrms[node] = lrm = Lrm()
    cluster.tell(node, LRM, "info", f"status change startup => {lrm.state}")


def shoot(cluster: Cluster) -> None:
    """Let the watchdogs that nobody updated cut their nodes' power."""
    for node in locks.expired(cluster):
        set_power(cluster, node, "watchdog", on=False)
        cluster.tell_hardware(f"server '{node}' stopped by poweroff (watchdog)")
