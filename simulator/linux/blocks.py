"""The block devices of a host: its disks, LUNs by path, multipath maps, logical volumes.

Nothing here is kept: devices follow from the hardware, the sessions' disks, the maps and what
volumes carry. A disk in a RAID of the controller is seen as one volume under its first disk's name.
Sources: lsblk(8); udev's persistent storage rules. Leaves out: sysfs, and everything that reads or
writes a device's data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.kinds.host import Host, Raid, RaidLevel
from simulator.linux.state import File, Map, Mount, ScsiDisk
from simulator.pve.api import PveApi
from simulator.storage.disks import LVM, LogicalVolume, Signature, VolumeGroup, usable

if TYPE_CHECKING:
    from simulator.facts import Facts
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

UNDECLARED_BYTES = 32 * 2**30  # assumed: the system disk of a host that declares none
BACKED = frozenset({"xfs", "ext4", "vfat"})


@dataclass(frozen=True, slots=True)
class Device:
    """A block device. `below`: names of those it is made of; `volume`: what it shows."""

    name: str  # as the kernel has it: sdc, dm-2
    path: str  # as people write it: /dev/mapper/group1
    type: str  # disk, part, mpath, lvm
    size_bytes: int
    volume: str
    below: tuple[str, ...] = ()
    lun: ScsiDisk | None = None
    number: tuple[int, int] = (8, 0)

    @property
    def shown(self) -> str:
        """As lsblk names it."""
        return self.path.removeprefix("/dev/mapper/") if self.name.startswith("dm-") else self.name


def volume_size(declared: Host, raid: Raid) -> int:
    """What a RAID controller makes of some disks, in bytes."""
    return raid.usable({name: declared.disks[name].size for name in raid.disks})


def local_disks(declared: Host) -> Iterator[tuple[str, int]]:
    """Name and size of every disk that the operating system sees."""
    joined = {disk: raid for raid in declared.raids.values() for disk in raid.disks}
    if not declared.disks:
        yield "sda", UNDECLARED_BYTES
    for name, disk in declared.disks.items():
        raid = joined.get(name)
        if raid is None:
            yield name, disk.size
        elif raid.disks[0] == name:
            yield name, volume_size(declared, raid)


def devices(host: LinuxHost, twin: Twin) -> dict[str, Device]:
    """Every device by the kernel's name."""
    found = without_volumes(host, twin)
    for group in groups(host, twin, found):
        active = [device.name for device in group_devices(twin, group, found)]
        for volume in logical_volumes(host, twin, group):
            name = f"dm-{len(found) + 32}"
            path = f"/dev/mapper/{dashed(group.name)}-{dashed(volume.name)}"
            key = f"{group.uuid}/{volume.name}"
            number = (252, len(found) + 32)
            found[name] = Device(
                name, path, "lvm", volume.size_bytes, key, tuple(active), number=number
            )
    return found


def without_volumes(host: LinuxHost, twin: Twin) -> dict[str, Device]:
    """The devices that volume groups are on: disks, partitions, LUNs and maps."""
    found = {device.name: device for device in _disks(host, twin)}
    for name, lun in host.state.disks.items():
        number = (8, 16 * (len(found) + 1))
        found[name] = Device(
            name, f"/dev/{name}", "disk", lun.size_bytes, lun.volume, lun=lun, number=number
        )
    for wwid, known in host.state.maps.items():
        device = _map(host, wwid, known)
        if device is not None:
            found[device.name] = device
    return found


def _disks(host: LinuxHost, twin: Twin) -> Iterator[Device]:
    """The host's own disks, each with its partitions."""
    facts = twin.facts
    alive = facts.reach.once(("disks", host.host), lambda: tuple(_alive(host.host, facts)))
    for disk in alive:
        yield disk
        for place, (part, known) in enumerate(host.state.partitions.items(), 1):
            if known.disk == disk.name:
                yield Device(
                    part,
                    f"/dev/{part}",
                    "part",
                    known.size_bytes,
                    f"{host.host}/{part}",
                    (disk.name,),
                    number=(8, disk.number[1] + place),
                )


