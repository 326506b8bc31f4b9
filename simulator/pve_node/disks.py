"""A node's disks, and what they are used for. Source: PVE::API2::Disks; PVE::Diskmanage get_disks.

What the kernel has is the Linux host's of the same name (`simulator.linux`); a node without one has
its declared disks, with the system on the first. Vendors, models and serials are not declared, so
they are `unknown`, as of a disk that does not tell. Leaves out: SMART's attributes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from simulator.pve.call import Call, Environment
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, died
from simulator.storage.disks import LVM, ZFS, Signature

if TYPE_CHECKING:
    from simulator.linux.blocks import Device
    from simulator.linux.host import LinuxHost

routes = Routes()
index(routes, "/nodes/{node}/disks", "directory initgpt list lvm lvmthin smart wipedisk zfs")
NODE = "node pve-node\n"
AUDIT = "/ Sys.Audit"
_DISK = NODE + r"disk /\/dev\/[a-zA-Z0-9\/]+/" "\n"
_SYSTEM = "BIOS boot"  # the first partition that the Proxmox VE installer makes


def host_of(scene: Environment) -> LinuxHost:
    """The Linux host that a node is; where the twin has none, one that holds only what this API
    made there.
    """
    from simulator.linux.host import LinuxHost  # here, for it asks the API what guests hold
    from simulator.linux.state import HostState, Mount

    device = scene.twin.devices.get(f"linux/{scene.node}")
    if isinstance(device, LinuxHost):
        return device
    if (known := scene.api.hosts.get(scene.node)) is None:
        state = HostState(mounts={"/": Mount("", "/", "", "")})
        known = scene.api.hosts[scene.node] = LinuxHost(scene.node, state)
    return known


@dataclass(frozen=True)
class Disks:
    """The disks of the scene's node, now."""

    scene: Environment

    @cached_property
    def known(self) -> Mapping[str, Device]:
        """Disks and partitions by path. LUNs are left away, as the real list does."""
        from simulator.linux import blocks

        found = blocks.without_volumes(host_of(self.scene), self.scene.twin).values()
        return {d.path: d for d in found if d.type in ("disk", "part") and d.lun is None}

    @cached_property
    def osds(self) -> Mapping[str, int]:
        """Path of each disk that an OSD is on -> its number."""
        model, found = self.scene.twin.model, dict[str, int]()
        for ceph in model.lab.ceph.values():
            for osd, declared in ceph.osds.items():
                if declared.node == self.scene.node:
                    disk = model.volume(declared.node, declared.disk).raid.disks[0]
                    found[f"/dev/{disk}"] = int(osd)
        return found

    @cached_property
    def mounted(self) -> frozenset[str]:
        """What mounted file systems are on."""
        mounts = host_of(self.scene).state.mounts.values()
        return frozenset(mount.volume for mount in mounts if mount.volume)

    def parts(self, disk: Device) -> list[Device]:
        """The partitions of a disk."""
        return [part for part in self.known.values() if disk.name in part.below]

    def signature(self, device: Device) -> Signature | None:
        """What a device begins with."""
        return self.scene.twin.state.carried.get(device.volume)

    def system(self, disk: Device) -> bool:
        """Whether a disk has the system of a node of which the twin has no Linux host."""
        told = f"linux/{self.scene.node}" in self.scene.twin.devices
        return not told and disk is next(iter(self.known.values()))

    def use(self, device: Device) -> str:
        """What a disk or partition is used for by itself; "" for nothing."""
        carried = self.signature(device)
        part = host_of(self.scene).state.partitions.get(device.name)
        if part is not None and part.type:
            return part.type
        if carried is not None and carried.type == ZFS:
            return "ZFS"
        if device.path in self.osds or (carried is not None and carried.type == LVM):
            return "LVM"
        if carried is not None and carried.type == "vfat" and device.type == "part":
            return "EFI"
        return carried.type if carried is not None and carried.type != "gpt" else ""

    def used(self, disk: Device) -> str:
        """What a disk is used for, its first used partition counting where itself is not."""
        own = _SYSTEM if self.system(disk) else self.use(disk)
        parts = self.parts(disk)
        below = next(filter(None, map(self.use, parts)), "partitions" if parts else "")
        return own or below

    def holder(self, disk: Device) -> str:
        """Why nothing may be written over a disk; "" if it may be."""
        for each in (disk, *self.parts(disk)):
            carried = self.signature(each)
            if each.volume in self.mounted or self.system(each):
                return f"disk/partition '{each.path}' is mounted"
            group = self.scene.twin.state.volume_groups.get(carried.group) if carried else None
            if each.path in self.osds or (group is not None and group.volumes):
                return f"disk/partition '{each.path}' has a holder"
        return ""

    def find(self, path: str) -> Device:
        """A device by its path. Raises if there is none."""
        if (device := self.known.get(path)) is None:
            raise died("not a valid block device")
        return device

    def health(self, disk: Device) -> str:
        """A disk that failed is gone from the list; through a RAID controller nothing is seen."""
        raids = self.scene.world.host(self.scene.node).raids.values()
        return "UNKNOWN" if any(disk.name in raid.disks for raid in raids) else "PASSED"

    def row(self, device: Device, used: str) -> dict[str, object]:
        """What is told of disks and partitions alike."""
        carried, osd = self.signature(device), self.osds.get(device.path, -1)
        gpt = used == _SYSTEM or (carried is not None and carried.type == "gpt")
        row: dict[str, object] = {
            "devpath": device.path,
            "size": device.size_bytes,
            "gpt": int(gpt),
            "mounted": int(device.volume in self.mounted),
            "osdid": osd,
            "osdid-list": [osd] if osd >= 0 else [],
        }
        row |= {"bluestore": 1, "osdencrypted": 0} if osd >= 0 else {}
        return row | ({"used": used} if used else {})


