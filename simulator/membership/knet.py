"""Which nodes of a cluster reach each other over its knet links, and when one link is missed.

A link is a VLAN, and two nodes are joined while any of their links works: so a membership
(`memberships`) survives the loss of some, and only the trace tells. Where reaching is not
transitive see `storage.connected`.

Sources: corosync.conf(5), totem (knet_ping_interval, knet_ping_timeout, knet_pong_count); times
measured with corosync 3.1.7. Leaves out: which link carries the traffic, the path MTU.
"""

from __future__ import annotations

from collections.abc import Iterable

from simulator.facts import Facts
from simulator.model import BROKEN
from simulator.state import Groups, Timer
from simulator.storage.availability import connected
from simulator.twin import Twin

# Shares of the token in force. Pings go every quarter of it, a link is down half of it after the
# one that was not answered; measured 1.6-3 s of 3.65 s. It is up again after two pongs.
DOWN = (0.43, 0.82)
UP = (0.25, 0.75)


class KnetPart:
    """Keeps `state.rings`, of clusters with more than one link."""

    name = "knet"
    reads = (*BROKEN, "stopped", "rings")

    def settle(self, twin: Twin) -> bool:
        """Let each link be marked down, or up, some time after the network."""
        facts = twin.facts
        for cluster, nodes in twin.model.nodes.items():
            settings = twin.model.lab.clusters[cluster].corosync
            if len(settings.links) < 2:
                continue
            token_s = settings.token_in_force_ms(len(nodes)) / 1000
            for number in range(len(settings.links)):
                timer = (self.name, cluster, str(number))
                now = ring(facts, cluster, number)
                if now == twin.state.rings.get(f"{cluster} {number}"):
                    twin.cancel(timer)
                elif not twin.is_set(timer):
                    span = DOWN if len(now) > 1 else UP
                    twin.after(token_s * twin.between(*span, *timer), timer)
        return False

    def due(self, twin: Twin, timer: Timer) -> None:
        """Tell of a link where the membership does not: another one joins its nodes still."""
        _, cluster, number = timer
        state, key, facts = twin.state, f"{cluster} {number}", twin.facts
        before, now = state.rings.get(key, ()), ring(facts, cluster, int(number))
        state.rings[key] = now
        link = f"link {number} ({twin.model.lab.clusters[cluster].corosync.links[int(number)]})"
        if len(now) > 1 and len(memberships(facts, cluster)) == 1:
            groups = " | ".join(names(group) for group in now)
            twin.note(f"cluster {cluster}", "link-down", f"{link}: {groups}")
        elif len(now) == 1 < sum(not now[0].isdisjoint(group) for group in before):
            twin.note(f"cluster {cluster}", "link-up", f"{link} joins {names(now[0])}")


def memberships(facts: Facts, cluster: str) -> Groups:
    """The groups of nodes with a running corosync that all reach each other over some link."""
    return _groups(facts, cluster, facts.model.lab.clusters[cluster].corosync.links)


def ring(facts: Facts, cluster: str, number: int) -> Groups:
    """The same over one link alone."""
    return _groups(
        facts, cluster, facts.model.lab.clusters[cluster].corosync.links[number : number + 1]
    )


def _groups(facts: Facts, cluster: str, vlans: tuple[str, ...]) -> Groups:
    stopped = facts.state.stopped

    def groups() -> Groups:
        known = facts.model.nodes[cluster]
        nodes = [node for node in known if facts.host_on(node) and node not in stopped]
        return tuple(connected(facts, nodes, *vlans))

    return facts.reach.once(("knet", cluster, vlans, *stopped), groups)


def settled(facts: Facts) -> None:
    """Give the state of `facts` the links as they are in the end."""
    for cluster in facts.model.nodes:
        for number in range(len(facts.model.lab.clusters[cluster].corosync.links)):
            facts.state.rings[f"{cluster} {number}"] = ring(facts, cluster, number)


def names(nodes: Iterable[str]) -> str:
    """Nodes as a line of the trace names them."""
    return ", ".join(sorted(nodes))
