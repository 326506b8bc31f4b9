"""Cluster membership over time: token, consensus, votes.

At each instant the network says which nodes could form a membership (`memberships`); a group
whose nodes see something else forms its own after the time corosync takes: a loss is final after
token and consensus, however many nodes are lost at once; a change while it forms starts it anew;
one that is over before the token is lost leaves no trace. A node that hangs keeps the view it
had.

Sources: corosync.conf(5), votequorum(5); times measured with corosync 3.1.7 (3 nodes 7.6 s, 5
nodes 10.2-10.5 s).

Leaves out: the loss of one of several links (only all count), orderly leaving, a reformation
without loss after a short pause, auto_tie_breaker, last_man_standing, qdevice. Where connectivity
is not transitive see `storage.connected`.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulator.facts import Facts
from simulator.model import Model
from simulator.state import HostPower, Timer, View
from simulator.storage import connected
from simulator.twin import Twin

# consensus = 1.2 token; a loss takes at most token + consensus. Source: corosync.conf(5).
TO_MEMBERSHIP = 2.2
# The token is held at an idle node for up to this much of its time; measured 0..0.8 s, centre
# 0.45 s.
TOKEN_AGE_S = 0.45
# A dead link is marked down after at most the knet ping timeout, half the token; measured 0.2-1.9
# s of 1.825 s.
LINK_DOWN = (0.1, 0.5)
# From a healed network to the new membership: two pongs, then the merge; measured 1.5-3.3 s.
MERGE_S = (1.5, 3.3)


class CorosyncPart:
    """Keeps `state.views`."""

    name = "corosync"

    def settle(self, twin: Twin) -> bool:
        """Start and forget formations as the network demands."""
        facts = twin.facts
        return any([self._cluster(twin, facts, cluster) for cluster in twin.model.nodes])

    def due(self, twin: Twin, timer: Timer) -> None:
        """A step of a formation."""
        _, cluster, step, group = timer
        members = frozenset(group.split(","))
        seen = frozenset[str]().union(*(twin.state.views[node].members for node in members))
        here, gone = _names(members), _names(seen - members)
        match step:
            case "link":
                twin.note(f"cluster {cluster}", "links-down", f"{here}: links to {gone} down")
            case "token":
                twin.note(f"cluster {cluster}", "token-lost", f"{here}: token lost")
            case "form":
                self._form(twin, cluster, members)

    def _cluster(self, twin: Twin, facts: Facts, cluster: str) -> bool:
        state, changed = twin.state, False
        for node in twin.model.nodes[cluster]:
            if node in state.views and state.hosts[node] is not HostPower.ON:
                del state.views[node]
                changed = True
        wanted: dict[Timer, frozenset[str]] = {}
        for members in memberships(facts, cluster):
            for node in members - state.views.keys():
                alone = frozenset({node})
                state.views[node] = View(alone, has_quorum(twin.model, cluster, alone))
                changed = True
            if any(state.views[node].members != members for node in members):
                wanted[(self.name, cluster, "form", ",".join(sorted(members)))] = members
        for timer in [timer for timer in state.timers if timer[:2] == (self.name, cluster)]:
            if (*timer[:2], "form", timer[3]) not in wanted:
                twin.cancel(timer)
        for timer, members in wanted.items():
            if not twin.is_set(timer):
                self._start(twin, timer, members)
        return changed

    def _start(self, twin: Twin, form: Timer, members: frozenset[str]) -> None:
        _, cluster, _, group = form
        if all(twin.state.views[node].members <= members for node in members):
            twin.after(twin.between(*MERGE_S, cluster, group), form)
            return
        token_s = token_ms(twin.model, cluster) / 1000
        link_s = token_s * twin.between(*LINK_DOWN, cluster, group)
        twin.after(link_s, (self.name, cluster, "link", group))
        twin.after(token_s - TOKEN_AGE_S, (self.name, cluster, "token", group))
        twin.after(TO_MEMBERSHIP * token_s - TOKEN_AGE_S, form)

    def _form(self, twin: Twin, cluster: str, members: frozenset[str]) -> None:
        """Give all members their new view at the same moment."""
        views, subject = twin.state.views, f"cluster {cluster}"
        before = {node: views[node].quorate for node in members}
        for node in members:
            quorate = has_quorum(twin.model, cluster, members, was_quorate=before[node])
            views[node] = View(members, quorate)
        total = len(twin.model.nodes[cluster])
        here = _names(members)
        twin.note(subject, "membership", f"{here}: {len(members)} of {total} nodes are members")
        lost = [node for node in members if before[node] and not views[node].quorate]
        found = [node for node in members if not before[node] and views[node].quorate]
        if lost:
            twin.note(subject, "quorum-lost", f"{_names(lost)}: no quorum, activity blocked")
        if found:
            twin.note(subject, "quorum-regained", f"{_names(found)}: quorate")


def memberships(facts: Facts, cluster: str) -> list[frozenset[str]]:
    """The groups of running nodes that the network lets form a membership."""

    def groups() -> list[frozenset[str]]:
        nodes = [node for node in facts.model.nodes[cluster] if facts.host_on(node)]
        return connected(facts, nodes, *facts.model.lab.clusters[cluster].corosync.links)

    return facts.reach.once(("memberships", cluster), groups)


def has_quorum(
    model: Model, cluster: str, members: frozenset[str], *, was_quorate: bool = False
) -> bool:
    """Whether these members have quorum: floor(n / 2) + 1 votes of n.

    two_node: one vote is enough, for a node that was quorate before (wait_for_all, which two_node
    implies).
    """
    expected = len(model.nodes[cluster])
    if expected == 2 and model.lab.clusters[cluster].corosync.two_node:
        return len(members) == 2 or was_quorate
    return len(members) >= expected // 2 + 1


def token_ms(model: Model, cluster: str) -> float:
    """The token timeout in force: it grows with each node above two. Source: corosync.conf(5)."""
    corosync = model.lab.clusters[cluster].corosync
    above_two = max(0, len(model.nodes[cluster]) - 2)
    return corosync.token_ms + above_two * corosync.token_coefficient_ms


def _names(nodes: Iterable[str]) -> str:
    return ", ".join(sorted(nodes))
