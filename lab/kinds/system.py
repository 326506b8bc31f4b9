"""The operating system of a Linux host: its files, mounts, services and packages.

Sources: fstab(5), systemctl(1), dpkg(1). Leaves out the network, which Proxmox VE's own API holds
on nodes, and everything below /etc/pve, which the cluster does.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from lab.item import Flaw, Part, Path
from lab.kinds.host import Host
from lab.units import Flag

Mode = Annotated[str, Field(pattern=r"^0[0-7]{3}$")]
Owner = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*$")]
MARK = re.compile(r"^# (BEGIN|END) vlab\b", re.MULTILINE)  # around blocks of ours in shared files
_SECRET = re.compile(r"\{secret://[^{}\s]+\}")
_OTHERS = ("/etc/pve", "/etc/network/interfaces", "/proc", "/sys", "/dev")


def whole_path(path: str) -> bool:
    """Whether a path begins at the root and says nothing twice."""
    plain = path.startswith("/") and path == posixpath.normpath(path) and path.isprintable()
    return plain and not path.startswith("//") and path != "/"


class HostFile(Part):
    """A file: its whole `content`, or a `block` of lines in a file that others write too.

    `{secret://env/NAME}` stands for a secret. `check`: a command that must say yes to the new file
    (`{}`) before it is used. `after`: what makes a daemon read it; if that fails, the old content
    comes back.
    """

    content: str | None = None
    block: str | None = None
    mode: Mode | None = None
    owner: Owner | None = None
    check: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether a secret is in it."""
        return _SECRET.search(self.content or self.block or "") is not None

    def flaws(self) -> Iterator[Flaw]:
        if (self.content is None) == (self.block is None):
            fix = "write content for a whole file, or block for a part of one"
            yield Flaw((), "a file has either content or a block", fix=fix)
        if self.block is not None and (self.mode or self.owner):
            yield Flaw((), "a block has no mode and owner of its own", fix="leave them out")
        if self.block is not None and MARK.search(self.block):
            yield Flaw(("block",), "a block holds no marks of a block", fix="leave them out")
        if self.secret and self.mode is not None and int(self.mode, 8) & 0o077:
            what = f"a file with a secret has mode {self.mode}"
            yield Flaw(("mode",), what, "others on the host could read it", 'write "0600"')
        if self.check and "{}" not in self.check:
            fix = 'write "{}" where the name of the file goes'
            yield Flaw(("check",), "the check does not name the file", fix=fix)


class HostMount(Part):
    """A line of fstab, and that it is mounted. `source`: a device or `server:/path`."""

    source: str
    type: str
    options: frozenset[str] = frozenset()


class HostService(Part):
    """Whether a service runs now, and whether it starts with the host."""

    running: Flag | None = None
    enabled: Flag | None = None


class HostPackage(Part):
    """A package that must be there. It is installed only with `install: true`."""

    install: Flag = False


class System(Host):
    """A host whose operating system is Linux. Files and mounts are named by their paths."""

    files: dict[str, HostFile] = Field(default_factory=dict)
    mounts: dict[str, HostMount] = Field(default_factory=dict)
    services: dict[str, HostService] = Field(default_factory=dict)
    packages: dict[str, HostPackage] = Field(default_factory=dict)

    def flaws(self) -> Iterator[Flaw]:
        yield from super().flaws()
        for section, paths in (("files", self.files), ("mounts", self.mounts)):
            for path in paths:
                yield from _path_flaws((section, path), path)
        for name in self.services:
            if not re.fullmatch(r"[\w@.:-]+", name) or name.endswith(".service"):
                fix = f"write {name.removesuffix('.service')}"
                yield Flaw(("services", name), f"{name} is no name of a service", fix=fix)
        for name in self.packages:
            if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
                yield Flaw(("packages", name), f"{name} is no name of a package")


def _path_flaws(at: Path, path: str) -> Iterator[Flaw]:
    if not whole_path(path):
        yield Flaw(at, f"{path} is no whole path", fix="begin at /, without . and ..")
    for other in _OTHERS:
        if f"{path}/".startswith(f"{other}/"):
            why = "Proxmox VE and the kernel write there themselves"
            yield Flaw(at, f"{path} is not ours to write", why, "use what Proxmox VE has for it")
