"""A cluster as its API sees it in the twin: members, quorum, hardware, and where guests are.

The only module of this package that knows how the twin is built; the rest asks here. What a real
node would measure (load, disk use) and the twin does not simulate is a constant with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lab.kinds.node import Node
from simulator.pve.documents import Entry
from simulator.state import GuestPower, GuestState, HaState
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
        host = self.host(node)
        raid = host.raids.get("os")
        disk = host.disks.get(raid.disks[0]) if raid else None
        return disk.size if disk else SYSTEM_DISK_BYTES

    def storage_bytes(self, entry: Entry, node: str) -> int:
        """Usable size of a storage, by what backs it."""
        model, lab = self.twin.model, self.twin.model.lab
        match entry.get("type"):
            case "rbd" | "cephfs":
                pool = str(entry.get("pool", "rbd"))
                name = model.pools.get((self.cluster, pool))
                if name is not None:
                    ceph = lab.ceph[name]
                    raw = sum(
                        disk.size
                        for osd in ceph.osds.values()
                        for raid in [lab.nodes[osd.node].raids.get(osd.disk)]
                        for disk in [lab.nodes[osd.node].disks[raid.disks[0] if raid else osd.disk]]
                    )
                    return raw // ceph.pools[pool].size
            case "nfs":
                for export in model.exports.get(str(entry.get("server")), ()):
                    if export.path == entry.get("export"):
                        host = lab.hosts[export.host]
                        disks = [host.disks[disk].size for disk in export.volume.raid.disks]
                        return sum(disks) // (1 if len(disks) == 1 else 2)
            case "lvm" | "lvmthin":
                lun = model.luns.get((self.cluster, str(entry.get("vgname"))))
                if lun is not None:
                    host = lab.hosts[lun.nas]
                    return sum(host.disks[disk].size for disk in lun.volume.raid.disks) // 2
            case _:
                pass
        return self.disk_bytes(node)

    @property
    def ha(self) -> HaState:
        """What the HA manager knows; before its first round, nothing."""
        return self.twin.state.ha.get(self.cluster, HaState())

    def ha_state(self, sid: str) -> str:
        """The manager's word for a resource; "" if it has none yet."""
        return next((service.state for name, service in self.ha.services if name == sid), "")

    def ha_node_state(self, node: str) -> str:
        """The manager's word for a node; "" if it has none yet."""
        return next((state for name, state in self.ha.nodes if name == node), "")

    def problem(self, storage: str, node: str) -> str:
        """Why a storage does not serve a node; "" if it does."""
        return self.twin.facts.storage_problem(self.cluster, storage, node)
