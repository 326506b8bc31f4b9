"""High availability: the door between the twin and the HA stack of each cluster.

`HaPart` is what the twin drives, `ha_request` what the served API calls, `run_in` what the builder
calls, `state.ha` what anybody may read. Behind it is the plain model, in the pace of the real
daemons: a master decides (`ha_manager`), each node's LRM acts (`ha_lrm`), locks and watchdogs see
to it that a guest never runs twice (`ha_daemons`). Source: the Proxmox VE administration guide,
high availability, and the behaviour of pve-ha-manager 5.2.

Leaves out: idle daemons (an LRM gives its lock up at once when its last service has gone, really
after ten minutes), maintenance, shutdown policies, disarming.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from simulator.ha_daemons import Daemons
from simulator.ha_locks import MANAGER_LOCK, RENEWED, agent_lock, guest_key
from simulator.state import HaService, HaState, Timer
from simulator.twin import Twin


class HaPart:
    """The HA daemons of every cluster."""

    name = "ha"

    def settle(self, twin: Twin) -> bool:
        """Let locks go that can't be renewed, and wake who has something to do."""
        changed = False
        for cluster, workload in twin.state.workloads.items():
            before = twin.state.ha.get(cluster)
            if before is None and not workload.ha:
                continue
            daemons = Daemons(twin, cluster)
            daemons.lose_locks()
            daemons.wake()
            changed |= twin.state.ha.get(cluster) != before
        return changed

    def due(self, twin: Twin, timer: Timer) -> None:
        """A daemon's round, the end of a move, or a watchdog."""
        _, what, cluster, which = timer
        daemons = Daemons(twin, cluster)
        match what:
            case "crm":
                daemons.crm_round(which)
            case "lrm":
                daemons.lrm_round(which)
            case "moved":
                daemons.end_move(which)
            case "watchdog":
                daemons.reset(which)


def ha_request(twin: Twin, cluster: str, word: str, sid: str, node: str) -> None:
    """Queue a CRM command: `word` is migrate or relocate. The master takes it in its next round."""
    state = twin.state.ha.get(cluster, HaState())
    request = (word, sid, node)
    twin.state.ha[cluster] = replace(state, requests=(*state.requests, request))
    twin.changed()


def let_lead(twin: Twin, node: str) -> None:
    """Let a node be the master of its cluster's HA stack, as if it always had been.

    Where there is no master, or the node can't be one, nothing changes.
    """
    cluster = twin.model.lab.nodes[node].cluster
    state = twin.state.ha.get(cluster)
    if state is None or not state.master or node not in twin.facts.quorate(cluster):
        return
    locks = dict(state.locks) | {MANAGER_LOCK: (node, RENEWED)}
    twin.state.ha[cluster] = replace(state, master=node, locks=tuple(sorted(locks.items())))
    twin.changed()
    twin.settle()


def run_in(twin: Twin) -> None:
    """Let every cluster's HA stack be as after running for a while, with the guests where they are.

    The seed decides which node is the master. Nodes without quorum are offline since now.
    """
    for cluster, workload in twin.state.workloads.items():
        members = twin.facts.quorate(cluster)
        if not workload.ha or not members:
            continue
        master = Random(f"{twin.state.seed} {cluster} master").choice(sorted(members))
        services = {
            sid: HaService("started" if resource.state == "started" else "stopped", guest.node)
            for sid, resource in workload.ha.items()
            if resource.state != "ignored"
            and (guest := twin.state.guests.get(guest_key(cluster, sid))) is not None
        }
        busy = {service.node for service in services.values() if service.state == "started"}
        locks = {agent_lock(node): (node, RENEWED) for node in busy & members}
        nodes = twin.model.nodes[cluster]
        twin.state.ha[cluster] = HaState(
            master,
            tuple((node, "online" if node in members else "unknown") for node in nodes),
            tuple(sorted(services.items())),
            tuple(sorted({**locks, MANAGER_LOCK: (master, RENEWED)}.items())),
            tuple((node, twin.now_s) for node in nodes if node not in members),
            seen=(members, workload),
        )
