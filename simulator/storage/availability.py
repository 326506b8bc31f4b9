"""Whether a storage serves on a node: what each type rests on, asked of one instant.

The timed parts (`ceph`, `iscsi`) keep what takes time, such as an OSD that is dead and still
taken for alive; here that is put together to one answer for `Facts`. Sources: the Proxmox VE
administration guide, storage.

Limits. Ceph: the worst placement group counts: each failure domain with a dead OSD is taken to hold
a copy of it. Where each group lies follows from ids that a cluster gave to its buckets as it grew,
which a declaration does not know; with a hundred groups there is such a one mostly. Data is never
taken as recovered onto other OSDs, so two faults one after the other in different domains always
add up. Peering after a change is taken to touch every pool. iSCSI: round robin over all paths, so a
path that is dead and not yet failed stalls every guest on the LUN; when all are gone I/O queues
until one is back (`no_path_retry queue`). NFS: hard mounts, I/O waits while the server does not
answer; without an export path in the storage's definition any share of that address will do.
"""

from __future__ import annotations

from collections.abc import Set
from ipaddress import IPv4Address, ip_network
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from lab.kinds.storage import Local
from simulator.model import BROKEN, Export, Lun
from simulator.network.reach import Broken
from simulator.storage.disks import VolumeGroup, Zpool
from simulator.workload import CephPoolSpec, StorageSpec

if TYPE_CHECKING:
    from simulator.facts import Facts
    from simulator.state import State


class Trouble(NamedTuple):
    """Why something does not serve. `passes`: it ends by itself once a death has been noticed."""

    text: str
    passes: bool = False


FINE = Trouble("")
STORAGES = (
    *BROKEN, "workloads", "ceph", "osds", "pools", "arrays", "linux", "stale", "paths",
    "volume_groups", "zpools", "mounted", "removed",
)  # fmt: skip
"""What of a state decides whether a storage serves; a pool that is peering says so in `pools`."""
PAUSE = frozenset({"pause", "pauserd", "pausewr"})
"""Flags that stop client I/O."""


def trouble(facts: Facts, cluster: str, spec: StorageSpec, node: str) -> Trouble:
    """Why a storage does not serve on a running node."""
    match spec.type:
        case "rbd":
            return _rbd(facts, cluster, spec, node)
        case "lvm":
            return _lvm(facts, cluster, spec, node)
        case "nfs":
            return _nfs(facts, spec, node)
    return _local(facts, spec, node)


def _local(facts: Facts, spec: StorageSpec, node: str) -> Trouble:
    """Where nobody says on which disks, it is on the system's, without which no node runs."""
    if problem := owned_problem(facts, node, spec):
        return Trouble(problem)
    declared = facts.model.lab.storages.get(spec.name)
    raid = declared.raid if isinstance(declared, Local) else None
    if raid is None or facts.model.volume(node, raid).survives(facts.broken):
        return FINE
    return Trouble(f"{node} has lost the disks of storage {spec.name}")


def owned(
    state: State, node: str, kind: str, backing: str
) -> VolumeGroup | Zpool | tuple[str, int] | None:
    """What a node made of its own disks for a storage: a volume group, a pool, or the file system
    that a folder is on, as its volume and size. None: nothing of that name.
    """
    if kind in ("lvm", "lvmthin"):
        groups = state.volume_groups.values()
        return next((g for g in groups if g.name == backing and _all_on(node, g.members)), None)
    if kind == "zfspool":
        pools, name = state.zpools.values(), backing.partition("/")[0]
        return next((p for p in pools if p.name == name and _all_on(node, p.members)), None)
    if kind != "dir":
        return None
    parts = PurePosixPath(backing)
    places = (f"{node}:{folder}" for folder in (parts, *parts.parents))
    return next((state.mounted[place] for place in places if place in state.mounted), None)


def _all_on(node: str, members: tuple[tuple[str, int], ...]) -> bool:
    return all(volume.startswith(f"{node}/") for volume, _ in members)


def removal(node: str, kind: str, backing: str) -> str:
    """The key among what was removed of what a storage was on."""
    return f"{node} {kind} {backing.partition('/')[0] if kind == 'zfspool' else backing}"


