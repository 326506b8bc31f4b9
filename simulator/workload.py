"""What a cluster holds and runs, and what an array serves, as the physics needs it.

Plain frozen values. Two producers: the desired state (`simulator/declared.py`) and the documents of
a served API (`simulator/pve/`, `simulator/truenas/`). Leaves out all that has no weight: people,
comments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """A guest as a load. `nets` are (bridge, 802.1Q id, 0 for untagged); `storages` are names."""

    vmid: int
    name: str
    cores: int
    memory_bytes: int
    storages: frozenset[str] = frozenset()
    nets: tuple[tuple[str, int], ...] = ()
    onboot: bool = False


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """A storage definition by what backs it.

    `backing` by type: rbd the pool; lvm the volume group; nfs the server's address; dir nothing.
    `export`: the path on an NFS server.
    """

    name: str
    type: str
    backing: str = ""
    nodes: frozenset[str] | None = None  # None: every node
    enabled: bool = True
    export: str = ""


@dataclass(frozen=True, slots=True)
class HaResource:
    """A guest under HA. `state`: started, stopped, disabled or ignored."""

    sid: str  # vm:101
    state: str = "started"
    max_restart: int = 1
    max_relocate: int = 1
    failback: bool = True


@dataclass(frozen=True, slots=True)
class HaRuleSpec:
    """`type` node-affinity (`nodes` by priority, `strict`) or resource-affinity (`positive`)."""

    name: str
    type: str
    sids: tuple[str, ...]
    nodes: Mapping[str, int] = field(default_factory=dict)
    strict: bool = False
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """All of one cluster."""

    guests: Mapping[int, GuestSpec] = field(default_factory=dict)
    storages: Mapping[str, StorageSpec] = field(default_factory=dict)
    ha: Mapping[str, HaResource] = field(default_factory=dict)
    rules: tuple[HaRuleSpec, ...] = ()
    shutdown_policy: str = "conditional"


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

    `logins`: (array, portal address) of its iSCSI sessions. `groups`: volume groups it has found.
    `exports`: as an array's.
    """

    logins: frozenset[tuple[str, str]] = frozenset()
    groups: frozenset[str] = frozenset()
    exports: Mapping[str, frozenset[str]] = field(default_factory=dict)
