"""Single files out of backups, and what an image of a guest says of it. Source:
PVE::API2::Storage::FileRestore, ::Status get_import_metadata; PVE::Storage::Plugin, ::DirPlugin.

Volumes keep no content here: what a backup on a backup server, an OVA or a guest of ESXi holds is
not known (501). All else is refused as the real calls do.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, bad_parameters, died
from simulator.pve_node.storage import find_storage
from simulator.pve_node.volumes import FILE_TYPES, content_of, need_access, storage_of

routes = Routes()

_VOLUME = "node pve-node\nstorage pve-storage-id\nvolume string\n"
_BASE = "/nodes/{node}/storage/{storage}"


def _unknown(call: Call) -> ApiError:
    return ApiError(501, f"Method 'GET {call.path}' not implemented")


@routes.add(f"GET {_BASE}/file-restore/list", takes=_VOLUME + "filepath string\n")
@routes.add(f"GET {_BASE}/file-restore/download", takes=_VOLUME + "filepath string\ntar? boolean\n")
def restore(call: Call) -> object:
    """Files in a backup, or one of them: only a backup server knows them."""
    storage, volume = call.text("storage"), call.text("volume")
    if ":" in volume and storage_of(volume) != storage:
        raise bad_parameters(storage="storage ID mismatch")
    entry = find_storage(call.documents, storage)
    need_access(call, volume if ":" in volume else f"{storage}:{volume}")
    if entry["type"] != "pbs":
        raise bad_parameters(storage="Only PBS storages supported for file-restore.")
    raise _unknown(call)


@routes.add(f"GET {_BASE}/import-metadata", takes=_VOLUME)
def import_metadata(call: Call) -> object:
    """What a guest of another hypervisor is to become."""
    storage, volume = call.text("storage"), call.text("volume")
    entry = find_storage(call.documents, storage)
    need_access(call, f"{storage}:{volume}")
    if entry["type"] not in {*FILE_TYPES, "esxi"}:
        raise died("not implemented")
    if entry["type"] != "esxi":
        if (kind := content_of(volume)) != "import":
            raise died(f"invalid content type '{kind}'")
        if not volume.endswith((".ova", ".ovf")):
            raise died("invalid format")
    raise _unknown(call)
