"""The documents that CRM and LRM share: plain values, replaced and never changed in place.

A daemon reads a document, works on its own copy and writes the whole back; as every value is
immutable, a copy of a dict of them is a full copy, and a cluster is forked by copying its dicts.
Words (states, modes, wanted states) are the ones Proxmox VE writes. Sizes are bytes, CPUs cores.
Reading them from files: `suite`, `rules` and `groups`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

DEFAULT_MAXCPU = 24.0  # of a node nothing is said of; pve-ha-manager's own simulator
DEFAULT_MAXMEM_BYTES = 128 * 1024**3  # likewise
OLDEST_VERSION = "9.0.0~2"  # of a node without version; likewise


@dataclass(frozen=True)
class Line:
    """A line for the log: level (`info`, `notice`, `warning`, `err`, `email`) and message."""

    level: str
    message: str


@dataclass(frozen=True)
class ServiceConfig:
    """What is wanted of a service. `state`: started, stopped, disabled or ignored."""

    node: str
    state: str = "disabled"
    group: str = ""
    failback: bool = True
    max_restart: int = 1
    max_relocate: int = 1
    lock: str = ""


@dataclass(frozen=True)
class ServiceRecord:
    """What the manager knows of a service. `uid` names this one entry into the state."""

    state: str
    node: str
    uid: str
    target: str = ""
    timeout_s: int | None = None
    command: tuple[str, ...] = ()  # what a user asked for and is not taken up yet
    failed_nodes: tuple[str, ...] = ()
    maintenance_node: str = ""  # where it goes back to
    running: bool = False


@dataclass(frozen=True)
class NodeInfo:
    """A node as membership shows it. `online` counts quorum: without it nobody is online."""

    online: bool
    maxcpu: float | None = None
    maxmem_bytes: float | None = None
    version: str = OLDEST_VERSION


@dataclass(frozen=True)
class Disarm:
    """That the stack is to let go. `mode`: freeze or ignore; `state`: disarming or disarmed."""

    mode: str
    state: str = "disarming"


@dataclass(frozen=True)
class ManagerStatus:
    """What the master has written. `maintenance`: nodes that are asked to be in maintenance.

    It is written once and read in every round of every daemon, so what they look for is worked out
    at the first question.
    """

    master_node: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)  # states
    services: Mapping[str, ServiceRecord] = field(default_factory=dict)
    maintenance: frozenset[str] = frozenset()
    disarm: Disarm | None = None
    timestamp_s: float = 0

    def services_of(self, node: str) -> Mapping[str, ServiceRecord]:
        """Those that are on a node, or go to it, by sid."""
        return self._by_node.get(node, {})

    @cached_property
    def _by_node(self) -> Mapping[str, Mapping[str, ServiceRecord]]:
        found: dict[str, dict[str, ServiceRecord]] = {}
        for sid, record in self.services.items():
            for node in {record.node, record.target}:
                found.setdefault(node, {})[sid] = record
        return found

    @cached_property
    def fenced(self) -> frozenset[str]:
        """Nodes on which services wait for the fence."""
        return frozenset(rec.node for rec in self.services.values() if rec.state == "fence")

    @cached_property
    def uids(self) -> frozenset[str]:
        """Of all services."""
        return frozenset(record.uid for record in self.services.values())


@dataclass(frozen=True)
class LrmResult:
    """How an LRM's job ended: 0 well, 1 error, 3 wrong node, 8 ignored, others unrecoverable."""

    sid: str
    state: str
    exit_code: int


@dataclass(frozen=True)
class LrmStatus:
    """What an LRM has written. `results`: by uid of the record that asked for the job."""

    state: str
    mode: str = "active"
    results: Mapping[str, LrmResult] = field(default_factory=dict)
    timestamp_s: float = 0


@dataclass(frozen=True)
class CrsSettings:
    """How services are scheduled (`crs` in datacenter.cfg). `mode`: basic, static or dynamic.

    `bounded_imbalance`: divided to lie between 0 and 1, as in releases of
    proxmox-resource-scheduling after 2.0; pve-ha-manager 5.2's expected logs have it undivided.
    """

    mode: str = "basic"
    rebalance_on_start: bool = False
    auto_rebalance: bool = False
    threshold: float = 0.3
    method: str = "bruteforce"
    hold_rounds: int = 3
    margin: float = 0.1
    bounded_imbalance: bool = True


@dataclass(frozen=True)
class Amount:
    """CPU in cores and memory in bytes: of a service (limit or measured), or a node's load."""

    cpu: float = 0.0
    mem_bytes: float = 0.0


@dataclass(frozen=True)
class NodeAffinity:
    """Services that belong on nodes. `nodes`: priority by node, higher preferred."""

    id: str
    resources: frozenset[str]
    nodes: Mapping[str, int]
    strict: bool = False
    disabled: bool = False
    comment: str = ""


@dataclass(frozen=True)
class ResourceAffinity:
    """Services that belong together (`positive`) or apart."""

    id: str
    resources: frozenset[str]
    positive: bool
    disabled: bool = False
    comment: str = ""


Rule = NodeAffinity | ResourceAffinity
Rules = Mapping[str, Rule]  # by id


@dataclass(frozen=True)
class Group:
    """The older form of node affinity. `nodes`: priority by node."""

    id: str
    nodes: Mapping[str, int]
    restricted: bool = False
    nofailback: bool = False
    comment: str = ""


Records = Mapping[str, ServiceRecord]  # by sid
Services = Mapping[str, ServiceConfig]  # by sid
Groups = Mapping[str, Group]  # by id
Nodes = Mapping[str, NodeInfo]  # by name
