"""When the members of a cluster know whether they have quorum.

    corosync (who is a member) -> quorum -> votequorum (the rules)
                                         -> qdevice (whom the device votes for)

Without a quorum device that is as soon as the membership has formed. With one it waits until the
device has voted, which a node that was cut off without a word holds up until it is missed. The
window of last_man_standing lets members expect fewer votes some time later.

Sources: votequorum(5), corosync-qdevice(8). Leaves out: that services wait as well while a verdict
is awaited; a node keeps the one that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab.kinds.corosync import Qdevice
from simulator.facts import Facts
from simulator.membership import qdevice
from simulator.membership.knet import memberships, names
from simulator.membership.votequorum import Ballot, Votequorum
from simulator.model import BROKEN, Model
from simulator.state import Timer, View
from simulator.twin import Twin

OWNER = "quorum"


class QuorumPart:
    """Keeps `state.ballots` and `devices`, and whether the views are quorate."""

    name = OWNER
    reads = (*BROKEN, "stopped", "devices")

    def settle(self, twin: Twin) -> bool:
        """Let connections to quorum devices break and be made some time after the network."""
        facts, state = twin.facts, twin.state
        for cluster, nodes in twin.model.nodes.items():
            device = twin.model.lab.clusters[cluster].corosync.qdevice
            if device is None:
                continue
            reached = qdevice.reached(facts, cluster, device)
            for node in nodes:
                timer = (OWNER, cluster, "device", node)
                works = node in reached and node not in state.stopped
                if works == state.devices.get(node, False):
                    twin.cancel(timer)
                elif not twin.is_set(timer):
                    span = qdevice.RECONNECT_S if works else qdevice.NOTICE_S
                    twin.after(twin.between(*span, *timer), timer)
        return False

    def due(self, twin: Twin, timer: Timer) -> None:
        """A verdict is known, a window is over, or a connection is noticed to have changed."""
        _, cluster, what, subject = timer
        if what == "device":
            self._device(twin, cluster, subject)
        elif members := _same(twin, subject):
            if what == "verdict":
                _vote(twin, cluster, members)
            else:
                _lower(twin, cluster, members)

    def _device(self, twin: Twin, cluster: str, node: str) -> None:
        state = twin.state
        state.devices[node] = sees = not state.devices.get(node, False)
        if node in state.views:
            how = "sees the quorum device again" if sees else "has lost the quorum device"
            twin.note(f"cluster {cluster}", "device", f"{node} {how}")
        here = [
            state.views[known].members
            for known in twin.model.nodes[cluster]
            if known in state.views
        ]
        for members in dict.fromkeys(here):
            if _same(twin, _text(members)) and not twin.is_set(_timer(cluster, "verdict", members)):
                _vote(twin, cluster, members)


def started(twin: Twin, cluster: str, node: str) -> None:
    """A node's daemon has started; it is alone so far."""
    alone = frozenset({node})
    twin.state.views[node] = View(alone, quorate=False)
    twin.state.ballots[node] = rules_of(twin.model, cluster).fresh()
    _vote(twin, cluster, alone, quiet=True)


def formed(twin: Twin, cluster: str, members: frozenset[str], lost: frozenset[str]) -> None:
    """A membership has formed, without those `lost`: its members have the view already."""
    settings = twin.model.lab.clusters[cluster].corosync
    if settings.qdevice is None:
        _vote(twin, cluster, members)
    else:
        at_s = _verdict_s(twin, cluster, settings.qdevice, members, lost)
        twin.at(at_s, _timer(cluster, "verdict", members))
    if lost and settings.last_man_standing:
        window_s = settings.last_man_standing_window_ms / 1000
        twin.after(window_s, _timer(cluster, "window", members))


