"""The lab as the physics needs it: the networkx graph, and what is compiled from it once.

Made from the physical half of a `Lab`; it holds nothing that changes in time (that is `State`),
so twins and their forks share one. Looking up is by name; what is broken is a `Broken`, three
integers over the vertices' bits.

Leaves out: what the clusters hold (guests, storage definitions, HA), which is the state's
`Workload`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from ipaddress import IPv4Address

import networkx as nx

from lab.faults import Fault, FaultKind
from lab.kinds.guest import Guest
from lab.kinds.host import Host, Raid, RaidLevel
from lab.kinds.storage import Lvm
from lab.kinds.vlan import Role
from lab.lab import Lab
from lab.references import nearest
from simulator.network.reach import Broken, Reach
from simulator.network.topology import hosts_by_kind, topology, vertex
from simulator.network.wiring import Wiring, wired
from simulator.state import Glimpse, GuestKey, HostPower, State
from simulator.workload import EVERYBODY, ArraySpec

Offers = Mapping[tuple[str, str], frozenset[str]]
"""(Node, portal) -> volumes that the node sees over the portal."""

BROKEN = ("faults", "hosts", "boxes", "left")
"""What `Model.broken` reads of a state, and all who ask only what is broken."""

# States of the world whose reachability is kept; a long sweep must not fill memory.
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Volume:
    """Disks of one host that hold something together."""

    disks: tuple[int, ...]  # their bits, in the order of the array
    raid: Raid

    def survives(self, broken: Broken) -> bool:
        """Whether the data is there."""
        dead = broken.dead
        if not any(bit & dead for bit in self.disks):
            return True
        lost = (name for name, bit in zip(self.raid.disks, self.disks, strict=True) if bit & dead)
        return self.raid.survives(frozenset(lost))


@dataclass(frozen=True, slots=True)
class Lun:
    """The LUN that a volume group is on, as declared. Who is offered it, the state says."""

    nas: str
    name: str  # "nas1 LUN 0"
    zvol: str  # "tank/group1"
    volume: Volume


@dataclass(frozen=True, slots=True)
class Export:
    """A folder served over NFS."""

    host: str
    vlan: str
    path: str
    volume: Volume


class Model:
    """One lab, compiled. `lab` is its declaration."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.graph: nx.Graph[str] = topology(lab)
        self.bits: Mapping[str, int] = {
            known: 1 << number for number, known in enumerate(self.graph)
        }
        self.wiring: Wiring = wired(self.graph, self.bits)
        self._reach: dict[Broken, Reach] = {}
        self._last: tuple[Glimpse, Reach] | None = None
        self._offered: dict[str, tuple[ArraySpec, Offers]] = {}
        self.hosts: Mapping[str, Host] = lab.hosts
        self.vertex: Mapping[str, str] = {
            name: vertex(kind, name) for kind, hosts in hosts_by_kind(lab).items() for name in hosts
        }
        """Vertex of every server: pve1 -> `node pve1`."""
        self.boxes: tuple[str, ...] = (
            *(vertex("switch", name) for name in lab.switches),
            *(vertex("router", name) for name in lab.routers),
        )
        """Vertices of switches and routers."""
        self.feeds: Mapping[str, tuple[str, ...]] = {
            box: tuple(near for near in self.graph[box] if near.startswith("feed "))
            for box in (*self.vertex.values(), *self.boxes)
        }
        """Vertex of every server, switch and router -> vertices of the feeds it hangs on."""
        self.nodes: Mapping[str, tuple[str, ...]] = {
            cluster: tuple(lab.members(cluster)) for cluster in lab.clusters
        }
        """Members of each cluster, sorted."""
        self.vlan_by_id: Mapping[int, str] = {vlan.id: name for name, vlan in lab.vlans.items()}
        self.management: tuple[str, ...] = tuple(
            name for name, vlan in lab.vlans.items() if vlan.role is Role.MANAGEMENT
        )
        self.guests: Mapping[GuestKey, str] = {
            (guest.cluster, guest.vmid): name for name, guest in lab.guests.items()
        }
        """Declared names of guests."""

    def elements(self, kind: FaultKind) -> list[str]:
        """Names of everything of a kind that can fail, in the order of the lab."""
        return [
            str(data["name"])
            for _, data in self.graph.nodes(data=True)
            if data["kind"] == kind.value
        ]

    def check(self, fault: Fault) -> None:
        """Raises ValueError, with the nearest name, if there is no such thing to fail."""
        if fault.subject not in self.bits:
            raise ValueError(
                f"{fault}: there is no {fault.kind} {fault.name}; "
                f"{nearest(fault.name, self.elements(fault.kind))}"
            )

    def declared(self, key: GuestKey) -> Guest | None:
        """What the lab says of a guest; None for one that only a cluster knows."""
        name = self.guests.get(key)
        return None if name is None else self.lab.guests[name]

    def broken(self, state: State) -> Broken:
        """What does not work in `state`: faults in force, boxes that are off or still starting."""
        hard = silent = 0
        for subject, fault in state.faults.items():
            if fault.silent:
                silent |= self.bits[subject]
            else:
                hard |= self.bits[subject]
        for host, power in state.hosts.items():
            if power is not HostPower.ON:
                hard |= self.bits[self.vertex[host]]
        for box, power in state.boxes.items():
            if power is not HostPower.ON:
                hard |= self.bits[box]
        left = 0
        for port in state.left:
            left |= self.bits[port]
        return Broken(hard, silent, left)

    def reach(self, state: State) -> Reach:
        """Who reaches whom in `state`; worked out once for each way of being broken.

        Most ask about what was broken when somebody asked last: then that is not summed up anew.
        """
        if self._last is not None and self._last[0].holds(state):
            return self._last[1]
        broken = self.broken(state)
        if (found := self._reach.get(broken)) is None:
            if len(self._reach) >= REMEMBERED:
                self._reach.clear()
            found = self._reach[broken] = Reach(self.wiring, broken)
        self._last = Glimpse(state, BROKEN), found
        return found

    def offered(self, nas: str, spec: ArraySpec) -> Offers:
        """What an array offers to the nodes of the lab; worked out once for each spec."""
        known = self._offered.get(nas)
        if known is None or known[0] is not spec:
            known = self._offered[nas] = (spec, _offers(self.lab, nas, spec))
        return known[1]

    def volume(self, host: str, disk: str) -> Volume:
        """The volume that `disk` names on a host: a disk, or a RAID of the host."""
        raid = self.hosts[host].raids.get(disk)
        return self._volume(host, raid or Raid(level=RaidLevel.SINGLE, disks=(disk,)))

    @cached_property
    def systems(self) -> Mapping[str, Volume]:
        """The volume that each host's operating system is on, where it is declared."""
        return {
            name: self._volume(name, host.raids["os"])
            for name, host in self.hosts.items()
            if "os" in host.raids
        }

    @cached_property
    def osds(self) -> Mapping[str, Volume]:
        """What each OSD is on, by `ceph/osd`."""
        return {
            f"{name}/{osd}": self.volume(declared.node, declared.disk)
            for name, ceph in self.lab.ceph.items()
            for osd, declared in ceph.osds.items()
        }

    @cached_property
    def luns(self) -> Mapping[tuple[str, str], Lun]:
        """(Proxmox VE cluster, volume group) -> the LUN it is on."""
        found: dict[tuple[str, str], Lun] = {}
        for storage in self.lab.storages.values():
            if not isinstance(storage, Lvm):
                continue
            nas = self.lab.nas[storage.nas]
            target = nas.targets[storage.target]
            zvol = target.luns[storage.lun]
            pool = nas.zvols[zvol].pool
            volume = self.pool(storage.nas, pool)
            assert volume is not None, "the language wants the pool declared"
            number = f"{storage.nas} LUN {storage.lun}"
            lun = Lun(storage.nas, number, f"{pool}/{zvol}", volume)
            found |= {(cluster, storage.vg): lun for cluster in storage.clusters}
        return found

    @cached_property
    def exports(self) -> Mapping[str, tuple[Export, ...]]:
        """Declared NFS exports by the address they are served from."""
        found: dict[str, tuple[Export, ...]] = {}

        def add(address: IPv4Address | None, export: Export) -> None:
            if address is not None:
                found[str(address)] = (*found.get(str(address), ()), export)

        for name, nas in self.lab.nas.items():
            for share in nas.shares.values():
                volume = self.pool(name, share.pool)
                assert volume is not None, "the language wants the pool declared"
                add(nas.addresses.get(share.vlan), Export(name, share.vlan, share.path, volume))
        for name, server in self.lab.backup_servers.items():
            for folder in server.exports.values():
                add(
                    server.addresses.get(folder.vlan),
                    Export(name, folder.vlan, folder.path, self.volume(name, server.disk)),
                )
        return found

    @cached_property
    def servers(self) -> Mapping[str, tuple[str, str]]:
        """Hosts that can serve NFS, with the VLAN of the address, by address."""
        hosts: Mapping[str, Host] = {**self.lab.nas, **self.lab.backup_servers}
        return {
            str(address): (name, vlan)
            for name, host in hosts.items()
            for vlan, address in host.addresses.items()
        }

    def folder(self, host: str, path: str) -> Volume | None:
        """The disks below a folder of an array or a backup server; None if it has no such pool."""
        if host in self.lab.backup_servers:
            return self.volume(host, self.lab.backup_servers[host].disk)
        return self.pool(host, path.removeprefix("/mnt/").partition("/")[0])

    def pool(self, nas: str, name: str) -> Volume | None:
        """The disks of a pool of an array."""
        pool = self.lab.nas[nas].pools.get(name)
        return None if pool is None else self._volume(nas, Raid(level=pool.level, disks=pool.disks))

    def _volume(self, host: str, raid: Raid) -> Volume:
        return Volume(tuple(self.bits[vertex("disk", host, disk)] for disk in raid.disks), raid)


