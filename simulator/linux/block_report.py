"""Programs that tell of block devices and what they carry, and mkfs.xfs.

Sources: lsblk(8), blkid(8), wipefs(8), scsi_id(8), mkfs.xfs(8); compared with the real programs.
Leaves out: lsblk's drawing for people (JSON and raw columns only), and other file systems.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from simulator.linux import blocks
from simulator.linux.blocks import Device
from simulator.linux.call import SBIN, Call, Failed, Options, Programs
from simulator.storage.disks import LVM, OFFSETS, Signature

programs = Programs()
Row = dict[str, object]

_DEFAULT = "name,maj:min,rm,size,ro,type,mountpoints"
_UDEV = ("/lib/udev", "/usr/lib/udev")


@programs.add("lsblk")
def lsblk(call: Call) -> int:
    """Devices as JSON, or columns with -r or -n."""
    options, operands = call.options(
        "JbnrpdlafO:o:",
        "json", "bytes", "noheadings", "raw", "paths", "nodeps", "list", "output=", "all",
    )  # fmt: skip
    columns = options.get("-o", "--output", default=_DEFAULT).lower().split(",")
    if "-f" in options:
        columns = ["name", "fstype", "label", "uuid", "mountpoints"]
    known = blocks.devices(call.host, call.twin)
    chosen, status = list(known.values()), 0
    if operands:
        chosen = []
        for path in operands:
            device = blocks.find(call.host, call.twin, path)
            if device is None:
                there = call.files.find(path) is not None
                call.complain(f"{path}: not a block device")
                status = 32 if not there or status else 64
            else:
                chosen.append(device)
        if not chosen:
            return 32
    else:
        chosen = [device for device in chosen if not device.below]
    flat = options.any("-d", "-l", "--nodeps", "--list")
    if options.any("-J", "--json"):
        rows = [_tree(call, known, device, columns, options, flat=flat) for device in chosen]
        call.out.append(json.dumps({"blockdevices": rows}, indent=3) + "\n")
    elif options.any("-r", "-n", "--raw", "--noheadings"):
        if not options.any("-d", "--nodeps"):
            chosen = [each for device in chosen for each in _with_above(known, device)]
        for device in dict.fromkeys(chosen):
            row = _row(call, known, device, columns, options)
            call.say(" ".join("" if row[name] is None else str(row[name]) for name in columns))
    else:
        raise call.fail("only JSON (-J) and raw output (-r, -n) are simulated")
    return status


def _with_above(known: Mapping[str, Device], device: Device) -> Iterator[Device]:
    """A device and all that stands on it."""
    yield device
    for each in known.values():
        if device.name in each.below:
            yield from _with_above(known, each)


def _tree(
    call: Call,
    known: Mapping[str, Device],
    device: Device,
    columns: list[str],
    options: Options,
    *,
    flat: bool,
) -> Row:
    row = _row(call, known, device, columns, options)
    above = [] if flat else [each for each in known.values() if device.name in each.below]
    if above:
        row["children"] = [_tree(call, known, each, columns, options, flat=flat) for each in above]
    return row


def _row(
    call: Call, known: Mapping[str, Device], device: Device, columns: list[str], options: Options
) -> Row:
    mounts = [m.target for m in call.state.mounts.values() if m.volume == device.volume]
    carried = blocks.signature(call.twin, device)
    member = any(device.name in each.below and each.type == "mpath" for each in known.values())
    wwid = blocks.wwid_of(call.host, device)
    size: object = device.size_bytes
    if not options.any("-b", "--bytes"):
        size = _human(device.size_bytes)
    facts: Row = {
        "name": device.path if options.any("-p", "--paths") else device.shown,
        "kname": device.name,
        "path": device.path,
        "maj:min": f"{device.number[0]}:{device.number[1]}",
        "rm": False,
        "ro": False,
        "size": size,
        "type": device.type,
        "fstype": "mpath_member" if member else carried.type if carried else None,
        "uuid": None if member or carried is None else carried.uuid or None,
        "label": None if member or carried is None else carried.label or None,
        "mountpoint": mounts[0] if mounts else None,
        "mountpoints": mounts or [None],
        "wwn": f"0x{wwid[1:]}" if wwid and device.lun else None,
        "serial": device.lun.serial if device.lun else None,
        "vendor": f"{device.lun.vendor:8}" if device.lun else None,
        "model": device.lun.product if device.lun else None,
        "tran": "iscsi" if device.lun else None,
        "pkname": device.below[0] if device.below else None,
    }
    if odd := [name for name in columns if name not in facts]:
        raise call.fail(f"unknown column: {odd[0]}")
    return {name: facts[name] for name in columns}


def _human(size_bytes: int) -> str:
    """In lsblk's way: 100G, 136.7G."""
    size, unit = float(size_bytes), "B"
    for larger in "KMGTP":
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + unit


@programs.add("blkid", folders=SBIN)
def blkid(call: Call) -> int:
    """Signatures as tags; 2 when nothing was found."""
    options, operands = call.options("po:s:", "probe", "output=", "match-tag=", status=4)
    known = blocks.devices(call.host, call.twin)
    paths = operands or [device.path for device in known.values()]
    found = False
    for path in paths:
        device = blocks.find(call.host, call.twin, path)
        if device is None and options.any("-p", "--probe"):
            call.complain(f"error: {path}: No such file or directory")
        carried = blocks.signature(call.twin, device) if device is not None else None
        if carried is not None:
            found |= _tags(call, path, carried, options)
    return 0 if found else 2


