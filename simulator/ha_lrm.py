"""What a node's LRM does for one service in a round: start, stop or move its guest, and report.

`simulator/ha_daemons.py` asks for the `job` and has it done. A result in the record is the LRM's
answer to the manager, which takes it in its next round. Source: the Proxmox VE administration
guide, high availability. Leaves out: how long QEMU waits before it gives up a start or a stop;
both fail or succeed at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from simulator import guests
from simulator.ha_locks import guest_key
from simulator.state import GuestPower, HaService, Timer
from simulator.twin import Twin


def job(twin: Twin, cluster: str, sid: str, service: HaService) -> str:
    """What is to be done for a service on its node: start, stop, move, report; "" for nothing."""
    guest = twin.state.guests.get(guest_key(cluster, sid))
    if service.result or guest is None or guest.node != service.node:
        return ""
    stopped = guest.power is GuestPower.STOPPED
    match service.state:
        case "started" if stopped:
            return "start"
        case "started" if service.failed_nodes or service.retries:
            return "report"
        case "request_stop":
            return "report" if stopped else "stop"
        case "stopped" if not stopped:
            return "stop"
        case "migrate" | "relocate" if not twin.is_set(moving(cluster, sid)):
            return "move"
    return ""


def do(twin: Twin, cluster: str, sid: str, service: HaService, what: str) -> HaService:
    """Do a job; answers the record with its result, if there is one yet."""
    key = guest_key(cluster, sid)
    match what:
        case "start":
            return _start(twin, cluster, sid, service)
        case "stop":
            guests.stop(twin, key)
            if service.state == "stopped":
                return service  # nobody waits for an answer
        case "move":
            online = service.state == "migrate"
            if not online:
                guests.stop(twin, key)
            twin.after(guests.migration_s(twin, key, online), moving(cluster, sid))
            return service
    return replace(service, result="ok", retries=0)


def end_move(
    twin: Twin, cluster: str, sid: str, service: HaService, able: Collection[str]
) -> HaService:
    """The guest is at its target, unless one of the nodes has gone or the target can't hold it."""
    arrived = {service.node, service.target} <= set(able) and not _start_problem(
        twin, cluster, sid, service.target
    )
    if arrived:
        guests.migrate(twin, guest_key(cluster, sid), service.target)
    return replace(service, result="ok" if arrived else "failed")


def _start(twin: Twin, cluster: str, sid: str, service: HaService) -> HaService:
    """Start the guest; after `max_restart` retries on this node it is the manager's turn."""
    key = guest_key(cluster, sid)
    if not (problem := _start_problem(twin, cluster, sid, service.node)):
        guests.start(twin, key)
        return service
    text = f"HA: can't be started on {service.node}: {problem}"
    twin.note(twin.facts.guest_name(key), "ha-start-failed", text)
    if service.retries < twin.state.workloads[cluster].ha[sid].max_restart:
        return replace(service, retries=service.retries + 1)
    return replace(service, result="failed", retries=0)


def _start_problem(twin: Twin, cluster: str, sid: str, node: str) -> str:
    """Why QEMU would not start: a storage or a bridge. A network that leads nowhere does not stop
    it.
    """
    facts = twin.facts
    spec = facts.spec(guest_key(cluster, sid))
    for bridge, _ in spec.nets:
        if bridge not in twin.model.hosts[node].bridges:
            return f"{node} has no bridge {bridge}"
    reasons = (facts.storage_problem(cluster, name, node) for name in sorted(spec.storages))
    return next((reason for reason in reasons if reason), "")


def moving(cluster: str, sid: str) -> Timer:
    """The timer that ends the move of a service."""
    return ("ha", "moved", cluster, sid)
