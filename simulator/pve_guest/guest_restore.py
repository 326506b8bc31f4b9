"""Virtual machines out of backups. Source: PVE::API2::Qemu create_vm with `archive`,
PVE::QemuServer restore_vma_archive and restore_update_config_line.

A disk in the backup takes the place of the guest's own; other disks it had stay, unused. Leaves
out: live restore, which needs a Proxmox Backup Server, as a real node says, too.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace

from simulator import guests
from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Backup, Entry, GuestConfig, Volume
from simulator.pve.parameters import Value
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, denied, died, wrong
from simulator.pve_datacenter import pools
from simulator.pve_guest import archives, guest_clone, guest_drives, guest_template
from simulator.pve_guest.guest_config import QEMU, Kind
from simulator.pve_guest.guest_power import start_when_made
from simulator.pve_guest.guest_strings import is_drive
from simulator.pve_node import volumes
from simulator.pve_node.storage import find_storage

READ_BPS = 100 * 2**20  # assumed: a backup target of one disk
BEGIN_S = 2.0  # assumed
_ACTS = ("force", "live-restore", "start", "ha-managed", "unique")


def start(call: Call, vmid: int, pool: str, sent: Mapping[str, Value]) -> str:
    """Restore `vmid` from the call's archive, with the options that were sent over it: a task."""
    if conflicts := {o: "option conflicts with option 'archive'" for o in sent if is_drive(o)}:
        raise wrong(conflicts)
    if call.text("archive") == "-":
        raise died("pipe requires cli environment")
    volid = archives.need_access(call, call.text("archive"), vmid)
    if volumes.find(call.documents, call.node, volid) is None:
        raise volumes.not_found(volid)
    storage = call.text("storage")
    if storage:
        call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    hold(call, QEMU, vmid)
    work: dict[str, Value] = {f"set {key}": value for key, value in sent.items()}
    work |= {"archive": volid, "storage": storage, "pool": pool}
    work |= {key: call.values[key] for key in _ACTS if call.has(key)}
    return start_task(call, "qmrestore", str(vmid), work, took_s=duration_s(call, volid))


def duration_s(call: Call, volid: str) -> float:
    """How long reading a backup takes."""
    volume = volumes.find(call.documents, call.node, volid)
    return BEGIN_S + (volume.size_bytes if volume else 0) / READ_BPS


def hold(call: Call, kind: Kind, vmid: int) -> None:
    """Take an id for a guest to be restored, or with `force` lock the guest that has it.

    Raises for an id that is taken, and for a guest that is locked.
    """
    failed = f"unable to restore {kind.word} {vmid} -"
    known, state = call.documents.guests.get(vmid), call.world.guest(vmid)
    if known is None:
        call.documents.guests[vmid] = GuestConfig(kind.name, {"lock": "create"})
        call.api.sync(call.twin)
        guests.place(call.twin, (call.api.cluster, vmid), call.node)
        return
    where = state.node if state else call.node
    if not call.flag("force"):
        word = "VM" if known.kind == "qemu" else "CT"
        raise died(f"{failed} {word} {vmid} already exists on node '{where}'")
    if (known.kind, where) != (kind.name, call.node):
        folder = f"/etc/pve/nodes/{call.node}/{kind.folder}"
        file = f"{folder}/{vmid}.conf.tmp.{1000 + call.documents.serial}"
        raise died(f"{failed} unable to open file '{file}' - File exists")
    if lock := known.current.get("lock"):
        raise died(f"{failed} {kind.word} is locked ({lock})")
    call.documents.guests[vmid] = replace(known, current={**known.current, "lock": "create"})


def release(worker: Worker, vmid: int) -> None:
    """Unlock a guest whose restore failed."""
    guest = worker.documents.guests[vmid]
    unlocked = {key: value for key, value in guest.current.items() if key != "lock"}
    worker.documents.guests[vmid] = replace(guest, current=unlocked)


def _finish(worker: Worker) -> None:
    vmid = int(worker.task.id)
    try:
        config = _restored(worker, vmid)
    except (ApiError, TaskError):
        release(worker, vmid)
        worker.say(
            "error before or during data restore, some or all disks were not completely restored. "
            f"VM {vmid} state is NOT cleaned up."
        )
        raise
    worker.documents.guests[vmid] = GuestConfig("qemu", config)
    if config.get("template"):
        worker.say("Convert to template.")
        guest_template.make_template(worker, QEMU, vmid)
    if pool := worker.text("pool"):
        pools.add_guest(worker.documents, pool, vmid)
    start_when_made(worker, vmid, "vm", "qmstart")


FINISH["qmrestore"] = _finish


