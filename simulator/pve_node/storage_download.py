"""Fetching images and templates into a storage. Source: PVE::API2::Storage::Status download_url.

Nothing is fetched: the twin reaches no network, and what a file holds has no weight. A volume of an
assumed size stands for it, so that guests can be made from it. Leaves out: checksums of what was
not fetched.
"""

from __future__ import annotations

import re

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, denied, died
from simulator.pve_node import volumes
from simulator.pve_node.storage import need_enabled

routes = Routes()

EXTENSIONS = {
    "iso": r"[^/]+\.(?i:iso|img)",
    "vztmpl": r"[^/]+\.tar\.(gz|xz|zst|bz2)",
    "import": r"[^/]+\.(?i:ova|ovf|qcow2|raw|vmdk)",
}
SIZE_BYTES = {"iso": 2**30, "vztmpl": 2**27, "import": 2**30}  # assumed: a usual one of its kind
LINK_BPS = 100 * 2**20  # assumed: bytes a second from a mirror
CHECKSUMS = "enum(md5,sha1,sha224,sha256,sha384,sha512)"
URL = r"/https?:\/\/.*/"


def _may(call: Call) -> None:
    call.need(f"/storage/{call.text('storage')}", "Datastore.AllocateTemplate")
    may_use_network(call)


def may_use_network(call: Call) -> None:
    """Whether the node may ask other servers for the caller."""
    node = call.text("node")
    everywhere = call.may("/", "Sys.Audit") and call.may("/", "Sys.Modify")
    if not everywhere and not call.may(f"/nodes/{node}", "Sys.AccessNetwork"):
        raise denied()


@routes.add(
    "POST /nodes/{node}/storage/{storage}/download-url",
    _may,
    f"""
    checksum?             string requires=checksum-algorithm
    checksum-algorithm?   {CHECKSUMS} requires=checksum
    compression?          string
    content               enum(iso,vztmpl,import)
    filename              string ..255
    node                  pve-node
    storage               pve-storage-id
    url                   {URL}
    verify-certificates?  boolean
    """,
)
def download(call: Call) -> object:
    """Fetch a file under a name: a task."""
    storage, content = call.text("storage"), call.text("content")
    entry = need_enabled(call, storage)
    if entry["type"] not in volumes.FILE_TYPES:
        text = f"can't upload to storage type '{entry['type']}', not a file based storage!"
        raise died(text)
    if content not in items(str(entry["content"])):
        raise died(f"storage '{storage}' is not configured for content-type '{content}'")
    name = media_name(content, call.text("filename"))
    work: dict[str, Value] = {"storage": storage, "content": content, "url": call.text("url")}
    took_s = SIZE_BYTES[content] / LINK_BPS
    return start_task(call, "download", name, work, took_s=took_s)


def media_name(content: str, text: str) -> str:
    """A file's name as a storage keeps it. Raises for one that no such content has."""
    name = re.sub(r"[^A-Za-z0-9_.\-+]", "_", re.split(r"[/\\]", text)[-1])
    if not re.fullmatch(EXTENSIONS[content], name):
        wrong = "invalid filename or wrong extension" if content == "import" else ""
        raise bad_parameters(filename=wrong or "wrong file extension")
    return name


def media_path(entry: Entry, storage: str, content: str, name: str) -> str:
    """Where a storage keeps a file."""
    folder = entry.get("path", f"/mnt/pve/{storage}")
    return f"{folder}/{volumes.FOLDERS[content]}/{name}"


def media_format(content: str, name: str) -> str:
    """The format that a file is listed with: `iso`, `tgz`, `qcow2`."""
    ending = name.rpartition(".")[2].lower()
    return {"vztmpl": f"t{ending}", "iso": "iso"}.get(content, ending)


def _finish(worker: Worker) -> None:
    storage, content, name = worker.text("storage"), worker.text("content"), worker.task.id
    path = media_path(need_enabled(worker, storage), storage, content, name)
    file = f"{content}/{name}"
    if worker.number("verified"):
        found = "OK, got correct file already, no need to download"
        worker.say(f"calculating checksum of existing file...{found}")
        return
    worker.say(f"downloading {worker.text('url')} to {path}")
    if volumes.find(worker.documents, worker.node, f"{storage}:{file}") is not None:
        raise TaskError(f"refusing to override existing file '{path}'")
    volumes.allocate(worker, storage, 0, SIZE_BYTES[content], media_format(content, name), file)
    worker.say(f"download of '{worker.text('url')}' to '{path}' finished")


FINISH["download"] = _finish
