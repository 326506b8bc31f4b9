"""All kinds of devices, in the order in which a stage is set: storage before what stands on it."""

from __future__ import annotations

from collections.abc import Mapping

from controller.ceph.family import CephFamily
from controller.devices import Family
from controller.linux.family import LinuxFamily
from controller.managed import Cost, Managed
from controller.pve.family import PveFamily
from controller.truenas.family import NasFamily

FAMILIES: tuple[Family, ...] = (NasFamily(), CephFamily(), LinuxFamily(), PveFamily())


def all_kinds() -> tuple[type[Managed], ...]:
    """What may be on any device."""
    return tuple(kind for family in FAMILIES for kind in family.kinds)


def all_costs() -> Mapping[str, Cost]:
    """What a change of each field of the language costs at most."""
    found: dict[str, Cost] = {}
    for family in FAMILIES:
        for name, cost in family.costs().items():
            found[name] = max(cost, found.get(name, cost))
    return found
