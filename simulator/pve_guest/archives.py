"""Backups as they lie on a storage: what is in one, what it is called, who may use it.

The guest's file as it was and the sizes of its disks are kept; what the disks held has no weight.
Source: PVE::VZDump::QemuServer and ::LXC, assemble; PVE::Storage check_volume_access. Leaves out:
compressing (a backup is as large as the disks), archives of Proxmox Backup Server.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from simulator.pve import load
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Backup, GuestConfig, Volume
from simulator.pve.propertystring import split
from simulator.pve.wire import died
from simulator.pve_datacenter.backup import included
from simulator.pve_guest import guest_file
from simulator.pve_node import volumes
from simulator.pve_node.storage import find_storage
from simulator.pve_node.volumes import storage_of

SUFFIXES = {"qemu": "vma", "lxc": "tar"}
COMPRESSED = {"1": ".lzo", "lzo": ".lzo", "gzip": ".gz", "zstd": ".zst"}
_NAME = re.compile(r"backup/[^/]+\.(tgz|(tar|vma)(\.(gz|lzo|zst|bz2))?)")
_OWNED = re.compile(r"backup/vzdump-(qemu|lxc)-(\d+)-.+")
_MAP = "#qmdump#map:"
_LEFT_OUT = re.compile(r"lock|parent|unused\d+")


def file_name(kind: str, vmid: int, now_s: int, compress: str) -> str:
    """What a backup made now is called on its storage."""
    moment = datetime.fromtimestamp(now_s, UTC)
    suffix = SUFFIXES[kind] + COMPRESSED.get(compress, "")
    return f"backup/vzdump-{kind}-{vmid}-{moment:%Y_%m_%d-%H_%M_%S}.{suffix}"


def disks_of(scene: Environment, vmid: int) -> dict[str, Volume]:
    """The volumes of a guest that a backup of it has, by option. Raises for one that is gone."""
    guest, found = scene.documents.guests[vmid], dict[str, Volume]()
    for option, volid in load.volumes(guest.current):
        text = str(guest.current[option])
        if "media=cdrom" in text or not included(guest.kind, option, text):
            continue
        if (volume := volumes.find(scene.documents, scene.node, volid)) is None:
            raise volumes.not_found(volid)
        found[option] = volume
    return found


def backup_of(scene: Environment, vmid: int) -> Backup:
    """What a backup of a guest made now holds: no snapshots, nothing that waits, nothing unused."""
    guest, disks = scene.documents.guests[vmid], disks_of(scene, vmid)
    kept = {key: value for key, value in guest.current.items() if not _LEFT_OUT.fullmatch(key)}
    text = GuestConfig(guest.kind, kept).text
    if guest.kind == "qemu":
        for option, volume in disks.items():
            text += f"{_MAP}{option}:drive-{option}:{volume.storage}:{volume.format}:\n"
    sizes = tuple((option, volume.size_bytes) for option, volume in disks.items())
    return Backup(text, sizes, scene.documents.files.get(f"firewall/{vmid}.fw", ""))


def saved_guest(backup: Backup, kind: str) -> GuestConfig:
    """The guest in a backup."""
    lines = [line for line in backup.config.splitlines() if not line.startswith("#qmdump#")]
    return guest_file.read("\n".join(lines), kind)


def origins(backup: Backup) -> dict[str, tuple[str, str]]:
    """Option of each disk of a virtual machine -> the storage that it was on, and its format."""
    lines = [line for line in backup.config.splitlines() if line.startswith(_MAP)]
    fields = [line.removeprefix(_MAP).split(":") for line in lines]
    return {option: (storage, format_name) for option, _, storage, format_name, _ in fields}


def owner_of(volid: str) -> int:
    """The guest that a backup is of, 0 if its name says none. Raises for a volume that is none."""
    name = volid.partition(":")[2]
    if _NAME.fullmatch(name) is None:
        raise died(f"unable to parse directory volume name '{name}'")
    match = _OWNED.fullmatch(name)
    return int(match[2]) if match else 0


def need_access(call: Call, volid: str, vmid: int = 0) -> str:
    """The volume id of a backup, which may be given by its path. Raises unless the caller may read
    it, to restore the guest `vmid`.
    """
    if ":" not in volid:
        return _by_path(call, volid)
    storage, name = storage_of(volid), volid.partition(":")[2]
    find_storage(call.documents, storage)
    if volumes.content_of(name) != "backup":
        raise died(f"unable to use volume {volid} - content type needs to be 'backup'")
    owner = owner_of(volid)
    if call.may(f"/storage/{storage}", "Datastore.Allocate") or owner and owner == vmid:
        return volid
    if not owner:
        raise died(f"missing privileges to access {volid}")
    call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    call.need(f"/vms/{owner}", "VM.Backup")
    return volid


def _by_path(call: Call, path: str) -> str:
    if call.user != "root@pam":
        raise died("Only root can pass arbitrary filesystem paths.")
    for volume in call.documents.volumes.values():
        here = volume.content == "backup" and volume.node in ("", call.node)
        entry = call.documents.storages.get(volume.storage)
        if here and entry is not None and volumes.path_of(entry, volume) == path:
            return volume.volid
    raise died(f"can't find file '{path}'")


def find_backup(scene: Environment, volid: str) -> Backup:
    """What is in a backup. Raises if it is not there, or if its content is not known: it was
    observed, and no answer of the API has that.
    """
    if (volume := volumes.find(scene.documents, scene.node, volid)) is None:
        raise volumes.not_found(volid)
    if volume.backup is None:
        raise died(f"unable to extract the configuration of '{volid}'")
    return volume.backup


def size_in(config: str) -> int | None:
    """The `size` of a disk's option in bytes; None if it does not say."""
    values = split(config, "file", {"volume": "file"})
    return volumes.parse_size(values["size"]) if "size" in values else None
