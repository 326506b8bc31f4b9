"""Whom a quorum device gives its votes.

The server (qnetd) hears from the client of each node in which membership it is, and lets one
partition have the votes: the one of which it sees most nodes; among equals one that has quorum
already, then the one with the node that breaks ties. Both algorithms come to that; how many votes
it is tells them apart.

Sources: corosync-qdevice(8); times measured with version 3.0.3, a cluster of two. Leaves out:
heuristics, TLS, more than one cluster on a server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lab.kinds.corosync import Algorithm, Edge, Qdevice
from simulator.facts import Facts
from simulator.membership.votequorum import Votequorum

# A client that is cut off notices it when a second heartbeat (8 s) is due and the first has had no
# answer; measured 9.4-16.0 s. The server gives it up 3.2 s sooner; measured 2.8-3.9 s.
NOTICE_S = (8.0, 16.0)
SERVER_SOONER_S = 3.2
# A server that is back is found at the next try; measured 1.5-7.5 s.
RECONNECT_S = (0.5, 8.0)
# From the membership to the verdict: measured 0-0.44 s with ffsplit, 2.0-2.1 s with lms. A node
# without its client's vote goes on after half of the device's timeout (10 s); measured 2.0-4.3 s.
VERDICT_S = {Algorithm.FFSPLIT: (0.0, 0.44), Algorithm.LMS: (2.0, 2.1)}
ALONE_S = (0.0, 5.0)


def reached(facts: Facts, cluster: str, device: Qdevice) -> frozenset[str]:
    """The running nodes between which and the device the network lets traffic through."""

    def nodes() -> frozenset[str]:
        known = facts.model.nodes[cluster]
        return frozenset(node for node in known if facts.talks(node, device.host, device.vlan))

    return facts.reach.once(("qdevice", cluster), nodes)


def granted(
    rules: Votequorum,
    groups: Iterable[frozenset[str]],
    connected: Collection[str],
    quorate: Collection[str],
) -> frozenset[str]:
    """The nodes for which the device votes. `connected`: those that it sees."""
    device = rules.settings.qdevice
    assert device is not None
    lowest = device.tie_breaker is Edge.LOWEST

    def rank(group: frozenset[str]) -> tuple[int, bool, int]:
        ids = [rules.nodes.index(node) for node in group]
        edge = -min(ids) if lowest else max(ids)
        return len(group.intersection(connected)), not group.isdisjoint(quorate), edge

    best = max(groups, key=rank, default=frozenset[str]())
    return best.intersection(connected)
