"""A name for what guests offer together."""

from __future__ import annotations

from collections.abc import Iterator

from lab.item import Flaw, Item
from lab.names import GuestName, VlanName


class Service(Item):
    """Up while `any` (or `all`) of the guests serve on `vlan`."""

    any: tuple[GuestName, ...] = ()
    all: tuple[GuestName, ...] = ()
    vlan: VlanName | None = None

    def flaws(self) -> Iterator[Flaw]:
        if bool(self.any) == bool(self.all):
            yield Flaw(
                (),
                "a service names guests under any, or under all",
                fix="write one of the two",
            )
