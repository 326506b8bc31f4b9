"""One round of the HA manager: what the master decides from what it sees.

`simulator/ha.py` calls `manage` whenever a round of the master may change something. The states of
nodes and services are the HA manager's own words. Source: the Proxmox VE administration guide, high
availability, and the behaviour of pve-ha-manager 5.2.
Leaves out: maintenance, shutdown policies, disarming, stop requests with a time limit, rebalancing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator.ha_locks import ACTIVE_ROUND_S, agent_lock, guest_key, lock_free
from simulator.ha_rules import (
    Preference,
    keep_apart,
    keep_together,
    loaded_nodes,
    rules_in_force,
    select_node,
)
from simulator.state import GuestKey, GuestState, HaService, HaState
from simulator.workload import Workload

# pve-ha-manager: a node is fenced when it has been offline this long.
FENCE_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What the master has before it in one round."""

    cluster: str
    now_s: float
    master: str
    nodes: tuple[str, ...]  # all of the cluster
    members: frozenset[str]  # those online, itself included
    workload: Workload
    guests: Mapping[GuestKey, GuestState]


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of a round: the new state, lines for the trace, guests to move on paper."""

    state: HaState
    notes: tuple[tuple[str, str, str], ...]
    recovered: Mapping[str, str]  # sid -> node


def manage(state: HaState, sight: Sight) -> Decision:
    """One round."""
    manager = _Round(state, sight)
    manager.follow_nodes()
    manager.follow_config()
    manager.take_requests()
    while manager.advance():
        pass
    return manager.decision()


def waits(state: HaState) -> bool:
    """Whether the next round may decide something without anything new to see.

    So it is while a node with services is offline, a fence has begun, or a node is back from one.
    """
    nodes = dict(state.nodes)
    members = state.seen[0] if state.seen else ()
    return (
        "fence" in nodes.values()
        or any(nodes.get(node) != "online" for node in members)
        or any(
            nodes.get(service.node) != "online" and service.state not in ("error", "recovery")
            for _, service in state.services
        )
    )


@dataclass
class _Round:
    """Working copies of what the manager knows, while it goes through its services."""

    old: HaState
    sight: Sight
    nodes: dict[str, str] = field(init=False)
    services: dict[str, HaService] = field(init=False)
    locks: dict[str, tuple[str, float]] = field(init=False)
    offline_since: dict[str, float] = field(init=False)
    moves: dict[str, tuple[str, str]] = field(default_factory=dict)  # sid -> word, node
    recovered: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = dict(self.old.nodes)
        self.services = dict(self.old.services)
        self.locks = dict(self.old.locks)
        self.offline_since = dict(self.old.offline_since)
        self.rules = rules_in_force(self.sight.workload, self.sight.nodes)
        self.load: Counter[str] = Counter()

    def decision(self) -> Decision:
        state = replace(
            self.old,
            nodes=tuple(sorted(self.nodes.items())),
            services=tuple(sorted(self.services.items())),
            locks=tuple(sorted(self.locks.items())),
            offline_since=tuple(sorted(self.offline_since.items())),
            requests=tuple((word, sid, node) for sid, (word, node) in sorted(self.moves.items())),
            seen=(self.sight.members, self.sight.workload),
        )
        return Decision(state, tuple(self.notes), self.recovered)

    # What the round starts from

    def follow_nodes(self) -> None:
        """Online or not, as the membership says. A master that looks for the first time counts
        from now.
        """
        now_s = self.sight.now_s
        for node in self.sight.nodes:
            known = self.nodes.get(node, "unknown")
            if node in self.sight.members:
                self.offline_since.pop(node, None)
                if known == "unknown":
                    self._node(node, "online")
            else:
                if known == "online":
                    self._node(node, "unknown")
                seen_s = now_s - ACTIVE_ROUND_S if known == "online" and self.old.seen else now_s
                self.offline_since.setdefault(node, seen_s)
        self.load.update({node: 0 for node, state in self.nodes.items() if state == "online"})
        for service in self.services.values():
            self._count(service, 1)

    def follow_config(self) -> None:
        """New services are taken over, those that are gone or ignored are let go."""
        managed = {
            sid: resource
            for sid, resource in self.sight.workload.ha.items()
            if resource.state != "ignored"
        }
        for sid in self.services.keys() - managed.keys():
            self._count(self.services.pop(sid), -1)
        for sid in sorted(managed.keys() - self.services.keys()):
            if (guest := self.sight.guests.get(guest_key(self.sight.cluster, sid))) is not None:
                first = "request_start" if managed[sid].state == "started" else "request_stop"
                self._write(sid, HaService(first, guest.node))

    def take_requests(self) -> None:
        """Moves that were asked for, with those that must go along; refused with a line if
        impossible.
        """
        for word, sid, node in self.old.requests:
            if sid not in self.services or self.services[sid].state == "error":
                continue
            rivals = keep_apart(sid, self.rules)
            blocking = [r for r in rivals if (s := self.services.get(r)) and s.node == node]
            if self.nodes.get(node) != "online":
                self._note(sid, "ha-refused", f"HA: {word} to {node} refused, it is not online")
            elif blocking:
                names = ", ".join(self._name(rival) for rival in sorted(blocking))
                text = f"HA: {word} to {node} refused, a rule keeps it apart from {names}"
                self._note(sid, "ha-refused", text)
            else:
                for each in keep_together(sid, self.rules) & self.services.keys():
                    self.moves[each] = (word, node)

    # The passes

    def advance(self) -> bool:
        """Every service once, then fencing; True if anything changed."""
        before = dict(self.services)
        for sid in sorted(self.services):
            if act := _ACTS.get(self.services[sid].state):
                act(self, sid, self.services[sid])
        fencing = {s.node for s in self.services.values() if s.state == "fence"}
        fencing |= {node for node, state in self.nodes.items() if state == "fence"}
        for node in sorted(fencing):
            if self._fence(node):
                for sid, service in self.services.items():
                    if service.node == node and service.state == "fence":
                        self._become(sid, "recovery")
        return before != self.services

    def started(self, sid: str, service: HaService) -> None:
        if self.nodes.get(service.node) != "online":
            if self._offline_too_long(service.node):
                self._become(sid, "fence")
            return
        if self._wanted(sid) != "started":
            self._become(sid, "request_stop")
        elif sid in self.moves:
            self._take_move(sid, service)
        else:
            self._stay_or_move(sid, service)

    def request_start(self, sid: str, _service: HaService) -> None:
        self._become(sid, "started")

    def request_stop(self, sid: str, service: HaService) -> None:
        if service.result == "ok":
            self._become(sid, "stopped")
        elif service.result == "failed":
            self._become(sid, "error", text="HA: error, it can't be stopped")
        elif self._offline_too_long(service.node):
            self._become(sid, "fence")

    def stopped(self, sid: str, service: HaService) -> None:
        wanted = self._wanted(sid)
        guest = self.sight.guests.get(guest_key(self.sight.cluster, sid))
        if guest is not None and guest.node != service.node:
            service = self._write(sid, replace(service, node=guest.node))
        if sid in self.moves:
            self._take_move(sid, service)
        elif wanted != "disabled" and self._offline_too_long(service.node):
            self._become(sid, "fence")
        elif wanted == "started":
            self._become(sid, "request_start")

    def moving(self, sid: str, service: HaService) -> None:
        after = "started" if self._wanted(sid) == "started" else "request_stop"
        if service.result == "ok":
            self._become(sid, after, node=service.target)
        elif service.result == "failed":
            text = f"HA: the move to {service.target} failed"
            self._become(sid, after, text=text)
        elif self._offline_too_long(service.node):
            self._become(sid, "fence")

    def recovery(self, sid: str, service: HaService) -> None:
        node = self._select(sid, Preference.BEST)
        if node:
            after = "started" if self._wanted(sid) == "started" else "request_stop"
            self.recovered[sid] = node
            text = f"HA: recovered from fenced node {service.node} to {node}"
            self._become(sid, after, node=node, text=text)
        elif self._wanted(sid) == "disabled":
            self._become(sid, "stopped")
        elif self._news(sid):
            text = f"HA: recovery from fenced node {service.node} failed, no recovery node found"
            self._note(sid, "ha-no-node", text)

    def error(self, sid: str, _service: HaService) -> None:
        if self._wanted(sid) == "disabled":
            self._write(sid, replace(self.services[sid], failed_nodes=()))
            self._become(sid, "stopped")

    # Their parts

    def _take_move(self, sid: str, service: HaService) -> None:
        word, node = self.moves.pop(sid)
        if node != service.node:
            self._become(sid, word, target=node)

    def _stay_or_move(self, sid: str, service: HaService) -> None:
        """A rule, or a node that can't start it, sends a service elsewhere."""
        preference = Preference.STAY
        if service.result == "failed":
            failed = (*service.failed_nodes, service.node)
            service = self._write(sid, replace(service, failed_nodes=failed))
            if len(failed) > self.sight.workload.ha[sid].max_relocate:
                nodes = ", ".join(failed)
                self._become(sid, "error", text=f"HA: error, could not be started on {nodes}")
                return
            preference = Preference.TRY_NEXT
        elif service.result == "ok":
            service = self._write(sid, replace(service, failed_nodes=()))
        node = self._select(sid, preference)
        if node and node != service.node:
            word = "migrate" if sid.startswith("vm:") else "relocate"
            self._become(sid, word, target=node)
        elif service.result:
            self._write(sid, replace(service, result=""))

    def _fence(self, node: str) -> bool:
        """Try to get the node's agent lock: whoever could run its guests then can't any more."""
        now_s = self.sight.now_s
        name = agent_lock(node)
        if self.nodes.get(node) != "fence":
            away_s = now_s - self.offline_since.get(node, now_s)
            self.nodes[node] = "fence"
            self.notes.append(
                (f"node {node}", "ha-fence", f"HA: fence, offline for {away_s:.0f} s")
            )
        if not lock_free(self.locks.get(name), now_s):
            return False
        self.locks[name] = (self.sight.master, now_s)
        self.nodes[node] = "unknown"
        text = f"HA: fencing acknowledged, {self.sight.master} has got its agent lock"
        self.notes.append((f"node {node}", "ha-fenced", text))
        return True

    def _offline_too_long(self, node: str) -> bool:
        if self.nodes.get(node) == "online":
            return False
        since_s = self.offline_since.setdefault(node, self.sight.now_s)
        return round(self.sight.now_s - since_s, 6) >= FENCE_DELAY_S

    def _select(self, sid: str, preference: Preference) -> str:
        failback = self.sight.workload.ha[sid].failback
        return select_node(sid, self.services, self.rules, self.load, preference, failback=failback)

    def _news(self, sid: str) -> bool:
        """Whether there is something to say about a service that stays in recovery."""
        told = any(kind == "ha-no-node" and self._name(sid) in who for who, kind, _ in self.notes)
        same = self.old.seen == (self.sight.members, self.sight.workload)
        was = dict(self.old.services).get(sid)
        return not told and not (same and was is not None and was.state == "recovery")

    def _wanted(self, sid: str) -> str:
        return self.sight.workload.ha[sid].state

    def _become(
        self, sid: str, state: str, *, node: str = "", target: str = "", text: str = ""
    ) -> None:
        """A change of state forgets what belonged to the old one."""
        old = self.services[sid]
        self._write(sid, HaService(state, node or old.node, target, failed_nodes=old.failed_nodes))
        if not text:
            where = f"to {target}" if target else f"on {node or old.node}"
            text = f"HA: {old.state} -> {state} {where}"
        self._note(sid, f"ha-{state.replace('_', '-')}", text)

    def _write(self, sid: str, service: HaService) -> HaService:
        if (old := self.services.get(sid)) is not None:
            self._count(old, -1)
        self._count(service, 1)
        self.services[sid] = service
        return service

    def _count(self, service: HaService, by: int) -> None:
        """Keep the load of the online nodes. A node that is not online now is not in this round."""
        for node in loaded_nodes(service):
            if node in self.load:
                self.load[node] += by

    def _node(self, node: str, state: str) -> None:
        old = self.nodes.get(node)
        self.nodes[node] = state
        if old is not None:
            self.notes.append((f"node {node}", f"ha-node-{state}", f"HA: {old} -> {state}"))

    def _note(self, sid: str, kind: str, text: str) -> None:
        self.notes.append((f"guest {self._name(sid)}", kind, text))

    def _name(self, sid: str) -> str:
        guest = self.sight.workload.guests.get(guest_key(self.sight.cluster, sid)[1])
        return guest.name if guest else sid


_ACTS: Mapping[str, Callable[[_Round, str, HaService], None]] = {
    "started": _Round.started,
    "request_start": _Round.request_start,
    "request_stop": _Round.request_stop,
    "stopped": _Round.stopped,
    "migrate": _Round.moving,
    "relocate": _Round.moving,
    "recovery": _Round.recovery,
    "error": _Round.error,
}
