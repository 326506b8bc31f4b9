"""Making volume groups, thin pools, pools of ZFS and file systems on a node's disks, on request
with a storage. Source: PVE::API2::Disks::LVM, ::LVMThin, ::ZFS, ::Directory; PVE::Diskmanage.

What is made is in the twin's state: the node's shell sees it, storages on it are as large as it,
and serve while its disks do. Leaves out: properties of a pool of ZFS (ashift, compression).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.parameters import PROPERTY_STRINGS, Entry, Value, parse, table
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, died
from simulator.pve_node.disk_pools import groups, zpools
from simulator.pve_node.disks import NODE, Disks, host_of
from simulator.pve_node.storage import keep_for_node, need_free
from simulator.storage.availability import removal
from simulator.storage.disks import (
    DRAID_DATA,
    LVM,
    PARITY,
    ZFS,
    LogicalVolume,
    Signature,
    VolumeGroup,
    Zpool,
)

routes = Routes()
MODIFY = "/ Sys.Modify"
_NEW = NODE + "name pve-storage-id\nadd_storage? boolean\n"
MIB, GIB = 2**20, 2**30
_GPT_END_BYTES = 33 * 512  # sgdisk(8): the copy of the table at the end of a disk
_ZFS_END_BYTES = 8 * MIB  # the ninth partition that ZFS makes on a whole disk
_DISKS_NEEDED = {
    "single": 1, "mirror": 2, "raid10": 4, "raidz": 3, "raidz2": 4, "raidz3": 5, "draid": 3,
    "draid2": 4, "draid3": 5,
}  # fmt: skip

Make = Callable[[Worker, str, list[str]], None]
"""Makes something of a name on disks that are unused."""


def wanted(kind: str, name: str) -> tuple[Entry, tuple[str, ...]]:
    """The storage on what is made, and the keys that name that."""
    named: dict[str, dict[str, Value]] = {
        "dir": {"path": f"/mnt/pve/{name}"},
        "lvm": {"vgname": name},
        "lvmthin": {"vgname": name, "thinpool": name},
        "zfspool": {"pool": name},
    }
    more: dict[str, dict[str, Value]] = {"dir": {"is_mountpoint": "1"}, "lvm": {"shared": 0}}
    content = "backup,images,iso,rootdir,snippets,vztmpl" if kind == "dir" else "images,rootdir"
    own = {**named[kind], **more.get(kind, {})}
    return {"type": kind, "content": content, **own}, (*named[kind],)


def need_unused(here: Disks, path: str) -> None:
    """Raise for a disk or partition that something is on already."""
    device = here.find(path)
    if here.use(device) if device.type == "part" else here.used(device):
        raise died(f"device '{path}' is already in use")


def _check(call: Call, kind: str, devices: list[str]) -> None:
    """Raise for a disk that is used, or a storage that can't be made."""
    here, name = Disks(call), call.text("name")
    for path in devices:
        need_unused(here, path)
    if call.flag("add_storage"):
        call.need("/storage", "Datastore.Allocate")
        entry, identity = wanted(kind, name)
        need_free(call, name, entry, *identity)


def _start(call: Call, task: str, devices: list[str], **work: Value) -> str:
    known: dict[str, Value] = {"devices": ",".join(devices), "storage": call.number("add_storage")}
    return start_task(call, task, call.text("name"), {**known, **work})


def _finishing(kind: str, make: Make) -> Callable[[Worker], None]:
    """The end of a task: make it, and the storage."""

    def finish(worker: Worker) -> None:
        here, devices = Disks(worker), items(worker.text("devices"))
        for path in devices:
            need_unused(here, path)
        entry, identity = wanted(kind, worker.task.id)
        make(worker, worker.task.id, devices)
        key = removal(worker.node, kind, str(entry[identity[0]]))
        worker.twin.state.removed.pop(key, None)
        worker.twin.changed()
        if worker.number("storage"):
            keep_for_node(worker, worker.task.id, entry, *identity)

    return finish


def _uuid(worker: Worker) -> str:
    return str(uuid.UUID(int=worker.chance.getrandbits(128), version=4))


def _partition(worker: Worker, path: str, number: int, less_bytes: int, kind: str = "") -> str:
    """A partition of a disk that has room for it; its path."""
    from simulator.linux.state import Partition

    disk = Disks(worker).find(path)
    worker.twin.state.carried.setdefault(disk.volume, Signature("gpt", _uuid(worker)))
    name = f"{disk.name}{'p' if disk.name[-1].isdigit() else ''}{number}"
    size = _ZFS_END_BYTES if kind else disk.size_bytes - MIB - _GPT_END_BYTES - less_bytes
    host_of(worker).state.partitions[name] = Partition(disk.name, size, kind)
    return f"/dev/{name}"


