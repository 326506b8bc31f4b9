"""Which FreeNAS or TrueNAS an array runs, and which of its words and protocols that release has.

What a method takes by version stands beside the method (`catalogue`); here is what concerns the
array as a whole. Source: reference of the TrueNAS API, protocols and differences by version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

Number = tuple[int, int]
NEWEST: Number = (26, 0)
# What `system.version` says where the lab names only the release.
_FULL = {
    (11, 1): "FreeNAS-11.1-U7",
    (11, 3): "FreeNAS-11.3-U5",
    (12, 0): "TrueNAS-12.0-U8.1",
    (13, 0): "TrueNAS-13.0-U6.8",
    (24, 4): "TrueNAS-SCALE-24.04.2",
    (25, 4): "TrueNAS-25.04.2",
    (25, 10): "TrueNAS-25.10.5",
    (26, 0): "TrueNAS-26.0.0",
}


@dataclass(frozen=True, slots=True)
class Version:
    """A release by year and month, or by major and minor number before that: 25.10, 13.0."""

    number: Number
    full: str

    def has(self, span: str) -> bool:
        """Whether a span of releases holds this one; both ends belong to it: `11.3..13.0`."""
        first, _, last = span.partition("..")
        return (not first or self.number >= number_of(first)) and (
            not last or self.number <= number_of(last)
        )

    @property
    def short(self) -> str:
        """As `system.version_short` and the versioned address of the API say it."""
        return re.sub(r"^[A-Za-z]+-(SCALE-)?", "", self.full)

    @property
    def scale(self) -> bool:
        """Whether it runs on Linux, which renamed interfaces, groups and some words."""
        return self.number >= (20, 0)

    @property
    def strict(self) -> bool:
        """Whether types are checked strictly: no text for a number."""
        return self.has("25.04..")

    @property
    def jsonrpc(self) -> bool:
        """Whether JSON-RPC 2.0 is spoken over a websocket."""
        return self.has("25.04..")

    @property
    def rest1(self) -> bool:
        """Whether REST 1.0 is served."""
        return self.has("..11.3")

    @property
    def rest2(self) -> bool:
        """Whether REST 2.0 is served; 11.1 had too little of it to count."""
        return self.has("11.2..25.10")

    @property
    def administrator(self) -> str:
        """The account that an installation makes."""
        return "truenas_admin" if self.scale else "root"


def number_of(text: str) -> Number:
    """Release number of `25.10`, `13.0-U6`, `TrueNAS-SCALE-24.04.2`. Raises ValueError."""
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is no TrueNAS version; write one like 25.10 or 13.0")
    return int(found[1]), int(found[2])


@lru_cache
def version_of(text: str) -> Version:
    """A version from what the lab says. Raises ValueError for what holds no number."""
    number = number_of(text)
    return Version(number, _FULL.get(number, f"TrueNAS-{text}"))
