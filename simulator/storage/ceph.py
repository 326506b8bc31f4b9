"""Ceph over time: monitors elect, dead OSDs are marked down, then out; healed ones come back.

What an OSD's peers see decides: a dead daemon on a living node refuses connections and is
reported at once, one that is silent (node off or hung, network cut, daemon or disk frozen) only
after the heartbeat grace. The map changes only while the monitors have a quorum whose members are
all there, so client I/O waits for detection, then for peering. Whether a pool serves, by copies,
is in `availability`.

Sources: the option descriptions of Ceph (names beside each constant) and times measured on a real
cluster of three hosts with two OSDs each (16.2.15); a monitor other than the leader is taken to
be missed as late as the leader.

Leaves out: placement groups (`mon.placement` shows them) and past intervals, recovery and its time,
capacity, managers, laggy OSDs' longer grace, the subtree limit (racks are not declared).
"""

from __future__ import annotations

from dataclasses import replace

from lab.kinds.ceph import Ceph
from simulator.facts import Facts
from simulator.model import BROKEN
from simulator.state import OsdState, Timer
from simulator.storage.availability import (
    osd_killed,
    osd_works,
    osds_able,
    pool_trouble,
    quorum_able,
    together,
)
from simulator.twin import Twin

# osd_fast_fail_on_connection_refused. Measured: 1.2-1.6 s from the kill to down.
REFUSED_S = (1.0, 2.0)
# After osd_heartbeat_grace (20 s): pings every 6 s, the report's way into the map. Measured: 23.7 s
# in all, and 6.2 s with a grace of 4 s and pings every second.
SILENT_MORE_S = (0.0, 5.0)
# Two hosts must report (mon_osd_min_down_reporters, mon_osd_reporter_subtree_level); with fewer
# the OSD is down when it has not spoken to the monitors for mon_osd_report_timeout.
REPORTERS = 2
UNREPORTED_S = 900.0
# mon_osd_min_up_ratio: below it the monitors believe no more reports.
MIN_UP_RATIO = 0.3
# mon_tick_interval: automatic out is looked at every 5 s. Measured: 604 s of 600.
TICK_S = 5.0
# From the start of a daemon to up. Measured: 4.1-7.6 s, each seen up to a second late.
START_S = (3.5, 7.0)
# One that was only silent, and marked down, says that it is up. Measured: 2.0-2.4 s, seen as late.
RESUME_S = (1.0, 2.5)
# Peering after a change of the map. Measured: 1-3 s.
PEERING_S = (1.0, 3.0)
# A lost quorum member: lease gone after 10 s, election up to 5 s. Measured: 16-19 s without
# service.
ELECTION_S = (16.0, 19.0)
# Too few monitors: the survivors probe when the lease is gone (mon_lease x ack factor).
LEASE_LOST_S = 10.0
# A monitor comes back. Measured: a quorum within 7 s.
JOIN_S = (5.0, 7.0)
VOTES = ("election", "vote")  # after silence or a return, after a death


