"""What may be on a Ceph cluster, and what its changes cost at most."""

from __future__ import annotations

from collections.abc import Mapping

from controller.ceph.client_key import ClientKey
from controller.ceph.config_option import ConfigOption
from controller.ceph.crush_rule import Rule
from controller.ceph.device_class import DeviceClass
from controller.ceph.flags import Flags
from controller.ceph.pool import Pool
from controller.ceph.thing import WORD, CephThing
from controller.managed import Cost, Managed

_KINDS: tuple[type[CephThing], ...] = (DeviceClass, Rule, Pool, ClientKey, Flags, ConfigOption)
KINDS: tuple[type[Managed], ...] = _KINDS
_ALONE = {
    "flags": Cost.STOP_START,
    "osd-memory-target": Cost.LIVE,
    "down-out": Cost.LIVE,
    "config.*.*": Cost.LIVE,
    "pools.*.domain": Cost.MIGRATE,
}


def costs() -> Mapping[str, Cost]:
    """What a change of each field of the language costs at most: `ceph.pools.*.size`."""
    found = {
        f"{WORD}.{kind.section}.*.{'.'.join(known.path)}": known.cost
        for kind in _KINDS
        if kind is not Flags
        for known in kind.fields
    }
    return found | {f"{WORD}.{path}": cost for path, cost in _ALONE.items()}
