"""LVM that changes something: pvcreate, vgcreate, vgextend, vgreduce, vgremove, lvcreate ...

What is written goes to the volume, so every host that sees it sees the group. A device below a
multipath map, mounted or carrying something is refused as LVM refuses it. Sources: pvcreate(8),
vgcreate(8); texts compared with LVM 2.03. Leaves out: devices files, tags, mirrors, thin pools,
locking between hosts (LVM has none without lvmlockd: a real hazard of shared LUNs).
"""

from __future__ import annotations

import re
from dataclasses import replace

from simulator.linux import blocks
from simulator.linux.blocks import Device
from simulator.linux.call import SBIN, Call, Failed, Options, Programs
from simulator.storage.disks import (
    EXTENT_BYTES,
    LVM,
    OFFSETS,
    LogicalVolume,
    Signature,
    VolumeGroup,
)

programs = Programs()
FAILED = 5  # lvm(8): ECMD_FAILED
INVALID = 3  # EINVALID_CMD_LINE
_NAME = re.compile(r"[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]*")
_UNITS = {"b": 1, "s": 512, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "": 2**20}


def lvm_uuid(call: Call) -> str:
    """An identifier in LVM's way: 32 characters in seven groups."""
    text = call.host.digits(32)
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(text[a:b] for a, b in zip(cuts, cuts[1:], strict=False))


def need_root(call: Call) -> None:
    """Raise Failed unless root asks."""
    if call.user != "root":
        raise Failed(
            FAILED,
            "  WARNING: Running as a non-root user. Functionality may be unavailable.\n"
            "  /run/lock/lvm/P_global:aux: open failed: Permission denied\n",
        )


def _options(call: Call, short: str = "", *long: str) -> tuple[Options, list[str]]:
    return call.options(f"yfqv{short}", "yes", "force", "quiet", *long, status=INVALID)


def _yes(options: Options) -> bool:
    return options.any("-y", "--yes")


def group_named(call: Call, name: str) -> VolumeGroup | None:
    """A volume group that the host sees."""
    known = blocks.devices(call.host, call.twin)
    return next((g for g in blocks.groups(call.host, call.twin, known) if g.name == name), None)


def _need_group(call: Call, name: str) -> VolumeGroup:
    found = group_named(call, name)
    if found is None:
        raise Failed(
            FAILED, f'  Volume group "{name}" not found\n  Cannot process volume group {name}\n'
        )
    return found


def _need_device(call: Call, path: str) -> Device:
    device = blocks.find(call.host, call.twin, path)
    if device is None:
        raise Failed(FAILED, f"  No device found for {path}.\n")
    return device


def _initialize(call: Call, path: str, device: Device, options: Options) -> Signature:
    """Make a device a physical volume. Raises Failed for one that is not free."""
    known = blocks.devices(call.host, call.twin)
    if any(device.name in each.below and each.type in ("mpath", "part") for each in known.values()):
        member = any(device.name in e.below and e.type == "mpath" for e in known.values())
        why = "device is a multipath component" if member else "device is partitioned"
        raise Failed(FAILED, f"  Cannot use {path}: {why}\n")
    if any(mount.volume == device.volume for mount in call.state.mounts.values()):
        text = f"  Can't open {path} exclusively.  Mounted filesystem?\n" * 2
        raise Failed(FAILED, text)
    carried = blocks.signature(call.twin, device)
    if carried is not None and carried.type == LVM and carried.group:
        name = call.twin.state.volume_groups[carried.group].name
        raise Failed(
            FAILED,
            f'  Can\'t initialize physical volume "{path}" of volume group "{name}" without'
            " -ff\n"
            f"  {path}: physical volume not initialized.\n",
        )
    if carried is not None and carried.type != LVM:
        if not _yes(options):
            where = f"{path} at offset {OFFSETS[carried.type]}"
            what = f"{carried.type} signature detected on {where}"
            raise Failed(
                FAILED,
                f"WARNING: {what}. Wipe it? [y/n]: [n]\n  Aborted wiping of {carried.type}.\n"
                "  1 existing signature left on the device.\n",
            )
        call.say(f"  Wiping {carried.type} signature on {path}.")
    made = Signature(LVM, lvm_uuid(call))
    call.twin.state.carried[device.volume] = made
    call.say(f'  Physical volume "{path}" successfully created.')
    return made


@programs.add("pvcreate", "lvm2", SBIN)
def pvcreate(call: Call) -> int:
    """Label devices."""
    options, operands = _options(call)
    need_root(call)
    for path in operands:
        _initialize(call, path, _need_device(call, path), options)
    return 0 if operands else INVALID