def owned_problem(facts: Facts, node: str, spec: StorageSpec) -> str:
    """Why what a node made of its disks for a storage is not there; "" if it is, or never was."""
    made = owned(facts.state, node, spec.type, spec.backing)
    gone = removal(node, spec.type, spec.backing) in facts.state.removed
    if gone and (made is None or spec.type == "lvmthin"):  # a group may outlive its thin pool
        return f"{node} has removed what storage {spec.name} was on"
    match made:
        case VolumeGroup() as group:
            works = all(shows(facts, volume) for volume, _ in group.members)
        case Zpool() as pool:
            works = pool.survives(frozenset(v for v, _ in pool.members if not shows(facts, v)))
        case (volume, _):
            works = shows(facts, volume)
        case None:
            works = True
    return "" if works else f"{node} has lost the disks of storage {spec.name}"


def shows(facts: Facts, volume: str) -> bool:
    """Whether the disk works that a volume is on, such as `pve1/sdb1`."""
    host, _, device = volume.partition("/")
    known = facts.model.hosts[host]
    disk = max((d for d in known.disks if device.startswith(d)), key=len, default="")
    joined = next((name for name, raid in known.raids.items() if disk in raid.disks), disk)
    return not disk or facts.model.volume(host, joined).survives(facts.broken)


def _rbd(facts: Facts, cluster: str, spec: StorageSpec, node: str) -> Trouble:
    name = ceph_of_pool(facts, cluster, spec.backing)
    if name is None:
        return Trouble(f"cluster {cluster} has no Ceph pool {spec.backing}")
    ceph = facts.model.lab.ceph[name]

    def cut_off() -> tuple[str, ...]:
        osds = ceph.osds.items()
        return tuple(osd for osd, it in osds if not facts.talks(node, it.node, ceph.public))

    for osd in facts.reach.once((node, f"osds {name}"), cut_off):
        if osd_works(facts, name, osd):
            where = f"osd.{osd} on {ceph.osds[osd].node} in VLAN {ceph.public}"
            return Trouble(f"{node} does not reach {where}")
    return facts.pool_trouble(name, spec.backing)


def ceph_of_pool(facts: Facts, cluster: str, pool: str) -> str | None:
    """The Ceph cluster of a Proxmox VE cluster that has a pool now."""
    names = (name for name, ceph in facts.model.lab.ceph.items() if ceph.cluster == cluster)
    return next((name for name in names if pool in facts.state.ceph[name].pools), None)


def pool_trouble(facts: Facts, name: str, pool: str) -> Trouble:
    """Why a pool of a Ceph cluster does not serve: too few copies, or dead OSDs not noticed yet."""
    spec = facts.state.ceph[name].pools[pool]
    if PAUSE & facts.state.ceph[name].flags:
        return Trouble(f"pool {pool}: the flag pause is set")
    up = {osd for osd in spec.osds if facts.state.osds[f"{name}/{osd}"].up}
    working = {osd for osd in spec.osds if osd_works(facts, name, osd)}
    heals = bool(quorum_able(facts, name))  # only then does the map follow what is so
    if (alive := _copies(facts, name, spec, up & working)) < spec.min_size:
        able = osds_able(facts, name)
        text = f"pool {pool}: {alive} of {spec.min_size} copies needed are alive"
        heals = heals and not {"noup", "nodown"} & facts.state.ceph[name].flags
        return Trouble(text, passes=heals and _copies(facts, name, spec, able) >= spec.min_size)
    if waiting := sorted(up - working, key=_number):
        names = ", ".join(f"osd.{osd}" for osd in waiting)
        heals = heals and "nodown" not in facts.state.ceph[name].flags
        return Trouble(f"pool {pool} waits for {names}: no answer, not marked down yet", heals)
    if ("ceph", "peering", name) in facts.state.timers:
        return Trouble(f"pool {pool} is peering", passes=True)
    return FINE


def _number(osd: str) -> tuple[int, str]:
    return (len(osd), osd)


def _copies(facts: Facts, name: str, pool: CephPoolSpec, osds: Set[str]) -> int:
    """Copies that the worst placed group has on `osds`: one less for each failure domain hurt."""
    known = facts.model.lab.ceph[name].osds
    domains = {osd: known[osd].node if pool.by_host else osd for osd in pool.osds}
    hurt = {domain for osd, domain in domains.items() if osd not in osds}
    return max(0, min(pool.size, len({*domains.values()})) - len(hurt))


def osd_works(facts: Facts, name: str, osd: str) -> bool:
    """Whether an OSD serves: its daemon has started, and nothing that it needs is broken."""
    return osd in osds_able(facts, name) and not facts.state.osds[f"{name}/{osd}"].died


