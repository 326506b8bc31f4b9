"""Cluster membership over time: token and consensus.

At each instant the network says which nodes could form a membership (`knet.memberships`); a group
whose nodes see something else forms its own after the time corosync takes: a loss is final after
token and consensus, however many nodes are lost at once; a change while it forms starts it anew.
One that is over before the token is lost leaves no trace; one that is over later ends in the same
membership. A node that leaves in order (`leave`) is missed at once. A node that hangs keeps the
view it had. Who has quorum follows in `quorum`.

Sources: corosync.conf(5); times measured with corosync 3.1.7 (3 nodes 7.6 s, 5 nodes 10.2-10.5 s).

Leaves out: a reformation of the same members after a pause shorter than the token, which happens
or not by chance.
"""

from __future__ import annotations

from dataclasses import replace

from lab.kinds.corosync import CONSENSUS_PER_TOKEN
from simulator.facts import Facts
from simulator.membership import quorum
from simulator.membership.knet import memberships, names
from simulator.model import BROKEN, Model
from simulator.state import HostPower, Timer
from simulator.twin import Twin

# A loss takes at most token + consensus.
TO_MEMBERSHIP = 1 + CONSENSUS_PER_TOKEN
# The token is held at an idle node for up to `hold` of its time; measured 0..0.8 s, centre 0.45 s.
TOKEN_AGE_S = 0.45
# That was with tokens from here on; with shorter ones half of `hold`, measured 0.06-0.31 s of 1.65
# s. hold = 0.8 (retransmit - 10 ms), retransmit = token / 4.2. Source: corosync.conf(5), and the
# runtime keys of a running daemon.
LONG_TOKEN_S = 3.0
HOLD, RETRANSMITS, TICK_S = 0.8, 4.2, 0.01
# A dead link is marked down after at most the knet ping timeout, half the token; measured 0.2-1.9
# s of 1.825 s.
LINK_DOWN = (0.1, 0.5)
# From a healed network to the new membership: two pongs, then the merge; measured 1.5-3.3 s with
# two and three nodes. Pings are the rarer the longer the token: up to 5.1 s with five nodes, and
# from 1.1 s on with a token of 1 s.
MERGE_S = (1.5, 3.3)
MERGE_BASE_S, MERGE_PER_TOKEN = 0.75, 0.35
MERGE_SOONER_S = 0.35  # than a long token
# From the message of a node that leaves to the membership without it; measured 0.17-0.38
# s.
LEAVE_S = (0.15, 0.4)

# Steps of a formation; `again` is one whose cause is over.
FORMATION = ("link", "token", "form")


