"""How much room datasets take and have, as `zfs list` counts it.

A thick volume takes its size whether written or not; what is written into thin ones and folders the
twin does not know, so they take next to nothing. Source: zfsprops(7); the pool keeps 1/32 back
(spa_slop_shift 5).
"""

from __future__ import annotations

from collections import defaultdict

from simulator.truenas.documents import Documents

METADATA_BYTES = 96 * 1024  # of an empty file system
VOLUME_METADATA_BYTES = 56 * 1024
SLOP = 32


class Space:
    """Room of all datasets at one instant."""

    def __init__(self, documents: Documents) -> None:
        self.datasets = documents.datasets
        self.sizes = {row["name"]: int(row["size"]) for row in documents.rows("pool").values()}
        self.children: dict[str, list[str]] = defaultdict(list)
        for name in sorted(documents.datasets):
            if "/" in name:
                self.children[name.rpartition("/")[0]].append(name)
        self._used: dict[str, int] = {}

    def own(self, name: str) -> int:
        """Without children and reservations."""
        volume = self.datasets[name].type == "VOLUME"
        return VOLUME_METADATA_BYTES if volume else METADATA_BYTES

    def used(self, name: str) -> int:
        """With children, and at least what is reserved."""
        if name not in self.datasets:
            return 0
        if name not in self._used:
            properties = self.datasets[name].properties
            refreserved = max(self.own(name), int(properties.get("refreservation", 0)))
            children = sum(self.used(child) for child in self.children[name])
            self._used[name] = max(refreserved + children, int(properties.get("reservation", 0)))
        return self._used[name]

    def available(self, name: str) -> int:
        """What can still be written below; quotas count."""
        pool = name.partition("/")[0]
        size = self.sizes.get(pool, 0)
        free = size - size // SLOP - self.used(pool)
        while name:
            properties = self.datasets[name].properties if name in self.datasets else {}
            for quota in (int(properties.get("quota", 0)), int(properties.get("refquota", 0))):
                if quota:
                    free = min(free, quota - self.used(name))
            name = name.rpartition("/")[0]
        return max(0, free)


def size_text(size: int) -> str:
    """As ZFS prints sizes: 100G, 1.81T, 96K."""
    value = float(size)
    for unit in ("", "K", "M", "G", "T", "P"):
        if value < 1024 or unit == "P":
            text = f"{value:.0f}" if value == int(value) or not unit else f"{value:.3g}"
            return f"{text}{unit}"
        value /= 1024
    raise AssertionError("every size has a unit")
