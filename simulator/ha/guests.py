"""What a node's LRM does to the guests of the twin: starts, stops, moves.

The core's jobs act through it (`simulator/cluster/jobs.Hypervisor`); `driver` gives it to them for
one instant. Leaves out: how long QEMU waits before it gives up a start or a stop; both fail or
succeed at once. A move takes the time that `guests.migration_s` says, and ends with `end_move`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulator import guests
from simulator.cluster import jobs
from simulator.cluster.state import Cluster
from simulator.state import GuestKey, GuestPower, Timer
from simulator.twin import Twin


class TwinGuests:
    """The guests of one cluster. `told`: says first what the daemons have written so far."""

    def __init__(self, twin: Twin, name: str, told: Callable[[], object]) -> None:
        self.twin = twin
        self.name = name
        self.told = told
        self.acted = False

    def running(self, cluster: Cluster, node: str, sid: str) -> bool:
        """Whether its machine runs there; it may still boot."""
        return sid in cluster.running.get(node, ())

    def start(self, cluster: Cluster, node: str, sid: str) -> None:
        """Power it on, unless the node has not what it needs."""
        self._act()
        key = guest_key(self.name, sid)
        unfit = self.twin.state.unfit.get(node, "")
        if problem := (
            unfit or self.twin.facts.hindrance(key, node) or self.twin.facts.left_disk(key)
        ):
            text = f"HA: can't be started on {node}: {problem}"
            self.twin.note(self.twin.facts.guest_name(key), "ha-start-failed", text)
            return
        guests.start(self.twin, key)
        cluster.running[node] = cluster.running.get(node, frozenset()) | {sid}

    def shut_down(self, cluster: Cluster, node: str, sid: str) -> None:
        """Power it off."""
        self._act()
        guests.stop(self.twin, guest_key(self.name, sid))
        cluster.running[node] = cluster.running.get(node, frozenset()) - {sid}

    def move(self, cluster: Cluster, node: str, sid: str, target: str, *, live: bool) -> None:
        """Begin to bring it to another node: as it runs, or stopped before."""
        self._act()
        if not live and self.running(cluster, node, sid):
            self.shut_down(cluster, node, sid)
        key = guest_key(self.name, sid)
        live = live and self.running(cluster, node, sid)
        self.twin.after(guests.migration_s(self.twin, key, live), moving(self.name, sid))

    def end_move(self, cluster: Cluster, sid: str) -> str:
        """Let it arrive, unless one of the nodes has gone or the target can't hold it.

        Returns the node it was to leave.
        """
        self._act()
        node = next(node for node, lrm in cluster.lrms.items() if sid in lrm.moving)
        target = cluster.lrms[node].moving[sid].target
        key = guest_key(self.name, sid)
        able = self.twin.facts.quorate(self.name)
        problem = self.twin.facts.hindrance(key, target)
        if not {node, target} <= able:
            problem = f"{node if node in able else target} is no member with quorum"
        if problem:
            text = f"HA: the move to {target} failed: {problem}"
            self.twin.note(self.twin.facts.guest_name(key), "ha-move-failed", text)
        else:
            guests.migrate(self.twin, key, target)
            cluster.arrive(sid, node, target)
        jobs.end_move(cluster, node, sid, arrived=not problem)
        return node

    def recover(self, cluster: Cluster, sid: str, fenced: str) -> None:
        """Follow the manager, which has given a guest of a fenced node to another node.

        One that had left the fenced node, without the manager hearing of it, can't be taken from
        where it is.
        """
        self._act()
        key, node = guest_key(self.name, sid), cluster.services[sid].node
        guest = self.twin.state.guests.get(key)
        if guest is None or guest.node == node:
            return
        if guest.node != fenced:
            cluster.services[sid] = replace(cluster.services[sid], node=guest.node)
            text = f"HA: it is on {guest.node} already, and can't be taken from there"
            self.twin.note(self.twin.facts.guest_name(key), "ha-elsewhere", text)
            return
        if guest.power is not GuestPower.STOPPED:
            text = f"HA: its machine on {guest.node} is forgotten, though it was not stopped"
            self.twin.note(self.twin.facts.guest_name(key), "ha-orphan", text)
        guests.recover(self.twin, key, node)

    def _act(self) -> None:
        self.told()
        self.acted = True


def guest_key(cluster: str, sid: str) -> GuestKey:
    """The guest of a service: ("a", 101) of `vm:101`."""
    return cluster, int(sid.partition(":")[2])


def moving(cluster: str, sid: str) -> Timer:
    """The timer that ends the move of a service."""
    return ("ha", "moved", cluster, sid)