@routes.add(
    "GET /nodes/{node}/disks/list",
    "/ Sys.Audit, /nodes/{node} Sys.Audit",
    NODE + "include-partitions? boolean\nskipsmart? boolean\ntype? enum(unused,journal_disks)",
)
def disks(call: Call) -> object:
    """The node's disks, and their partitions where those are asked for."""
    here, rows = Disks(call), list[dict[str, object]]()
    for disk in here.known.values():
        parts = here.parts(disk) if call.flag("include-partitions") else []
        used = "partitions" if parts else here.used(disk)
        if disk.type == "part" or not _fits(call.text("type"), used, here.osds.get(disk.path, -1)):
            continue
        unknown = dict.fromkeys(("vendor", "model", "serial", "wwn", "type"), "unknown")
        health = "UNKNOWN" if call.flag("skipsmart") else here.health(disk)
        told = {**unknown, "rpm": -1, "health": health, "wearout": "N/A"}
        rows.append({**told, **here.row(disk, used)})
        for part in parts:
            more = {"parent": disk.path, "type": "partition", "gpt": 1}
            rows.append({**here.row(part, here.use(part)), **more})
    return rows


def _fits(kind: str, used: str, osd: int) -> bool:
    """Whether a disk is such as was asked for: one that may take OSDs' journals, or an unused."""
    if kind == "journal_disks":
        return osd < 0 and used in ("", "LVM", "partitions")
    return kind != "unused" or not used


@routes.add("GET /nodes/{node}/disks/smart", AUDIT, _DISK + "healthonly? boolean")
def smart(call: Call) -> object:
    """Whether a disk thinks that it is well."""
    here = Disks(call)
    return {"health": here.health(here.find(call.text("disk")))}


@routes.add(
    "POST /nodes/{node}/disks/initgpt",
    "/ Sys.Modify",
    _DISK + "uuid? /[a-fA-F0-9\\-]+/ ..36",
)
def init_gpt(call: Call) -> object:
    """Give an unused disk an empty partition table: a task."""
    here = Disks(call)
    disk = here.find(call.text("disk"))
    if disk.type == "part":
        raise died(f"{disk.path} is a partition")
    if here.used(disk):
        raise died(f"disk {disk.path} already in use")
    work = {"disk": disk.path, "uuid": call.text("uuid")}
    return start_task(call, "diskinit", disk.name, work)


def _finish_init(worker: Worker) -> None:
    here = Disks(worker)
    disk = here.find(worker.text("disk"))
    if here.used(disk):
        raise TaskError(f"disk {disk.path} already in use")
    made = str(uuid.UUID(int=worker.chance.getrandbits(128), version=4))
    table = Signature("gpt", worker.text("uuid") or made)
    worker.twin.state.carried[disk.volume] = table


FINISH["diskinit"] = _finish_init


@routes.add("PUT /nodes/{node}/disks/wipedisk", "root", _DISK)
def wipe(call: Call) -> object:
    """Remove what a disk begins with, unless something stands on it: a task."""
    here = Disks(call)
    disk = here.find(call.text("disk"))
    if held := here.holder(disk):
        raise died(held)
    return start_task(call, "wipedisk", disk.name, {"disk": disk.path})


def _finish_wipe(worker: Worker) -> None:
    here = Disks(worker)
    disk = here.find(worker.text("disk"))
    if held := here.holder(disk):
        raise TaskError(held)
    clear(worker, disk)


def clear(worker: Worker, device: Device) -> None:
    """Remove what a device begins with, and the partitions of a disk. Raises TaskError where a pool
    of ZFS is on it.
    """
    here, state = Disks(worker), worker.twin.state
    all_ = (device, *here.parts(device))
    signatures = [known for each in all_ if (known := here.signature(each)) is not None]
    worker.say(f"wiping block device {device.path}")
    if any(known.group in state.zpools for known in signatures):
        paths = " ".join(each.path for each in all_[::-1])
        raise TaskError(f"command '/sbin/wipefs --all {paths}' failed: exit code 1")
    for each in all_:
        state.carried.pop(each.volume, None)
        if each is not device:
            del host_of(worker).state.partitions[each.name]


FINISH["wipedisk"] = _finish_wipe