def _alive(host: str, facts: Facts) -> Iterator[Device]:
    """The disks that answer, which follows from what is broken."""
    declared = facts.model.hosts[host]
    joined = {disk: raid for raid in declared.raids.values() for disk in raid.disks}
    for number, (name, size_bytes) in enumerate(local_disks(declared)):
        raid = joined.get(name, Raid(level=RaidLevel.SINGLE, disks=(name,)))
        lost = {
            disk
            for disk in raid.disks
            if disk in declared.disks and not facts.works(f"disk {host}/{disk}")
        }
        if raid.survives(frozenset(lost)):
            path, volume = f"/dev/{name}", f"{host}/{name}"
            yield Device(name, path, "disk", size_bytes, volume, number=(8, 16 * number))


def _map(host: LinuxHost, wwid: str, known: Map) -> Device | None:
    below = tuple(name for name, disk in host.state.disks.items() if disk.wwid == wwid)
    if not below:
        return None
    volume = host.state.disks[below[0]].volume
    return Device(
        f"dm-{known.minor}",
        f"/dev/mapper/{known.name}",
        "mpath",
        known.size_bytes,
        volume,
        below,
        number=(252, known.minor),
    )


def find(host: LinuxHost, twin: Twin, path: str) -> Device | None:
    """The device that a path names, links below /dev/disk followed."""
    known = devices(host, twin)
    real = host.files(twin).real(path) if path.startswith("/dev/") else path
    return next((d for d in known.values() if real in (d.path, f"/dev/{d.name}")), None)


def tops(known: Mapping[str, Device]) -> dict[str, Device]:
    """The device to use for each volume: the map above paths, not a path below it."""
    covered = {name for device in known.values() if device.type == "mpath" for name in device.below}
    return {d.volume: d for d in reversed([*known.values()]) if d.name not in covered}


def signature(twin: Twin, device: Device) -> Signature | None:
    """What a device begins with."""
    return twin.state.carried.get(device.volume)


def groups(host: LinuxHost, twin: Twin, known: Mapping[str, Device]) -> list[VolumeGroup]:
    """Volume groups of which the host sees a physical volume, by name."""
    uuids = {
        found.group
        for device in known.values()
        if (found := signature(twin, device)) is not None and found.type == LVM and found.group
    }
    seen = [twin.state.volume_groups[uuid] for uuid in uuids if uuid in twin.state.volume_groups]
    return sorted(seen, key=lambda group: (group.name, group.uuid))


def group_devices(twin: Twin, group: VolumeGroup, known: Mapping[str, Device]) -> list[Device]:
    """The devices of a host that a volume group is on."""
    top = tops(known)
    return [top[volume] for volume, _ in group.members if volume in top]


def logical_volumes(host: LinuxHost, twin: Twin, group: VolumeGroup) -> list[LogicalVolume]:
    """Volumes of a group: those made by hand, and those that Proxmox VE keeps guests on."""
    found = list(group.volumes)
    for device in twin.devices.values():
        if isinstance(device, PveApi) and device.cluster == host.in_cluster(twin):
            documents = device.documents
            names = {
                name
                for name, entry in documents.storages.items()
                if entry["type"] == "lvm" and entry.get("vgname") == group.name
            }
            found += [
                LogicalVolume(volume.name, f"{volume.vmid}-{volume.name}", volume.size_bytes)
                for volume in documents.volumes.values()
                if volume.storage in names and volume.node in ("", host.host)
            ]
    return found


def mounted_volume(host: LinuxHost, group: VolumeGroup) -> str:
    """A volume of a group that a mounted file system is on; "" if there is none."""
    used = {mount.volume for mount in host.state.mounts.values()}
    return next((v.name for v in group.volumes if f"{group.uuid}/{v.name}" in used), "")


def free_bytes(host: LinuxHost, twin: Twin, group: VolumeGroup) -> int:
    """What no volume of a group takes."""
    volumes = logical_volumes(host, twin, group)
    return group.size_bytes - sum(v.size_bytes + 2 * v.metadata_bytes for v in volumes)