def _make_directory(worker: Worker, name: str, devices: list[str]) -> None:
    from simulator.linux import fstab, mounts

    (path,), kind = devices, worker.text("filesystem")
    host, here = host_of(worker), Disks(worker)
    if here.find(path).type != "part":
        worker.say(f"# /sbin/sgdisk -n1 -t1:8300 {path}")
        path = _partition(worker, path, 1, 0)
    worker.say(f"# /sbin/mkfs -t {kind} {path}")
    made = Signature(kind, _uuid(worker))
    worker.twin.state.carried[Disks(worker).find(path).volume] = made
    worker.say(f"# /sbin/blkid {path} -o export")
    file, text = unit_file(name), (
        "[Install]\nWantedBy=multi-user.target\n\n"
        f"[Mount]\nOptions=defaults\nType={kind}\nWhat=/dev/disk/by-uuid/{made.uuid}\n"
        f"Where=/mnt/pve/{name}\n\n"
        f"[Unit]\nDescription=Mount storage '{name}' under /mnt/pve\n\n"
    )  # fmt: skip
    keep_unit(worker, file, text)
    entry = fstab.read_unit(text)
    assert entry is not None
    try:
        mounts.start_unit(host, worker.twin, entry)
    except mounts.Refused as error:
        worker.say(str(error))
        unit = file.rpartition("/")[2]
        raise TaskError(f"command 'systemctl start {unit}' failed: exit code 1") from error
    host.sync(worker.twin)


def unit_file(name: str) -> str:
    """The mount unit of a directory, as systemd-escape(1) makes its name."""
    escaped = name.replace("-", r"\x2d")
    return f"/etc/systemd/system/mnt-pve-{escaped}.mount"


def keep_unit(worker: Worker, path: str, text: str) -> None:
    """Write a unit's file."""
    from simulator.linux.state import File

    host_of(worker).state.files[path] = File(text, changed_s=worker.twin.now_s)


def _make_group(worker: Worker, name: str, devices: list[str]) -> None:
    if any(group.name == name for group, _ in groups(worker)):
        text = f"volume group with name '{name}' already exists on node '{worker.node}'"
        raise TaskError(text)
    state, device, group = worker.twin.state, Disks(worker).find(devices[0]), _uuid(worker)
    worker.say(f'  Physical volume "{device.path}" successfully created.')
    worker.say(f'  Volume group "{name}" successfully created')
    state.carried[device.volume] = Signature(LVM, _uuid(worker), group=group)
    members = ((device.volume, device.size_bytes),)
    state.volume_groups[group] = VolumeGroup(name, group, members)


