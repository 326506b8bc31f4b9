"""Names of entries in top-level maps: the types of references, and how to mend a wrong one."""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher, get_close_matches
from typing import Annotated

from lab.item import Ref

SHOWN = 12  # names that a message lists

VlanName = Annotated[str, Ref("vlans")]
SwitchName = Annotated[str, Ref("switches")]
FeedName = Annotated[str, Ref("feeds")]
NodeName = Annotated[str, Ref("nodes")]
ClusterName = Annotated[str, Ref("clusters")]
CephName = Annotated[str, Ref("ceph")]
NasName = Annotated[str, Ref("nas")]
BackupServerName = Annotated[str, Ref("backup-servers")]
StorageName = Annotated[str, Ref("storages")]
GuestName = Annotated[str, Ref("guests")]
PoolName = Annotated[str, Ref("pools")]
GroupName = Annotated[str, Ref("groups")]
UserName = Annotated[str, Ref("users")]
ServiceName = Annotated[str, Ref("services")]


def nearest(name: str, known: Collection[str]) -> str:
    """How to mend a wrong name: the known name most like it, else those to choose from."""
    if not known:
        return "none is declared yet"
    by_small = {each.lower(): each for each in known}
    if (same := by_small.get(name.lower())) is not None:
        return f"did you mean {same}?"
    close = get_close_matches(name, known, n=SHOWN)
    likeness = [SequenceMatcher(None, each, name).ratio() for each in close]
    best = [each for each, ratio in zip(close, likeness, strict=True) if ratio == likeness[0]]
    if len(best) == 1:
        return f"did you mean {best[0]}?"
    choice = sorted(best or known)
    return f"use one of {', '.join(choice[:SHOWN])}{', ...' if len(choice) > SHOWN else ''}"
