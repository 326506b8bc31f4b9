"""A cluster as its API sees it in the twin: members, quorum, hardware, and where guests are.

The only module of this package that knows how the twin is built; the rest asks here. What a real
node would measure (load, disk use) and the twin does not simulate is a constant with its reason.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from lab.kinds.node import Node
from simulator.cluster.documents import ManagerStatus
from simulator.model import Volume
from simulator.pve.documents import Entry
from simulator.state import GuestPower, GuestState
from simulator.storage.availability import (
    ceph_of_pool,
    exports_at,
    lun_below,
    osd_killed,
    owned,
)
from simulator.storage.disks import VolumeGroup, Zpool
from simulator.twin import Twin

SYSTEM_DISK_BYTES = 32 * 2**30  # assumed where the lab declares no system disk
SYSTEM_USED_BYTES = 4 * 2**30  # assumed: an installed Proxmox VE 9 with its packages


@dataclass(frozen=True)
class World:
    """One cluster, now."""

    twin: Twin
    cluster: str

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Members, sorted."""
        return self.twin.model.nodes[self.cluster]

    def host(self, node: str) -> Node:
        """A member as declared."""
        return self.twin.model.lab.nodes[node]

    def on(self, node: str) -> bool:
        """Whether a node runs."""
        return self.twin.facts.host_on(node)

    def quorate(self, node: str) -> bool:
        """Whether `node` may write to /etc/pve."""
        return self.on(node) and self.twin.facts.view(node).quorate

    def online(self, node: str, seen_from: str) -> bool:
        """Whether `node` is in the membership that `seen_from` sees."""
        return node == seen_from or node in self.twin.facts.view(seen_from).members

    def reaches(self, node: str, other: str) -> bool:
        """Whether a request passes from one node to another, over a management VLAN."""
        if node == other or not self.on(other):
            return node == other
        vlans = self.twin.model.management
        return not vlans or any(self.twin.facts.talks(node, other, vlan) for vlan in vlans)

    def address(self, node: str) -> str:
        """A node's management address; a loopback one if it has none."""
        addresses = self.host(node).addresses
        for vlan in self.twin.model.management:
            if vlan in addresses:
                return str(addresses[vlan])
        return f"127.0.0.{self.nodes.index(node) + 1}"

    @cached_property
    def ceph(self) -> str:
        """The Ceph cluster on the members; "" if there is none."""
        found = self.twin.model.lab.ceph
        return next((name for name, ceph in found.items() if ceph.cluster == self.cluster), "")

    @property
    def ceph_version(self) -> str:
        """What of Ceph is installed, where it is."""
        return self.twin.model.lab.ceph[self.ceph].version

    def holds_ceph(self, node: str) -> bool:
        """Whether a node has a monitor or an OSD, and so Ceph's programs."""
        if not self.ceph:
            return False
        return node in self.twin.model.lab.ceph[self.ceph].mons or bool(self.osds_on(node))

    def osds_on(self, node: str) -> list[str]:
        """The node's OSDs."""
        osds = self.twin.model.lab.ceph[self.ceph].osds
        return [osd for osd, declared in osds.items() if declared.node == node]

    def osd_runs(self, osd: int) -> bool:
        """Whether an OSD has a process, though it may be frozen."""
        return not osd_killed(self.twin.facts, self.ceph, str(osd))

    def reaches_monitors(self, node: str) -> bool:
        """Whether a node gets through to a monitor that is in the quorum."""
        public = self.twin.model.lab.ceph[self.ceph].public
        return any(
            mon == node or self.twin.facts.talks(node, mon, public)
            for mon in self.twin.state.mons[self.ceph]
        )

    def guest(self, vmid: int) -> GuestState | None:
        """Where a guest is and whether it runs."""
        return self.twin.state.guests.get((self.cluster, vmid))

    def running(self, vmid: int) -> bool:
        """Whether its virtual machine runs: the hypervisor knows nothing of a guest that still
        boots.
        """
        guest = self.guest(vmid)
        return guest is not None and guest.power is not GuestPower.STOPPED

    def disk_bytes(self, node: str) -> int:
        """Size of the system disk."""
        system = self.twin.model.systems.get(node)
        return SYSTEM_DISK_BYTES if system is None else self._volume_bytes(node, system)

    def storage_bytes(self, entry: Entry, node: str) -> int:
        """Usable size of a storage by what backs it; of the system disk where nothing else does."""
        backed = {"rbd": self._pool_bytes, "nfs": self._export_bytes, "lvm": self._lun_bytes}
        owned = self._owned_bytes(entry, node)
        size = (
            owned
            if owned is not None
            else backed.get(str(entry.get("type")), lambda _: None)(entry)
        )
        return self.disk_bytes(node) if size is None else size

    def _owned_bytes(self, entry: Entry, node: str) -> int | None:
        """Of what the node made of its own disks."""
        kind = str(entry.get("type"))
        backing = next((str(entry[key]) for key in ("vgname", "pool", "path") if key in entry), "")
        match owned(self.twin.state, node, kind, backing):
            case VolumeGroup() as group if kind == "lvmthin":
                thin = entry.get("thinpool")
                return next((v.size_bytes for v in group.volumes if v.name == thin), None)
            case VolumeGroup() as group:
                return group.size_bytes
            case Zpool() as pool:
                return pool.usable_bytes
            case (_, size_bytes):
                return size_bytes
        return None

    def on_system_disk(self, entry: Entry, node: str) -> bool:
        """Whether a folder is on the node's system disk."""
        return entry["type"] == "dir" and self._owned_bytes(entry, node) is None

    def _pool_bytes(self, entry: Entry) -> int | None:
        """Raw space of the Ceph cluster divided by the copies."""
        model, pool = self.twin.model, str(entry.get("pool", "rbd"))
        if (name := ceph_of_pool(self.twin.facts, self.cluster, pool)) is None:
            return None
        spec, osds = self.twin.state.ceph[name].pools[pool], model.lab.ceph[name].osds
        sizes = (
            self._volume_bytes(osds[osd].node, model.volume(osds[osd].node, osds[osd].disk))
            for osd in spec.osds
        )
        return sum(sizes) // spec.size

    def _export_bytes(self, entry: Entry) -> int | None:
        for export in exports_at(self.twin.facts, str(entry.get("server"))):
            if export.path == entry.get("export"):
                return self._volume_bytes(export.host, export.volume)
        return None

    def _lun_bytes(self, entry: Entry) -> int | None:
        """The whole array behind a LUN: zvols are thin."""
        lun = lun_below(self.twin.facts, self.cluster, str(entry.get("vgname")))
        return None if lun is None else self._volume_bytes(lun.nas, lun.volume)

    def _volume_bytes(self, host: str, volume: Volume) -> int:
        """What fits on the disks of a volume."""
        disks = self.twin.model.hosts[host].disks
        return volume.raid.usable({name: disks[name].size for name in volume.raid.disks})

    def ha_state(self, sid: str) -> str:
        """The manager's word for a resource; "" if it has none yet."""
        record = self._ha.services.get(sid)
        return record.state if record else ""

    def ha_node_state(self, node: str) -> str:
        """The manager's word for a node; "" if it has none yet."""
        return self._ha.nodes.get(node, "")

    @property
    def ha_nodes(self) -> Collection[str]:
        """The nodes that the HA manager has seen."""
        return self._ha.nodes

    @cached_property
    def _ha(self) -> ManagerStatus:
        """What the HA manager knows; before its first round, nothing."""
        stack = self.twin.state.ha.get(self.cluster)
        return stack.cluster.status if stack else ManagerStatus()

    def problem(self, storage: str, node: str) -> str:
        """Why a storage does not serve a node; "" if it does."""
        return self.twin.facts.storage_problem(self.cluster, storage, node)
