"""Drives of a virtual machine: volumes made, attached, let go and freed as options change.

Source: PVE::API2::Qemu create_disks, PVE::QemuServer vmconfig_delete_or_detach_drive. A disk that
is imported is as large as the image's file, for nothing else of an image is known. Leaves out:
images by their path, and formats that a storage's type does not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simulator.pve import load, propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry, GuestConfig, Volume
from simulator.pve.parameters import Value, parse
from simulator.pve.wire import TaskError, bad_parameters, denied, died
from simulator.pve_guest.guest_strings import drive_kind, is_drive
from simulator.pve_node import volumes
from simulator.pve_node.storage import find_storage
from simulator.pve_node.volumes import format_size, is_iso, storage_of

NEW_DISK = re.compile(r"(?P<storage>[^:/]+):(?P<size_gib>\d+(\.\d+)?)")
CLOUD_INIT = re.compile(r"(?P<storage>[^:/]+):cloudinit")
CLOUD_INIT_BYTES = 4 * 2**20  # PVE::QemuServer::Cloudinit
FIXED_BYTES = {"efidisk": 528 * 2**10, "tpmstate": 4 * 2**20}
"""Firmware variables and TPM state have their own size. Source: PVE::QemuServer::Drive."""


def drives(options: Mapping[str, Value]) -> dict[str, dict[str, str | int]]:
    """Values of the options that are drives, in the order in which they are made."""
    return {
        option: parse(drive_kind(option), str(options[option]))
        for option in sorted(options)
        if is_drive(option) and options[option]
    }


def check_drives(call: Call, options: Mapping[str, Value]) -> None:
    """Raise for drives that can't be, or that the caller may not allocate."""
    for option, drive in drives(options).items():
        file = str(drive["file"])
        match = NEW_DISK.fullmatch(file) or CLOUD_INIT.fullmatch(file)
        if is_iso(file) and drive.get("media") != "cdrom":
            raise bad_parameters(**{option: "explicit 'media=cdrom' is required for iso images"})
        if match is None:
            if file.startswith("/") and call.user != "root@pam":
                raise died("only root can pass arbitrary filesystem paths.")
            continue
        storage = match["storage"]
        if image := str(drive.get("import-from", "")):
            _check_import(call, option, image, match.groupdict().get("size_gib"))
        call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
        if (entry := call.documents.storages.get(storage)) is None:
            raise died(f"storage '{storage}' does not exist")
        volumes.need_images(storage, entry)


def _check_import(call: Call, option: str, image: str, size: str | None) -> None:
    """Raise for an image that can't be imported, or that the caller may not read."""
    if size != "0":
        how = "use <storage ID>:0,import-from=<source>"
        raise bad_parameters(**{option: f"'import-from' requires special syntax - {how}"})
    if image.startswith("/"):
        if call.user != "root@pam":
            raise denied("only root can pass arbitrary filesystem paths")
        raise died(f"{image} does not exist")
    storage, kind = storage_of(image), volumes.content_of(image.partition(":")[2])
    if kind not in ("images", "import"):
        text = f"{image} has wrong type '{kind}' - needs to be 'images' or 'import'"
        raise bad_parameters(**{option: text})
    volume = volumes.find(call.documents, call.node, image)
    if not call.may(f"/storage/{storage}", "Datastore.Allocate"):
        needed = ["Datastore.Audit", *(["Datastore.AllocateSpace"] if kind == "import" else [])]
        call.need(f"/storage/{storage}", *needed)
        if kind == "images":
            call.need(f"/vms/{volume.vmid if volume else 0}", "VM.Config.Disk")


def make_drives(
    scene: Environment,
    vmid: int,
    options: Mapping[str, Value],
    said: list[str],
    taken: list[Volume],
) -> dict[str, Value]:
    """The drive options as they are kept, their new volumes allocated (and put into `taken`).

    `said` gets the lines of the task's log. Raises for a volume that is not there.
    """
    kept: dict[str, Value] = {}
    for option, drive in drives(options).items():
        volume = _new_volume(scene, vmid, option, drive, said)
        if volume is not None:
            taken.append(volume)
            drive["file"] = volume.volid
            if volume.name.find("cloudinit") >= 0:
                drive["media"] = "cdrom"
            else:
                drive["size"] = format_size(volume.size_bytes)
        else:
            _attach(scene, drive)
        drive.pop("format", None)
        drive.pop("import-from", None)
        kept[option] = propertystring.join(drive, "file")
        if volume is not None:
            said.append(f"{option}: successfully created disk '{kept[option]}'")
    return kept


