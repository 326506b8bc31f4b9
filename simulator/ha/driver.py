"""One cluster's HA stack at one instant: what its daemons see, and what comes of their rounds.

    twin -> Sight -> stack -> rounds -> acts on guests, lines for the trace, power

Made anew by `part` whenever something happens. A daemon that was held up, by a hang or a lost
token, goes on within a second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from random import Random

from simulator import guests, power
from simulator.cluster import hardware, locks, lrm
from simulator.cluster.documents import (
    Amount,
    LrmStatus,
    ManagerStatus,
    ServiceConfig,
    ServiceRecord,
)
from simulator.cluster.locks import MANAGER_LOCK, WATCHDOG_S, agent_lock
from simulator.cluster.state import CRM, LRM, Cluster, Datacenter, Lock, Machine, Manager
from simulator.facts import NO_WORKLOAD, Facts
from simulator.ha.guests import TwinGuests, guest_key
from simulator.ha.stack import ACTIVE_ROUND_S, BEAT_S, WAITING_ROUND_S, Daemon, Sight, Stack
from simulator.ha.trace import news
from simulator.membership import knet
from simulator.model import Model
from simulator.state import GuestPower, HostPower, Timer
from simulator.twin import Twin, on_grid
from simulator.workload import Workload

LASTING = frozenset({"ha-no-node", "ha-disarm-waits", "ha-log"})
"""Kinds of lines that daemons write in every round; one is enough."""

# An LRM waits so long for the jobs of a round before it writes how they ended. Source:
# pve-ha-manager, LRM; recorded rounds that moved a stopped guest wrote it 2 s after they began.
WORKERS_S = 5.0
# Assumed: daemons look at the clock once a second, so one that was held up goes on within that.
RESUMED_S = 1.0


class Driver:
    """One cluster's stack at this instant of the twin."""

    def __init__(self, twin: Twin, name: str, *, skips: bool = True) -> None:
        self.twin = twin
        self.name = name
        self.skips = skips
        if (stack := twin.state.ha.get(name)) is None:
            cluster = Cluster({node: _machine(twin.model, node) for node in twin.model.nodes[name]})
            cluster.now_s = twin.now_s
            stack = twin.state.ha[name] = Stack(cluster)
        self.stack: Stack = stack
        self.guests = TwinGuests(twin, name, self.tell)
        self.timer: Timer = ("ha", "round", name, "")

    def follow(self, facts: Facts) -> bool:
        """Let the daemons see the world as it is; whether that made them act on it."""
        stack, state = self.stack, self.twin.state
        workload = state.workloads.get(self.name, NO_WORKLOAD)
        if workload != stack.workload:
            keys = tuple((sid, guest_key(self.name, sid)) for sid in workload.ha)
        else:
            keys = stack.keys
        found = tuple(map(state.guests.get, [key for _, key in keys]))
        places = stack.sight.places
        if workload != stack.workload or found != stack.guests:
            places = tuple(
                (sid, guest.node, guest.power is not GuestPower.STOPPED)
                for (sid, _), guest in zip(keys, found, strict=True)
                if guest is not None
            )
        sight = _sight(facts, self.name, places)
        stack.guests = found
        if sight == stack.sight and workload == stack.workload:
            if not self.skips and stack.resting_s is not None:
                self.wake()
                self.arm()
            return False
        self.wake()
        self._show(sight, workload)
        stack.keys = keys
        self.tell()
        self.arm()
        return self.guests.acted

    def wake(self) -> None:
        """Let the daemons be where they should be by now."""
        self.stack.wake(self.twin.now_s, self.guests)
        self.tell()

    def do_rounds(self) -> bool:
        """All rounds that are due, and watchdogs; whether the world is another after it."""
        stack, now_s = self.stack, self.twin.now_s
        said, before = False, stack.cluster.status
        while daemon := stack.round(now_s, self.guests):
            said |= self.tell()
            for sid in sorted(stack.cluster.written):
                known = before.services.get(sid)
                self._write(sid, known.node if known else self.stack.at[sid])
            stack.cluster.written, before = frozenset(), stack.cluster.status
            self._power_off(daemon[0])
        changed = self._reset_unwatched() or self.guests.acted
        if said or changed:
            stack.last = None
        elif self.skips:
            stack.rest(now_s)
        self.arm()
        return changed

    def end_move(self, sid: str) -> None:
        """A move of a service is over."""
        self.wake()
        self.stack.cluster.now_s = self.twin.now_s
        stack = self.stack
        node = self.guests.end_move(stack.cluster, sid)
        if stack.next_s[node, LRM] - self.twin.now_s >= ACTIVE_ROUND_S - WORKERS_S:
            lrm.publish(stack.cluster, node)
        self.tell()
        self.arm()

    def tell(self) -> bool:
        """Bring what the daemons logged into the trace; whether any of it is new."""
        cluster, twin = self.stack.cluster, self.twin
        if not cluster.log:
            return False
        entries, cluster.log = cluster.log, []
        said = False
        for subject, kind, text in news(cluster, self.name, self.stack.at, entries):
            told = subject
            if subject.startswith("sid "):
                told = twin.facts.guest_name(guest_key(self.name, subject.removeprefix("sid ")))
            if self.stack.told.get(told) == text and kind in LASTING:
                continue
            self.stack.told[told] = text
            twin.note(told, kind, self._named(text))
            said = True
        return said

    def _named(self, text: str) -> str:
        """With the names of guests in place of `{vm:101}`."""
        before, brace, rest = text.partition("{")
        if not brace:
            return text
        sid, _, after = rest.partition("}")
        key = guest_key(self.name, sid)
        name = self.twin.facts.guest_name(key).removeprefix("guest ")
        return f"{before}{name}{after}"

    def arm(self) -> None:
        """Set the timer to what is next."""
        twin = self.twin
        due_s = self.stack.due_s(twin.now_s, every=not self.skips)
        known = twin.state.timers.get(self.timer)
        if due_s == float("inf"):
            twin.cancel(self.timer)
        elif known is None or known.at_s != due_s:
            twin.at(due_s, self.timer)

    def _show(self, sight: Sight, workload: Workload) -> None:
        stack, cluster = self.stack, self.stack.cluster
        cluster.now_s = self.twin.now_s
        for node in cluster.machines:
            if (node in sight.on) != cluster.machines[node].power:
                self._switch(node, on=node in sight.on)
        for (node, kind), at_s in stack.next_s.items():
            if at_s < cluster.now_s and node not in sight.frozen:
                wait_s = self.twin.between(0, RESUMED_S, "ha", node, kind)
                stack.next_s[node, kind] = on_grid(cluster.now_s + wait_s)
        cluster.views = dict(sight.members)
        if sight.places != stack.sight.places or workload != stack.workload:
            running: dict[str, set[str]] = {}
            cluster.services = {}
            for sid, node, runs in sight.places:
                cluster.services[sid] = _config(workload, sid, node)
                if runs:
                    running.setdefault(node, set()).add(sid)
            cluster.running = {node: frozenset(sids) for node, sids in running.items()}
        if workload != stack.workload:
            cluster.rules = workload.rules
            cluster.datacenter = Datacenter(workload.shutdown_policy, workload.crs)
            limits = {
                f"vm:{vmid}": Amount(float(spec.cores), float(spec.memory_bytes))
                for vmid, spec in workload.guests.items()
            }
            cluster.static_stats = cluster.dynamic_stats = limits
        stack.sight, stack.workload = sight, workload

    def _switch(self, node: str, *, on: bool) -> None:
        """Start the daemons of a node that has come up, or forget those of one that is down."""
        cluster, next_s = self.stack.cluster, self.stack.next_s
        if on:
            hardware.start_crm(cluster, node)
            hardware.start_lrm(cluster, node)
            for kind in (CRM, LRM):
                wait_s = self.twin.between(0, WAITING_ROUND_S, "ha", node, kind)
                next_s[node, kind] = on_grid(self.twin.now_s + wait_s)
        else:
            if node in cluster.lrms:
                for sid in cluster.lrms[node].moving:
                    self.twin.cancel(("ha", "moved", self.name, sid))
            hardware.kill(cluster, node)
            next_s.pop((node, CRM), None)
            next_s.pop((node, LRM), None)
        machine = cluster.machines[node]
        cluster.machines[node] = replace(machine, power=on, network=on, shutdown="")

    def _write(self, sid: str, node: str) -> None:
        """Let the twin have what the master wrote into a service's config.

        `node`: where the master took it to be until then.
        """
        config = self.stack.cluster.services[sid]
        self.guests.recover(self.stack.cluster, sid, node)
        workload = self.twin.state.workloads[self.name]
        resource = workload.ha.get(sid)
        if resource is not None and resource.state != config.state:
            changed = replace(resource, state=config.state)
            new = replace(workload, ha={**workload.ha, sid: changed})
            guests.set_workload(self.twin, self.name, new)

    def _power_off(self, node: str) -> None:
        """Let a node that goes down in order be off, or start anew, once its daemons have left."""
        cluster = self.stack.cluster
        word = cluster.machines[node].shutdown
        if word and node not in cluster.crms and node not in cluster.lrms:
            cluster.machines[node] = replace(cluster.machines[node], shutdown="")
            if word == "reboot":
                power.reboot(self.twin, node)
            else:
                power.halt(self.twin, node)
            self.guests.acted = True

    def _reset_unwatched(self) -> bool:
        """Reset the nodes whose LRM has not renewed its lock for too long."""
        twin, cluster = self.twin, self.stack.cluster
        late = {
            node for (node, _), at_s in cluster.watchdogs.items() if twin.now_s - at_s >= WATCHDOG_S
        }
        for node in sorted(late):
            for kind in (CRM, LRM):
                locks.close_watchdog(cluster, node, kind)
            power.reset(twin, node, "its watchdog fires, the LRM has not renewed its lock")
        return bool(late)

    # The beginning

    def run_in(self) -> None:
        """Let the stack be as it is when nothing has happened for long.

        Where something is still to be done, such as a move that a rule wants, it begins now.
        """
        twin, stack = self.twin, self.stack
        self.follow(twin.facts)
        self._begin(twin.now_s - 5 * BEAT_S)
        if not stack.settle(twin.now_s):
            self._begin(twin.now_s)
        stack.cluster.log.clear()
        self.arm()

    def resume(
        self, master: str, holding: Collection[str], beats_s: Mapping[Daemon, float]
    ) -> None:
        """Let daemons be at work since long, though nothing is written yet of what they decided.

        `holding`: nodes whose LRM has its lock; `beats_s`: the next round of each daemon.
        """
        twin, cluster = self.twin, self.stack.cluster
        self.wake()
        cluster.locks, cluster.watchdogs, cluster.now_s = {}, {}, twin.now_s
        for node in holding:
            _hold(cluster, node, LRM, agent_lock(node))
            cluster.lrms[node].state = "active"
        _hold(cluster, master, CRM, MANAGER_LOCK)
        for node, one in cluster.crms.items():
            one.state = "master" if node == master else "slave"
        cluster.crms[master].manager = Manager(
            dict.fromkeys(cluster.machines, "online"), {}, frozenset(), None,
            cluster.datacenter.crs, dict.fromkeys(cluster.machines, twin.now_s),
        )  # fmt: skip
        self.stack.next_s.update({daemon: on_grid(at_s) for daemon, at_s in beats_s.items()})
        cluster.lrm_status_written = True
        cluster.lrm_status = {
            node: LrmStatus(one.state, timestamp_s=twin.now_s) for node, one in cluster.lrms.items()
        }
        self.stack.last = self.stack.resting_s = None
        self.arm()

    def _begin(self, at_s: float) -> None:
        """Let the daemons be at work since an instant, with services as they are wanted."""
        stack, cluster, seed = self.stack, self.stack.cluster, self.twin.state.seed
        able = [node for node in cluster.machines if cluster.quorate(node)]
        records = {
            sid: ServiceRecord(
                "started" if config.state == "started" else "stopped",
                config.node,
                cluster.new_uid(),
                running=config.state == "started",
            )
            for sid, config in cluster.services.items()
            if config.state != "ignored"
        }
        stack.at = {sid: record.node for sid, record in records.items()}
        cluster.now_s, cluster.locks, cluster.watchdogs = at_s, {}, {}
        busy = {rec.node for rec in records.values() if rec.state == "started"}.intersection(able)
        for node in busy:
            _hold(cluster, node, LRM, agent_lock(node))
            cluster.lrms[node].state = "active"
        if able and records:
            master = Random(f"{seed} {self.name} master").choice(able)
            _hold(cluster, master, CRM, MANAGER_LOCK)
            for node in able:
                cluster.crms[node].state = "slave"
            states = {node: "online" if node in able else "unknown" for node in cluster.machines}
            cluster.crms[master].state = "master"
            cluster.crms[master].manager = Manager(
                dict(states), dict(records), frozenset(), None, cluster.datacenter.crs,
                dict.fromkeys(cluster.machines, at_s),
            )  # fmt: skip
            cluster.status = ManagerStatus(master, states, records, timestamp_s=at_s)
        cluster.lrm_status_written = True
        cluster.lrm_status = {
            node: LrmStatus(cluster.lrms[node].state, timestamp_s=at_s) for node in able
        }
        for node, kind in stack.next_s:
            chance = Random(f"{seed} {self.name} {node} {kind}")
            stack.next_s[node, kind] = at_s + on_grid(chance.uniform(0, ACTIVE_ROUND_S))


