"""What disks and LUNs carry, apart from who sees them: signatures, LVM's volume groups, ZFS's
pools.

Kept in the twin's state by volume: `bak1/sdb` for a host's disk, `nas1/tank/group1` for a zvol of
an array. So what one host writes on a LUN is there for every host that sees it, and a zvol that is
destroyed takes it along. Sources: libblkid's names of superblocks; vgcreate(8), zpoolconcepts(7).
Leaves out: the data itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LVM = "LVM2_member"
EXTENT_BYTES = 4 * 2**20  # vgcreate(8): the default physical extent size
# Where a superblock's mark stands, in bytes. Source: libblkid.
ZFS = "zfs_member"
OFFSETS: Mapping[str, int] = {
    LVM: 0x218, "xfs": 0, "ext4": 0x438, "gpt": 0x200, "vfat": 0x52, ZFS: 0x3F000,
}  # fmt: skip
DATA_START_BYTES = 2**20  # lvm.conf(5) default_data_alignment: metadata takes the first MiB


@dataclass(frozen=True, slots=True)
class Signature:
    """What a volume begins with: a file system, a partition table or an LVM label.

    `group`: uuid of the volume group that an LVM label belongs to, or of the pool of ZFS, if any.
    """

    type: str  # xfs, ext4, gpt, LVM2_member, zfs_member
    uuid: str
    label: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """A volume of a group. `metadata_bytes`: of a thin pool, apart from its size; it is kept twice,
    to be repaired.
    """

    name: str
    uuid: str
    size_bytes: int
    metadata_bytes: int = 0


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


PARITY: Mapping[str, int] = {
    "raidz": 1, "raidz2": 2, "raidz3": 3, "draid": 1, "draid2": 2, "draid3": 3,
}  # fmt: skip
DRAID_DATA = 8  # zpoolconcepts(7): data disks of a group, unless there are fewer


@dataclass(frozen=True, slots=True)
class Zpool:
    """A pool of ZFS; `members` are volumes with their sizes. `data` and `spares` are dRAID's."""

    name: str
    uuid: str
    level: str  # single, mirror, raid10, raidz, raidz2, raidz3, draid, draid2, draid3
    members: tuple[tuple[str, int], ...]
    data: int = DRAID_DATA
    spares: int = 0

    @property
    def vdevs(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """The members of each: pairs of mirrors, or all."""
        pairs = range(0, len(self.members), 2)
        return (
            tuple(self.members[n : n + 2] for n in pairs)
            if self.level == "raid10"
            else (self.members,)
        )

    @property
    def size_bytes(self) -> int:
        """As `zpool list` counts: of mirrors one disk, with parity all."""
        each = [min(size for _, size in vdev) for vdev in self.vdevs]
        return sum(each) * (len(self.members) - self.spares if self.level in PARITY else 1)

    @property
    def usable_bytes(self) -> int:
        """What fits."""
        count, parity = len(self.members) - self.spares, PARITY.get(self.level, 0)
        stripe = count if self.level.startswith("raidz") else min(count, self.data + parity)
        return self.size_bytes * (stripe - parity) // stripe if parity else self.size_bytes

    def survives(self, lost: frozenset[str]) -> bool:
        """Whether the data is there without some of its members."""
        gone = [sum(volume in lost for volume, _ in vdev) for vdev in self.vdevs]
        if self.level in PARITY:
            return gone[0] <= PARITY[self.level]
        return all(
            count < len(vdev) or not count for count, vdev in zip(gone, self.vdevs, strict=True)
        )
