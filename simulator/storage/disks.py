"""What disks and LUNs carry, apart from who sees them: signatures, and LVM's volume groups.

Kept in the twin's state by volume: `bak1/sdb` for a host's disk, `nas1/tank/group1` for a zvol of
an array. So what one host writes on a LUN is there for every host that sees it, and a zvol that is
destroyed takes it along. Sources: libblkid's names of superblocks; vgcreate(8). Leaves out: the
data itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LVM = "LVM2_member"
EXTENT_BYTES = 4 * 2**20  # vgcreate(8): the default physical extent size
# Where a superblock's mark stands, in bytes. Source: libblkid.
OFFSETS: Mapping[str, int] = {LVM: 0x218, "xfs": 0, "ext4": 0x438, "gpt": 0x200, "vfat": 0x52}
DATA_START_BYTES = 2**20  # lvm.conf(5) default_data_alignment: metadata takes the first MiB


@dataclass(frozen=True, slots=True)
class Signature:
    """What a volume begins with: a file system, a partition table or an LVM label.

    `group`: uuid of the volume group that an LVM label belongs to, if any.
    """

    type: str  # xfs, ext4, gpt, LVM2_member
    uuid: str
    label: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """A volume of a group."""

    name: str
    uuid: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """A volume group as its physical volumes describe it; `members` are volumes with their sizes
    when they joined.
    """

    name: str
    uuid: str
    members: tuple[tuple[str, int], ...]
    volumes: tuple[LogicalVolume, ...] = ()
    extent_bytes: int = EXTENT_BYTES
    tags: tuple[str, ...] = ()
    changes: int = 1  # vg_seqno

    @property
    def size_bytes(self) -> int:
        """All extents of all members."""
        return sum(usable(size_bytes, self.extent_bytes) for _, size_bytes in self.members)


def usable(size_bytes: int, extent_bytes: int = EXTENT_BYTES) -> int:
    """Whole extents on a physical volume of this size, in bytes."""
    return max(0, size_bytes - DATA_START_BYTES) // extent_bytes * extent_bytes
