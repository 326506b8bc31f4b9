"""What works on with less in reserve: bonds, paths, copies, votes, links, disks.

Asked by `simulate` whenever it may have changed in a run; what was so before the run began is left
out there. Leaves out what has no reserve by design (a single port), and boxes that do not run at
all: that is no loss of reserve but the fault itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.facts import Facts
from simulator.membership.knet import memberships, names, ring
from simulator.membership.quorum import rules_of
from simulator.model import BROKEN
from simulator.storage.availability import osd_works, path_works, portals_of

RESERVES = (*BROKEN, "stopped", "views", "ballots", "ceph", "osds", "arrays", "linux")
"""What of a state decides what is reduced."""


def reduced(facts: Facts) -> dict[str, str]:
    """What runs on reduced redundancy, with how much is left, by vertex name: `bond pve1/bond1`."""
    bonds = facts.reach.once(("reserves", "bonds"), lambda: tuple(_bonds(facts)))
    raids = facts.reach.once(("reserves", "raids"), lambda: tuple(_raids(facts)))
    asked = (*_paths(facts), *_pools(facts), *_votes(facts), *_links(facts))
    return dict((*bonds, *asked, *raids))


def _bonds(facts: Facts) -> Iterator[tuple[str, str]]:
    for uplink in facts.model.wiring.uplinks.values():
        if uplink.bond is None or not facts.works(uplink.device):
            continue
        alive = sum(not leg.mask & facts.broken.dead for leg in uplink.legs)
        if alive < len(uplink.legs):
            yield f"bond {uplink.name}", f"{alive} of {len(uplink.legs)} legs"


def _paths(facts: Facts) -> Iterator[tuple[str, str]]:
    """iSCSI paths of each node to each array, of those that its clusters' LUNs use."""
    for (cluster, _), lun in facts.model.luns.items():
        for node in facts.model.nodes[cluster]:
            if not facts.host_on(node) or not (portals := portals_of(facts, lun, node)):
                continue
            alive = sum(path_works(facts, node, lun.nas, portal) for portal in portals)
            if alive < len(portals):
                yield f"multipath {node}/{lun.nas}", f"{alive} of {len(portals)} paths"


def _pools(facts: Facts) -> Iterator[tuple[str, str]]:
    for name, ceph in facts.model.lab.ceph.items():
        dead = [osd for osd in ceph.osds if not osd_works(facts, name, osd)]
        if dead:
            osds = ", ".join(f"osd.{osd}" for osd in dead)
            for pool in facts.state.ceph[name].pools:
                yield f"pool {name}/{pool}", f"degraded: copies on {osds} are missing"


def _votes(facts: Facts) -> Iterator[tuple[str, str]]:
    """Clusters that would lose quorum with the next node, or whose quorum device is missing."""
    for cluster, nodes in facts.model.nodes.items():
        rules = rules_of(facts.model, cluster)
        running = facts.quorate(cluster)
        for node in sorted(running)[:1]:
            ballot, members = facts.state.ballots[node], running & facts.view(node).members
            votes = rules.votes(len(members), ballot)
            if votes == ballot.needed < ballot.expected and len(members) < len(nodes):
                what = f"{votes} of {ballot.expected} votes, quorum needs {ballot.needed}"
                yield f"cluster {cluster}", what
            if rules.device_votes and not ballot.device:
                yield f"qdevice of cluster {cluster}", "it does not vote"


def _links(facts: Facts) -> Iterator[tuple[str, str]]:
    """Links of a cluster that do not join all nodes, where another one does."""
    for cluster in facts.model.nodes:
        links = facts.model.lab.clusters[cluster].corosync.links
        if len(memberships(facts, cluster)) == 1 < len(links):
            for number, vlan in enumerate(links):
                if len(groups := ring(facts, cluster, number)) > 1:
                    apart = " | ".join(names(group) for group in groups)
                    yield f"link {number} of cluster {cluster}", f"{vlan} is split: {apart}"


def _raids(facts: Facts) -> Iterator[tuple[str, str]]:
    """Volumes of servers and arrays that serve with a disk missing."""
    lab = facts.model.lab
    volumes = {
        **{
            (host, name): raid for host in lab.hosts for name, raid in lab.hosts[host].raids.items()
        },
        **{(nas, name): pool for nas in lab.nas for name, pool in lab.nas[nas].pools.items()},
    }
    for (host, name), raid in volumes.items():
        if len(raid.disks) < 2 or not facts.host_on(host):
            continue
        dead = [disk for disk in raid.disks if not facts.works(f"disk {host}/{disk}")]
        if dead and raid.survives(frozenset(dead)):
            yield f"raid {host}/{name}", f"{', '.join(dead)} of {len(raid.disks)} disks missing"
