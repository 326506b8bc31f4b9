"""The HA daemons of one cluster in the pace of real ones: plain data, copied with the twin.

The core (`simulator/cluster`) says what a round does; here is when rounds are. A master, and an LRM
with its lock, has one every 10 s, others every 5 s; each daemon's beat begins by chance. A cluster
in which rounds bring nothing new any more rests: they are left out until something happens, and
then the last of them are made up for, so that locks, watchdogs and results stand as if none had
been missed. Source: pve-ha-manager 5.2, CRM and LRM main loops.

Leaves out: how long a round takes, and the drift that comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

from simulator.cluster import crm, lrm
from simulator.cluster.documents import ServiceRecord
from simulator.cluster.hardware import start_lrm
from simulator.cluster.jobs import Hypervisor
from simulator.cluster.locks import LIFETIME_S, MANAGER_LOCK, WATCHDOG_S, agent_lock
from simulator.cluster.manager import IDLE_STATES
from simulator.cluster.state import CRM, LRM, Cluster, Lock
from simulator.ha.rest import shape_of, stamps_of
from simulator.state import GuestKey, GuestState
from simulator.workload import Workload

ACTIVE_ROUND_S = 10.0  # a master; an LRM with its lock, or in maintenance
WAITING_ROUND_S = 5.0  # any other daemon
TICK_S = 2**-20  # of the twin's clock
BEAT_S = ACTIVE_ROUND_S  # in which every daemon has had a round
SETTLED_S = LIFETIME_S + ACTIVE_ROUND_S
"""What is older than this has had all the effect that age can have, and everybody has seen it."""

WRITTEN = "written"  # of a status, which shows it but decides nothing by it

Daemon = tuple[str, str]  # node; crm or lrm


@dataclass(frozen=True)
class Sight:
    """What of the world the daemons see. `frozen`: nodes that hang, or wait for a lost token."""

    on: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    members: tuple[tuple[str, frozenset[str]], ...] = ()  # by node with quorum
    places: tuple[tuple[str, str, bool], ...] = ()  # sid, node, whether its machine runs


@dataclass(frozen=True)
class Repose:
    """A state as it was after some round, to be compared with one a whole beat later."""

    at_s: float
    shape: tuple[object, ...]
    stamps: dict[object, float]


@dataclass
class Stack:
    """A cluster's HA stack. `next_s`: of each living daemon's next round."""

    cluster: Cluster
    next_s: dict[Daemon, float] = field(default_factory=dict)
    sight: Sight = field(default_factory=Sight)
    workload: Workload | None = None
    keys: tuple[tuple[str, GuestKey], ...] = ()  # of the guests under HA
    guests: tuple[GuestState | None, ...] = ()  # as they were seen last
    resting_s: float | None = None  # since when
    renewed: frozenset[object] = frozenset()  # what each beat of the rest renews
    last: Repose | None = None
    told: dict[str, str] = field(default_factory=dict)  # the last news of each subject
    at: dict[str, str] = field(default_factory=dict)  # where each service was, as told

    def fork(self) -> Stack:
        """Another at the same instant."""
        return replace(
            self,
            cluster=self.cluster.fork(),
            next_s=dict(self.next_s),
            told=dict(self.told),
            at=dict(self.at),
        )

    def due_s(self, now_s: float, *, every: bool = False) -> float:
        """When something is next to be seen from outside: infinite if only a change can bring it.

        Rounds before that need not be done at their time, but before the next that must be.
        `every`: each round has to be done at its time.
        """
        if self.resting_s is not None:
            return inf
        busy = self.cluster.lrms.keys() if every else self._busy_nodes()
        rounds = [
            self._crm_s(node, at_s) if kind == CRM and not every else at_s
            for (node, kind), at_s in self.next_s.items()
            if node not in self.sight.frozen and (kind == CRM or node in busy)
        ]
        watchdogs = [at_s + WATCHDOG_S for at_s in self.cluster.watchdogs.values()]
        return max(now_s, min(rounds + watchdogs, default=inf))

    def _crm_s(self, node: str, at_s: float) -> float:
        """A CRM's next round that may be seen: of the master each; of others, once it is gone."""
        cluster, one = self.cluster, self.cluster.crms[node]
        lock = cluster.locks.get(MANAGER_LOCK)
        if one.state == "master" or one.shutdown or lock is None or lock.node == node:
            return at_s
        leader = cluster.crms.get(lock.node)
        renewed = leader is not None and leader.state == "master" and cluster.quorate(lock.node)
        if renewed and lock.node not in self.sight.frozen:
            return inf
        beats = max(0, (lock.renewed_s + LIFETIME_S - at_s) // WAITING_ROUND_S + 1)
        return at_s + beats * WAITING_ROUND_S

    def _busy_nodes(self) -> set[str]:
        """Nodes whose LRM has something to do or to say."""
        cluster, served = self.cluster, set()
        waiting = {n for n, guard in cluster.lrms.items() if guard.state == "wait_for_agent_lock"}
        busy = {
            node
            for node, guard in cluster.lrms.items()
            if guard.shutdown
            or guard.state in ("lost_agent_lock", "maintenance")
            or (node not in waiting and not self._holds(node))
        }
        if cluster.status.disarm or cluster.status.maintenance:
            busy.update(node for node in cluster.lrms if node not in waiting)
        for sid, record in cluster.status.services.items():
            node = record.node
            served.add(node)
            if record.state not in IDLE_STATES:
                busy |= waiting & {node, record.target}
            if node not in busy and node not in waiting and self._to_do(sid, record):
                busy.add(node)
        return busy | (cluster.lrms.keys() - waiting - served)

    def _holds(self, node: str) -> bool:
        lock = self.cluster.locks.get(agent_lock(node))
        return lock is not None and lock.node == node and self.cluster.quorate(node)

    def _to_do(self, sid: str, record: ServiceRecord) -> bool:
        """Whether a round of its LRM would do more for a service than find it as it should be."""
        runs = sid in self.cluster.running.get(record.node, ())
        match record.state:
            case "started":
                return not runs
            case "stopped" | "request_stop":
                return runs
            case "freeze" | "recovery" | "request_start" | "error":
                return False
        guard = self.cluster.lrms.get(record.node)
        return guard is not None and sid not in guard.moving

    def round(self, until_s: float, hypervisor: Hypervisor) -> Daemon | None:
        """Do the first round that is due, if any is; returns whose it was."""
        frozen, next_s = self.sight.frozen, self.next_s
        if frozen:
            next_s = {daemon: at_s for daemon, at_s in next_s.items() if daemon[0] not in frozen}
        first = min(zip(next_s.values(), next_s.keys(), strict=True), default=None)
        if first is None or first[0] > until_s:
            return None
        at_s, daemon = first
        node, kind = daemon
        cluster = self.cluster
        cluster.now_s = at_s
        if kind == CRM:
            exits = crm.iterate(cluster, node)
        else:
            exits = lrm.iterate(cluster, node, hypervisor)
        if exits:
            del self.next_s[daemon]
            self._leave(node, kind)
        else:
            self.next_s[daemon] = cluster.now_s + self._pace_s(daemon)
        return daemon

    def _pace_s(self, daemon: Daemon) -> float:
        node, kind = daemon
        if kind == CRM:
            busy = self.cluster.crms[node].state == "master"
        else:
            busy = self.cluster.lrms[node].state in ("active", "maintenance")
        return ACTIVE_ROUND_S if busy else WAITING_ROUND_S

    def _leave(self, node: str, kind: str) -> None:
        """Let a daemon be gone that was asked to leave; an LRM leaves before its CRM."""
        cluster = self.cluster
        if kind == CRM:
            del cluster.crms[node]
            return
        restart = cluster.lrms.pop(node).restart
        if restart:
            start_lrm(cluster, node)
            self.next_s[node, LRM] = cluster.now_s
        elif node in cluster.crms:
            crm.request_shutdown(cluster, node)

    # Rest

    def settle(self, until_s: float) -> bool:
        """Do rounds until it rests; False if it does not, or wants to touch a guest."""
        try:
            while self.resting_s is None and self.round(until_s, _AtRest()):
                self.rest(self.cluster.now_s)
        except _TouchedError:
            return False
        return self.resting_s is not None

    def rest(self, now_s: float) -> None:
        """Rest if a whole beat has brought nothing new, and no age can bring any."""
        if self.last is not None and now_s - self.last.at_s < BEAT_S:
            return
        cluster, last, shape = self.cluster, self.last, shape_of(self.cluster)
        decisive = dict(stamps_of(cluster))
        stamps: dict[object, float] = {
            **decisive,
            **{(WRITTEN, node): s.timestamp_s for node, s in cluster.lrm_status.items()},
        }
        stamps[WRITTEN] = cluster.status.timestamp_s
        self.last = Repose(now_s, shape, stamps)
        if last is None or last.shape != shape or now_s - last.at_s != BEAT_S:
            return
        renewed = {
            what for what, at_s in stamps.items() if at_s - last.stamps.get(what, -inf) == BEAT_S
        }
        if all(what in renewed or now_s - at_s > SETTLED_S for what, at_s in decisive.items()):
            self.resting_s, self.renewed = now_s, frozenset(renewed)

    def wake(self, now_s: float, hypervisor: Hypervisor) -> None:
        """Catch up on the rounds before this instant, and rest no more."""
        self.last = None
        if self.resting_s is not None:
            self._shift((now_s - self.resting_s) // BEAT_S * BEAT_S)
            self.resting_s = None
        while self.round(now_s - TICK_S, hypervisor):
            pass

    def caught_up(self, now_s: float) -> Stack:
        """Another, with all rounds done that were before this instant."""
        other = self.fork()
        other.wake(now_s, _AtRest())
        return other

    def _shift(self, by_s: float) -> None:
        """Move all that each beat renews to where so many beats bring it."""
        cluster = self.cluster

        def moved(what: object, at_s: float) -> float:
            return at_s + by_s if what in self.renewed else at_s

        self.next_s = {daemon: at_s + by_s for daemon, at_s in self.next_s.items()}
        cluster.now_s += by_s
        cluster.locks = {
            name: Lock(lock.node, moved(name, lock.renewed_s))
            for name, lock in cluster.locks.items()
        }
        cluster.watchdogs = {which: moved(which, at_s) for which, at_s in cluster.watchdogs.items()}
        for node, one in cluster.crms.items():
            if one.manager:
                one.manager.last_online_s = {
                    seen: moved((node, seen, "online"), at_s)
                    for seen, at_s in one.manager.last_online_s.items()
                }
        status = cluster.status
        cluster.status = replace(status, timestamp_s=moved(WRITTEN, status.timestamp_s))
        cluster.lrm_status = {
            node: replace(one, timestamp_s=moved((WRITTEN, node), one.timestamp_s))
            for node, one in cluster.lrm_status.items()
        }


class _TouchedError(Exception):
    """A guest was to be touched in rounds in which none is. From `wake` it is an error of ours."""


class _AtRest:
    """Guests as they are: none is touched."""

    def running(self, cluster: Cluster, node: str, sid: str) -> bool:
        return sid in cluster.running.get(node, ())

    def start(self, cluster: Cluster, node: str, sid: str) -> None:
        raise _TouchedError(sid)

    def shut_down(self, cluster: Cluster, node: str, sid: str) -> None:
        raise _TouchedError(sid)

    def move(self, cluster: Cluster, node: str, sid: str, target: str, *, live: bool) -> None:
        raise _TouchedError(sid)
