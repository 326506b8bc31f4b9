"""Moving a guest's volume to another storage, or to another guest of the node.

Source: PVE::API2::Qemu move_vm_disk, PVE::API2::LXC move_volume. The source stays as an unused
volume unless it is to be deleted. Leaves out: mirroring a running guest's disk block by block; the
time it takes is a second.
"""

from __future__ import annotations

import re
from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.documents import Entry, GuestConfig, Volume
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.sections import CHANGED
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_clone import CONTENT
from simulator.pve_guest.guest_config import KINDS, Kind, check_lock, find_guest
from simulator.pve_guest.guest_drives import volid_of
from simulator.pve_guest.guest_strings import DRIVES
from simulator.pve_guest.lxc_options import MOUNTS
from simulator.pve_node import volumes
from simulator.pve_node.storage import find_storage, need_enabled

routes = Routes()

GUEST = "node pve-node\nvmid integer:pve-vmid 100..999999999\n"
_UNUSED = tuple(f"unused{number}" for number in range(256))


IN_THE_WAY = {
    "qemu": (
        "Can't move disk used by a snapshot to another VM",
        "Cannot move disk to another VM while the source VM is running - detach first",
    ),
    "lxc": (
        "Cannot move volume used by a snapshot to another container",
        "Cannot move in-use volume while the source CT is running - detach or shutdown first",
    ),
}
"""Why a volume is not given to another guest: a snapshot has it, or the guest runs."""


def calls(kind: Kind) -> None:
    """Register the call for one kind of guest."""
    qemu = kind.name == "qemu"
    name, key = ("move_disk", "disk") if qemu else ("move_volume", "volume")
    options = DRIVES if qemu else MOUNTS
    listed = ",".join([*options, *_UNUSED])
    limit, form = ("integer", "format? enum(raw,qcow2,vmdk)\n") if qemu else ("number", "")

    @routes.add(
        f"POST /nodes/{{node}}/{kind.name}/{{vmid}}/{name}",
        "/vms/{vmid} VM.Config.Disk",
        GUEST
        + form
        + f"""
        bwlimit?        {limit} 0..
        delete?         boolean
        digest?         string ..40
        {key}           enum({listed})
        storage?        pve-storage-id
        target-digest?  string ..40
        target-{key}?   enum({listed})
        target-vmid?    integer:pve-vmid 100..999999999
        """,
    )
    def move(call: Call) -> object:
        if call.has("storage") == call.has("target-vmid"):
            raise _either(call, qemu)
        if call.has("target-vmid"):
            return _reassign(call, kind, key)
        return _move(call, kind, key)

    FINISH[f"{kind.task}move"] = lambda worker: _finish(worker, kind, key)


def _either(call: Call, qemu: bool) -> Exception:
    both = call.has("storage")
    if both and not qemu:
        return died("either set storage or target-vmid, but not both")
    text = "both 'storage' and 'target-vmid' missing, either needs to be set"
    if both:
        text = "either set 'storage' or 'target-vmid', but not both"
    return bad_parameters(**{"target-vmid": text, "storage": text})


def _check_container(call: Call, option: str) -> None:
    if call.world.running(call.number("vmid")):
        raise died("cannot move volumes of a running container")
    if option.startswith("unused"):
        only = "only configured volumes can be moved to another storage"
        raise died(f"cannot move volume '{option}', {only}")


def _checked(call: Call, kind: Kind, option: str) -> tuple[Entry, str]:
    """Configuration and volume of what is to be moved. Raises."""
    guest = find_guest(call, call.number("vmid"), kind.name)
    check_lock(guest.current, kind.word)
    if kind.name == "lxc":
        _check_container(call, option)
    call.need_digest(guest.digest)
    value = guest.current.get(option)
    volid = _volid(value)
    if value is None:
        what = "disk" if kind.name == "qemu" else "volume"
        raise died(f"{what} '{option}' does not exist")
    if "media=cdrom" in str(value):
        raise died("you can't move a cdrom")
    if not volid:
        raise died(f"disk '{option}' has no associated volume")
    return guest.current, volid


def _volid(value: Value) -> str:
    text = str(value or "")
    return volid_of(text.removeprefix("volume=")) if text else ""


def _move(call: Call, kind: Kind, key: str) -> str:
    option, storage = call.text(key), call.text("storage")
    _, volid = _checked(call, kind, option)
    call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    entry = need_enabled(call, storage)
    content, spoken = CONTENT[kind.name]
    if content not in items(str(entry["content"])):
        raise bad_parameters(storage=f"storage '{storage}' does not support {spoken}")
    old = volumes.find(call.documents, call.node, volid)
    same = call.text("format", old.format if old else "raw")
    if kind.name == "qemu" and volumes.storage_of(volid) == storage and old and same == old.format:
        raise died("you can't move to the same storage with same format")
    kept = guest_drives.in_use(find_guest(call, call.number("vmid"), kind.name), volid, option)
    if kept and call.flag("delete"):
        what = "disk" if kind.name == "qemu" else "volume"
        raise died(f"you can't move a {what} with snapshots and delete the source")
    work: dict[str, Value] = {
        "option": option,
        "storage": storage,
        "format": call.text("format"),
        "delete": call.number("delete"),
        "finish": f"{kind.task}move",
    }
    name = "qmmove" if kind.name == "qemu" else "move_volume"
    return start_task(call, name, call.text("vmid"), work)