def osds_able(facts: Facts, name: str) -> frozenset[str]:
    """The OSDs that can serve: disk and node work, and the node is not cut off from the others."""

    def able() -> frozenset[str]:
        here = together(facts, name)
        return frozenset(
            osd
            for osd, declared in facts.model.lab.ceph[name].osds.items()
            if declared.node in here
            and facts.works(f"osd {name}/{osd}")
            and facts.model.osds[f"{name}/{osd}"].survives(facts.broken)
        )

    return facts.reach.once(("osds", name), able)


def osd_killed(facts: Facts, name: str, osd: str) -> bool:
    """Whether what is broken ends the daemon of an OSD, and not only its silence."""
    key, node = f"{name}/{osd}", facts.model.lab.ceph[name].osds[osd].node
    hard = facts.broken.hard
    vertices = (f"osd {key}", facts.model.vertex[node])
    return any(hard & facts.model.bits[known] for known in vertices) or not facts.model.osds[
        key
    ].survives(Broken(hard=hard))


def quorum_able(facts: Facts, name: str) -> frozenset[str]:
    """The monitors that could form a quorum now; empty if too few reach each other."""
    mons = frozenset(facts.model.lab.ceph[name].mons)
    able = together(facts, name) & mons
    return able if len(able) >= len(mons) // 2 + 1 else frozenset()


def together(facts: Facts, name: str) -> frozenset[str]:
    """The running nodes of a Ceph cluster on the side of the network that goes on.

    That is the one with most monitors, then with most nodes; a network that partly splits is read
    as its largest fully connected group.
    """

    def biggest() -> frozenset[str]:
        ceph = facts.model.lab.ceph[name]
        nodes = sorted({*ceph.mons, *(osd.node for osd in ceph.osds.values())})
        groups = connected(facts, [node for node in nodes if facts.host_on(node)], ceph.public)
        mons = frozenset(ceph.mons)
        return max(groups, key=lambda group: (len(group & mons), len(group)), default=frozenset())

    return facts.reach.once(("ceph", name), biggest)


def connected(facts: Facts, nodes: list[str], *vlans: str) -> list[frozenset[str]]:
    """Nodes that all reach each other over one of the VLANs, as groups; the largest first.

    Where reaching is not transitive (one reaches two that do not reach each other) the group
    around the best connected node forms first, as votes do; real daemons may take longer to agree
    on it.
    """
    near = {
        node: {other for other in nodes if any(facts.talks(node, other, vlan) for vlan in vlans)}
        | {node}
        for node in nodes
    }
    groups: list[frozenset[str]] = []
    left = list(nodes)
    while left:
        seed = max(left, key=lambda node: (len(near[node] & set(left)), -left.index(node)))
        group = {seed}
        for node in left:
            if group <= near[node]:
                group.add(node)
        groups.append(frozenset(group))
        left = [node for node in left if node not in group]
    return sorted(groups, key=lambda group: (-len(group), sorted(group)))


def path_works(facts: Facts, node: str, nas: str, portal: str) -> bool:
    """Whether iSCSI gets through between a node and a portal of an array."""

    def gets_through() -> bool:
        vlan = facts.model.lab.nas[nas].portals[portal].vlan
        return facts.works(f"portal {nas}/{portal}") and facts.talks(node, nas, vlan)

    return facts.reach.once((node, f"{nas}/{portal}"), gets_through)


def logged_in(facts: Facts, node: str, nas: str, portal: str, volume: str) -> bool:
    """Whether a node has a session for a volume over a portal; if it does not tell, it has."""
    if (known := facts.state.linux.get(node)) is None:
        return True
    address = str(facts.model.lab.nas[nas].portals[portal].address)
    target = facts.state.arrays[nas].targets.get(volume, "").partition(" ")[0]
    return (nas, address, target) in known.logins


def portals_of(facts: Facts, lun: Lun, node: str) -> list[str]:
    """The portals over which a node is offered a LUN now, and has sessions."""
    offered = facts.model.offered(lun.nas, facts.state.arrays[lun.nas])
    return [
        portal
        for portal in facts.model.lab.nas[lun.nas].portals
        if lun.zvol in offered.get((node, portal), ())
        and logged_in(facts, node, lun.nas, portal, lun.zvol)
    ]


