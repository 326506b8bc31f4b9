"""A power feed: what goes dark together when one source of power fails."""

from __future__ import annotations

from lab.item import Item


class Feed(Item):
    """One power feed of the rack."""

    comment: str = ""
