"""All there is of a cluster under HA, as one value: documents, hardware, daemons, log.

Daemons act on it through `locks`, `hardware`, `guests` and the functions here; nothing else is
kept anywhere, so `fork` gives an independent cluster at the same instant. Membership is what the
regression suite has, a node is online or not and all see the same, unless `views` say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lab.errors import VlabError
from simulator.cluster.documents import (
    OLDEST_VERSION,
    Amount,
    CrsSettings,
    Disarm,
    Groups,
    LrmResult,
    LrmStatus,
    ManagerStatus,
    NodeInfo,
    Rules,
    ServiceConfig,
    ServiceRecord,
)
from simulator.cluster.rules import Compiled

CRM = "crm"
LRM = "lrm"


class CfsUnavailable(VlabError):
    """A daemon's node can't reach the cluster file system now."""

    def __init__(self) -> None:
        """Say it in the words of the daemons' log."""
        super().__init__("cfs connection refused - not mounted?")


@dataclass(frozen=True)
class Entry:
    """A line of the log. Levels are printed as they are."""

    level: str
    at_s: float
    source: str
    message: str

    def __str__(self) -> str:
        """As the suite prints it."""
        return f"{self.level:<5} {int(self.at_s):>5} {self.source:>12}: {self.message}"


@dataclass(frozen=True)
class Machine:
    """A node's hardware. `shutdown`: the word of a shutdown that goes on: reboot, shutdown."""

    power: bool = False
    network: bool = False
    shutdown: str = ""
    cfs_readable: bool = True
    cfs_current: bool = True
    maxcpu: float | None = None
    maxmem_bytes: float | None = None
    version: str = OLDEST_VERSION


@dataclass(frozen=True)
class Lock:
    """Who holds a lock of the cluster, and when it was last renewed."""

    node: str
    renewed_s: float


@dataclass(frozen=True)
class Datacenter:
    """What datacenter.cfg says of HA."""

    shutdown_policy: str = "conditional"
    crs: CrsSettings = field(default_factory=CrsSettings)


@dataclass
class Manager:
    """The master's memory; a new master starts with what is in the manager status."""

    node_states: dict[str, str]
    records: dict[str, ServiceRecord]
    maintenance: frozenset[str]
    disarm: Disarm | None
    crs: CrsSettings
    last_online_s: dict[str, float] = field(default_factory=dict)
    compiled: Compiled | None = None
    compiled_from: tuple[frozenset[str], Rules, Groups] | None = None
    rounds_to_group_migration: int = 3
    hold: int = 0  # rounds of imbalance
    fully_disarmed: bool = False

    def fork(self) -> Manager:
        """Another that knows the same."""
        return replace(
            self,
            node_states=dict(self.node_states),
            records=dict(self.records),
            last_online_s=dict(self.last_online_s),
        )


@dataclass
class Crm:
    """A CRM. `stop`: it is to leave alone, its node stays."""

    state: str = "wait_for_quorum"
    manager: Manager | None = None
    idle_rounds: int = 0
    disarmed: bool = False
    shutdown: bool = False
    stop: bool = False

    def fork(self) -> Crm:
        """Another in the same state."""
        return replace(self, manager=self.manager and self.manager.fork())


@dataclass(frozen=True)
class Job:
    """What an LRM is to do for a service; without uid nobody waits for its result."""

    sid: str
    uid: str
    state: str
    target: str = ""
    timeout_s: int | None = None


@dataclass
class Lrm:
    """An LRM. `status`: the manager's, as it read it last."""

    state: str = "wait_for_agent_lock"
    mode: str = "active"
    entered_s: float = 0
    status: ManagerStatus = field(default_factory=ManagerStatus)
    results: dict[str, LrmResult] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    moving: dict[str, Job] = field(default_factory=dict)  # jobs that go on, by sid
    restarts: dict[str, int] = field(default_factory=dict)
    failed_stops: int = 0
    idle_rounds: int = 0
    shutdown: bool = False
    restart: bool = False

    def fork(self) -> Lrm:
        """Another in the same state."""
        return replace(
            self,
            results=dict(self.results),
            jobs=dict(self.jobs),
            moving=dict(self.moving),
            restarts=dict(self.restarts),
        )