def member_bytes(host: LinuxHost, twin: Twin, group: VolumeGroup, volume: str) -> tuple[int, int]:
    """Usable and free size of a physical volume of a group; members fill up in their order."""
    used, before = group.size_bytes - free_bytes(host, twin, group), 0
    for member, joined_bytes in group.members:
        size = usable(joined_bytes, group.extent_bytes)
        if member == volume:
            return size, size - min(size, max(0, used - before))
        before += size
    return 0, 0


def users(host: LinuxHost, twin: Twin, device: Device) -> list[str]:
    """What stands on a device now: mounts, and guests that run here on its volume group."""
    known = devices(host, twin)
    above = {device.name}
    for each in known.values():
        if above.intersection(each.below):
            above.add(each.name)
    volumes = {known[name].volume for name in above if name in known}
    found = [m.target for m in host.state.mounts.values() if m.volume in volumes]
    carried = signature(twin, device)
    if carried is not None and carried.group in twin.state.volume_groups:
        found += guests_on(host, twin, twin.state.volume_groups[carried.group].name)
    return found


def guests_on(host: LinuxHost, twin: Twin, group: str) -> list[str]:
    """Guests that are on at this host and have a disk in a volume group."""
    cluster = host.in_cluster(twin)
    if not cluster:
        return []
    workload = twin.facts.workload(cluster)
    storages = {
        name
        for name, spec in workload.storages.items()
        if spec.type in ("lvm", "lvmthin") and spec.backing == group
    }
    return [
        f"guest {key[1]}"
        for key, guest in twin.state.guests.items()
        if key[0] == cluster
        and guest.node == host.host
        and guest.power.value != "stopped"
        and storages.intersection(workload.guests[key[1]].storages)
    ]


def nodes(host: LinuxHost, twin: Twin) -> dict[str, File]:
    """Everything below /dev: devices, and the links that udev makes to them."""
    found = {
        name: File(mode=0o755, kind="dir")
        for name in ("/dev", "/dev/mapper", "/dev/disk", "/dev/disk/by-id", "/dev/disk/by-uuid")
    }
    found["/dev/null"] = File(mode=0o666, kind="char")
    known = devices(host, twin)
    for device in known.values():
        found[f"/dev/{device.name}"] = File(mode=0o660, group="disk", kind="block")
    for device in known.values():
        if device.path != f"/dev/{device.name}":
            found[device.path] = File(f"../{device.name}", 0o777, kind="link")
    for volume, device in tops(known).items():
        link = File(f"../../{device.name}", 0o777, kind="link")
        if device.lun is not None or device.type == "mpath":
            wwid = wwid_of(host, device)
            found[f"/dev/disk/by-id/scsi-{wwid}"] = link
            found[f"/dev/disk/by-id/wwn-0x{wwid[1:]}"] = link
        if (carried := twin.state.carried.get(volume)) is not None and carried.type in BACKED:
            found[f"/dev/disk/by-uuid/{carried.uuid}"] = link
    for group in groups(host, twin, known):
        logical = logical_volumes(host, twin, group)
        if logical:
            found[f"/dev/{group.name}"] = File(mode=0o755, kind="dir")
        for each in logical:
            path = f"/dev/mapper/{dashed(group.name)}-{dashed(each.name)}"
            name = next(device.name for device in known.values() if device.path == path)
            found[f"/dev/{group.name}/{each.name}"] = File(f"../{name}", 0o777, kind="link")
    return found


def wwid_of(host: LinuxHost, device: Device) -> str:
    """The WWID of a LUN, by any of its paths or its map."""
    lun = device.lun or next(
        (host.state.disks[name] for name in device.below if name in host.state.disks), None
    )
    return lun.wwid if lun is not None else ""


def size_of(host: LinuxHost, twin: Twin, mount: Mount) -> int:
    """How much a mounted file system holds."""
    device = next((d for d in devices(host, twin).values() if d.volume == mount.volume), None)
    return device.size_bytes if device is not None else 0


def dashed(name: str) -> str:
    """A name within a device-mapper name: its dashes are doubled."""
    return name.replace("-", "--")