def _tags(call: Call, path: str, carried: Signature, options: Options) -> bool:
    tags = {"UUID": carried.uuid, "LABEL": carried.label}
    if options.any("-p", "--probe") and carried.type == LVM:
        tags["VERSION"] = "LVM2 001"
    if carried.type in blocks.BACKED:
        tags["BLOCK_SIZE"] = "512"
    kind = "PTTYPE" if carried.type == "gpt" else "TYPE"
    tags[kind] = carried.type
    if options.any("-p", "--probe"):
        tags["USAGE"] = "raid" if carried.type == LVM else "filesystem"
    if wanted := options.all("-s", "--match-tag"):
        tags = {name: tags[name] for name in tags if name in wanted}
    tags = {name: value for name, value in tags.items() if value}
    match options.get("-o", "--output", default="full"):
        case "export":
            call.say("\n".join([f"DEVNAME={path}", *(f"{k}={v}" for k, v in tags.items())]))
        case "value":
            call.out += [f"{value}\n" for value in tags.values()]
        case "full":
            call.say(f"{path}: " + " ".join(f'{name}="{value}"' for name, value in tags.items()))
        case other:
            raise call.fail(f"unsupported output format {other}", 4)
    return bool(tags)


@programs.add("wipefs", folders=SBIN)
def wipefs(call: Call) -> int:
    """Signatures with their offsets; with -a erase them."""
    options, operands = call.options("Janifo:", "json", "all", "noheadings", "no-act", "force")
    if not operands:
        raise call.fail("error: no device specified")
    rows: list[Row] = []
    for path in operands:
        device = blocks.find(call.host, call.twin, path)
        if device is None:
            why = "probing initialization failed: No such file or directory"
            raise call.fail(f"error: {path}: {why}")
        carried = blocks.signature(call.twin, device)
        if options.any("-a", "--all"):
            _wipe(call, path, device, carried)
        elif carried is not None:
            rows.append(
                {
                    "device": device.name,
                    "offset": f"{OFFSETS[carried.type]:#x}",
                    "type": carried.type,
                    "uuid": carried.uuid or None,
                    "label": carried.label or None,
                }
            )
    if options.any("-J", "--json"):
        call.out.append(json.dumps({"signatures": rows}, indent=3) + "\n")
    elif rows:
        heading = [] if options.any("-i", "--noheadings") else ["DEVICE OFFSET TYPE UUID LABEL"]
        lines = [" ".join(str(cell or "") for cell in row.values()) for row in rows]
        call.say("\n".join([*heading, *lines]))
    return 0


def _wipe(call: Call, path: str, device: Device, carried: Signature | None) -> None:
    call.need_root(f"wipefs: error: {path}: probing initialization failed: Permission denied")
    need_free(call, path, device)
    if carried is not None:
        del call.twin.state.carried[device.volume]
        offset = f"{OFFSETS[carried.type]:#010x}"
        call.say(f"{path}: bytes were erased at offset {offset} ({carried.type})")


def need_free(call: Call, path: str, device: Device) -> None:
    """Raise if a device is in use: mounted, below a map, or a member of an active group."""
    known = blocks.devices(call.host, call.twin)
    above = any(device.name in each.below for each in known.values())
    mounted = any(m.volume == device.volume for m in call.state.mounts.values())
    if above or mounted:
        why = "probing initialization failed: Device or resource busy"
        raise call.fail(f"error: {path}: {why}")


@programs.add("mkfs.xfs", "xfsprogs", SBIN)
def mkfs_xfs(call: Call) -> int:
    """Make a file system; what carries something is left alone without -f."""
    options, operands = call.options("fL:m:i:")
    if len(operands) != 1:
        raise Failed(1, "mkfs.xfs: no device name given in argument list\n")
    call.need_root(f"mkfs.xfs: cannot open {operands[0]}: Permission denied")
    device = blocks.find(call.host, call.twin, operands[0])
    if device is None:
        raise Failed(1, f"{operands[0]}: No such file or directory\n")
    known = blocks.devices(call.host, call.twin)
    if any(device.name in each.below for each in known.values()) or any(
        mount.volume == device.volume for mount in call.state.mounts.values()
    ):
        raise call.fail(f"cannot open {operands[0]}: Device or resource busy")
    carried = blocks.signature(call.twin, device)
    if carried is not None and "-f" not in options:
        what = "a partition table" if carried.type == "gpt" else "an existing filesystem"
        raise Failed(
            1,
            f"mkfs.xfs: {operands[0]} appears to contain {what} ({carried.type}).\n"
            "mkfs.xfs: Use the -f option to force overwrite.\n",
        )
    for key in [key for key in call.state.files if key.startswith(f"{device.volume}:")]:
        del call.state.files[key]
    made = Signature("xfs", call.host.uuid(), options.get("-L"))
    call.twin.state.carried[device.volume] = made
    call.say(f"meta-data={operands[0]}             isize=512    agcount=4")
    return 0


@programs.add("scsi_id", folders=_UDEV)
def scsi_id(call: Call) -> int:
    """`scsi_id -g -u -d DEVICE`: the WWID."""
    options, operands = call.options("gud:xp:", "whitelisted", "replace-whitespace", "device=")
    path = options.get("-d", "--device", default=operands[0] if operands else "")
    device = blocks.find(call.host, call.twin, path)
    if device is None or not re.match("/dev/", path):
        raise Failed(1)
    wwid = blocks.wwid_of(call.host, device)
    if not wwid:
        raise Failed(1)
    call.say(wwid)
    return 0
