"""Volumes: names, sizes, allocation, and the calls on a storage's content.

Source: PVE::API2::Storage::Content, PVE::Storage::Plugin. Sizes are bytes. Leaves out: what
a volume holds, and thin provisioning: it uses all of its size.
"""

from __future__ import annotations

import re
from dataclasses import replace

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents, Entry, Volume
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, died
from simulator.pve.world import SYSTEM_USED_BYTES

routes = Routes()

FILE_TYPES = frozenset({"dir", "nfs", "cifs", "cephfs", "btrfs", "glusterfs"})
SHARED_TYPES = frozenset(items("nfs cifs cephfs rbd iscsi iscsidirect pbs zfs"))
FOLDERS = {
    "backup": "dump",
    "import": "import",
    "iso": "template/iso",
    "snippets": "snippets",
    "vztmpl": "template/cache",
}
"""Where a storage of files keeps each content. Source: PVE::Storage::Plugin, vtype_subdirs."""
LARGEST_BYTES = 2**63 - 1  # what a file can be (off_t)
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(text: str) -> int:
    """Bytes in `32G`, `528K`, `4.5M`, at most those of the largest file."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    if match is None:
        raise ValueError(f"no disk size: {text}")
    return int(min(float(match[1]) * UNITS[match[2]], LARGEST_BYTES))


def format_size(size_bytes: int) -> str:
    """In the largest unit that is exact. Source: PVE::JSONSchema format_size."""
    unit = next((u for u in "TGMK" if size_bytes and size_bytes % UNITS[u] == 0), "")
    return f"{size_bytes // UNITS[unit]}{unit}"


def storage_of(volid: str) -> str:
    """The storage in a volume id."""
    return volid.partition(":")[0]


def is_iso(volid: str) -> bool:
    """Whether a volume is an ISO image."""
    return volid.partition(":")[2].startswith("iso/")


def content_of(name: str) -> str:
    """What a volume is by its name after the colon: `iso/a.iso` is an iso."""
    kind = name.partition("/")[0]
    return kind if kind in FOLDERS else "images"


def place_of(entry: Entry, node: str) -> str:
    """Where a storage keeps volumes: on the node, or "" where every node sees them."""
    return "" if entry["type"] in SHARED_TYPES or entry.get("shared") else node


def find(documents: Documents, node: str, volid: str) -> Volume | None:
    """A volume as `node` sees it."""
    return documents.volumes.get(("", volid)) or documents.volumes.get((node, volid))


def based_on(documents: Documents, base: Volume) -> bool:
    """Whether linked clones need a volume: their names begin with its.

    Source: PVE::Storage volume_is_base_and_used.
    """
    return any(
        (volume.storage, volume.node) == (base.storage, base.node)
        and volume.name.startswith(f"{base.name}/")
        for volume in documents.volumes.values()
    )


def need_no_clones(documents: Documents, base: Volume) -> None:
    """Raise TaskError as vdisk_free does for a volume that linked clones need."""
    if based_on(documents, base):
        raise TaskError(f"base volume '{base.name}' is still in use by linked clones")


def used_bytes(scene: Environment, storage: str, node: str) -> int:
    """What volumes take, and the system where the storage is on its disk."""
    entry = scene.documents.storages[storage]
    system = SYSTEM_USED_BYTES if scene.world.on_system_disk(entry, node) else 0
    return system + scene.stored_bytes.get((storage, place_of(entry, node)), 0)


def path_of(entry: Entry, volume: Volume) -> str:
    """The file or device of a volume."""
    match entry["type"]:
        case "rbd":
            return f"rbd:{entry.get('pool', 'rbd')}/{volume.name}"
        case "lvm" | "lvmthin":
            return f"/dev/{entry['vgname']}/{volume.name}"
        case "zfspool":
            return f"/dev/zvol/{entry['pool']}/{volume.name}"
        case _:
            content = content_of(volume.name)
            file = f"images/{volume.name}"
            if content in FOLDERS:
                file = f"{FOLDERS[content]}/{volume.name.partition('/')[2]}"
            return f"{entry.get('path', f'/mnt/pve/{volume.storage}')}/{file}"


def free_name(documents: Documents, storage: str, entry: Entry, vmid: int, format_name: str) -> str:
    """The next name for a guest's disk on a storage."""
    taken = {
        int(match[1])
        for volume in documents.volumes.values()
        if volume.storage == storage
        and (match := re.search(rf"vm-{vmid}-disk-(\d+)(?:\.|$)", volume.name))
    }
    number = next(n for n in range(len(taken) + 1) if n not in taken)
    return full_name(entry, vmid, f"vm-{vmid}-disk-{number}", format_name)


def full_name(entry: Entry, vmid: int, base: str, format_name: str) -> str:
    """A volume's name after the colon: storages of files have a folder for each guest."""
    return f"{vmid}/{base}.{format_name}" if entry["type"] in FILE_TYPES else base