def _restored(worker: Worker, vmid: int) -> Entry:
    """The options of the restored guest, its disks allocated."""
    failed, old = f"unable to restore VM {vmid} -", worker.documents.guests[vmid]
    if old.current.get("protection"):
        raise TaskError(f"{failed} protection mode enabled")
    if worker.world.running(vmid):
        raise TaskError(f"{failed} vm is running")
    if worker.number("live-restore"):
        text = "live-restore is only compatible with backup images from a Proxmox Backup Server"
        raise TaskError(text)
    backup = archives.find_backup(worker, worker.text("archive"))
    saved = archives.saved_guest(backup, "qemu").current
    wanted = list(_wanted(worker, backup, saved))
    for disk in wanted:
        _need_place(worker, disk.storage)
    kept = _free_replaced(worker, old, vmid, {disk.option for disk in wanted})
    made = _allocate(worker, vmid, wanted)
    config = _merged(worker, saved, made)
    config |= {k[4:]: v for k, v in worker.task.work.items() if k.startswith("set ")}
    for volid in kept:
        number = next(n for n in range(256) if f"unused{n}" not in config)
        config[f"unused{number}"] = volid
    if backup.firewall:
        worker.documents.files[f"firewall/{vmid}.fw"] = backup.firewall
    worker.say("rescan volumes...")
    return {key: value for key, value in config.items() if value is not None}


class _Disk:
    """A disk to be made: its option, where, how large."""

    def __init__(self, option: str, storage: str, size_bytes: int, format_name: str) -> None:
        self.option, self.storage = option, storage
        self.size_bytes, self.format = size_bytes, format_name
        self.cloud_init = False


def _wanted(worker: Worker, backup: Backup, saved: Entry) -> Iterator[_Disk]:
    """The disks in the backup, and the cloud-init drive, which is made anew."""
    chosen, origins = worker.text("storage"), archives.origins(backup)
    for option, size_bytes in backup.disks:
        storage, format_name = origins.get(option, ("", ""))
        yield _Disk(option, chosen or storage or "local", size_bytes, format_name or "raw")
    for option, value in saved.items():
        volid = guest_drives.volid_of(value) if is_drive(option) else ""
        if "cloudinit" in volid:
            suffix = volid.rpartition(".")[2] if "." in volid else "raw"
            size_bytes = guest_drives.CLOUD_INIT_BYTES
            disk = _Disk(option, chosen or volumes.storage_of(volid), size_bytes, suffix)
            disk.cloud_init = True
            yield disk


def _need_place(worker: Worker, storage: str) -> None:
    """Raise unless the user may make disks on a storage, and it holds such."""
    path, privilege = f"/storage/{storage}", "Datastore.AllocateSpace"
    if not worker.permissions.any(path, [privilege]):
        raise denied(f"{path}, {privilege}")
    if "images" not in propertystring.items(
        str(find_storage(worker.documents, storage)["content"])
    ):
        raise died(f"storage '{storage}' does not support vm images")


def _free_replaced(worker: Worker, old: GuestConfig, vmid: int, options: set[str]) -> list[str]:
    """Delete the guest's own disks that others take the place of, and what its snapshots held; its
    disks that stay.
    """
    kept = []
    for option, value in old.current.items():
        volid = guest_drives.volid_of(value) if is_drive(option) else ""
        if not volid or "media=cdrom" in str(value) and "cloudinit" not in volid:
            continue
        if option in options:
            guest_drives.free(worker, vmid, volid)
        elif (found := volumes.find(worker.documents, worker.node, volid)) and found.vmid == vmid:
            kept.append(volid)
    kept += [str(value) for key, value in old.current.items() if key.startswith("unused")]
    for snapshot in old.snapshots.values():
        if state := snapshot.get("vmstate"):
            guest_drives.free(worker, vmid, str(state))
    return kept


def _allocate(worker: Worker, vmid: int, wanted: list[_Disk]) -> dict[str, Volume]:
    """The new volume of each option; none of them stays if one can't be made."""
    made: dict[str, Volume] = {}
    for disk in wanted:
        entry = worker.documents.storages[disk.storage]
        format_name = disk.format if entry["type"] in volumes.FILE_TYPES else "raw"
        base = f"vm-{vmid}-cloudinit"
        name = volumes.full_name(entry, vmid, base, format_name) if disk.cloud_init else ""
        try:
            volume = volumes.allocate(
                worker, disk.storage, vmid, disk.size_bytes, format_name, name
            )
        except ApiError:
            for taken in made.values():
                del worker.documents.volumes[taken.key]
            raise
        made[disk.option] = volume
        worker.say(f"new volume ID is '{volume.volid}'")
        if not disk.cloud_init:
            path = volumes.path_of(entry, volume)
            worker.say(f"map 'drive-{disk.option}' to '{path}' (write zeros = 0)")
    return made


def _merged(worker: Worker, saved: Entry, made: Mapping[str, Volume]) -> dict[str, Value]:
    """The saved options over the new volumes. What no backup has of a disk becomes a note."""
    config: dict[str, Value] = {}
    notes = [text] if (text := str(saved.get("description") or "")) else []
    unique, chance = worker.number("unique"), worker.chance
    for option, value in saved.items():
        if option in made:
            drive = propertystring.split(str(value), "file", {"volume": "file"})
            drive.pop("format", None)
            config[option] = propertystring.join({**drive, "file": made[option].volid}, "file")
        elif is_drive(option) and guest_drives.volid_of(value) and "cdrom" not in str(value):
            notes.append(f"{option}: {value}")
        elif option == "vmgenid":
            config[option] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        elif option == "smbios1" and unique:
            fresh = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            config[option] = propertystring.join(
                {**propertystring.split(str(value)), "uuid": fresh}
            )
        elif unique and re.fullmatch(r"net\d+", option):
            config[option] = guest_clone.fresh_mac(worker, str(value))
        else:
            config[option] = value
    return {**config, "description": "\n".join(notes)} if notes else config
