"""What an array keeps on its pools: file systems, volumes, and the snapshots made of them.

Sources: zfsprops(7), zfs-create(8); the TrueNAS documentation, datasets, periodic snapshot tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lab.item import Flaw, Item, Part
from lab.units import Flag, Size, format_size

BLOCK_BYTES = 16 * 2**10  # volblocksize of a volume for which none is written: zfsprops(7)
_COMPONENT = r"[A-Za-z0-9_]([\w.: -]*[\w.:-])?"  # zfs(8); a blank within, never at an end
DATASET = rf"{_COMPONENT}(/{_COMPONENT})*"  # pool first: tank/vm
Keep = Annotated[str, Field(pattern=r"^[1-9]\d* (hour|day|week|month|year)s?$")]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Sync(StrEnum):
    """When a synchronous write is answered."""

    STANDARD = "standard"
    ALWAYS = "always"
    DISABLED = "disabled"


class Dataset(Part):
    """A file system of a pool. Its key is its whole name: `tank/vm`."""

    quota: Size | None = None
    refquota: Size | None = None
    compression: str | None = None
    sync: Sync | None = None
    record_size: Size | None = None
    atime: Flag | None = None
    comment: str | None = None


class Extent(Item):
    """How a volume shows itself to initiators. `name`: on the array, if not the volume's."""

    name: str | None = None
    serial: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,20}$")] | None = None
    block_size: Size = 512
    read_only: Flag = False
    enabled: Flag = True
    comment: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        if self.block_size not in (512, 1024, 2048, 4096):
            what = f"a LUN has no blocks of {format_size(self.block_size)}"
            yield Flaw(("block-size",), what, fix="write 512B, 1KiB, 2KiB or 4KiB")


class Zvol(Part):
    """A block volume of a pool; only ever grows. Its key is its name below the pool."""

    pool: str
    size: Size
    sparse: Flag | None = None
    block_size: Size | None = None
    compression: str | None = None
    sync: Sync | None = None
    comment: str | None = None
    extent: Extent | None = None

    def flaws(self) -> Iterator[Flaw]:
        block = self.block_size or BLOCK_BYTES
        if block not in (2**power for power in range(9, 18)):
            what = f"a volume has no blocks of {format_size(block)}"
            yield Flaw(("block-size",), what, fix="write a power of two from 512B to 128KiB")
        elif self.size % block:
            what = f"its size is no multiple of its block size, {format_size(block)}"
            fix = f"write {format_size(-(-self.size // block) * block)}"
            yield Flaw(("size",), what, "ZFS has no other sizes", fix)


class SnapshotTask(Part):
    """Snapshots by the clock. `schedule`: minute, hour, day of month, month, day of week."""

    dataset: Annotated[str, Field(pattern=f"^{DATASET}$")]
    schedule: str
    naming: str = "auto-%Y-%m-%d_%H-%M"
    begin: Clock = "00:00"
    end: Clock = "23:59"
    keep: Keep
    recursive: Flag = False
    exclude: frozenset[str] = frozenset()
    allow_empty: Flag = True
    enabled: Flag = True

    def flaws(self) -> Iterator[Flaw]:
        if len(self.schedule.split()) != 5:
            fix = 'write minute, hour, day of month, month, day of week, such as "0 3 * * *"'
            yield Flaw(("schedule",), "a schedule has five fields", fix=fix)
        missing = [part for part in ("%Y", "%m", "%d", "%H", "%M") if part not in self.naming]
        if missing:
            why = "two snapshots would have one name"
            yield Flaw(("naming",), f"the naming has no {', '.join(missing)}", why)
