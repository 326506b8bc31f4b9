"""A cable between two ports."""

from __future__ import annotations

from collections.abc import Iterator

from lab.item import Flaw, Item


class Cable(Item):
    """Joins two ports, each written `device/port`: `pve1/eno1`, `sw1/p1`, `pve1/ilo`."""

    ends: tuple[str, str]
    colour: str = ""
    label: str = ""

    def flaws(self) -> Iterator[Flaw]:
        for end in self.ends:
            if end.count("/") != 1:
                yield Flaw(
                    ("ends",),
                    f"cable end {end!r} is not device/port",
                    fix="write pve1/eno1",
                )
