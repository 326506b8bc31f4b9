"""What iscsiadm tells: node records, sessions, and the disks that came with them.

Source: iscsiadm(8), open-iscsi 2.1. A LUN is named `IQN/NUMBER`, as no host knows its name on the
array; exit status 21 says that there is nothing to list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

RECORDS = ("iscsiadm", "-m", "node")
SESSIONS = ("iscsiadm", "-m", "session", "-P", "3")
NOTHING = 21  # iscsi_err.h, ISCSI_ERR_NO_OBJS_FOUND
EXISTS = 15  # ISCSI_ERR_SESS_EXISTS
_RECORD = re.compile(r"^(\S+:\d+),(-?\d+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """A target at a portal, as the node database has it. `tag`: of the portal group."""

    iqn: str
    portal: str  # 192.168.101.21:3260
    tag: str


@dataclass(frozen=True)
class Session:
    """A login."""

    iqn: str
    portal: str


@dataclass(frozen=True)
class Attached:
    """A LUN as one session shows it."""

    iqn: str
    portal: str
    number: str
    disk: str  # sdc

    @property
    def lun(self) -> str:
        """The LUN, whatever the path."""
        return f"{self.iqn}/{self.number}"


def records(text: str) -> Iterator[Record]:
    """Of `iscsiadm -m node`."""
    for portal, tag, iqn in _RECORD.findall(text):
        yield Record(iqn, portal, tag)


def sessions(text: str) -> Iterator[Session]:
    """Of `iscsiadm -m session -P 3`: those to their persistent portals, which records name."""
    iqn = ""
    for line in text.splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "Target":
            iqn = value.split()[0]
        elif name == "Persistent Portal":
            yield Session(iqn, value.partition(",")[0])


def attached(text: str) -> list[Attached]:
    """Of the same: disks with their LUNs."""
    found, iqn, portal, number = [], "", "", ""
    for line in text.splitlines():
        words = line.split()
        match words:
            case ["Target:", name, *_]:
                iqn = name
            case ["Persistent", "Portal:", where]:
                portal = where.partition(",")[0]
            case [*_, "Lun:", lun]:
                number = lun
            case ["Attached", "scsi", "disk", disk, *_]:
                found.append(Attached(iqn, portal, number, disk))
    return found
