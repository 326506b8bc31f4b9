"""What clusters hold and run, and what an array serves, as the physics needs it.

Plain frozen values. Two producers: the desired state (`simulator/declared.py`) and the documents of
a served device (`simulator/pve/`, `simulator/mon/`, `simulator/truenas/`). Leaves out all that has
no weight: people, comments.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from simulator.cluster.documents import CrsSettings, Rules


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """A guest as a load. `nets` are (bridge, 802.1Q id, 0 for untagged); `storages` are names.

    `disks`: those of them that hold disks of its own, and not just a medium in a drive.
    """

    vmid: int
    name: str
    cores: int
    memory_bytes: int
    storages: frozenset[str] = frozenset()
    nets: tuple[tuple[str, int], ...] = ()
    onboot: bool = False
    disks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """A storage definition by what backs it.

    `backing` by type: rbd the pool; lvm the volume group; nfs the server's address; lvmthin as lvm;
    zfspool the pool, or the dataset in it; dir the folder.
    `export`: the path on an NFS server. `local`: each node has its own.
    """

    name: str
    type: str
    backing: str = ""
    nodes: frozenset[str] | None = None  # None: every node
    enabled: bool = True
    export: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class HaResource:
    """A guest under HA. `state`: started, stopped, disabled or ignored."""

    sid: str  # vm:101
    state: str = "started"
    max_restart: int = 1
    max_relocate: int = 1
    failback: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """All of one cluster."""

    guests: Mapping[int, GuestSpec] = field(default_factory=dict)
    storages: Mapping[str, StorageSpec] = field(default_factory=dict)
    ha: Mapping[str, HaResource] = field(default_factory=dict)
    rules: Rules = field(default_factory=dict)  # by id
    shutdown_policy: str = "conditional"
    crs: CrsSettings = CrsSettings()


EVERYBODY = "*"
"""Initiator of a LUN that is offered to all."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What an array serves.

    `luns`: volume (`tank/group1`) -> the (portal address, initiator name) pairs that see it.
    `targets`: volume -> the target that shows it, as hosts ask for it: `iqn...:t port 3260`.
    `exports`: folder -> networks and hosts that may mount it, none for everybody.
    """

    luns: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    exports: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinuxSpec:
    """What a host's operating system holds.

    `logins`: (array, portal address, target) of its iSCSI sessions. `groups`: volume groups that it
    has found. `exports`: as an array's.
    """

    logins: frozenset[tuple[str, str, str]] = frozenset()
    groups: frozenset[str] = frozenset()
    exports: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CephPoolSpec:
    """A pool by what its I/O needs: `min_size` of `size` copies, each in a domain of its own.

    `osds`: those that may hold a copy, by the device class of its rule. `by_host`: the domain is
    the host, else the OSD.
    """

    name: str
    size: int
    min_size: int
    osds: frozenset[str]
    by_host: bool = True


@dataclass(frozen=True, slots=True)
class CephSpec:
    """All that monitors keep and that has weight. Times in seconds.

    `flags`: noout, nodown, noup, noin, pause ...; `grace_s`: osd_heartbeat_grace; `down_out_s`:
    mon_osd_down_out_interval; `min_in_ratio`: mon_osd_min_in_ratio.
    """

    pools: Mapping[str, CephPoolSpec] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    down_out_s: float = 600.0
    grace_s: float = 20.0
    min_in_ratio: float = 0.75


CEPH_OPTIONS: Mapping[str, str] = {
    "down_out_s": "mon_osd_down_out_interval",
    "grace_s": "osd_heartbeat_grace",
    "min_in_ratio": "mon_osd_min_in_ratio",
}
"""Fields of a CephSpec that are options of Ceph's."""


def ceph_options(config: Mapping[str, Mapping[str, str]]) -> dict[str, float]:
    """Those fields from options by section, as far as they are numbers: monitors refuse others.

    The section of a kind of daemon counts more than `global`; single daemons' do not count.
    """
    found: dict[str, float] = {}
    for section in ("global", "mon", "osd"):
        for name, option in CEPH_OPTIONS.items():
            with suppress(KeyError, ValueError):
                found[name] = float(config[section][option])
    return found
