"""What a cluster's API remembers: the contents of its configuration files, tasks and cluster log.

Plain data. Every value in a dictionary is replaced, never changed in place, so a copy of the
dictionaries is a copy of all (`PveApi.fork`). Where a guest is and whether it runs is not here: the
twin knows. Source: pmxcfs(8), the files below /etc/pve.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from simulator.pve.cluster_files import DOMAINS, HA_RESOURCES, HA_RULES, JOBS
from simulator.pve.factors import Factors
from simulator.pve.guest_text import GuestConfig as GuestConfig
from simulator.pve.parameters import Entry as Entry
from simulator.pve.parameters import Value
from simulator.pve.sections import Sections
from simulator.pve.storage_types import STORAGES

Acl = tuple[str, str, str, str]
"""Path, kind (user, group, token), who, role."""

LOG_LINES = 1000  # assumed: pmxcfs keeps 128 KiB (clusterlog.c), about 130 bytes a line


@dataclass(frozen=True, slots=True)
class Backup:
    """What is in a backup: the guest's file, its disks by option with their sizes in bytes, and
    the file of its firewall.
    """

    config: str
    disks: tuple[tuple[str, int], ...] = ()
    firewall: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume on a storage. `node` is empty where every node sees the same.

    Notes, protection and `backup` are a backup's; None: what is in it is not known. `image_bytes`:
    of a file that holds a disk's image, how large that disk is; 0: as large as the file.
    """

    storage: str
    node: str
    name: str  # what follows the colon of the volume id
    vmid: int
    size_bytes: int
    format: str
    ctime_s: int
    content: str = "images"
    notes: str = ""
    protected: bool = False
    backup: Backup | None = None
    image_bytes: int = 0

    @property
    def disk_bytes(self) -> int:
        """How large a disk is that is made of it."""
        return self.image_bytes or self.size_bytes

    @property
    def volid(self) -> str:
        """STORAGE:NAME."""
        return f"{self.storage}:{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Where it is kept."""
        return self.node, self.volid


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """What belongs to one node alone. `staged` is interfaces.new; None: nothing is staged.

    `stopped` are services that do not run until they are started, or the node boots; `sources` are
    repositories of packages by file; None: as the installer leaves them. `presented` are the
    certificates and the key that pveproxy started with; None: the node's own. `subscription` is the
    key with what is known of it.
    """

    config: Entry = field(default_factory=dict)
    dns: Entry = field(default_factory=dict)
    timezone: str = "Etc/UTC"
    hosts: str = "127.0.0.1 localhost\n"
    network: Mapping[str, Entry] = field(default_factory=dict)
    staged: Mapping[str, Entry] | None = None
    stopped: frozenset[str] = frozenset()
    sources: Mapping[str, tuple[Entry, ...]] | None = None
    presented: tuple[str, str] | None = None
    subscription: Entry = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """A worker. `work` says what is to be done when it ends, as plain data for `tasks.FINISH`."""

    upid: str
    node: str
    pid: int
    pstart: int
    start_s: int
    type: str
    id: str
    user: str
    end_s: int | None = None
    status: str = ""  # OK or the error's text, once it has ended
    log: tuple[str, ...] = ()
    work: Mapping[str, Value] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.end_s is None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the cluster log. `pri` as in syslog: 6 info, 3 error."""

    time_s: int
    node: str
    user: str
    pri: int
    tag: str
    pid: int
    msg: str
    uid: int


@dataclass
class Documents:
    """Everything, by file."""

    users: dict[str, Entry] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)  # SHA-256, by user
    factors: dict[str, Factors] = field(default_factory=dict)  # by user
    groups: dict[str, Entry] = field(default_factory=dict)
    roles: dict[str, Entry] = field(default_factory=dict)  # of our own
    tokens: dict[str, Entry] = field(default_factory=dict)  # by user!name
    acl: dict[Acl, int] = field(default_factory=dict)  # propagate
    pools: dict[str, Entry] = field(default_factory=dict)
    guests: dict[int, GuestConfig] = field(default_factory=dict)
    volumes: dict[tuple[str, str], Volume] = field(default_factory=dict)
    options: dict[str, Value] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # below /etc/pve; those kept as they are
    nodes: dict[str, NodeFiles] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    serial: int = 0  # of everything numbered or drawn by chance

    @property
    def domains(self) -> Sections:
        """Realms, by name."""
        return DOMAINS.of(self)

    @property
    def ha_resources(self) -> Sections:
        """What is under HA, by `vm:100`."""
        return HA_RESOURCES.of(self)

    @property
    def ha_rules(self) -> Sections:
        """HA rules, by name."""
        return HA_RULES.of(self)

    @property
    def storages(self) -> Sections:
        """Definitions of storages, by name."""
        return STORAGES.of(self)

    @property
    def jobs(self) -> Sections:
        """Jobs of all types, by id."""
        return JOBS.of(self)

    def copy(self) -> Documents:
        """Documents of their own."""
        copy = replace(self)
        for known in fields(self):
            value = getattr(self, known.name)
            if isinstance(value, dict | deque):
                setattr(copy, known.name, value.copy())
        return copy

    def next_serial(self) -> int:
        """A number never given before."""
        self.serial += 1
        return self.serial