def allocate(
    scene: Environment,
    storage: str,
    vmid: int,
    size_bytes: int,
    format_name: str,
    name: str = "",
) -> Volume:
    """Make a volume on a storage, as the scene's node sees it. Raises if the storage does not
    serve.
    """
    if (entry := scene.documents.storages.get(storage)) is None:
        raise died(f"storage '{storage}' does not exist")
    if problem := scene.world.problem(storage, scene.node):
        raise died(f"storage '{storage}' is not online: {problem}")
    volume = Volume(
        storage,
        place_of(entry, scene.node),
        name or free_name(scene.documents, storage, entry, vmid, format_name),
        vmid,
        size_bytes,
        format_name,
        scene.now_s,
        content_of(name),
    )
    scene.documents.volumes[volume.key] = volume
    return volume


def resize(documents: Documents, volume: Volume, size_bytes: int) -> None:
    """Grow a volume."""
    documents.volumes[volume.key] = replace(volume, size_bytes=size_bytes)


def move_local(documents: Documents, vmid: int, source: str, target: str) -> list[str]:
    """Take a guest's local volumes along to another node; their ids."""
    moved = [v for v in documents.volumes.values() if v.vmid == vmid and v.node == source]
    for volume in moved:
        del documents.volumes[volume.key]
        there = replace(volume, node=target)
        documents.volumes[there.key] = there
    return [volume.volid for volume in moved]


_CONTENT = "node pve-node\nstorage pve-storage-id\n"
_AUDIT = "/storage/{storage} Datastore.Audit|Datastore.AllocateSpace"


def _storage(call: Call, name: str) -> Entry:
    if (entry := call.documents.storages.get(name)) is None:
        raise died(f"storage '{name}' does not exist")
    if entry.get("disable"):
        raise died(f"storage '{name}' is disabled")
    nodes = items(str(entry.get("nodes") or ""))
    if nodes and call.node not in nodes:
        raise died(f"storage '{name}' is not available on node '{call.node}'")
    return entry


@routes.add(
    "GET /nodes/{node}/storage/{storage}/content",
    _AUDIT,
    _CONTENT + "content? pve-storage-content\nvmid? integer:pve-vmid 100..999999999",
)
def content(call: Call) -> object:
    """Volumes on a storage that the caller may see."""
    name = call.text("storage")
    place = place_of(_storage(call, name), call.node)
    return [
        _row(volume)
        for volume in call.documents.volumes.values()
        if (volume.storage, volume.node) == (name, place)
        and call.text("vmid", str(volume.vmid)) == str(volume.vmid)
        and call.text("content", volume.content) == volume.content
        and _may_read(call, volume.volid)
    ]


def _row(volume: Volume) -> dict[str, object]:
    row: dict[str, object] = {
        "volid": volume.volid,
        "content": volume.content,
        "format": volume.format,
        "size": volume.size_bytes,
        "ctime": volume.ctime_s,
    }
    if volume.content == "backup":
        kind = "qemu" if "-qemu-" in volume.name else "lxc"
        return {**row, "vmid": volume.vmid, "subtype": kind, **_attributes(volume)}
    if not volume.vmid:
        return row
    return {**row, "used": volume.size_bytes, "vmid": volume.vmid, "parent": None}


def _attributes(volume: Volume) -> dict[str, object]:
    notes: dict[str, object] = {"notes": volume.notes} if volume.notes else {}
    return {**notes, "protected": 1} if volume.protected else notes


@routes.add(
    "POST /nodes/{node}/storage/{storage}/content",
    "/storage/{storage} Datastore.AllocateSpace",
    _CONTENT
    + r"""
    vmid      integer:pve-vmid 100..999999999
    filename  string
    size      /\d+[MG]?/
    format?   enum(raw,qcow2,subvol,vmdk) requires=size
    """,
)
def create_volume(call: Call) -> object:
    """Allocate a volume under a given name."""
    storage, vmid, filename = call.text("storage"), call.number("vmid"), call.text("filename")
    entry = _storage(call, storage)
    format_name, name = call.text("format", "raw"), filename
    if entry["type"] in FILE_TYPES:
        if (match := re.fullmatch(r".+\.(raw|qcow2|vmdk|subvol)", filename)) is None:
            raise died(f"unable to parse volume filename '{filename}'")
        format_name, name = match[1], f"{vmid}/{filename}"
    if find(call.documents, call.node, f"{storage}:{name}") is not None:
        there = path_of(
            entry, call.documents.volumes[place_of(entry, call.node), f"{storage}:{name}"]
        )
        raise died(f"disk image '{there}' already exists")
    text = call.text("size")
    size_bytes = parse_size(text) * (1 if text[-1] in "MG" else 1024)
    return allocate(call, storage, vmid, size_bytes, format_name, name).volid


_VOLUME = _CONTENT.replace("storage ", "storage? ") + "volume string\n"


