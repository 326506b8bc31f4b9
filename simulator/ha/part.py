"""High availability: the door between the twin and the HA stack of each cluster.

    twin -> driver: what the daemons see -> stack: whose round, when -> cluster: what it does
    cluster -> guests: acts; trace: lines -> twin

`HaPart` is what the twin drives; `ha_command` and `let_lead` are what happens to a stack from
outside; `run_in` is what the builder calls; `state.ha` what anybody may read.

Recovery waits as in Proxmox VE: for quorum, for the master's lock, for the fence; memory is not
looked at. A round can't happen while a lost token blocks the cluster file system. A watchdog that
is not renewed for 60 s resets its node.

Leaves out: hardware fencing, and that a guest takes time to shut down.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from simulator import guests
from simulator.cluster import lrm
from simulator.cluster.locks import MANAGER_LOCK
from simulator.cluster.state import CRM, Cluster
from simulator.ha.driver import Driver
from simulator.model import BROKEN
from simulator.state import Timer
from simulator.twin import Twin


class HaPart:
    """The HA daemons of every cluster. `skips`: rounds that show nothing outside are put off until
    one that does, and left out while nothing changes; without it every round has its time.
    """

    name = "ha"
    reads = (*BROKEN, "stopped", "views", "orders", "workloads", "guests")

    def __init__(self, *, skips: bool = True) -> None:
        self.skips = skips

    def settle(self, twin: Twin) -> bool:
        """Show the daemons what changed around them."""
        changed = bool(twin.state.orders)
        for node, word in list(twin.state.orders.items()):
            if word in ("reboot", "shutdown"):
                del twin.state.orders[node]
                _shut_down(twin, node, word, skips=self.skips)
        facts = twin.facts
        for name, nodes in twin.model.nodes.items():
            if nodes:
                changed |= Driver(twin, name, skips=self.skips).follow(facts)
        return changed

    def due(self, twin: Twin, timer: Timer) -> bool:
        """A round, the end of a move, or a watchdog; whether it changed anything."""
        _, what, name, sid = timer
        driver = Driver(twin, name, skips=self.skips)
        if what == "moved":
            driver.end_move(sid)
            return True
        return driver.do_rounds()


def ha_request(twin: Twin, cluster: str, word: str, sid: str, node: str) -> None:
    """Queue a CRM command: `word` is migrate or relocate. The master takes it in its next round."""
    ha_command(twin, cluster, f"{word} {sid} {node}")


def ha_command(twin: Twin, cluster: str, command: str) -> None:
    """Queue any CRM command, as `ha-manager crm-command` does: `stop vm:101 30`, `arm-ha`, ..."""
    driver = Driver(twin, cluster)
    driver.wake()
    driver.stack.cluster.queue += (command,)
    driver.arm()


def _shut_down(twin: Twin, node: str, word: str, *, skips: bool) -> None:
    """Let a node go down in order: `word` is reboot or shutdown. What is not under HA stops first.

    When its HA daemons leave, and what becomes of its services, is as the shutdown policy says. A
    node that does not run, or goes down already, stays as it is.
    """
    driver = Driver(twin, twin.model.lab.nodes[node].cluster, skips=skips)
    cluster = driver.stack.cluster
    if not twin.facts.host_on(node) or cluster.machines[node].shutdown:
        return
    driver.wake()
    how = "reboot" if word == "reboot" else "shut down"
    twin.note(f"node {node}", "asked", f"{node} is asked to {how}")
    for key, guest in twin.state.guests.items():
        if guest.node == node and f"vm:{key[1]}" not in cluster.services:
            guests.stop(twin, key)
    cluster.now_s = twin.now_s
    cluster.machines[node] = replace(cluster.machines[node], shutdown=word)
    if node in cluster.lrms:
        lrm.request_shutdown(cluster, node)
    driver.tell()
    driver.arm()
    twin.changed()


def documents_of(twin: Twin, cluster: str) -> Cluster:
    """A copy of what the daemons have written, up to this instant even while they rest."""
    return Driver(twin, cluster).stack.caught_up(twin.now_s).cluster


def let_lead(twin: Twin, node: str) -> None:
    """Let a node be the master of its cluster's HA stack, as if it always had been.

    Where there is no master, or the node can't be one, nothing changes.
    """
    name = twin.model.lab.nodes[node].cluster
    if name not in twin.state.ha or node not in twin.facts.quorate(name):
        return
    twin.settle()
    driver = Driver(twin, name)
    stack, cluster = driver.stack, driver.stack.cluster
    old = cluster.status.master_node
    if old == node or old not in cluster.crms or cluster.crms[old].state != "master":
        return
    driver.wake()
    crms, next_s = cluster.crms, stack.next_s
    crms[node], crms[old] = crms[old], crms[node]
    next_s[node, CRM], next_s[old, CRM] = next_s[old, CRM], next_s[node, CRM]
    cluster.watchdogs[node, CRM] = cluster.watchdogs.pop((old, CRM), cluster.now_s)
    cluster.locks[MANAGER_LOCK] = replace(cluster.locks[MANAGER_LOCK], node=node)
    cluster.status = replace(cluster.status, master_node=node)
    driver.arm()


def resume(
    twin: Twin,
    cluster: str,
    master: str,
    holding: Collection[str],
    beats_s: Mapping[tuple[str, str], float],
) -> None:
    """Let a cluster's daemons be at work since long, though nothing is written of it yet.

    `holding`: nodes whose LRM has its lock; `beats_s`: the next round of each daemon (node; crm or
    lrm). All its nodes run and have quorum.
    """
    twin.settle()
    Driver(twin, cluster).resume(master, holding, beats_s)


def run_in(twin: Twin) -> None:
    """Let every cluster's HA stack be as after running for a while, with the guests where they are.

    The seed decides which node is the master. Nodes without quorum are offline since now.
    """
    for name, nodes in twin.model.nodes.items():
        if nodes:
            Driver(twin, name).run_in()
