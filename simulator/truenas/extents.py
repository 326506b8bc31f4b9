"""iSCSI extents: what a LUN's data is on, a volume or a file, and what hosts know it by.

`serial` and `naa` are made at creation; multipath's WWID is `3` and the naa. Deletion is refused
while a host is logged in to a target that shows it, unless forced; disabling is not. Source:
reference of the TrueNAS API, block storage chain.
"""

from __future__ import annotations

import errno
import re
from hashlib import sha256

from simulator.truenas.attachments import ASSOCIATIONS, extent_dataset, remove_extent
from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.crud import Draft, Resource
from simulator.truenas.documents import Row
from simulator.truenas.errors import CallError
from simulator.truenas.sessions import busy_targets

TABLE = "iscsi.extent"
NAA_PREFIX = "0x6589cfc000000"
SERIAL_LIMIT = 20


def zvol_path(volume: str) -> str:
    """What a volume's device is called below /dev: no blanks there."""
    return f"zvol/{volume.replace(' ', '+')}"


def flattened(name: str) -> str:
    """As the target daemon writes a name: odd characters become underscores."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _identity(call: Call, name: str, number: int) -> str:
    """Hex digits that nothing else has, the same for the same seed."""
    words = f"{call.api.seed} {call.api.name} {number} {name} {call.twin.now_s}"
    return sha256(words.encode()).hexdigest()


def _check(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    others = draft.others(call, TABLE)
    if any(flattened(row["name"]) == flattened(new["name"]) for row in others.values()):
        problems.add("name", "Extent name must be unique", errno.EEXIST)
    drawn = _identity(call, new["name"], draft.id)
    new.setdefault("naa", NAA_PREFIX + drawn[:19])
    new["serial"] = new["serial"] or drawn[19:34]
    if len(new["serial"]) > SERIAL_LIMIT:
        problems.add("serial", f"Serial can not exceed {SERIAL_LIMIT} characters.")
    if any(row["serial"] == new["serial"] for row in others.values()):
        problems.add("serial", "Serial number must be unique", errno.EEXIST)
    if new["type"] == "DISK":
        _check_disk(call, draft, others)
    else:
        _check_file(call, draft)


def _check_disk(call: Call, draft: Draft, others: dict[int, Row]) -> None:
    new, problems = draft.new, draft.problems
    disk = new["disk"]
    if not disk:
        problems.add("disk", "This field is required")
        return
    dataset = call.documents.datasets.get(extent_dataset(new))
    if not disk.startswith("zvol/") or dataset is None or dataset.type != "VOLUME":
        text = f"Device {f'/dev/{disk}'!r} for volume {disk!r} does not exist"
        problems.add("disk", text, errno.ENOENT)
    users = [row["name"] for row in others.values() if row["disk"] == disk]
    if users:
        problems.add("disk", f"Disk currently in use by extent {users[0]}", errno.EBUSY)
    new["path"] = disk


def _check_file(call: Call, draft: Draft) -> None:
    new, problems = draft.new, draft.problems
    path = str(new["path"] or "")
    folder = path.removeprefix("/mnt/").rpartition("/")[0]
    known = call.documents.datasets.get(folder)
    if not path.startswith("/mnt/") or known is None or known.type != "FILESYSTEM":
        problems.add("path", "The path must reside within a pool mount point")
    try:
        size = int(new["filesize"])
    except ValueError:
        size = -1
    if size < 0:
        problems.add("filesize", "File size must be a number of bytes")
    elif size % new["blocksize"]:
        problems.add("filesize", "File size must be a multiple of block size")
    elif not size:
        problems.add("path", "The file must exist if the extent size is set to auto (0)")
    new["disk"] = None


def _entry(call: Call, row: Row) -> Entry:
    vendor = "TrueNAS" if call.version.scale else "FreeNAS"
    size = row["filesize"]
    shown = {**row, "vendor": vendor, "filesize": str(size) if call.version.scale else size}
    return {**shown, "locked": False} if call.version.has("12.0..") else shown


def _delete(call: Call, identity: int) -> None:
    associations = call.documents.rows(ASSOCIATIONS).values()
    shown_by = {row["target"] for row in associations if row["extent"] == identity}
    busy = busy_targets(call, shown_by)
    if busy and not call.args["force"]:
        names = ", ".join(sorted(call.documents.rows("iscsi.target")[key]["name"] for key in busy))
        raise CallError(f"Associated target(s) {names} {'is' if len(busy) == 1 else 'are'} in use.")
    remove_extent(call, identity, empty_targets=False)


RESOURCE = Resource(TABLE, "iscsi_extent", "Extent", _check, _entry, _delete)


@serves("iscsi.extent.disk_choices")
def disk_choices(call: Call) -> object:
    """Volumes that no extent has yet."""
    taken = {row["disk"] for row in call.documents.rows(TABLE).values()}
    return {
        zvol_path(name): f"{name} ({int(dataset.properties['volsize']) / 2**30:g} GiB)"
        for name, dataset in call.documents.datasets.items()
        if dataset.type == "VOLUME" and zvol_path(name) not in taken
    }
