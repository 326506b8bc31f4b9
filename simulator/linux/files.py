"""A host's file tree as one user sees it: reading, writing, permissions, file systems.

A path below a mount point is kept under the volume that is mounted there, so what is written to a
disk is hidden when it is unmounted and back when it is mounted. Errors are OSError with the errno
that the kernel gives. Sources: path_resolution(7), inode(7). Leaves out: links besides those to
devices, access control lists, sticky bits, quotas, the contents of network file systems (which
are the server's), and data lost because nobody called fsync.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from simulator.linux.state import File, HostState, Mount

ROOT_BYTES = 16 * 2**30  # assumed: the size of a root file system whose disk is not known
NULL = "/dev/null"


class Files:
    """Files of `state` for `user`. `devices`: nodes below /dev by path, made anew when asked."""

    def __init__(
        self,
        state: HostState,
        user: str,
        now_s: float,
        devices: Callable[[], Mapping[str, File]] = dict,
        capacity: Callable[[Mount], int] = lambda _: ROOT_BYTES,
    ) -> None:
        self.state = state
        self.user = user
        self.now_s = now_s
        self._devices = devices
        self._capacity = capacity

    def mount_of(self, path: str) -> Mount:
        """The file system that a path is on."""
        return max(
            (m for m in self.state.mounts.values() if _inside(path, m.target)),
            key=lambda mount: len(mount.target),
        )

    def find(self, path: str) -> File | None:
        """An inode, followed if it is a link; None if there is none or it can't be reached."""
        try:
            return self.stat(path)
        except OSError:
            return None

    def stat(self, path: str, *, follow: bool = True) -> File:
        """An inode. Raises FileNotFoundError, NotADirectoryError, PermissionError."""
        path = self.absolute(path)
        self._reach(path)
        found = self._get(path)
        if found is None:
            raise _error(errno.ENOENT, path)
        if follow and found.kind == "link":
            return self.stat(posixpath.join(posixpath.dirname(path), found.content))
        return found

    def real(self, path: str) -> str:
        """Where a path leads in the end, as `readlink -f` says it."""
        path = self.absolute(path)
        found = self._get(path)
        if found is not None and found.kind == "link":
            return self.real(posixpath.join(posixpath.dirname(path), found.content))
        return path

    def read(self, path: str) -> str:
        """The content of a file. Raises OSError."""
        found = self.stat(path)
        if found.kind == "dir":
            raise _error(errno.EISDIR, path)
        self._need(found, 4, path)
        return found.content if found.kind == "file" else ""

    def write(self, path: str, content: str, mode: int = 0o644, *, appends: bool = False) -> None:
        """Write a file in place, or make it with `mode`. Raises OSError.

        Without space the file is left as a real one would be: truncated.
        """
        path = self.real(path)
        if path == NULL:
            return
        old = self._writable(path)
        made = old or File("", mode, self.user, self.user)
        if appends and old is not None:
            content = old.content + content
        key, mount = self._place(path)
        if content and self._short_of_space(path, mount, replace(made, content=content)):
            self.state.files[key] = replace(made, content="", changed_s=self.now_s)
            raise _error(errno.ENOSPC, path)
        self.state.files[key] = replace(made, content=content, changed_s=self.now_s)

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        """Make a folder. Raises OSError."""
        path = self.absolute(path)
        self._reach(path)
        if self._get(path) is not None:
            raise _error(errno.EEXIST, path)
        self._need_folder(path)
        key, mount = self._place(path)
        made = File("", mode, self.user, self.user, "dir", self.now_s)
        if mount.target in self.state.full:
            raise _error(errno.ENOSPC, path)
        self.state.files[key] = made

    def change(self, path: str, mode: int | None = None, owner: str = "", group: str = "") -> None:
        """Change mode or owners. Raises OSError."""
        path = self.real(path)
        found = self.stat(path)
        if self.user not in ("root", found.owner) or ((owner or group) and self.user != "root"):
            raise _error(errno.EPERM, path)
        key, _ = self._place(path)
        self.state.files[key] = replace(
            found,
            mode=found.mode if mode is None else mode,
            owner=owner or found.owner,
            group=group or found.group,
        )

    def rename(self, old: str, new: str) -> None:
        """Replace `new` by `old` at once. Raises OSError; both stay then."""
        old, new = self.absolute(old), self.absolute(new)
        moved, there = self.stat(old, follow=False), self._get(new)
        for path in (old, new):
            self._reach(path)
            self._need_folder(path)
        if self.mount_of(old) != self.mount_of(new):
            raise _error(errno.EXDEV, new)
        if there is not None and there.kind == "dir" != moved.kind:
            raise _error(errno.EISDIR, new)
        if self._is_mount(old) or (there is not None and self._is_mount(new)):
            raise _error(errno.EBUSY, old)
        if moved.kind == "dir":
            if there is not None and self.names(new):
                raise _error(errno.ENOTEMPTY, new)
            if _inside(new, old):
                raise _error(errno.EINVAL, new)
        start, _ = self._place(old)
        end, _ = self._place(new)
        for key in [k for k in self.state.files if k == start or k.startswith(f"{start}/")]:
            self.state.files[end + key[len(start) :]] = self.state.files.pop(key)

    def remove(self, path: str) -> None:
        """Remove a file or an empty folder. Raises OSError."""
        path = self.absolute(path)
        found = self.stat(path, follow=False)
        self._need_folder(path)
        if found.kind == "dir" and self.names(path):
            raise _error(errno.ENOTEMPTY, path)
        if self._is_mount(path):
            raise _error(errno.EBUSY, path)
        self.state.files.pop(self._place(path)[0], None)

    def names(self, path: str) -> list[str]:
        """What is in a folder, sorted. Raises OSError."""
        path = self.absolute(path)
        found = self.stat(path)
        if found.kind != "dir":
            raise _error(errno.ENOTDIR, path)
        self._need(found, 4, path)
        return sorted({name for name in self._below(path) if "/" not in name})

    def walk(self, path: str) -> Iterator[str]:
        """Everything below a path, itself first."""
        path = self.absolute(path)
        yield path
        for name in sorted(self._below(path)):
            yield posixpath.join(path, name)

    def used_bytes(self, mount: Mount) -> int:
        """What the files of a file system take."""
        prefix = _prefix(mount)
        return sum(
            found.size_bytes for key, found in self.state.files.items() if key.startswith(prefix)
        )

    def capacity_bytes(self, mount: Mount) -> int:
        """How much a file system holds."""
        return self._capacity(mount)

    def absolute(self, path: str) -> str:
        """A path from the root, without dots; commands start in the user's home."""
        if not path:
            raise _error(errno.ENOENT, path)
        account = self.state.accounts.get(self.user)
        clean = posixpath.normpath(posixpath.join(account.home if account else "/", path))
        return "/" + clean.lstrip("/")

    def _get(self, path: str) -> File | None:
        if path == "/":
            return File("", 0o755, kind="dir")
        if path.startswith("/dev/"):
            found = self._devices().get(path)
            if found is not None:
                return found
        return self.state.files.get(self._place(path)[0])

    def _place(self, path: str) -> tuple[str, Mount]:
        mount = self.mount_of(path)
        if mount.target == "/":
            return path, mount
        if path == mount.target:
            return _prefix(mount).rstrip("/"), mount
        return _prefix(mount) + path[len(mount.target) :].lstrip("/"), mount

    def _below(self, path: str) -> list[str]:
        """Names below a folder, with those of deeper folders."""
        key, mount = self._place(path)
        start = "/" if key == "/" else f"{key}/"
        found = [known[len(start) :] for known in self.state.files if known.startswith(start)]
        if _inside("/dev", path) or _inside(path, "/dev"):
            prefix = path.rstrip("/") + "/"
            found += [k[len(prefix) :] for k in self._devices() if k.startswith(prefix)]
        return found

    def _reach(self, path: str) -> None:
        """Raise unless every folder on the way is one and may be passed."""
        parent = posixpath.dirname(path)
        parents = []
        while parent != "/":
            parents.append(parent)
            parent = posixpath.dirname(parent)
        for folder in reversed(parents):
            found = self._get(folder)
            if found is None:
                raise _error(errno.ENOENT, path)
            if found.kind != "dir":
                raise _error(errno.ENOTDIR, path)
            self._need(found, 1, path)

    def _need(self, found: File, bit: int, path: str) -> None:
        if self.user == "root":
            return
        shift = 6 if self.user == found.owner else 3 if self.user == found.group else 0
        if found.mode >> shift & bit != bit:
            raise _error(errno.EACCES, path)

    def _need_folder(self, path: str) -> None:
        """Raise unless the folder that a path is in may be written to."""
        folder = self._get(posixpath.dirname(path))
        if folder is None:
            raise _error(errno.ENOENT, path)
        if "ro" in self.mount_of(path).options.split(","):
            raise _error(errno.EROFS, path)
        self._need(folder, 3, path)

    def _writable(self, path: str) -> File | None:
        self._reach(path)
        old = self._get(path)
        if old is None:
            self._need_folder(path)
        elif old.kind == "dir":
            raise _error(errno.EISDIR, path)
        elif old.kind != "file":
            raise _error(errno.EPERM, path)  # nothing here writes raw devices
        else:
            self._need(old, 2, path)
        if "ro" in self.mount_of(path).options.split(","):
            raise _error(errno.EROFS, path)
        return old

    def _short_of_space(self, path: str, mount: Mount, made: File) -> bool:
        if mount.target in self.state.full:
            return True
        old = self._get(path)
        grows = made.size_bytes - (old.size_bytes if old else 0)
        return self.used_bytes(mount) + grows > self.capacity_bytes(mount)

    def _is_mount(self, path: str) -> bool:
        return path in self.state.mounts


def _prefix(mount: Mount) -> str:
    """Keys of files of a file system begin so: paths of the root file system with `/`."""
    return "/" if mount.target == "/" else f"{mount.volume or mount.source}:/"


def _inside(path: str, folder: str) -> bool:
    return folder == "/" or path == folder or path.startswith(f"{folder}/")


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