def lun_below(facts: Facts, cluster: str, name: str) -> Lun | None:
    """The LUN that a volume group is on: as the hosts have it, else as declared."""
    declared = facts.model.luns.get((cluster, name))
    nodes = facts.model.nodes[cluster]
    found = []
    for group in facts.state.volume_groups.values():
        for volume, _ in group.members if group.name == name else ():
            nas, _, zvol = volume.partition("@")[0].partition("/")
            if (array := facts.state.arrays.get(nas)) is None:
                continue  # a disk of a host
            if declared is not None and (declared.nas, declared.zvol) == (nas, zvol):
                return declared
            pool = facts.model.pool(nas, zvol.partition("/")[0])
            offered = facts.model.offered(nas, array)
            seen = any(node in nodes and zvol in luns for (node, _), luns in offered.items())
            if pool is not None and seen:
                found.append(Lun(nas, f"{nas} {zvol}", zvol, pool))
    return found[-1] if found else declared


def _lvm(facts: Facts, cluster: str, spec: StorageSpec, node: str) -> Trouble:
    lun = lun_below(facts, cluster, spec.backing)
    if lun is None and owned(facts.state, node, spec.type, spec.backing) is not None:
        return _local(facts, spec, node)
    if lun is None:
        return Trouble(f"no LUN of cluster {cluster} holds a volume group {spec.backing}")
    portals = portals_of(facts, lun, node)
    if asked := facts.state.stale.get(f"{node}/{lun.nas}/{lun.zvol}"):
        return Trouble(f"{lun.name}: {node} asks for {asked}, which {lun.nas} has no more")
    if not portals:
        known = facts.state.linux.get(node)
        if known is not None and not any(nas == lun.nas for nas, *_ in known.logins):
            return Trouble(f"{node} is not logged in to {lun.nas}")
        return Trouble(f"{lun.name} is not offered to {node}")
    if facts.host_on(lun.nas) and not lun.volume.survives(facts.broken):
        return Trouble(f"{lun.name}: {lun.nas} has lost too many of its disks")
    paths = facts.state.paths
    alive = {portal for portal in portals if path_works(facts, node, lun.nas, portal)}
    used = {port for port in portals if paths.get(f"{node}/{lun.nas}/{port}", False)}
    if not used:
        return Trouble(f"{lun.name}: {node} has lost every path", passes=bool(alive))
    if dead := used - alive:
        text = f"{lun.name} waits for path {', '.join(sorted(dead))}: no answer, not failed yet"
        return Trouble(text, passes=bool(alive))
    known = facts.state.linux.get(node)
    if known is not None and spec.backing not in known.groups:
        return Trouble(f"{node} has no volume group {spec.backing}")
    return FINE


def exports_at(facts: Facts, address: str) -> list[Export]:
    """The folders at an address: those that the server tells, else those that are declared."""
    declared = {export.path: export for export in facts.model.exports.get(address, ())}
    host, vlan = facts.model.servers.get(address, ("", ""))
    server = facts.state.arrays.get(host) or facts.state.linux.get(host)
    if server is None:
        return [*declared.values()]
    found = []
    for path in server.exports:
        if path in declared:
            found.append(declared[path])
        elif (volume := facts.model.folder(host, path)) is not None:
            found.append(Export(host, vlan, path, volume))
    return found


def _let_in(facts: Facts, export: Export, node: str) -> bool:
    """Whether a server gives a folder to a node; one that does not tell gives what is declared."""
    server = facts.state.arrays.get(export.host) or facts.state.linux.get(export.host)
    allowed = server.exports.get(export.path) if server is not None else None
    own = facts.model.lab.nodes[node].addresses.get(export.vlan)
    return not allowed or own is None or any(_within(own, known) for known in allowed)


def _within(address: IPv4Address, known: str) -> bool:
    """Whether a network or address of an export holds an address; host names are not resolved."""
    try:
        return address in ip_network(known, strict=False)
    except ValueError:
        return False


def _nfs(facts: Facts, spec: StorageSpec, node: str) -> Trouble:
    shares = [
        export
        for export in exports_at(facts, spec.backing)
        if spec.export in ("", export.path) and _let_in(facts, export, node)
    ]
    if not shares:
        return Trouble(f"nobody serves {spec.backing}:{spec.export}")
    share = shares[0]
    if not facts.talks(node, share.host, share.vlan):
        return Trouble(f"NFS server {share.host} does not answer {node}")
    if not any(found.volume.survives(facts.broken) for found in shares):
        return Trouble(f"NFS server {share.host} has lost its disk")
    return FINE