def initiator_of(lab: Lab, node: str) -> str:
    """The iSCSI name of a node. One that is not declared is as Debian's open-iscsi makes it."""
    made = sha256(node.encode()).hexdigest()[:12]
    return lab.nodes[node].initiator or f"iqn.1993-08.org.debian:01:{made}"


def _offers(lab: Lab, nas: str, spec: ArraySpec) -> Offers:
    """What hosts see once they are logged in wherever they are let in.

    Only nodes that some target of the array is declared for log in; where everybody is let in, to
    the volumes of that target, and to those that the lab does not know.
    """
    declared = lab.nas[nas]
    meant: dict[str, set[str]] = {}
    for target in declared.targets.values():
        for zvol in target.luns.values():
            volume = f"{declared.zvols[zvol].pool}/{zvol}"
            meant.setdefault(volume, set()).update(target.initiators)
    clients = {node for target in declared.targets.values() for node in target.initiators}
    names = {node: initiator_of(lab, node) for node in lab.nodes if node in clients}
    found: dict[tuple[str, str], set[str]] = {
        (node, portal): set() for node in names for portal in declared.portals
    }
    for volume, seen in spec.luns.items():
        for node, portal in found:
            address = str(declared.portals[portal].address)
            everybody = (address, EVERYBODY) in seen and node in meant.get(volume, clients)
            if everybody or (address, names[node]) in seen:
                found[node, portal].add(volume)
    return {place: frozenset(volumes) for place, volumes in found.items() if volumes}
