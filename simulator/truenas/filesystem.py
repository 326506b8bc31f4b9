"""Folders: only those that datasets are mounted on exist here, with their mode and owner.

Leaves out: files, access lists, who may do what by them.
"""

from __future__ import annotations

import errno
import re
from typing import Any

from simulator.truenas.call import Call, serves
from simulator.truenas.errors import CallError, Problems
from simulator.truenas.pools import guid

PERMISSIONS = "filesystem"  # of folders where somebody set them, by path
_MODE = re.compile(r"[0-7]{3,4}")


def exists(call: Call, path: str) -> bool:
    """Whether a folder is the mount point of a dataset, or /mnt itself."""
    name = path.rstrip("/").removeprefix("/mnt/")
    dataset = call.documents.datasets.get(name)
    return path.rstrip("/") == "/mnt" or (
        path.startswith("/mnt/") and dataset is not None and dataset.type == "FILESYSTEM"
    )


@serves("filesystem.stat")
def stat(call: Call) -> object:
    """A folder; root's, unless somebody gave it away."""
    path = _folder(call, call.args["path"])
    seconds = call.api.epoch_s
    entry = {
        "realpath": path,
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
    return entry | call.documents.settings.get(PERMISSIONS, {}).get(path, {})


def _folder(call: Call, path: str) -> str:
    if not exists(call, path):
        raise CallError(f"Path {path} not found", errno.ENOENT)
    return path.rstrip("/")


@serves("filesystem.setperm")
def setperm(call: Call) -> None:
    """Mode and owner of a folder."""
    data, problems = call.data, Problems(call.method.params[0].called(call.version))
    path = _folder(call, data["path"])
    mode = data["mode"]
    if mode is not None and not _MODE.fullmatch(mode):
        problems.add("mode", f"{mode}: invalid mode")
    problems.check()
    changed: dict[str, Any] = {} if mode is None else {"mode": 0o40000 | int(mode, 8)}
    changed |= {
        name: data[name]
        for name in ("uid", "gid", "user", "group")
        if data.get(name) not in (None, -1)
    }
    known = call.documents.settings.get(PERMISSIONS, {})
    kept = {**known, path: {**known.get(path, {}), **changed}}
    call.documents.settings[PERMISSIONS] = kept