def _new_volume(
    scene: Environment, vmid: int, option: str, drive: Mapping[str, str | int], said: list[str]
) -> Volume | None:
    file = str(drive["file"])
    name = ""
    if match := CLOUD_INIT.fullmatch(file):
        size_bytes = CLOUD_INIT_BYTES
    elif match := NEW_DISK.fullmatch(file):
        size_bytes = int(float(match["size_gib"]) * 2**30)
        size_bytes = FIXED_BYTES.get(drive_kind(option), size_bytes)
        if image := str(drive.get("import-from", "")):
            if (source := volumes.find(scene.documents, scene.node, image)) is None:
                raise volumes.not_found(image)
            size_bytes = source.disk_bytes
    else:
        return None
    storage = match["storage"]
    entry = find_storage(scene.documents, storage)
    files = entry["type"] in volumes.FILE_TYPES
    default = "qcow2" if files and CLOUD_INIT.fullmatch(file) else str(entry.get("format") or "raw")
    format_name = str(drive.get("format") or default) if files else "raw"
    if CLOUD_INIT.fullmatch(file):
        name = volumes.full_name(entry, vmid, f"vm-{vmid}-cloudinit", format_name)
    volume = volumes.allocate(scene, storage, vmid, size_bytes, format_name, name)
    if files:
        said.append(formatting(volumes.path_of(entry, volume), volume))
    return volume


def formatting(path: str, volume: Volume) -> str:
    """What qemu-img prints."""
    if volume.format == "qcow2":
        return (
            f"Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off "
            f"preallocation=metadata compression_type=zlib size={volume.size_bytes} "
            "lazy_refcounts=off refcount_bits=16"
        )
    return f"Formatting '{path}', fmt={volume.format} size={volume.size_bytes} preallocation=off"


def _attach(scene: Environment, drive: dict[str, str | int]) -> None:
    """Look at a volume that is there already."""
    file = str(drive["file"])
    if file in ("none", "cdrom") or file.startswith("/"):
        drive.setdefault("media", "cdrom")
        return
    if (volume := volumes.find(scene.documents, scene.node, file)) is None:
        raise volumes.not_found(file)
    if drive.get("media") != "cdrom":
        drive["size"] = format_size(volume.size_bytes)


def volid_of(value: Value) -> str:
    """The volume id in a drive's or an unused disk's option; "" if it holds none."""
    file = propertystring.split(str(value), "file", {"volume": "file"}).get("file", "")
    return file if ":" in file and not file.startswith("/") else ""


def uses(config: Entry, volid: str, but: str = "") -> bool:
    """Whether another option of the guest holds the volume."""
    return any(
        option != but
        and (is_drive(option) or drive_kind(option) == "unused")
        and volid_of(value) == volid
        for option, value in config.items()
    )


def in_use(guest: GuestConfig, volid: str, but: str = "") -> bool:
    """Whether another option holds the volume, or one of a snapshot.

    Source: PVE::QemuServer::Drive is_volume_in_use.
    """
    elsewhere = {key: value for key, value in guest.current.items() if key != but}
    return any(
        volid == used
        for config in (elsewhere, *guest.snapshots.values())
        for _, used in load.volumes(config)
    )


def detach(
    scene: Environment, vmid: int, config: dict[str, Value], option: str, *, force: bool
) -> None:
    """Take a drive out of a configuration: its volume becomes `unusedN`, or is freed."""
    value = config.get(option)
    volid = volid_of(value) if value is not None else ""
    cloud_init = "cloudinit" in volid
    if volid and (force or cloud_init or drive_kind(option) == "unused"):
        snapshots = scene.documents.guests[vmid].snapshots.values()
        kept = any(uses(snapshot, volid) for snapshot in snapshots)
        if force and (kept or uses(config, volid, option)):
            raise TaskError(f"unable to delete '{volid}' - volume is still in use (snapshot?)\n")
        if not uses(config, volid, option):
            free(scene, vmid, volid)
    elif volid and "media=cdrom" not in str(value):
        _keep_unused(config, volid, option)
    config.pop(option, None)


def _keep_unused(config: dict[str, Value], volid: str, option: str) -> None:
    if not uses(config, volid, option):
        number = next(n for n in range(256) if f"unused{n}" not in config)
        config[f"unused{number}"] = volid


def free(scene: Environment, vmid: int, volid: str) -> None:
    """Delete a guest's own volume; others' stay."""
    volume = volumes.find(scene.documents, scene.node, volid)
    if volume is not None and volume.vmid == vmid:
        del scene.documents.volumes[volume.key]


def forget_unused(config: dict[str, Value], volid: str) -> None:
    """A volume that is attached again is not unused any more."""
    for option in [
        o for o, v in config.items() if drive_kind(o) == "unused" and volid_of(v) == volid
    ]:
        del config[option]


def own_volumes(config: Entry) -> list[str]:
    """Volumes of a guest's drives and unused disks."""
    return [
        volid
        for option, value in config.items()
        if (is_drive(option) or drive_kind(option) == "unused") and (volid := volid_of(value))
    ]


def storages_of(config: Entry) -> set[str]:
    """Storages that a guest's drives are on."""
    return {storage_of(volid) for volid in own_volumes(config)}