def volid_in_path(call: Call) -> str:
    """The volume in the path: with or without its storage."""
    text = call.text("volume")
    return text if ":" in text else f"{call.text('storage')}:{text}"


def _owner(call: Call, volid: str) -> str:
    """The guest that a volume belongs to; "" if none."""
    if (found := find(call.documents, call.node, volid)) is not None:
        return str(found.vmid or "")
    named = re.search(r":(\d+)/|vm-(\d+)-|/vzdump-(?:lxc|qemu|openvz)-(\d+)-", volid)
    return next(filter(None, named.groups()), "") if named else ""


def need_access(call: Call, volid: str) -> None:
    """Raise unless the caller may read a volume. Source: PVE::Storage check_volume_access."""
    place = f"/storage/{storage_of(volid)}"
    kind, owner = content_of(volid.partition(":")[2]), _owner(call, volid)
    if call.may(place, "Datastore.Allocate"):
        return
    if kind in ("iso", "vztmpl", "import"):
        call.need(place, "Datastore.AllocateSpace", "Datastore.Audit")
    elif kind == "backup" and owner:
        call.need(place, "Datastore.AllocateSpace")
        call.need(f"/vms/{owner}", "VM.Backup")
    elif kind in ("images", "rootdir") and owner:
        call.need(place, "Datastore.Audit")
        call.need(f"/vms/{owner}", "VM.Config.Disk")
    else:
        raise died(f"missing privileges to access {volid}")


def _may_read(call: Call, volid: str) -> bool:
    try:
        need_access(call, volid)
    except ApiError:
        return False
    return True


@routes.add("GET /nodes/{node}/storage/{storage}/content/{volume*}", takes=_VOLUME)
def volume(call: Call) -> object:
    """One volume."""
    volid = volid_in_path(call)
    entry = _storage(call, storage_of(volid))
    need_access(call, volid)
    if (found := find(call.documents, call.node, volid)) is None:
        raise died(f"volume_size_info on '{volid}' failed - no format")
    sizes = {"size": found.disk_bytes, "used": found.size_bytes}
    row = {"path": path_of(entry, found), "format": found.format, **sizes}
    return {**row, **_attributes(found)}


@routes.add(
    "PUT /nodes/{node}/storage/{storage}/content/{volume*}",
    takes=_VOLUME + "notes? string\nprotected? boolean",
)
def update_volume(call: Call) -> object:
    """Set a backup's notes and protection."""
    volid = volid_in_path(call)
    _storage(call, storage_of(volid))
    need_access(call, volid)
    if content_of(volid.partition(":")[2]) != "backup":
        raise died(f"only backups can {'have notes' if call.has('notes') else 'be protected'}")
    if (found := find(call.documents, call.node, volid)) is None:
        raise not_found(volid)
    notes = call.text("notes") if call.has("notes") else found.notes
    protected = call.flag("protected") if call.has("protected") else found.protected
    call.documents.volumes[found.key] = replace(found, notes=notes, protected=protected)
    return None


@routes.add(
    "DELETE /nodes/{node}/storage/{storage}/content/{volume*}",
    takes=_VOLUME + "delay? integer 1..30",
)
def delete_volume(call: Call) -> object:
    """Free a volume: a task."""
    volid = volid_in_path(call)
    _storage(call, storage_of(volid))
    place, vmid = f"/storage/{storage_of(volid)}", _owner(call, volid)
    if content_of(volid.partition(":")[2]) == "backup" and vmid:
        call.need(place, "Datastore.AllocateSpace")
        call.need(f"/vms/{vmid}", "VM.Backup")
    else:
        call.need(place, "Datastore.Allocate")
    id_text = f"{vmid}@{storage_of(volid)}" if vmid else storage_of(volid)
    return start_task(call, "imgdel", id_text, {"volid": volid})


def _finish_delete(worker: Worker) -> None:
    volid = worker.text("volid")
    found = find(worker.documents, worker.node, volid)
    if found is None:
        if (entry := worker.documents.storages.get(storage_of(volid))) is None:
            raise died(f"storage '{storage_of(volid)}' does not exist")
        name = volid.partition(":")[2]
        missing = Volume(storage_of(volid), "", name, 0, 0, "raw", 0)
        worker.say(f"disk image '{path_of(entry, missing)}' does not exist")
    else:
        if found.protected:
            name, storage = found.name, found.storage
            raise TaskError(f"cannot remove protected volume '{name}' on '{storage}'")
        need_no_clones(worker.documents, found)
        del worker.documents.volumes[found.key]
    worker.say(f"Removed volume '{volid}'")


FINISH["imgdel"] = _finish_delete


def need_images(storage: str, entry: Entry) -> None:
    """Raise unless a storage may hold disks of virtual machines."""
    if "images" not in items(str(entry["content"])):
        raise bad_parameters(storage=f"storage '{storage}' does not support vm images")


def not_found(volid: str) -> ApiError:
    """A volume that should be there."""
    return died(f"volume '{volid}' does not exist")