def settled(facts: Facts) -> None:
    """Give the state of `facts` the views and ballots that there are in the end, all nodes having
    been together before.
    """
    state = facts.state
    for cluster, nodes in facts.model.nodes.items():
        rules = rules_of(facts.model, cluster)
        device = rules.settings.qdevice
        sees = qdevice.reached(facts, cluster, device) if device else frozenset[str]()
        state.devices |= {node: node in sees for node in nodes if device}
        fresh = replace(rules.fresh(), device=device is not None)
        whole = rules.formed(dict.fromkeys(nodes, fresh))
        groups = memberships(facts, cluster)
        voted = qdevice.granted(rules, groups, sees, nodes) if device else frozenset[str]()
        for members in groups:
            before = {n: replace(whole[n], device=n in voted) for n in sorted(members)}
            ballots = rules.formed(before)
            if rules.settings.last_man_standing:
                ballots = rules.lowered(ballots)
            state.ballots |= ballots
            state.views |= {node: View(members, ballots[node].quorate) for node in members}


def rules_of(model: Model, cluster: str) -> Votequorum:
    """The rules of one cluster; nodes have their ids in the order of their names."""
    return Votequorum(model.nodes[cluster], model.lab.clusters[cluster].corosync)


def _vote(twin: Twin, cluster: str, members: frozenset[str], *, quiet: bool = False) -> None:
    """Let the members of a membership find out who has quorum."""
    state, rules = twin.state, rules_of(twin.model, cluster)
    before = {node: state.ballots[node] for node in sorted(members)}
    if rules.settings.qdevice is not None:
        here = [node for node in rules.nodes if node in state.views]
        seen = [node for node in here if state.devices.get(node, False)]
        quorate = [node for node in here if state.views[node].quorate]
        voted = qdevice.granted(rules, memberships(twin.facts, cluster), seen, quorate)
        before = {node: replace(ballot, device=node in voted) for node, ballot in before.items()}
    _tell(twin, cluster, rules.formed(before), quiet=quiet)


def _lower(twin: Twin, cluster: str, members: frozenset[str]) -> None:
    """The window of last_man_standing is over."""
    before = {node: twin.state.ballots[node] for node in sorted(members)}
    ballots = rules_of(twin.model, cluster).lowered(before)
    if ballots != before:
        text = f"{names(members)}: {len(members)} votes are expected from now on"
        twin.note(f"cluster {cluster}", "votes-lowered", text)
    _tell(twin, cluster, ballots)


def _tell(twin: Twin, cluster: str, ballots: Mapping[str, Ballot], *, quiet: bool = False) -> None:
    """Keep new verdicts, and note who has won or lost quorum."""
    state, subject = twin.state, f"cluster {cluster}"
    changed = [n for n, ballot in ballots.items() if state.views[n].quorate != ballot.quorate]
    lost = [node for node in changed if not ballots[node].quorate]
    found = [node for node in changed if ballots[node].quorate]
    state.ballots.update(ballots)
    for node in changed:
        state.views[node] = replace(state.views[node], quorate=ballots[node].quorate)
    if lost and not quiet:
        twin.note(subject, "quorum-lost", f"{names(lost)}: no quorum, activity blocked")
    if found and not quiet:
        twin.note(subject, "quorum-regained", f"{names(found)}: quorate")


def _verdict_s(
    twin: Twin,
    cluster: str,
    device: Qdevice,
    members: frozenset[str],
    lost: frozenset[str],
) -> float:
    """When the device's vote is known: not before those concerned who are gone are missed."""
    state = twin.state

    def missed_s(nodes: frozenset[str]) -> list[float]:
        timers = [(OWNER, cluster, "device", node) for node in nodes]
        return [state.timers[timer].at_s for timer in timers if timer in state.timers]

    ready_s = max([twin.now_s, *(at_s - qdevice.SERVER_SOONER_S for at_s in missed_s(lost))])
    if own_s := missed_s(members):
        return max(ready_s, *own_s)
    sees = any(state.devices.get(node, False) for node in members)
    span = qdevice.VERDICT_S[device.algorithm] if sees else qdevice.ALONE_S
    return ready_s + twin.between(*span, cluster, "verdict", _text(members))


def _same(twin: Twin, text: str) -> frozenset[str]:
    """The nodes that a timer names, if they are a membership still; else nobody."""
    members, views = frozenset(text.split(",")), twin.state.views
    same = all(node in views and views[node].members == members for node in members)
    return members if same else frozenset()


def _timer(cluster: str, what: str, members: frozenset[str]) -> Timer:
    return (OWNER, cluster, what, _text(members))


def _text(members: frozenset[str]) -> str:
    return ",".join(sorted(members))