class CephPart:
    """Keeps `state.mons`, `state.osds` and `state.pools`."""

    name = "ceph"
    reads = (*BROKEN, "mons", "ceph", "osds", "pools")

    def settle(self, twin: Twin) -> bool:
        """Follow every Ceph cluster."""
        facts = twin.facts
        changed = False
        for name, ceph in twin.model.lab.ceph.items():
            changed |= self._monitors(twin, facts, name, ceph)
            changed |= self._osds(twin, facts, name, ceph)
            changed |= self._pools(twin, facts, name)
        return changed

    def due(self, twin: Twin, timer: Timer) -> None:
        """An election is over; other timers only make `settle` look again."""
        if timer[1] in VOTES:
            _, _, name, group = timer
            quorum = frozenset(group.split(",")) - {""}
            twin.state.mons[name] = quorum
            here = ", ".join(sorted(quorum))
            total = len(twin.model.lab.ceph[name].mons)
            twin.note(
                f"ceph {name}",
                "monitors-quorum" if quorum else "monitors-lost",
                f"monitors {here} have a quorum, {len(quorum)} of {total}"
                if quorum
                else "too few monitors for a quorum: the cluster map can't change",
            )

    def _monitors(self, twin: Twin, facts: Facts, name: str, ceph: Ceph) -> bool:
        """Set the election that follows from who is there.

        A member that has died is out of the quorum even if it is back before the others have
        voted; one that was only silent is not.
        """
        able = quorum_able(facts, name)
        have = twin.state.mons[name]
        killed = any(mon_killed(facts, mon) for mon in have - able)
        wanted = (self.name, "vote" if killed else "election", name, ",".join(sorted(able)))
        for timer in list(twin.state.timers):
            if timer[0] == self.name and timer[1] in VOTES and timer[2] == name:
                outlived = able == have and timer[1] == "vote"
                if timer != wanted and not outlived:
                    twin.cancel(timer)
        if able == have or twin.is_set(wanted):
            return False
        if not able:
            delay_s = LEASE_LOST_S
        else:
            delay_s = twin.between(*(ELECTION_S if have - able else JOIN_S), name)
        twin.after(delay_s, wanted)
        return False

    def _osds(self, twin: Twin, facts: Facts, name: str, ceph: Ceph) -> bool:
        state, changed = twin.state, False
        serves = monitors_serve(facts, name)
        for osd in ceph.osds:
            before = state.osds[f"{name}/{osd}"]
            after = self._osd(twin, facts, name, osd, before, serves=serves)
            if after != before:
                state.osds[f"{name}/{osd}"] = after
                changed = True
                if after.up != before.up or (before.died and not after.died):
                    twin.after(twin.between(*PEERING_S, name), (self.name, "peering", name))
        return changed

    def _osd(
        self, twin: Twin, facts: Facts, name: str, osd: str, now: OsdState, *, serves: bool
    ) -> OsdState:
        """What becomes of one OSD at this instant."""
        key, look = f"{name}/{osd}", (self.name, "look", f"{name}/{osd}")
        if osd not in osds_able(facts, name):
            died = now.died or osd_killed(facts, name, osd)
            now = replace(now, died=died, started_s=None)
            if not now.up:
                return self._out(twin, name, osd, now, serves=serves)
            if now.reported_s is None:
                due_s = twin.after(report_s(twin, facts, name, osd), look)
                return replace(now, reported_s=due_s)
            if now.reported_s <= twin.now_s and serves and self._believed(twin, name):
                return self._mark_down(twin, name, osd, now)
            return now
        if now.up and not now.died:
            twin.cancel(look)
            if now.reported_s is None and now.started_s is None:
                return now
            return replace(now, reported_s=None, started_s=None)
        if now.started_s is None:
            span = START_S if now.died else RESUME_S
            due_s = twin.after(twin.between(*span, key), look)
            return replace(now, reported_s=None, started_s=due_s)
        if now.started_s <= twin.now_s and serves and "noup" not in twin.state.ceph[name].flags:
            twin.note(f"osd {key}", "osd-up", f"osd.{osd} has started and is up")
            stays_out = not now.inside and "noin" in twin.state.ceph[name].flags
            return OsdState(inside=not stays_out)
        return now

    def _mark_down(self, twin: Twin, name: str, osd: str, now: OsdState) -> OsdState:
        key = f"{name}/{osd}"
        out_s = twin.now_s + twin.state.ceph[name].down_out_s + twin.between(0, TICK_S, key)
        out_s = twin.at(out_s, (self.name, "out", key))
        twin.note(f"osd {key}", "osd-down", f"osd.{osd} is marked down")
        return replace(now, up=False, reported_s=None, out_s=out_s)

    def _out(self, twin: Twin, name: str, osd: str, now: OsdState, *, serves: bool) -> OsdState:
        """Mark a down OSD out when it is time, unless too few would be left in."""
        if not now.inside or now.out_s is None or now.out_s > twin.now_s or not serves:
            return now
        osds, spec = self._all(twin, name), twin.state.ceph[name]
        if "noout" in spec.flags or sum(o.inside for o in osds) / len(osds) < spec.min_in_ratio:
            return now
        twin.note(f"osd {name}/{osd}", "osd-out", f"osd.{osd} is marked out")
        return replace(now, inside=False, out_s=None)

    def _believed(self, twin: Twin, name: str) -> bool:
        """Whether enough OSDs are up for the monitors to believe reports."""
        osds = self._all(twin, name)
        ratio = sum(osd.up for osd in osds) / len(osds)
        return ratio >= MIN_UP_RATIO and "nodown" not in twin.state.ceph[name].flags

    def _all(self, twin: Twin, name: str) -> list[OsdState]:
        return [twin.state.osds[f"{name}/{osd}"] for osd in twin.model.lab.ceph[name].osds]

    def _pools(self, twin: Twin, facts: Facts, name: str) -> bool:
        """Say when a pool stops or goes on serving, and why."""
        pools = twin.state.ceph[name].pools
        gone = [
            k
            for k in twin.state.pools
            if k.startswith(f"{name}/") and k[len(name) + 1 :] not in pools
        ]
        for key in gone:
            del twin.state.pools[key]
        changed = bool(gone)
        for pool in pools:
            key, now = f"{name}/{pool}", pool_trouble(facts, name, pool)
            before = twin.state.pools.get(key, "")
            if now.text == before:
                continue
            changed = True
            twin.state.pools[key] = now.text
            if not now.text:
                twin.note(f"ceph {name}", "pool-serves", f"pool {pool} serves")
            elif not before or not now.passes:
                twin.note(f"ceph {name}", "pool-stopped", now.text)
        return changed


def mon_killed(facts: Facts, mon: str) -> bool:
    """Whether what is broken ended a monitor, and not only its silence."""
    return bool(facts.broken.hard & facts.model.bits[facts.model.vertex[mon]])


def report_s(twin: Twin, facts: Facts, name: str, osd: str) -> float:
    """How long until the peers of a dead OSD have reported it."""
    osds = twin.model.lab.ceph[name].osds
    node = osds[osd].node
    if node in together(facts, name) and osd_killed(facts, name, osd):
        return twin.between(*REFUSED_S, name, osd)
    hosts = {declared.node for other, declared in osds.items() if osd_works(facts, name, other)}
    if len(hosts) < REPORTERS:
        return UNREPORTED_S
    grace_s = twin.state.ceph[name].grace_s
    low, high = SILENT_MORE_S
    return twin.between(grace_s + low, grace_s + high, name, osd)


def monitors_serve(facts: Facts, name: str) -> bool:
    """Whether the cluster map can change: there is a quorum and all of its members answer."""
    quorum = facts.state.mons[name]
    return bool(quorum) and quorum <= together(facts, name)
