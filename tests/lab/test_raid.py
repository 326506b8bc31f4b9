"""What disks make together: how much fits, and which may be lost."""

from __future__ import annotations

from itertools import combinations

import pytest

from lab.kinds.host import Raid, RaidLevel
from lab.kinds.nas import NasPool

SIZES = {"a": 4, "b": 4, "c": 3, "d": 4, "e": 5}


def raid(level: str, disks: str) -> Raid:
    return Raid(level=RaidLevel(level), disks=tuple(disks))


@pytest.mark.parametrize(
    ("level", "disks", "fits"),
    [("single", "e", 5), ("raid1", "abc", 3), ("raid10", "abcd", 7), ("raid5", "abc", 6),
     ("raid6", "abde", 8), ("raidz1", "abde", 12), ("raidz2", "abcde", 9), ("raidz3", "abcde", 6)],
)  # fmt: skip
def test_what_fits_is_what_the_smallest_disk_lets_fit(level: str, disks: str, fits: int) -> None:
    assert raid(level, disks).usable(SIZES) == fits


@pytest.mark.parametrize(
    ("level", "parity"), [("raid5", 1), ("raidz1", 1), ("raid6", 2), ("raidz2", 2), ("raidz3", 3)]
)
def test_as_many_disks_may_be_lost_as_hold_parity_whichever_they_are(
    level: str, parity: int
) -> None:
    volume = raid(level, "abcde")
    assert list(volume.flaws()) == []
    assert all(volume.survives(frozenset(lost)) for lost in combinations("abcde", parity))
    assert not any(volume.survives(frozenset(lost)) for lost in combinations("abcde", parity + 1))


def test_a_zfs_pool_has_its_own_names_for_it() -> None:
    (flaw,) = NasPool(level=RaidLevel.RAID6, disks=tuple("abcd")).flaws()
    assert (flaw.what, flaw.fix) == ("a ZFS pool has no raid6", "write raidz2")
