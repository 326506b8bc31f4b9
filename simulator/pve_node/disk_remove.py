"""Removing volume groups, thin pools, pools of ZFS and directories from a node's disks, on request
with their storages and what the disks begin with. Source: PVE::API2::Disks::LVM, ::LVMThin, ::ZFS,
::Directory.

Volumes of storages on them go along; those of a directory, too, for nothing mounts it again. What
guests use that run is not removed. Assumed: the exit codes of the commands that refuse that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError
from simulator.pve_node.disk_make import MODIFY, unit_file
from simulator.pve_node.disk_pools import groups, thin_pools, zpools
from simulator.pve_node.disks import NODE, Disks, clear, host_of
from simulator.pve_node.storage import drop_for_node
from simulator.storage.availability import removal

routes = Routes()
_OLD = NODE + "name pve-storage-id\ncleanup-config? boolean\ncleanup-disks? boolean\n"
Gone = Callable[[Entry], bool]
"""Whether a storage is on what is removed."""


def _start(call: Call, task: str, ident: str) -> str:
    if call.flag("cleanup-config"):
        call.need("/storage", "Datastore.Allocate")
    work = {key: call.number(f"cleanup-{key}") for key in ("config", "disks")}
    names = {"name": call.text("name"), "group": call.text("volume-group")}
    return start_task(call, task, ident, {**work, **names})


def _failed(command: str, code: int = 1) -> TaskError:
    return TaskError(f"command '{command}' failed: exit code {code}")


def _need_idle(worker: Worker, gone: Gone, failure: TaskError) -> None:
    """Raise where a guest runs here from a storage that goes."""
    storages = {name for name, entry in worker.documents.storages.items() if gone(entry)}
    workload = worker.twin.facts.workload(worker.api.cluster)
    for vmid, spec in workload.guests.items():
        state = worker.world.guest(vmid)
        here = state is not None and state.node == worker.node and worker.world.running(vmid)
        if here and storages & spec.storages:
            raise failure


def _finish(worker: Worker, what: str, gone: Gone, volumes: Iterable[str]) -> None:
    """Forget what lay there, and on request the storages, and what the disks begin with. `what`:
    the kind of storage, and its backing.
    """
    worker.twin.state.removed[removal(worker.node, *what.split(" "))] = worker.twin.now_s
    names = {name for name, entry in worker.documents.storages.items() if gone(entry)}
    for key, volume in [*worker.documents.volumes.items()]:
        if volume.storage in names and volume.node in ("", worker.node):
            del worker.documents.volumes[key]
    worker.twin.changed()
    if worker.number("config"):
        drop_for_node(worker, gone)
    if worker.number("disks"):
        _wipe(worker, volumes)


def _wipe(worker: Worker, volumes: Iterable[str]) -> None:
    """Clear each device, or its whole disk if nothing else is on that."""
    for volume in volumes:
        here = Disks(worker)
        device = next((each for each in here.known.values() if each.volume == volume), None)
        if device is None:  # it is on a LUN
            worker.twin.state.carried.pop(volume, None)
            continue
        disk = next((d for d in here.known.values() if d.name in device.below), device)
        others = [part for part in here.parts(disk) if part is not device]
        alone = all(here.use(part) == "ZFS reserved" for part in others)
        clear(worker, disk if alone else device)


def _finish_directory(worker: Worker) -> None:
    from simulator.linux import blocks, mounts

    name, host = worker.task.id, host_of(worker)
    path, file = f"/mnt/pve/{name}", unit_file(name)
    service, unit = file.rpartition("/")[2], mounts.units_of(host).get(file)
    if unit is None and worker.number("disks"):
        raise TaskError(f"unable to open '{file}' - No such file or directory")
    if unit is None:
        raise _failed(f"systemctl stop {service}", 5)
    device = blocks.find(host, worker.twin, unit.source)
    if device is None and worker.number("disks"):
        raise TaskError(f"failed to get absolute path to {unit.source}")

    def gone(entry: Entry) -> bool:
        return entry["type"] == "dir" and entry.get("path") == path

    _need_idle(worker, gone, _failed(f"systemctl stop {service}"))
    if path in host.state.mounts and mounts.detach(host, path):
        raise _failed(f"systemctl stop {service}")
    del host.state.files[file]
    host.sync(worker.twin)
    _finish(worker, f"dir {path}", gone, [device.volume] if device is not None else [])


def _finish_group(worker: Worker) -> None:
    from simulator.linux import blocks

    name = worker.task.id
    if (group := next((g for g, _ in groups(worker) if g.name == name), None)) is None:
        raise TaskError(f"no such volume group '{name}'")

    def gone(entry: Entry) -> bool:
        return entry["type"] == "lvm" and entry.get("vgname") == name

    def uses(entry: Entry) -> bool:
        return entry.get("vgname") == name

    failed = _failed(f"vgremove -y {name}", 5)
    failure = TaskError(f"unable to remove volume group {name}: {failed}")
    _need_idle(worker, uses, failure)
    if mounted := blocks.mounted_volume(host_of(worker), group):
        worker.say(f"  Logical volume {name}/{mounted} contains a filesystem in use.")
        raise failure
    _remove_group(worker, group.uuid)
    worker.say(f'  Volume group "{name}" successfully removed')
    _finish(worker, f"lvm {name}", gone, [volume for volume, _ in group.members])


def _remove_group(worker: Worker, uuid: str) -> None:
    state = worker.twin.state
    for volume, _ in state.volume_groups.pop(uuid).members:
        state.carried[volume] = replace(state.carried[volume], group="")


def _finish_thin(worker: Worker) -> None:
    name, vg = worker.text("name"), worker.text("group")
    known = {(group.name, volume.name): group for group, volume in thin_pools(worker)}
    if (group := known.get((vg, name))) is None:
        raise TaskError(f"no such thin pool {vg}/{name}")

    def gone(entry: Entry) -> bool:
        return (entry["type"], entry.get("vgname"), entry.get("thinpool")) == ("lvmthin", vg, name)

    _need_idle(worker, gone, _failed(f"lvremove -y {vg}/{name}", 5))
    left = tuple(volume for volume in group.volumes if volume.name != name)
    worker.twin.state.volume_groups[group.uuid] = replace(group, volumes=left)
    worker.say(f'  Logical volume "{name}" successfully removed.')
    wipes = worker.number("disks")
    count = next(told["lvcount"] for each, told in groups(worker) if each.uuid == group.uuid)
    if wipes and not count:
        _remove_group(worker, group.uuid)
    members = [volume for volume, _ in group.members] if not count else []
    _finish(worker, f"lvmthin {vg}", gone, members)
    if wipes and count:
        raise TaskError(f"volume group '{vg}' still in use")


def _finish_zfs(worker: Worker) -> None:
    name, state = worker.task.id, worker.twin.state
    if (pool := next((pool for pool in zpools(worker) if pool.name == name), None)) is None:
        asks = f"zpool list -vHPL {name}" if worker.number("disks") else f"zpool destroy {name}"
        raise _failed(asks)

    def gone(entry: Entry) -> bool:
        return entry["type"] == "zfspool" and entry.get("pool") == name

    def uses(entry: Entry) -> bool:
        below = str(entry.get("pool")).partition("/")[0]
        return entry["type"] == "zfspool" and below == name

    _need_idle(worker, uses, _failed(f"zpool destroy {name}"))
    del state.zpools[pool.uuid]
    members = [volume for volume, _ in pool.members]
    for volume in members:
        state.carried[volume] = replace(state.carried[volume], group="")
    _finish(worker, f"zfspool {name}", gone, members)


FINISH["dirremove"] = _finish_directory
FINISH["lvmremove"] = _finish_group
FINISH["lvmthinremove"] = _finish_thin
FINISH["zfsremove"] = _finish_zfs


@routes.add("DELETE /nodes/{node}/disks/directory/{name}", MODIFY, _OLD)
def remove_directory(call: Call) -> object:
    """Unmount a directory and forget its unit: a task."""
    return _start(call, "dirremove", call.text("name"))


@routes.add("DELETE /nodes/{node}/disks/lvm/{name}", MODIFY, _OLD)
def remove_group(call: Call) -> object:
    """Remove a volume group with its volumes: a task."""
    return _start(call, "lvmremove", call.text("name"))


@routes.add(
    "DELETE /nodes/{node}/disks/lvmthin/{name}", MODIFY, _OLD + "volume-group pve-storage-id\n"
)
def remove_thin(call: Call) -> object:
    """Remove a thin pool, and its group if its disks are to be cleared: a task."""
    return _start(call, "lvmthinremove", f"{call.text('volume-group')}-{call.text('name')}")


@routes.add("DELETE /nodes/{node}/disks/zfs/{name}", MODIFY, _OLD)
def remove_zfs(call: Call) -> object:
    """Destroy a pool of ZFS: a task."""
    return _start(call, "zfsremove", call.text("name"))