def _finish(worker: Worker, kind: Kind, key: str) -> None:
    vmid, option, storage = int(worker.task.id), worker.text("option"), worker.text("storage")
    guest = find_guest(worker, vmid, kind.name)
    old_volid = _volid(guest.current.get(option))
    if (old := volumes.find(worker.documents, worker.node, old_volid)) is None:
        raise volumes.not_found(old_volid)
    entry = find_storage(worker.documents, storage)
    files = entry["type"] in volumes.FILE_TYPES
    format_name = (worker.text("format") or old.format) if files else "raw"
    if kind.name == "qemu":
        worker.say(f"create full clone of drive {option} ({old_volid})")
    new = volumes.allocate(worker, storage, vmid, old.size_bytes, format_name)
    config = dict(guest.current)
    config[option] = str(config[option]).replace(old_volid, new.volid, 1)
    if worker.number("delete"):
        del worker.documents.volumes[old.key]
    else:
        number = next(n for n in range(256) if f"unused{n}" not in config)
        config[f"unused{number}"] = old_volid
    worker.documents.guests[vmid] = replace(guest, current=config)
    worker.api.sync(worker.twin)


def _reassign(call: Call, kind: Kind, key: str) -> str:
    """Give a volume to another guest of this node."""
    option, vmid, target = call.text(key), call.number("vmid"), call.number("target-vmid")
    there = call.text(f"target-{key}", option)
    call.need(f"/vms/{target}", "VM.Config.Disk")
    if vmid == target and kind.name == "qemu":
        text = "must be different than source VMID to reassign disk"
        raise bad_parameters(**{"target-vmid": text})
    source, other = _pair(call, kind, vmid, target)
    if source.current.get("template") or other.current.get("template"):
        what = "disks" if kind.name == "qemu" else "volumes"
        plural = "VMs" if kind.name == "qemu" else "CT"
        raise died(f"Can't move {what} from or to template {plural}")
    for guest, number, digest in ((source, vmid, "digest"), (other, target, "target-digest")):
        if call.has(digest) and call.text(digest) != guest.digest:
            raise died(f"{kind.word} {number}: {CHANGED}")
    value = source.current.get(option)
    what, word = ("disk", "VM") if kind.name == "qemu" else ("volume", "container")
    if value is None:
        subject = "Disk" if kind.name == "qemu" else "volume"
        raise died(f"{subject} '{option}' for {word} '{vmid}' does not exist")
    if there in other.current:
        raise died(f"Target {what} key '{there}' is already in use for {word} '{target}'")
    volid = _given_away(call, kind, option, source)
    if (volume := volumes.find(call.documents, call.node, volid)) is None:
        raise volumes.not_found(volid)
    work: dict[str, Value] = {"option": option, "there": there, "target": target}
    work |= {"volid": volume.volid, "finish": "reassign"}
    name = "qmmove" if kind.name == "qemu" else "move_volume"
    work["vmid"] = vmid
    return start_task(call, name, f"{vmid}-{option}>{target}-{there}", work)


def _pair(call: Call, kind: Kind, vmid: int, target: int) -> tuple[GuestConfig, GuestConfig]:
    """Both guests. Raises unless they are on this node and free."""
    places = {}
    for number, which in ((vmid, ""), (target, "target ")):
        state = call.world.guest(number)
        if number not in call.documents.guests or state is None:
            which = which if kind.name == "qemu" else ""
            raise died(f"could not find {which}{kind.word} {number}")
        places[number] = state.node
    if places[vmid] != places[target]:
        guests = "VMs" if kind.name == "qemu" else "containers"
        nodes = f"({places[vmid]} != {places[target]})"
        raise died(f"Both {guests} need to be on the same node {nodes}")
    found = [find_guest(call, number, kind.name) for number in (vmid, target)]
    for guest in found:
        check_lock(guest.current, kind.word)
    return found[0], found[1]


def _given_away(call: Call, kind: Kind, option: str, source: GuestConfig) -> str:
    """The volume, if another guest may have it."""
    value = source.current[option]
    volid = _volid(value)
    if kind.name == "qemu" and "media=cdrom" in str(value) and "cloudinit" not in volid:
        raise died("CD drive contents can't be moved to another VM")
    if not volid:
        raise died(f"Volume '{option}' has no associated image")
    used, running = IN_THE_WAY[kind.name]
    if guest_drives.in_use(source, volid, option):
        raise died(used)
    if call.world.running(call.number("vmid")) and not option.startswith("unused"):
        raise died(running)
    return volid


def _finish_reassign(worker: Worker) -> None:
    vmid, target = worker.number("vmid"), worker.number("target")
    option, there = worker.text("option"), worker.text("there")
    volid = worker.text("volid")
    guest, other = worker.documents.guests.get(vmid), worker.documents.guests.get(target)
    volume = volumes.find(worker.documents, worker.node, volid)
    if guest is None or other is None or volume is None or option not in guest.current:
        raise TaskError(f"volume '{volid}' does not exist")
    given = _owned(worker, volume, target)
    text = str(guest.current[option]).replace(volid, given.volid, 1)
    left = {key: value for key, value in guest.current.items() if key != option}
    if there.startswith("unused"):
        text = given.volid
    worker.documents.guests[vmid] = replace(guest, current=left)
    worker.documents.guests[target] = replace(other, current={**other.current, there: text})
    worker.say(f"removing disk '{option}' from VM '{vmid}' config")
    worker.say(f"target disk '{there}' updated with '{given.volid}'")
    worker.api.sync(worker.twin)


def _owned(worker: Worker, volume: Volume, vmid: int) -> Volume:
    """The volume under a name of its new owner."""
    entry = find_storage(worker.documents, volume.storage)
    name = volumes.free_name(worker.documents, volume.storage, entry, vmid, volume.format)
    if re.search(r"subvol-", volume.name):
        name = name.replace("vm-", "subvol-")
    given = replace(volume, name=name, vmid=vmid)
    del worker.documents.volumes[volume.key]
    worker.documents.volumes[given.key] = given
    return given


FINISH["reassign"] = _finish_reassign
for _kind in KINDS.values():
    calls(_kind)