def _make_thin(worker: Worker, name: str, devices: list[str]) -> None:
    """A group that a thin pool fills but for what its metadata takes, twice, and 128 MiB."""
    _make_group(worker, name, devices)
    group = next(group for group, _ in groups(worker) if group.name == name)
    data = group.size_bytes - 128 * MIB
    metadata = min(max(data // 100, GIB), 16 * GIB)
    size, metadata = (
        -(-part // group.extent_bytes) * group.extent_bytes
        for part in (data - 2 * metadata, metadata)
    )
    if size <= 0:
        sizes = f"-L{size // 1024}K --poolmetadatasize {metadata // 1024}K"
        command = f"/sbin/lvcreate --type thin-pool {sizes} -n {name} {name}"
        raise TaskError(f"command '{command}' failed: exit code 5")
    worker.say(f'  Logical volume "{name}" created.')
    made = LogicalVolume(name, _uuid(worker), size, metadata)
    worker.twin.state.volume_groups[group.uuid] = replace(group, volumes=(made,))


def _make_zfs(worker: Worker, name: str, devices: list[str]) -> None:
    level, members = worker.text("level"), list[tuple[str, int]]()
    data, spares = worker.number("data") or DRAID_DATA, worker.number("spares")
    state, pool, here = worker.twin.state, _uuid(worker), Disks(worker)
    if len({*devices}) < len(devices):
        raise TaskError(f"command '/sbin/zpool create {name}' failed: exit code 1")
    for path in devices:
        whole = here.find(path).type != "part"
        part = _partition(worker, path, 1, _ZFS_END_BYTES) if whole else path
        if whole:
            _partition(worker, path, 9, 0, "ZFS reserved")
        device = Disks(worker).find(part)
        state.carried[device.volume] = Signature(ZFS, _uuid(worker), name, pool)
        members.append((device.volume, device.size_bytes))
    made = state.zpools[pool] = Zpool(name, pool, level, tuple(members), data, spares)
    words = {"single": "", "raid10": "mirror"}.get(level, level)
    pairs = zip(devices[::2], devices[1::2], strict=False) if level == "raid10" else [devices]
    vdevs = " ".join(" ".join(filter(None, (words, *vdev))) for vdev in pairs)
    worker.say(f"# /sbin/zpool create -o ashift={worker.text('ashift')} {made.name} {vdevs}")
    worker.say(f"# /sbin/zfs set compression={worker.text('compression')} {name}")
    worker.say(f"# systemctl enable zfs-import@{name.replace('-', chr(92) + 'x2d')}.service")


FINISH["dircreate"] = _finishing("dir", _make_directory)
FINISH["lvmcreate"] = _finishing("lvm", _make_group)
FINISH["lvmthincreate"] = _finishing("lvmthin", _make_thin)
FINISH["zfscreate"] = _finishing("zfspool", _make_zfs)


@routes.add(
    "POST /nodes/{node}/disks/directory",
    MODIFY,
    _NEW + "device string\nfilesystem? enum(ext4,xfs)\n",
)
def create_directory(call: Call) -> object:
    """A file system on an unused disk, mounted below /mnt/pve: a task."""
    name, devices, state = call.text("name"), [call.text("device")], host_of(call).state
    _check(call, "dir", devices)
    if (mounted := state.mounts.get(path := f"/mnt/pve/{name}")) is not None:
        raise died(f"the path for '{name}' is already mounted: {path} ({mounted.source})")
    if (file := unit_file(name)) in state.files:
        raise died(f"a systemd mount unit already exists: {file}")
    return _start(call, "dircreate", devices, filesystem=call.text("filesystem", "ext4"))


@routes.add("POST /nodes/{node}/disks/lvm", MODIFY, _NEW + "device string\n")
def create_group(call: Call) -> object:
    """A volume group on an unused disk: a task."""
    _check(call, "lvm", [call.text("device")])
    return _start(call, "lvmcreate", [call.text("device")])


@routes.add("POST /nodes/{node}/disks/lvmthin", MODIFY, _NEW + "device string\n")
def create_thin(call: Call) -> object:
    """A volume group that a thin pool of its name fills: a task."""
    _check(call, "lvmthin", [call.text("device")])
    return _start(call, "lvmthincreate", [call.text("device")])


def _check_level(level: str, count: int, draid: Mapping[str, str | int]) -> None:
    if level == "raid10" and count % 2:
        raise died("raid10 needs an even number of disks")
    if level == "single" and count > 1:
        raise died("please give only one disk for single disk mode")
    if count < (least := _DISKS_NEEDED[level]):
        raise died(f"{level} needs at least {least} disks")
    if draid and count < (least := PARITY[level] + int(draid["data"]) + int(draid["spares"])):
        raise died(f"At least {least} disks needed for current dRAID config")


PROPERTY_STRINGS["draid-config"] = table("data integer 1..\nspares integer 0..")


@routes.add(
    "POST /nodes/{node}/disks/zfs",
    MODIFY,
    _NEW
    + f"""
    ashift?        integer 9..16
    compression?   enum(on,off,gzip,lz4,lzjb,zle,zstd)
    devices        string-list
    draid-config?  {{draid-config}}
    raidlevel      enum({",".join(_DISKS_NEEDED)})
    """,
)
def create_zfs(call: Call) -> object:
    """A pool of ZFS on unused disks: a task."""
    name, level, devices = call.text("name"), call.text("raidlevel"), call.words("devices")
    draid: Mapping[str, str | int] = {}
    if call.has("draid-config"):
        if not level.startswith("draid"):
            raise died("draid-config set without using dRAID level")
        draid = parse("draid-config", call.text("draid-config"))
    _check(call, "zfspool", devices)
    if any(pool.name == name for pool in zpools(call)):
        raise died(f"pool '{name}' already exists on node '{call.node}'")
    _check_level(level, len(devices), draid)
    return _start(
        call,
        "zfscreate",
        devices,
        level=level,
        ashift=call.number("ashift", 12),
        compression=call.text("compression", "on"),
        **draid,
    )