@dataclass
class Cluster:
    """A cluster at an instant. Daemons are keyed (node, CRM or LRM)."""

    machines: dict[str, Machine]
    status: ManagerStatus = field(default_factory=ManagerStatus)
    services: dict[str, ServiceConfig] = field(default_factory=dict)
    rules: Rules = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)
    datacenter: Datacenter = field(default_factory=Datacenter)
    static_stats: dict[str, Amount] = field(default_factory=dict)
    dynamic_stats: dict[str, Amount] = field(default_factory=dict)
    now_s: float = 0
    views: Mapping[str, frozenset[str]] | None = None  # by node; None: power and network say it
    queue: tuple[str, ...] = ()  # CRM commands
    lrm_status: dict[str, LrmStatus] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    watchdogs: dict[tuple[str, str], float] = field(default_factory=dict)  # last update
    clocks_s: dict[tuple[str, str], float] = field(default_factory=dict)
    crms: dict[str, Crm] = field(default_factory=dict)
    lrms: dict[str, Lrm] = field(default_factory=dict)
    running: dict[str, frozenset[str]] = field(default_factory=dict)  # sids by node
    attempts: dict[tuple[str, str], int] = field(default_factory=dict)  # of failing services
    lrm_status_written: bool = False  # once, by any
    written: frozenset[str] = frozenset()  # sids whose config a daemon has changed
    uids: int = 0
    log: list[Entry] = field(default_factory=list)

    def fork(self) -> Cluster:
        """Another cluster at the same instant; neither hears of the other."""
        return replace(
            self,
            machines=dict(self.machines),
            services=dict(self.services),
            static_stats=dict(self.static_stats),
            dynamic_stats=dict(self.dynamic_stats),
            lrm_status=dict(self.lrm_status),
            locks=dict(self.locks),
            watchdogs=dict(self.watchdogs),
            clocks_s=dict(self.clocks_s),
            crms={node: crm.fork() for node, crm in self.crms.items()},
            lrms={node: lrm.fork() for node, lrm in self.lrms.items()},
            running=dict(self.running),
            attempts=dict(self.attempts),
            log=list(self.log),
        )

    def clock_s(self, node: str, kind: str) -> float:
        """A daemon's own time."""
        return self.clocks_s.get((node, kind), self.now_s)

    def tell(self, node: str, kind: str, level: str, message: str) -> None:
        """Write a daemon's line; it names its levels in four letters."""
        at_s = self.clock_s(node, kind)
        self.log.append(Entry(level[:4], at_s, f"{node}/{kind}", message))

    def tell_hardware(self, message: str, source: str = "hardware", level: str = "info") -> None:
        """Write a line of the hardware, or of who made it do something."""
        self.log.append(Entry(level, self.now_s, source, message))

    def new_uid(self) -> str:
        """Return a name that no other entry into a state has."""
        self.uids += 1
        return f"uid-{self.uids}"

    def online(self, seen_from: str) -> frozenset[str]:
        """The nodes that one sees online, itself among them; none if it has no quorum.

        Where nothing else is known (`views`), all with power and network see each other.
        """
        if self.views is not None:
            return self.views.get(seen_from, frozenset())
        up = [node for node, machine in self.machines.items() if machine.power and machine.network]
        return frozenset(up) if len(up) > len(self.machines) // 2 else frozenset()

    def quorate(self, node: str) -> bool:
        """Whether this node sees quorum."""
        return node in self.online(node)

    def node_infos(self, seen_from: str) -> dict[str, NodeInfo]:
        """The nodes as membership shows them to one of them."""
        online = self.online(seen_from)
        return {
            node: NodeInfo(node in online, machine.maxcpu, machine.maxmem_bytes, machine.version)
            for node, machine in self.machines.items()
        }

    def need_cfs(self, node: str) -> None:
        """Raise CfsUnavailable if daemons of this node can't read or write documents."""
        if not self.machines[node].cfs_readable:
            raise CfsUnavailable

    def configure(self, node: str, sid: str, config: ServiceConfig) -> None:
        """Let a daemon of this node write a service's config; raises CfsUnavailable."""
        self.need_cfs(node)
        self.services[sid] = config
        self.written |= {sid}

    def arrive(self, sid: str, node: str, target: str) -> None:
        """Let a guest be on another node, running if it ran, after a move that took its time.

        Its service may have been taken out of HA meanwhile.
        """
        if (config := self.services.get(sid)) is not None:
            self.services[sid] = replace(config, node=target)
        if sid in self.running.get(node, ()):
            self.running[node] -= {sid}
            self.running[target] = self.running.get(target, frozenset()) | {sid}