def _hold(cluster: Cluster, node: str, kind: str, lock: str) -> None:
    """Let a daemon have its lock, and its watchdog."""
    cluster.locks[lock] = Lock(node, cluster.now_s)
    locks.update_watchdog(cluster, node, kind)


def _machine(model: Model, node: str) -> Machine:
    """A node's hardware as its cluster sees it; its system is yet to come up."""
    declared = model.lab.nodes[node]
    version = str(model.lab.clusters[declared.cluster].version)
    return Machine(maxcpu=declared.cores, maxmem_bytes=declared.memory, version=version)


def _sight(facts: Facts, name: str, places: tuple[tuple[str, str, bool], ...]) -> Sight:
    """The world as a cluster's daemons see it.

    While a token is lost nobody can write: what a node does stands still until those that are left
    have formed a membership. Source: the cluster file system, which is a corosync process group.
    """
    hosts, nodes = facts.state.hosts, facts.model.nodes[name]
    on = frozenset(node for node in nodes if hosts[node] is HostPower.ON)
    group = {node: members for members in knet.memberships(facts, name) for node in members}
    frozen = frozenset(
        node for node in on if node not in group or not facts.view(node).members <= group[node]
    )
    members = tuple(
        (node, facts.view(node).members)
        for node in nodes
        if node in group and facts.view(node).quorate
    )
    return Sight(on, frozen, members, places)


def _config(workload: Workload, sid: str, node: str) -> ServiceConfig:
    resource = workload.ha[sid]
    return ServiceConfig(
        node,
        resource.state,
        failback=resource.failback,
        max_restart=resource.max_restart,
        max_relocate=resource.max_relocate,
    )
