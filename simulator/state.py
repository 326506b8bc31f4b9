"""The whole state of a twin, as plain data: dictionaries of frozen values.

Nothing that matters lives anywhere else, so copying the dictionaries copies the world. A timer is a
deadline kept here; whoever sets it is told when it is due, in the original and in every copy alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from lab.faults import Fault
from simulator.membership.votequorum import Ballot
from simulator.storage.disks import Signature, VolumeGroup, Zpool
from simulator.workload import ArraySpec, CephSpec, LinuxSpec, Workload

if TYPE_CHECKING:
    from simulator.ha.stack import Stack

Timer = tuple[str, ...]
"""Owner first: ("corosync", "a", "pve2")."""


class Due(NamedTuple):
    """When a timer rings, and its rank among those that ring at one instant."""

    at_s: float
    rank: int


class HostPower(StrEnum):
    """A server without power, on its way up, or running its operating system."""

    OFF = "off"
    BOOTING = "booting"
    ON = "on"


class GuestPower(StrEnum):
    """A guest that is off, between power on and serving, or serving as far as it is concerned."""

    STOPPED = "stopped"
    BOOTING = "booting"
    RUNNING = "running"


Groups = tuple[frozenset[str], ...]
"""Nodes that all reach each other, the largest group first."""

GuestKey = tuple[str, int]
"""Cluster and vmid."""


@dataclass(frozen=True, slots=True)
class GuestState:
    """Where a guest is and whether it runs. `stalled`: its I/O waits, for this reason. `paused`: it
    stands still because somebody said so, whatever its power.

    `boot_left_s`: what is left of a boot that stands still; None: it has not been interrupted.
    `disks`: the node where HA left its disks on storages of one node behind; "" if it has them.
    """

    node: str
    power: GuestPower = GuestPower.STOPPED
    stalled: str = ""
    lock: str = ""  # migrate, backup, ...
    boot_left_s: float | None = None
    paused: bool = False
    disks: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Cluster membership as one node sees it. Source: votequorum(5)."""

    members: frozenset[str]
    quorate: bool


@dataclass(frozen=True, slots=True)
class OsdState:
    """As `ceph osd dump` says: up or down, in or out. `died`: its daemon has to start again.

    Deadlines in seconds, None if none runs: when its peers will have reported it dead, when it will
    have started, when it goes out.
    """

    up: bool = True
    inside: bool = True
    died: bool = False
    reported_s: float | None = None
    started_s: float | None = None
    out_s: float | None = None


class Glimpse:
    """Some dictionaries of a state, by their names, as they were at one instant.

    Their values are immutable, so shallow copies show every change.
    """

    def __init__(self, state: State, names: Iterable[str]) -> None:
        self._seen = {name: getattr(state, name).copy() for name in names}

    def holds(self, state: State) -> bool:
        """Whether they are in `state` as they were then."""
        return all(getattr(state, name) == seen for name, seen in self._seen.items())


@dataclass
class State:
    """The world at `now_s` seconds. Every dictionary holds immutable values, but for `ha`."""

    now_s: float = 0.0
    rank: int = 0
    seed: int = 0
    timers: dict[Timer, Due] = field(default_factory=dict)
    pending: dict[str, Fault] = field(default_factory=dict)  # not over, absolute times, by text
    faults: dict[str, Fault] = field(default_factory=dict)  # those in force, by subject
    hosts: dict[str, HostPower] = field(default_factory=dict)
    halted: dict[str, float] = field(default_factory=dict)  # shut down in order, since
    orders: dict[str, str] = field(default_factory=dict)  # to servers: start, reboot, shutdown
    boxes: dict[str, HostPower] = field(default_factory=dict)  # "switch sw1", "router r1"
    unnoticed: dict[str, float] = field(default_factory=dict)  # "port pve1/eno1" -> dead since
    left: dict[str, float] = field(default_factory=dict)  # bond members not in use -> since
    views: dict[str, View] = field(default_factory=dict)  # node -> membership it sees
    ballots: dict[str, Ballot] = field(default_factory=dict)  # node -> what its votequorum knows
    stopped: dict[str, float] = field(default_factory=dict)  # nodes without corosync -> since
    devices: dict[str, bool] = field(default_factory=dict)  # node -> sees its quorum device
    rings: dict[str, Groups] = field(default_factory=dict)  # "a 0" -> who is joined by link 0
    mons: dict[str, frozenset[str]] = field(default_factory=dict)  # ceph -> monitors in quorum
    ceph: dict[str, CephSpec] = field(default_factory=dict)  # what its monitors keep
    osds: dict[str, OsdState] = field(default_factory=dict)  # "ceph/0"
    pools: dict[str, str] = field(default_factory=dict)  # "ceph/pool" -> why it does not serve
    stale: dict[str, str] = field(default_factory=dict)  # "pve4/nas1/tank/z" -> target it asks for
    paths: dict[str, bool] = field(default_factory=dict)  # "pve4/nas1/portal" -> path in use
    unfit: dict[str, str] = field(default_factory=dict)  # nodes that can start no guest -> why
    onboot: dict[str, float] = field(default_factory=dict)  # nodes that wait for quorum, since
    workloads: dict[str, Workload] = field(default_factory=dict)  # by cluster
    arrays: dict[str, ArraySpec] = field(default_factory=dict)  # what each array serves
    linux: dict[str, LinuxSpec] = field(default_factory=dict)  # what hosts that tell it hold
    carried: dict[str, Signature] = field(default_factory=dict)  # what is on disks and LUNs
    volume_groups: dict[str, VolumeGroup] = field(default_factory=dict)  # by uuid
    zpools: dict[str, Zpool] = field(default_factory=dict)  # by uuid
    mounted: dict[str, tuple[str, int]] = field(
        default_factory=dict
    )  # "pve1:/mnt/pve/a" -> "pve1/sdb1" and its size in bytes
    removed: dict[str, float] = field(default_factory=dict)  # "pve1 zfspool fast" -> since
    guests: dict[GuestKey, GuestState] = field(default_factory=dict)
    ha: dict[str, Stack] = field(default_factory=dict)  # by cluster
    down_since: dict[str, float] = field(default_factory=dict)  # "guest luffy" -> since
    outages: dict[str, float] = field(default_factory=dict)  # closed outages, summed seconds

    def copy(self) -> State:
        """A world of its own."""
        copy = replace(self)
        for known in fields(self):
            if isinstance(value := getattr(self, known.name), dict):
                setattr(copy, known.name, value.copy())
        copy.ha = {cluster: stack.fork() for cluster, stack in self.ha.items()}
        return copy
