"""What a cluster's quorum settings ask of its nodes and of the lab around them.

Sources: votequorum(5), corosync-qdevice(8); what corosync 3.1.7 refuses or switches off by itself;
the Proxmox VE administration guide, cluster manager (external vote support) and high availability
(fencing). What settings ask of each other is in the language, `lab.kinds.corosync`.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.kinds.corosync import Algorithm, Corosync
from lab.lab import Lab, title
from lab.names import nearest

WATCHDOG_S = 60.0  # the administration guide, fencing: a node without quorum is reset after this


def corosync_is_faster_than_the_watchdog(lab: Lab) -> Iterator[Problem]:
    """Nodes agree on a loss in half the time after which a watchdog fires."""
    for name, corosync, count in clusters(lab):
        slowest_s = corosync.slowest_s(count)
        if slowest_s > WATCHDOG_S / 2:
            token_s = corosync.token_in_force_ms(count) / 1000
            what = f"cluster {name} needs up to {slowest_s:.0f} s to agree that a node is lost"
            why = (
                f"{token_s:g} s token + {slowest_s - token_s:g} s consensus; no node has its"
                f" watchdog renewed meanwhile, one more loss begins it anew, and the"
                f" watchdog resets a node after {WATCHDOG_S:.0f} s"
            )
            fix = "lower token-ms or token-coefficient-ms"
            yield Problem(lab.place("clusters", name, "corosync"), what, why, fix, "warning")


def two_node_has_two_nodes(lab: Lab) -> Iterator[Problem]:
    """`two-node` is for two nodes."""
    for name, corosync, count in clusters(lab):
        if corosync.two_node and count != 2:
            what = f"{title('clusters', name)} has two-node and {count} nodes"
            why = "votequorum then lets each half of a split cluster go on"
            place = lab.place("clusters", name, "corosync", "two-node")
            yield Problem(place, what, why, "remove two-node")


def tie_breaker_of_odd_nodes_waits_for_all(lab: Lab) -> Iterator[Problem]:
    """An odd cluster ties only if a node is missing, and then the tie is not safe by itself."""
    for name, corosync, count in clusters(lab):
        if not corosync.auto_tie_breaker or count % 2 == 0:
            continue
        place = lab.place("clusters", name, "corosync", "auto-tie-breaker")
        what = f"{title('clusters', name)} has auto-tie-breaker and {count} nodes"
        if corosync.last_man_standing:
            why = "corosync refuses to start with it and last-man-standing in a cluster of odd size"
            yield Problem(place, what, why, "remove one of them")
        elif not corosync.waits_for_all:
            why = "without wait-for-all corosync switches it off in a cluster of odd size"
            fix = "add wait-for-all: true, or remove auto-tie-breaker"
            yield Problem(place, what, why, fix)


def last_man_standing_waits_for_all(lab: Lab) -> Iterator[Problem]:
    """A cluster that counts its votes down must not be counted up by a part of it that restarts."""
    for name, corosync, _ in clusters(lab):
        if corosync.last_man_standing and not corosync.waits_for_all:
            what = f"{title('clusters', name)} has last-man-standing without wait-for-all"
            why = "nodes that went and start apart from the few that remained can have quorum too"
            place = lab.place("clusters", name, "corosync", "last-man-standing")
            yield Problem(place, what, why, "add wait-for-all: true", "warning")


def expected_votes_are_those_of_the_nodes(lab: Lab) -> Iterator[Problem]:
    """The votes that a majority is taken of are those that there are."""
    for name, corosync, count in clusters(lab):
        expected = corosync.expected_votes
        if expected is None or expected == count:
            continue
        place = lab.place("clusters", name, "corosync", "expected-votes")
        what = f"{title('clusters', name)} expects {expected} votes of {count} nodes"
        if expected < count:
            why = f"two parts of it that start apart can each have the {expected // 2 + 1} needed"
            yield Problem(place, what, why, "remove expected-votes")
        else:
            why = f"quorum needs {expected // 2 + 1} of the {count} votes that there are"
            yield Problem(place, what, why, "remove expected-votes, or add nodes", "warning")


def qdevice_is_outside(lab: Lab) -> Iterator[Problem]:
    """A quorum device is a server of its own, on the VLAN where the nodes look for it."""
    for name, corosync, _ in clusters(lab):
        if (device := corosync.qdevice) is None:
            continue
        place = lab.place("clusters", name, "corosync", "qdevice", "host")
        members = lab.members(name)
        if device.host in members:
            what = f"the qdevice of cluster {name} is {device.host}, one of its nodes"
            why = "it would be lost together with the node, whose vote it is to replace"
            yield Problem(place, what, why, "name a server outside of the cluster")
        elif device.host not in lab.hosts:
            what = f"the qdevice of cluster {name} is {device.host}, which is no server"
            others = [host for host in lab.hosts if host not in members]
            yield Problem(place, what, fix=nearest(device.host, others))
        for host in (device.host, *members):
            known = lab.hosts.get(host)
            if (
                known is not None
                and device.vlan in lab.vlans
                and device.vlan not in known.addresses
            ):
                what = (
                    f"{host} has no address in {device.vlan}, where cluster {name} has its qdevice"
                )
                why = "without it the node never gets the device's vote"
                fix = f"add {device.vlan} to the addresses of {host}"
                yield Problem(
                    lab.place("clusters", name, "corosync", "qdevice", "vlan"), what, why, fix
                )


def ffsplit_has_even_nodes(lab: Lab) -> Iterator[Problem]:
    """An odd cluster gains nothing by a device, and needs it where it needed nothing."""
    for name, corosync, count in clusters(lab):
        device = corosync.qdevice
        if device is not None and device.algorithm is Algorithm.FFSPLIT and count % 2:
            what = f"cluster {name} has {count} nodes and a qdevice with ffsplit"
            why = "as many nodes may fail as without it, and now the device may fail as well"
            fix = "remove the qdevice, or make the number of nodes even"
            place = lab.place("clusters", name, "corosync", "qdevice")
            yield Problem(place, what, why, fix, "warning")


def clusters(lab: Lab) -> Iterator[tuple[str, Corosync, int]]:
    """Each cluster, its settings, and how many nodes it has."""
    for name, cluster in lab.clusters.items():
        yield name, cluster.corosync, len(lab.members(name))


RULES = (
    corosync_is_faster_than_the_watchdog,
    two_node_has_two_nodes,
    tie_breaker_of_odd_nodes_waits_for_all,
    last_man_standing_waits_for_all,
    expected_votes_are_those_of_the_nodes,
    qdevice_is_outside,
    ffsplit_has_even_nodes,
)
