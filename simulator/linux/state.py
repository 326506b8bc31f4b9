"""What a Linux host remembers, as plain data: its files, and what its kernel and daemons hold.

Configuration is in files and nowhere else (node records of open-iscsi, known WWIDs, exports,
fstab); what a daemon read of them stands beside, so a file that was changed and not reloaded is
seen to be just that. What disks carry is the twin's (`simulator/storage/disks.py`), for LUNs
are shared. Every value in a dictionary is replaced, never changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

Kind = Literal["file", "dir", "link", "block", "char"]


@dataclass(frozen=True, slots=True)
class File:
    """An inode. `content` is text with surrogate escapes; of a link, where it leads."""

    content: str = ""
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    kind: Kind = "file"
    changed_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        """Length of the content; a folder takes a block."""
        return 4096 if self.kind == "dir" else len(self.content.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system. `volume`: what it is on (`bak1/sdb`); empty for one of the network."""

    source: str
    target: str
    fstype: str
    options: str
    volume: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of systemd that is installed."""

    description: str
    enabled: bool = True
    active: bool = True
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """An iSCSI session: its number is its key in `HostState.sessions`."""

    iqn: str
    address: str
    port: int
    tag: int
    nas: str
    record: Mapping[str, str]  # the node record as it was at login

    @property
    def portal(self) -> str:
        """`10.0.101.21:3260,1`."""
        return f"{self.address}:{self.port},{self.tag}"


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a disk of the host's own. `type`: what it is for, by the table, if it counts."""

    disk: str
    size_bytes: int
    type: str = ""


@dataclass(frozen=True, slots=True)
class ScsiDisk:
    """A LUN as one path shows it: `sdc`. What was true when the bus was scanned."""

    session: int
    number: int
    volume: str
    wwid: str
    serial: str
    size_bytes: int
    block_bytes: int
    vendor: str
    product: str


@dataclass(frozen=True, slots=True)
class Map:
    """A multipath device: `name` is its alias or its WWID."""

    name: str
    minor: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Share:
    """A folder that the NFS server exports to a client, with its options as exportfs shows them."""

    path: str
    client: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the host. `sudo`: may do everything as root without a password."""

    uid: int
    home: str
    sudo: bool = False


@dataclass
class HostState:
    """All of a host."""

    files: dict[str, File] = field(default_factory=dict)
    mounts: dict[str, Mount] = field(default_factory=dict)  # by target
    packages: dict[str, str] = field(default_factory=dict)  # name -> version
    units: dict[str, Unit] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)  # file -> what its daemon read of it
    sessions: dict[int, Session] = field(default_factory=dict)
    partitions: dict[str, Partition] = field(default_factory=dict)  # by name: sda3
    disks: dict[str, ScsiDisk] = field(default_factory=dict)  # LUNs, by name: sdc
    maps: dict[str, Map] = field(default_factory=dict)  # by WWID
    shares: tuple[Share, ...] = ()
    accounts: dict[str, Account] = field(default_factory=dict)
    full: frozenset[str] = frozenset()  # mount points without a free byte: a fault
    sudo_fault: str = ""  # what sudo says instead of working: a fault
    cut: str = ""  # "before" or "after": the connection dies around the next command: a fault
    tries_until_s: float = 0.0  # logins at boot are tried again until then
    serial: int = 0  # of sessions and everything made up

    def copy(self) -> HostState:
        """A state of its own."""
        copy = replace(self)
        for known in fields(self):
            if isinstance(value := getattr(self, known.name), dict):
                setattr(copy, known.name, value.copy())
        return copy

    def next_serial(self) -> int:
        """A number never given before."""
        self.serial += 1
        return self.serial
