"""Ceph stands on disks that exist and hosts enough for its copies.

Source: the Ceph documentation, pools, CRUSH.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.errors import Problem
from lab.kinds.ceph import Domain
from lab.kinds.host import Host, RaidLevel
from lab.lab import Lab, title
from lab.names import nearest


def osds_have_a_disk_each(lab: Lab) -> Iterator[Problem]:
    """An OSD has a disk, or a single-disk volume, of its node for itself."""
    used: dict[tuple[str, str], str] = {}
    for name, ceph in lab.ceph.items():
        for key, osd in ceph.osds.items():
            node = lab.nodes.get(osd.node)
            if node is None:
                continue
            place, who = lab.place("ceph", name, "osds", key, "disk"), f"osd {key} of ceph {name}"
            disk, problem = _disk(node, osd.disk)
            if problem is not None:
                what, fix = problem
                yield Problem(place, f"{who} is on {osd.node}/{osd.disk}, {what}", "", fix)
            elif (other := used.setdefault((osd.node, disk), who)) != who:
                what = f"{osd.node}/{osd.disk} belongs to {other} and to {who}"
                yield Problem(place, what, "an OSD needs a disk of its own", "use another disk")


def _disk(node: Host, name: str) -> tuple[str, tuple[str, str] | None]:
    """The physical disk behind a disk or volume, or what is wrong with it: (what, fix)."""
    raid = node.raids.get(name)
    disk = raid.disks[0] if raid is not None and len(raid.disks) == 1 else name
    volumes = {key: each for key, each in node.raids.items() if disk in each.disks or key == name}
    for key, each in volumes.items():
        if each.level is not RaidLevel.SINGLE:
            return disk, (f"part of the {each.level} {key}", "use a disk outside of it")
    if disk not in node.disks:
        return disk, ("which is no disk there", nearest(name, [*node.disks, *node.raids]))
    return disk, None


def copies_find_a_place(lab: Lab) -> Iterator[Problem]:
    """There are as many hosts (or OSDs) with OSDs as a pool has copies."""
    for name, ceph in lab.ceph.items():
        for key, pool in ceph.pools.items():
            rule, osds = ceph.rule_of(pool), ceph.osds_of(pool)
            hosts = {ceph.osds[osd].node for osd in osds}
            have = len(hosts if rule.domain is Domain.HOST else osds)
            if have < pool.size:
                of_class = f" of class {rule.device_class}" if rule.device_class else ""
                places = f"{have} {rule.domain}s{of_class}"
                what = f"pool {key} of ceph {name} keeps {pool.size} copies on {places}"
                why = "its placement groups never become clean"
                more = f"write device-class: {rule.device_class} at" if of_class else "add"
                fix = f"{more} OSDs on more hosts" + (f", or write size: {have}" if have else "")
                yield Problem(lab.place("ceph", name, "pools", key, "size"), what, why, fix)


def monitors_have_a_majority(lab: Lab) -> Iterator[Problem]:
    """Monitors are there, differ, and are odd in number."""
    for name, ceph in lab.ceph.items():
        place, count = lab.place("ceph", name, "mons"), len(set(ceph.mons))
        if count < len(ceph.mons) or not count:
            what = f"{title('ceph', name)} names {len(ceph.mons)} monitors on {count} nodes"
            yield Problem(place, what, "a node runs one monitor", "name each node once")
        elif count % 2 == 0:
            what = f"{title('ceph', name)} has {count} monitors"
            why = f"{count} survive the loss of no more monitors than {count - 1} do"
            yield Problem(place, what, why, "use an odd number", "warning")


def nodes_are_on_the_public_network(lab: Lab) -> Iterator[Problem]:
    """Every node with a monitor or an OSD has an address in Ceph's public VLAN."""
    for name, ceph in lab.ceph.items():
        for node in sorted({*ceph.mons, *(osd.node for osd in ceph.osds.values())}):
            known = lab.nodes.get(node)
            public = known.addresses if known is not None else {ceph.public: None}
            if ceph.public in lab.vlans and ceph.public not in public:
                what = f"{node} serves {title('ceph', name)}, but has no address in {ceph.public}"
                fix = f"add {ceph.public} to the addresses of {node}"
                why = "its monitor and OSDs can't be reached"
                yield Problem(lab.place("nodes", node), what, why, fix)


RULES = (
    osds_have_a_disk_each,
    copies_find_a_place,
    monitors_have_a_majority,
    nodes_are_on_the_public_network,
)