class CorosyncPart:
    """Keeps `state.views`, and forgets what nodes knew whose daemon runs no more."""

    name = "corosync"
    reads = (*BROKEN, "stopped", "views")

    def settle(self, twin: Twin) -> bool:
        """Start and forget formations as the network demands."""
        facts = twin.facts
        return any([self._cluster(twin, facts, cluster) for cluster in twin.model.nodes])

    def due(self, twin: Twin, timer: Timer) -> None:
        """A step of a formation."""
        _, cluster, step, group = timer
        members = frozenset(group.split(","))
        here, gone = names(members), names(_seen(twin, members) - members)
        match step:
            case "link":
                twin.note(f"cluster {cluster}", "links-down", f"{here}: links to {gone} down")
            case "token":
                twin.note(f"cluster {cluster}", "token-lost", f"{here}: token lost")
            case "form":
                self._form(twin, cluster, members)
            case "again" if not gone and members in memberships(twin.facts, cluster):
                self._note(twin, cluster, members)

    def _cluster(self, twin: Twin, facts: Facts, cluster: str) -> bool:
        state, changed = twin.state, self._forget(twin, cluster)
        wanted: dict[Timer, frozenset[str]] = {}
        for members in memberships(facts, cluster):
            for node in members - state.views.keys():
                quorum.started(twin, cluster, node)
                changed = True
            if any(state.views[node].members != members for node in members):
                wanted[(self.name, cluster, "form", ",".join(sorted(members)))] = members
        timers = [timer for timer in state.timers if timer[:2] == (self.name, cluster)]
        for timer in timers:
            if timer[2] in FORMATION and (*timer[:2], "form", timer[3]) not in wanted:
                if timer[2] == "form" and (*timer[:2], "token", timer[3]) not in timers:
                    self._go_on(twin, timer)
                twin.cancel(timer)
        for timer, members in wanted.items():
            if not twin.is_set(timer):
                self._start(twin, timer, members)
        return changed

    def _forget(self, twin: Twin, cluster: str) -> bool:
        state, changed = twin.state, False
        for node in twin.model.nodes[cluster]:
            if state.hosts[node] is HostPower.BOOTING:
                state.stopped.pop(node, None)
            off = state.hosts[node] is not HostPower.ON or node in state.stopped
            if off and node in state.views:
                del state.views[node], state.ballots[node]
                changed = True
        return changed

    def _go_on(self, twin: Twin, form: Timer) -> None:
        """Once the token is lost there will be a membership, though its cause is over."""
        _, cluster, _, group = form
        members = frozenset(group.split(","))
        seen = _seen(twin, members)
        if seen - members:
            again = (self.name, cluster, "again", ",".join(sorted(seen)))
            twin.at(twin.state.timers[form].at_s, again)

    def _start(self, twin: Twin, form: Timer, members: frozenset[str]) -> None:
        _, cluster, _, group = form
        token_s = token_ms(twin.model, cluster) / 1000
        lost = _seen(twin, members) - members
        if not lost:
            low_s, high_s = MERGE_S
            low_s = min(low_s, MERGE_BASE_S + MERGE_PER_TOKEN * token_s)
            high_s = max(high_s, token_s - MERGE_SOONER_S)
            twin.after(twin.between(low_s, high_s, cluster, group), form)
            return
        if lost <= twin.state.stopped.keys():
            twin.after(twin.between(*LEAVE_S, cluster, group), form)
            return
        link_s = token_s * twin.between(*LINK_DOWN, cluster, group)
        twin.after(link_s, (self.name, cluster, "link", group))
        twin.after(token_s - token_age_s(token_s), (self.name, cluster, "token", group))
        twin.after(TO_MEMBERSHIP * token_s - token_age_s(token_s), form)

    def _form(self, twin: Twin, cluster: str, members: frozenset[str]) -> None:
        """Give all members their new view at the same moment."""
        views, lost = twin.state.views, _seen(twin, members) - members
        for node in members:
            views[node] = replace(views[node], members=members)
        self._note(twin, cluster, members)
        quorum.formed(twin, cluster, members, lost)

    def _note(self, twin: Twin, cluster: str, members: frozenset[str]) -> None:
        total = len(twin.model.nodes[cluster])
        text = f"{names(members)}: {len(members)} of {total} nodes are members"
        twin.note(f"cluster {cluster}", "membership", text)


def leave(twin: Twin, node: str) -> None:
    """Stop corosync on a node in order, until the node starts again; the others know at once."""
    twin.state.stopped[node] = twin.now_s
    twin.changed()


def join(twin: Twin, node: str) -> None:
    """Start corosync again on a node where it was stopped."""
    twin.state.stopped.pop(node, None)
    twin.changed()


def token_ms(model: Model, cluster: str) -> float:
    """The token timeout in force: it grows with each node above two. Source: corosync.conf(5)."""
    return model.lab.clusters[cluster].corosync.token_in_force_ms(len(model.nodes[cluster]))


def token_age_s(token_s: float) -> float:
    """How old the token is when it is lost: the middle of the time in which it may be held."""
    hold_s = HOLD * (token_s / RETRANSMITS - TICK_S)
    return TOKEN_AGE_S if token_s >= LONG_TOKEN_S else hold_s / 2


def _seen(twin: Twin, members: frozenset[str]) -> frozenset[str]:
    """All whom some of these take for members."""
    views = twin.state.views
    return frozenset[str]().union(*(views[node].members for node in members if node in views))
