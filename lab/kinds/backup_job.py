"""A scheduled backup. Source: the Proxmox VE administration guide, backup and restore."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from lab.item import Flaw, Owned
from lab.kinds.storage import Keep
from lab.names import ClusterName, GuestName, PoolName, StorageName
from lab.units import Flag


class BackupMode(StrEnum):
    """How consistent, against how disturbing."""

    SNAPSHOT = "snapshot"
    SUSPEND = "suspend"
    STOP = "stop"


class BackupJob(Owned):
    """Backs up `guests`, or a `pool`, by a systemd calendar `schedule`."""

    cluster: ClusterName
    schedule: str
    storage: StorageName
    guests: tuple[GuestName, ...] = ()
    pool: PoolName | None = None
    mode: BackupMode = BackupMode.SNAPSHOT
    keep: Keep | None = None
    enabled: Flag = True
    comment: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        if bool(self.guests) == bool(self.pool):
            yield Flaw(
                (),
                "a backup job names either guests or a pool",
                fix="write one of the two",
            )
