"""Files sent to a storage. Source: PVE::API2::Storage::Status upload, PVE::APIServer::AnyEvent.

The node asked takes the file and copies it to where it shall be, so the task is its own, whatever
node the path names. A volume of the file's true size stands for it, and knows how large a disk
the image in it is of; a checksum is compared with what arrived. Leaves out: what else is in the
file (an image that is none is taken), a checksum sent after the file, refusing a file before all of
it has come.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, died
from simulator.pve_node import volumes
from simulator.pve_node.storage import need_enabled
from simulator.pve_node.storage_download import CHECKSUMS, media_format, media_name, media_path

routes = Routes()

SECTOR_BYTES = 512
COPY_BPS = 100 * 2**20  # assumed: a storage of one disk


@routes.add(
    "POST /nodes/{node}/storage/{storage}/upload",
    "/storage/{storage} Datastore.AllocateTemplate",
    f"""
    checksum?            string requires=checksum-algorithm
    checksum-algorithm?  {CHECKSUMS} requires=checksum
    content              enum(iso,vztmpl,import)
    filename             string ..255
    node                 pve-node
    storage              pve-storage-id
    tmpfilename?         /\\/var\\/tmp\\/pveupload-[0-9a-f]+/
    """,
    here=True,
)
def upload(call: Call) -> object:
    """Keep a file that was sent, in place of one of its name: a task."""
    storage, content = call.text("storage"), call.text("content")
    node = call.node if call.text("node") == "localhost" else call.text("node")
    entry = need_enabled(replace(call, node=node), storage)
    if entry["type"] not in volumes.FILE_TYPES:
        raise died(f"can't upload to storage type '{entry['type']}'")
    if not call.has("tmpfilename"):
        raise died("missing temporary file name")
    if call.file is None:
        raise died(f"temporary file '{call.text('tmpfilename')}' does not exist")
    name = media_name(content, call.text("filename"))
    if content == "import" and name.lower().endswith(".ovf"):
        raise bad_parameters(filename="invalid filename or wrong extension")
    if content not in items(str(entry["content"])):
        raise died(f"storage '{storage}' does not support '{content}' content")
    if call.has("checksum") and not call.file.checksum:
        raise ApiError(501, "a checksum after the file is not implemented\n")
    _activate(call, storage, node)
    work: dict[str, Value] = {
        "storage": storage,
        "node": node,
        "content": content,
        "name": name,
        "size": call.file.size_bytes,
        "image": _image_bytes(call.file.start) if content == "import" else 0,
        "tmpfilename": call.text("tmpfilename"),
        "checksum": call.text("checksum").lower(),
        "got": call.file.checksum,
    }
    took_s = call.file.size_bytes / COPY_BPS
    return start_task(call, "imgcopy", "", work, took_s=took_s)


def _image_bytes(start: bytes) -> int:
    """The size of the disk that a header is of; 0 for a file that has none. Source: QEMU,
    docs/interop/qcow2; VMware Virtual Disk Format 1.1, hosted sparse extent header.
    """
    if start.startswith(b"QFI\xfb"):
        return int.from_bytes(start[24:32], "big")
    if start.startswith(b"KDMV"):
        return int.from_bytes(start[12:20], "little") * SECTOR_BYTES
    return 0


def _activate(call: Call, storage: str, node: str) -> None:
    """Raise unless the storage can be used on the node, which this one reaches."""
    remote = f"can't activate storage '{storage}' on node '{node}': " if node != call.node else ""
    if node not in call.world.nodes:
        tail = f"failed to get address info for: {node}: Name or service not known"
        raise died(f"hostname lookup '{node}' failed - {tail}")
    if not call.world.reaches(call.node, node):
        raise died(f"{remote}command '/usr/bin/ssh' failed: exit code 255")
    if call.world.problem(storage, node):
        raise died(f"{remote}storage '{storage}' is not online")


def _finish(worker: Worker) -> None:
    storage, content, name = worker.text("storage"), worker.text("content"), worker.text("name")
    entry: Entry = need_enabled(replace(worker, node=worker.text("node")), storage)
    worker.say(f"starting file import from: {worker.text('tmpfilename')}")
    if expected := worker.text("checksum"):
        if worker.text("got") != expected:
            worker.say("calculating checksum...")
            got = worker.text("got")
            raise TaskError(f"checksum mismatch: got '{got}' != expect '{expected}'")
        worker.say("calculating checksum...OK, checksum verified")
    path, size_bytes = media_path(entry, storage, content, name), worker.number("size")
    worker.say(f"target node: {worker.text('node')}")
    worker.say(f"target file: {path}")
    worker.say(f"file size is: {size_bytes}")
    worker.say(f"command: cp -- {worker.text('tmpfilename')} {path}")
    there = replace(worker, node=worker.text("node"))
    file = f"{content}/{name}"
    kept = volumes.allocate(there, storage, 0, size_bytes, media_format(content, name), file)
    image = replace(kept, image_bytes=worker.number("image"))
    worker.documents.volumes[image.key] = image
    worker.say("finished file import successfully")


FINISH["imgcopy"] = _finish
