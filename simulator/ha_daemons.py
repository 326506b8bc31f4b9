"""The CRM and LRM daemons of one cluster: their locks, watchdogs and rounds.

A round that would change nothing is not simulated. Each daemon's rounds fall on a fixed beat of
its own, given by the seed; a daemon is woken for its next one when it has something to do, and a
lock that lives counts as renewed on its holder's last beat. So everything happens at the instants
at which daemons that never sleep would do it.

Leaves out: the seconds by which a lost token delays the rounds of the nodes that go on.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property
from random import Random

from simulator import corosync, guests, ha_lrm, power
from simulator.ha_locks import (
    ACTIVE_ROUND_S,
    MANAGER_LOCK,
    RENEWED,
    WAITING_ROUND_S,
    WATCHDOG_S,
    agent_lock,
    guest_key,
    lock_free,
)
from simulator.ha_manager import Sight, manage, waits
from simulator.state import HaService, HaState, HostPower, Timer
from simulator.twin import Twin, on_grid
from simulator.workload import Workload

# States of a service for which its node must hold the agent lock.
_ACTIVE = frozenset({"started", "request_stop", "migrate", "relocate", "fence"})


class Daemons:
    """The daemons of one cluster at this instant; what they know is in `twin.state.ha`."""

    def __init__(self, twin: Twin, cluster: str) -> None:
        self.twin = twin
        self.cluster = cluster
        self.facts = twin.facts
        self.nodes = twin.model.nodes[cluster]
        self.workload: Workload = twin.state.workloads[cluster]

    @property
    def state(self) -> HaState:
        """What the stack knows."""
        return self.twin.state.ha.get(self.cluster, HaState())

    @state.setter
    def state(self, state: HaState) -> None:
        self.twin.state.ha[self.cluster] = state

    @cached_property
    def able(self) -> frozenset[str]:
        """The nodes whose daemons run and can write to the cluster file system."""
        return self.facts.quorate(self.cluster)

    # Locks

    def renews(self, name: str, node: str) -> bool:
        """Whether `node` holds this lock and renews it."""
        return (name, (node, RENEWED)) in self.state.locks

    def take(self, name: str, node: str) -> bool:
        """Take a lock that is free, or the node's own already."""
        lock = dict(self.state.locks).get(name)
        if lock is not None and lock[0] != node and not lock_free(lock, self.twin.now_s):
            return False
        self._lock(name, (node, RENEWED))
        taken = {**dict(self.state.taken), name: self.twin.now_s}
        self.state = replace(self.state, taken=tuple(sorted(taken.items())))
        return True

    def lose_locks(self) -> None:
        """Who can't renew any more did so last on a beat while it could; its watchdog counts on.

        A node that lost quorum could write no more when the token was lost, before it knew.
        """
        for name, (holder, renewed_s) in self.state.locks:
            if renewed_s != RENEWED or holder in self.able:
                continue
            blocked_s = self._membership_s() if self.facts.host_on(holder) else 0.0
            last_s = self._last_beat_s(name, holder, self.twin.now_s - blocked_s)
            self._lock(name, (holder, last_s))
            if name != MANAGER_LOCK and self._powered(holder):
                self._watch(holder, last_s)
        for node in self.nodes:
            if not self._powered(node):
                self.twin.cancel(self._timer("watchdog", node))

    def _powered(self, node: str) -> bool:
        """Whether the watchdog's clock runs: it does not look whether the system hangs."""
        return self.twin.state.hosts[node] is HostPower.ON

    def reset(self, node: str) -> None:
        """The watchdog fires."""
        power.reset(self.twin, node, "its watchdog fires, the LRM has not renewed its lock")

    def _lock(self, name: str, lock: tuple[str, float] | None) -> None:
        locks = dict(self.state.locks)
        locks.pop(name, None)
        if lock is not None:
            locks[name] = lock
        self.state = replace(self.state, locks=tuple(sorted(locks.items())))

    def _watch(self, node: str, renewed_s: float) -> None:
        """Without another renewal the watchdog will reset the node."""
        due_s = self.twin.at(renewed_s + WATCHDOG_S, self._timer("watchdog", node))
        left_s = due_s - self.twin.now_s
        text = f"HA: can't renew its agent lock, the watchdog fires in {left_s:.0f} s"
        self.twin.note(f"node {node}", "ha-lock-lost", text)

    # Who has something to do

    def wake(self) -> None:
        """Set each daemon that has something to do to its next beat, and let the others sleep."""
        for node in self.nodes:
            for daemon, lock, busy in (
                ("crm", MANAGER_LOCK, self._crm_busy),
                ("lrm", agent_lock(node), self._lrm_busy),
            ):
                timer = self._timer(daemon, node)
                if node not in self.able or not busy(node):
                    self.twin.cancel(timer)
                elif not self.twin.is_set(timer):
                    self.twin.at(self._next_beat_s(lock, node), timer)

    def _crm_busy(self, node: str) -> bool:
        state = self.state
        if not self.renews(MANAGER_LOCK, node):
            lock = dict(state.locks).get(MANAGER_LOCK)
            return lock is None or lock[1] != RENEWED
        if state.requests or state.seen != (self.facts.view(node).members, self.workload):
            return True
        return waits(state) or any(service.result for _, service in state.services)

    def _lrm_busy(self, node: str) -> bool:
        if not self.renews(agent_lock(node), node):
            return self._needs_lrm(node) and not self._fencing(node)
        own = self._services(node)
        if not own and not self._needs_lrm(node):
            return True
        return self._fencing(node) or any(ha_lrm.job(self.twin, self.cluster, *s) for s in own)

    def _services(self, node: str) -> list[tuple[str, HaService]]:
        return self._by_node.get(node, [])

    @cached_property
    def _by_node(self) -> dict[str, list[tuple[str, HaService]]]:
        """Services by where they are. `Daemons` lives for one act, which asks before it changes
        any.
        """
        found: dict[str, list[tuple[str, HaService]]] = {}
        for sid, service in self.state.services:
            found.setdefault(service.node, []).append((sid, service))
        return found

    def _needs_lrm(self, node: str) -> bool:
        """Whether a service here, or on its way here, wants the LRM."""
        return any(service.state in _ACTIVE for _, service in self._services(node)) or any(
            service.target == node for _, service in self.state.services
        )

    def _fencing(self, node: str) -> bool:
        """Whether the manager wants this node fenced: it must not take a lock."""
        return (node, "fence") in self.state.nodes or any(
            service.state == "fence" for _, service in self._services(node)
        )

    # Rounds

    def crm_round(self, node: str) -> None:
        """Follow or become the master; the master decides."""
        if node not in self.able or self._fencing(node):
            return
        if not self.renews(MANAGER_LOCK, node):
            if not self.take(MANAGER_LOCK, node):
                return
            self.state = replace(self.state, master=node, offline_since=(), seen=None)
            self.twin.note(f"cluster {self.cluster}", "ha-master", f"HA: {node} is the new master")
        members = self.facts.view(node).members
        sight = Sight(
            self.cluster, self.twin.now_s, node, self.nodes, members, self.workload,
            self.twin.state.guests,
        )  # fmt: skip
        decision = manage(self.state, sight)
        self.state = decision.state
        for note in decision.notes:
            self.twin.note(*note)
        for sid, to in decision.recovered.items():
            guests.place(self.twin, guest_key(self.cluster, sid), to)
        for sid, service in self.state.services:
            if not service.target:
                self.twin.cancel(ha_lrm.moving(self.cluster, sid))

    def lrm_round(self, node: str) -> None:
        """Hold the agent lock while there are services, and do what the master wants of them."""
        if node not in self.able:
            return
        name = agent_lock(node)
        if not self.renews(name, node):
            if self._fencing(node) or not self._needs_lrm(node) or not self.take(name, node):
                return
            self.twin.cancel(self._timer("watchdog", node))
        if self._fencing(node):
            self._lock(name, (node, self.twin.now_s))
            self._watch(node, self.twin.now_s)
            return
        own = self._services(node)
        if not own and not self._needs_lrm(node):
            self._lock(name, None)
        for sid, service in own:
            if job := ha_lrm.job(self.twin, self.cluster, sid, service):
                self._record(sid, ha_lrm.do(self.twin, self.cluster, sid, service, job))

    def end_move(self, sid: str) -> None:
        """A move of a service is over."""
        service = dict(self.state.services).get(sid)
        if service is not None and service.state in ("migrate", "relocate"):
            self._record(sid, ha_lrm.end_move(self.twin, self.cluster, sid, service, self.able))

    def _record(self, sid: str, service: HaService) -> None:
        services = {**dict(self.state.services), sid: service}
        self.state = replace(self.state, services=tuple(sorted(services.items())))

    # Beats. All numbers are ticks of the twin's clock, so sums are exact.

    def _next_beat_s(self, lock: str, node: str) -> float:
        """The first round after now of the daemon that has, or wants, this lock."""
        start_s, every_s = self._beat_s(lock, node)
        return start_s + every_s * ((self.twin.now_s - start_s) // every_s + 1)

    def _last_beat_s(self, lock: str, node: str, until_s: float) -> float:
        """The last round up to an instant of the holder of this lock."""
        start_s, every_s = self._beat_s(lock, node)
        return start_s + every_s * ((until_s - start_s) // every_s)

    def _beat_s(self, lock: str, node: str) -> tuple[float, float]:
        """One instant at which a daemon has a round, and the time from round to round."""
        if not self.renews(lock, node):
            return _phase_s(self.twin.state.seed, lock, node), WAITING_ROUND_S
        taken_s = dict(self.state.taken).get(lock)
        phase_s = _phase_s(self.twin.state.seed, lock, node)
        return phase_s if taken_s is None else taken_s, ACTIVE_ROUND_S

    def _membership_s(self) -> float:
        """From the last token to a new membership: that long ago a node was cut off."""
        token_s = corosync.token_ms(self.twin.model, self.cluster) / 1000
        return corosync.TO_MEMBERSHIP * token_s - corosync.TOKEN_AGE_S

    def _timer(self, what: str, which: str) -> Timer:
        return ("ha", what, self.cluster, which)


@cache
def _phase_s(seed: int, lock: str, node: str) -> float:
    """When a daemon's rounds began; the seed decides."""
    return on_grid(Random(f"{seed} {lock} {node}").uniform(0, ACTIVE_ROUND_S))