def _join(call: Call, paths: list[str], options: Options) -> list[Device]:
    """Devices that may become members: free, or physical volumes of no group."""
    joined = []
    for path in paths:
        device = _need_device(call, path)
        carried = blocks.signature(call.twin, device)
        if carried is None or carried.type != LVM:
            _initialize(call, path, device, options)
        elif carried.group:
            name = call.twin.state.volume_groups[carried.group].name
            raise Failed(
                FAILED,
                f"  Physical volume '{path}' is already in volume group '{name}'\n"
                f"  Unable to add physical volume '{path}' to volume group '{name}'\n"
                f"  {path}: physical volume not initialized.\n",
            )
        joined.append(device)
    return joined


def _keep(call: Call, group: VolumeGroup, joined: list[Device]) -> None:
    state = call.twin.state
    state.volume_groups[group.uuid] = group
    for device in joined:
        state.carried[device.volume] = replace(state.carried[device.volume], group=group.uuid)


@programs.add("vgcreate", "lvm2", SBIN)
def vgcreate(call: Call) -> int:
    """Make a volume group on devices."""
    options, operands = _options(call, "s:", "physicalextentsize=", "addtag=")
    need_root(call)
    if len(operands) < 2:
        raise Failed(
            INVALID, "  No command with matching syntax recognised.  Run 'vgcreate --help'\n"
        )
    name, *paths = operands
    if not _NAME.fullmatch(name):
        raise Failed(
            FAILED,
            "  Name contains invalid character, valid set includes: [a-zA-Z0-9.-_+].\n"
            f'  New volume group name "{name}" is invalid.\n',
        )
    if group_named(call, name) is not None:
        raise Failed(FAILED, f"  A volume group called {name} already exists.\n")
    size = options.get("-s", "--physicalextentsize")
    extent = _bytes(size, EXTENT_BYTES) if size else EXTENT_BYTES
    joined = _join(call, paths, options)
    members = tuple((device.volume, device.size_bytes) for device in joined)
    tags = tuple(sorted({*options.all("--addtag")}))
    _keep(call, VolumeGroup(name, lvm_uuid(call), members, (), extent, tags), joined)
    call.say(f'  Volume group "{name}" successfully created')
    return 0


@programs.add("vgextend", "lvm2", SBIN)
def vgextend(call: Call) -> int:
    """Add devices to a volume group."""
    options, operands = _options(call)
    need_root(call)
    if len(operands) < 2:
        raise Failed(INVALID, "  Please enter volume group name and physical volume(s)\n")
    name, *paths = operands
    joined = _join(call, paths, options)
    group = _need_group(call, name)
    members = (*group.members, *((device.volume, device.size_bytes) for device in joined))
    _keep(call, replace(group, members=members, changes=group.changes + 1), joined)
    call.say(f'  Volume group "{name}" successfully extended')
    return 0


@programs.add("pvresize", "lvm2", SBIN)
def pvresize(call: Call) -> int:
    """Follow a device that has grown."""
    _, operands = _options(call)
    need_root(call)
    for path in operands:
        device = _need_device(call, path)
        carried = blocks.signature(call.twin, device)
        if carried is None or carried.type != LVM:
            raise Failed(FAILED, f'  Failed to find physical volume "{path}".\n')
        if carried.group:
            group = call.twin.state.volume_groups[carried.group]
            members = tuple(
                (volume, device.size_bytes if volume == device.volume else size)
                for volume, size in group.members
            )
            _keep(call, replace(group, members=members, changes=group.changes + 1), [])
        call.say(f'  Physical volume "{path}" changed')
    return 0


@programs.add("vgremove", "lvm2", SBIN)
def vgremove(call: Call) -> int:
    """Remove an empty volume group; its devices stay physical volumes."""
    options, operands = _options(call)
    need_root(call)
    for name in operands:
        group = _need_group(call, name)
        volumes = blocks.logical_volumes(call.host, call.twin, group)
        if volumes:
            ask = (
                f'Do you really want to remove volume group "{name}" containing '
                f"{len(volumes)} logical volumes? [y/n]: [n]\n"
            )
            if not _yes(options):
                raise Failed(FAILED, f'{ask}  Volume group "{name}" not removed\n')
            mounted = blocks.mounted_volume(call.host, group)
            if mounted:
                text = f"  Logical volume {name}/{mounted} contains a filesystem in use.\n"
                raise Failed(FAILED, text)
            if blocks.guests_on(call.host, call.twin, name) or len(volumes) > len(group.volumes):
                raise Failed(FAILED, f"  Logical volume {name}/{volumes[-1].name} in use.\n")
        state = call.twin.state
        for volume, _ in group.members:
            if volume in state.carried:
                state.carried[volume] = replace(state.carried[volume], group="")
        del state.volume_groups[group.uuid]
        call.say(f'  Volume group "{name}" successfully removed')
    return 0


