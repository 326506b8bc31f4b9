"""What Proxmox VE asks before a cluster is made.

Source: the Proxmox VE administration guide, cluster manager and high availability. That all nodes
run one version is in the language: the cluster says it. Votes are in `quorum`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.errors import Problem
from lab.kinds.vlan import Role
from lab.lab import Lab, title
from lab.rules.quorum import clusters
from lab.rules.wiring import hosts

HOST_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")  # RFC 1123, 2.1
HA_VOTES = 3  # the Proxmox VE administration guide, high availability, requirements
HA_RULES_SINCE = 9  # the same, rules
BUSY = (Role.ISCSI, Role.CEPH, Role.NFS, Role.BACKUP)


def host_names_are_valid(lab: Lab) -> Iterator[Problem]:
    """Servers have names that can be host names."""
    for word, name, _host in hosts(lab):
        if not HOST_NAME.fullmatch(name):
            why = (
                "nodes find each other by name; letters, digits and hyphens are allowed (RFC 1123)"
            )
            what = f"{title(word, name)} is no valid host name"
            yield Problem(lab.place(word, name), what, why, "rename it")


def ha_has_three_votes(lab: Lab) -> Iterator[Problem]:
    """HA needs a majority that survives the loss of a node: of two, only with a quorum device."""
    under_ha: dict[str, str] = {}
    for name, guest in lab.guests.items():
        if guest.ha is not None:
            under_ha.setdefault(guest.cluster, name)
    for name, corosync, count in clusters(lab):
        if name not in under_ha or count >= HA_VOTES or (count == 2 and corosync.qdevice):
            continue
        guest_name = under_ha[name]
        what = f"{title('guests', guest_name)} is under HA, but cluster {name} has {count} of"
        what += f" the {HA_VOTES} nodes that HA needs"
        why = "with fewer nodes no majority is left when one is lost"
        fix = f"add nodes to cluster {name}, or remove ha"
        if count == 2:
            fix = f"add a node or a qdevice to cluster {name}, or remove ha"
        yield Problem(lab.place("guests", guest_name, "ha"), what, why, fix)


def ha_rules_have_a_release_that_knows_them(lab: Lab) -> Iterator[Problem]:
    """HA has rules since Proxmox VE 9; before that it had groups."""
    for name, rule in lab.ha_rules.items():
        cluster = lab.clusters.get(rule.cluster)
        if cluster is None or int(cluster.version.partition(".")[0]) >= HA_RULES_SINCE:
            continue
        what = f"{title('ha-rules', name)} is for cluster {rule.cluster}, which has version"
        what += f" {cluster.version} of Proxmox VE"
        why = f"HA has rules since {HA_RULES_SINCE}: it acts on the twin only, nothing manages it"
        fix = f"upgrade the cluster, or make a group by hand until version {HA_RULES_SINCE}"
        yield Problem(lab.place("ha-rules", name), what, why, fix, "warning")


def clocks_have_one_source(lab: Lab) -> Iterator[Problem]:
    """A cluster says where its nodes get the time."""
    for name, cluster in lab.clusters.items():
        if cluster.time_source is None and len(lab.members(name)) > 1:
            what = f"{title('clusters', name)} names no time source"
            why = (
                "nodes whose clocks differ refuse each other's tickets, and Ceph monitors fall out"
            )
            fix = "add time-source: with the name or address of an NTP server"
            yield Problem(lab.place("clusters", name), what, why, fix, "warning")


def nodes_are_on_every_link(lab: Lab) -> Iterator[Problem]:
    """Every node has an address on every corosync link."""
    for name, node in lab.nodes.items():
        cluster = lab.clusters.get(node.cluster)
        for vlan in cluster.corosync.links if cluster is not None else ():
            if vlan in lab.vlans and vlan not in node.addresses:
                what = f"{name} has no address in {vlan}, a corosync link of cluster {node.cluster}"
                why = "it can't join the cluster"
                fix = f"add {vlan} to the addresses of {name}"
                yield Problem(lab.place("nodes", name), what, why, fix)


def links_are_apart_from_storage(lab: Lab) -> Iterator[Problem]:
    """The first corosync link shares no VLAN with storage."""
    public = {ceph.public: name for name, ceph in lab.ceph.items()}
    for name, cluster in lab.clusters.items():
        links = cluster.corosync.links
        vlan = lab.vlans.get(links[0]) if links else None
        if vlan is not None and (vlan.role in BUSY or links[0] in public):
            what = f"the first corosync link of cluster {name} is {links[0]}, which carries storage"
            why = "corosync needs answers in milliseconds; a busy network costs nodes their quorum"
            fix = "put a VLAN of its own, or management, first"
            yield Problem(lab.place("clusters", name, "corosync", "links", "0"), what, why, fix)


RULES = (
    host_names_are_valid,
    ha_has_three_votes,
    ha_rules_have_a_release_that_knows_them,
    clocks_have_one_source,
    nodes_are_on_every_link,
    links_are_apart_from_storage,
)
