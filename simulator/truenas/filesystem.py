"""Folders: only those that datasets are mounted on exist here. Leaves out: files, access lists."""

from __future__ import annotations

import errno

from simulator.truenas.call import Call, serves
from simulator.truenas.errors import CallError
from simulator.truenas.pools import guid


def exists(call: Call, path: str) -> bool:
    """Whether a folder is the mount point of a dataset, or /mnt itself."""
    name = path.rstrip("/").removeprefix("/mnt/")
    dataset = call.documents.datasets.get(name)
    return path.rstrip("/") == "/mnt" or (
        path.startswith("/mnt/") and dataset is not None and dataset.type == "FILESYSTEM"
    )


@serves("filesystem.stat")
def stat(call: Call) -> object:
    """A folder, owned by root."""
    path = call.args["path"]
    if not exists(call, path):
        raise CallError(f"Path {path} not found", errno.ENOENT)
    seconds = call.api.epoch_s
    entry = {
        "realpath": path.rstrip("/"),
        "type": "DIRECTORY",
        "size": 2,
        "mode": 0o40755,
        "uid": 0,
        "gid": 0,
        "atime": seconds,
        "mtime": seconds,
        "ctime": seconds,
        "dev": int(guid(path)) % 2**16,
        "inode": 34,
        "nlink": 2,
        "acl": False,
        "user": "root",
        "group": "root" if call.version.scale else "wheel",
    }
    if call.version.scale:
        entry |= {"allocation_size": 512, "mount_id": 1, "btime": seconds, "attributes": []}
        entry |= {"is_mountpoint": True, "is_ctldir": False}
    return entry