@programs.add("pvremove", "lvm2", SBIN)
def pvremove(call: Call) -> int:
    """Take the label off a device that is in no group."""
    _, operands = _options(call)
    need_root(call)
    for path in operands:
        device = _need_device(call, path)
        carried = blocks.signature(call.twin, device)
        if carried is None or carried.type != LVM:
            raise Failed(FAILED, f"  No PV found on device {path}.\n")
        if carried.group:
            name = call.twin.state.volume_groups[carried.group].name
            raise Failed(
                FAILED,
                f"  PV {path} is used by VG {name} so please use vgreduce first.\n"
                "  (If you are certain you need pvremove, then confirm by using --force twice.)\n"
                f"  {path}: physical volume label not removed.\n",
            )
        del call.twin.state.carried[device.volume]
        call.say(f'  Labels on physical volume "{path}" successfully wiped.')
    return 0


@programs.add("lvcreate", "lvm2", SBIN)
def lvcreate(call: Call) -> int:
    """A linear volume: `lvcreate -n NAME -L SIZE GROUP`."""
    options, operands = _options(call, "n:L:W:Z:", "name=", "size=")
    need_root(call)
    name, size = options.get("-n", "--name"), options.get("-L", "--size")
    if len(operands) != 1 or not size or not _NAME.fullmatch(name):
        raise Failed(INVALID, "  only `lvcreate -n NAME -L SIZE GROUP' is simulated\n")
    group = _need_group(call, operands[0])
    volumes = blocks.logical_volumes(call.host, call.twin, group)
    if any(volume.name == name for volume in volumes):
        raise Failed(
            FAILED, f'  Logical Volume "{name}" already exists in volume group "{group.name}"\n'
        )
    size_bytes = -(-_bytes(size, 0) // group.extent_bytes) * group.extent_bytes
    free = group.size_bytes - sum(volume.size_bytes for volume in volumes)
    if size_bytes > free or size_bytes <= 0:
        wanted, have = size_bytes // group.extent_bytes, free // group.extent_bytes
        text = (
            f'  Volume group "{group.name}" has insufficient free space '
            f"({have} extents): {wanted} required.\n"
        )
        raise Failed(FAILED, text)
    made = LogicalVolume(name, lvm_uuid(call), size_bytes)
    _keep(call, replace(group, volumes=(*group.volumes, made), changes=group.changes + 1), [])
    call.say(f'  Logical volume "{name}" created.')
    return 0


def _bytes(text: str, default: int) -> int:
    match = re.fullmatch(r"(\d+)([bskmgt]?)b?", text.lower())
    if match is None:
        raise Failed(INVALID, f"  Invalid argument for size: {text}\n")
    return int(match[1]) * _UNITS[match[2]] or default


@programs.add("pvscan vgscan", "lvm2", SBIN)
def scan(call: Call) -> int:
    """Look for groups; here what is seen is always known."""
    _options(call, "a:", "cache", "mknodes", "aay")
    need_root(call)
    known = blocks.devices(call.host, call.twin)
    for group in blocks.groups(call.host, call.twin, known):
        if call.name == "vgscan":
            call.say(f'  Found volume group "{group.name}" using metadata type lvm2')
        for device in blocks.group_devices(call.twin, group, known):
            if call.name == "pvscan":
                call.say(f"  PV {device.path}   VG {group.name}   lvm2")
    return 0


@programs.add("vgchange", "lvm2", SBIN)
def vgchange(call: Call) -> int:
    """Tags; activation, which is refused to end while guests use the group's volumes here."""
    options, operands = _options(call, "a:", "activate=", "refresh", "addtag=", "deltag=")
    need_root(call)
    active = options.get("-a", "--activate")
    more, less = {*options.all("--addtag")}, {*options.all("--deltag")}
    if active not in ("y", "ay", "n") and not more | less:
        raise Failed(INVALID, "  only `vgchange -a y|n', --addtag and --deltag are simulated\n")
    for name in operands:
        group = _need_group(call, name)
        if more | less:
            tags = tuple(sorted(({*group.tags} | more) - less))
            _keep(call, replace(group, tags=tags, changes=group.changes + 1), [])
            call.say(f'  Volume group "{name}" successfully changed')
            continue
        users = blocks.guests_on(call.host, call.twin, name)
        if active == "n" and users:
            raise Failed(FAILED, f"  Logical volume {name} in use by {users[0]}.\n")
        count = len(blocks.logical_volumes(call.host, call.twin, group)) if active != "n" else 0
        call.say(f'  {count} logical volume(s) in volume group "{name}" now active')
    return 0
