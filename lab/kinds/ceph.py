"""A Ceph cluster on the nodes of a Proxmox VE cluster, and what its monitors keep for it.

Source: the Ceph documentation, architecture, pools, CRUSH maps, configuration, user management.
Leaves out erasure-coded pools, file systems and object gateways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from lab.item import Flaw, Item, Owned, Part
from lab.names import ClusterName, NodeName, VlanName
from lab.units import Count, Duration, Size

NAME = re.compile(r"[A-Za-z0-9_.-]+")
SECTION = re.compile(r"(global|mon|mgr|osd|mds|client)(\.[^/\s]+)?(/(class|host):[^/\s]+)*")
CAPABLE = ("mon", "mgr", "osd", "mds")
DEFAULT_ROOT, DEFAULT_RULE = "default", "replicated_rule"  # of every new cluster
OWN_CLIENT = re.compile(r"admin|crash|bootstrap-.*|ceph-exporter|rgw\..*")
"""Clients whose keys Ceph and Proxmox VE make for themselves."""
DELETE_SWITCH = "mon_allow_pool_delete"


class Domain(StrEnum):
    """Copies of one object never share one of these."""

    OSD = "osd"
    HOST = "host"


class Autoscale(StrEnum):
    """Who decides how many placement groups a pool has."""

    ON = "on"
    WARN = "warn"
    OFF = "off"


class CephFlag(StrEnum):
    """What an administrator holds back in the whole cluster."""

    NOUP = "noup"
    NODOWN = "nodown"
    NOIN = "noin"
    NOOUT = "noout"
    NOBACKFILL = "nobackfill"
    NOREBALANCE = "norebalance"
    NORECOVER = "norecover"
    NOSCRUB = "noscrub"
    NODEEP_SCRUB = "nodeep-scrub"
    NOSNAPTRIM = "nosnaptrim"
    PAUSE = "pause"


class CompressionMode(StrEnum):
    """When BlueStore compresses what is written to a pool."""

    NONE = "none"
    PASSIVE = "passive"
    AGGRESSIVE = "aggressive"
    FORCE = "force"


class CompressionAlgorithm(StrEnum):
    """With what."""

    SNAPPY = "snappy"
    ZLIB = "zlib"
    ZSTD = "zstd"
    LZ4 = "lz4"


class Osd(Item):
    """An object storage daemon on one disk (or single-disk volume) of a node.

    `device_class`: hdd, ssd, nvme or a name of your own; Ceph finds out by itself if not written.
    """

    node: NodeName
    disk: str
    device_class: str | None = None

    def flaws(self) -> Iterator[Flaw]:
        if self.device_class is not None and not NAME.fullmatch(self.device_class):
            what = f"{self.device_class!r} is no name of a device class"
            yield Flaw(("device-class",), what, fix="use letters, digits, _ . and -")


class CrushRule(Part):
    """Where copies go: below a root of the CRUSH tree, on OSDs of a class, one in each domain.

    Ceph can't change a rule: another one is made under a new name, and pools are sent there.
    """

    root: str = DEFAULT_ROOT
    device_class: str | None = None
    domain: Domain = Domain.HOST


class Quota(Item):
    """What a pool may hold at most; Ceph stops writes to a full one."""

    size: Size | None = None
    objects: Count | None = None


class Compression(Item):
    """How BlueStore compresses a pool."""

    mode: CompressionMode | None = None
    algorithm: CompressionAlgorithm | None = None


class CephPool(Part):
    """A replicated pool. I/O to a placement group needs `min_size` live copies.

    Without `rule` its copies follow Ceph's own rule of the `domain`.
    """

    size: Count = 3
    min_size: int | None = None
    pgs: Count = 128
    autoscale: Autoscale | None = None
    domain: Domain = Domain.HOST
    rule: str | None = None
    application: str | None = None
    quota: Quota | None = None
    compression: Compression | None = None

    @property
    def needed(self) -> int:
        """Live copies that I/O needs: size - size/2 unless written (Ceph's own default)."""
        return self.size - self.size // 2 if self.min_size is None else self.min_size

    def flaws(self) -> Iterator[Flaw]:
        if not 1 <= self.needed <= self.size:
            yield Flaw(("min-size",), f"min-size {self.needed} is not within 1..{self.size}")
        if self.size > 10:
            why = "Ceph keeps 10 at most (mon_max_pool_size)"
            yield Flaw(("size",), f"{self.size} copies are too many", why, "write 10 or less")
        if self.autoscale is Autoscale.ON and "pgs" in self.written:
            why = "the autoscaler would change them, and this would change them back"
            fix = "leave pgs out, or write `autoscale: warn`"
            yield Flaw(("pgs",), "pgs are declared and chosen by the autoscaler, too", why, fix)
        if self.rule is not None and "domain" in self.written:
            why = "the rule says where copies go"
            yield Flaw(("domain",), "domain and rule say the same", why, "leave domain out")


class CephClient(Part):
    """A client's key, `client.NAME`: what it may do, by kind of daemon (`mon: profile rbd`).

    Ceph makes the key itself; it is never read.
    """

    caps: dict[str, str]

    def flaws(self) -> Iterator[Flaw]:
        for kind, caps in self.caps.items():
            if kind not in CAPABLE:
                fix = f"use one of {', '.join(CAPABLE)}"
                yield Flaw(("caps", kind), f"{kind} is no kind of daemon", fix=fix)
            elif not caps.strip():
                yield Flaw(("caps", kind), "a cap says what is allowed", fix="`allow r`")
        if "mon" not in self.caps:
            why = "a client asks a monitor for the cluster's maps before all else"
            yield Flaw(("caps",), "a client without a cap for mon", why, "add `mon: allow r`")


class Ceph(Owned):
    """A Ceph cluster. `down_out`: when a down OSD is marked out (mon_osd_down_out_interval).

    `config`: section -> option -> value, as `ceph config set` takes them. `flags` and each option
    that is not written are left as they are.
    """

    cluster: ClusterName
    version: str
    public: VlanName
    mons: tuple[NodeName, ...]
    osds: dict[str, Osd]
    osd_memory_target: Size = 4 * 2**30
    pools: dict[str, CephPool]
    down_out: Duration = 600.0
    rules: dict[str, CrushRule] = {}
    flags: frozenset[CephFlag] = frozenset()
    config: dict[str, dict[str, str]] = {}
    clients: dict[str, CephClient] = {}

    def rule_of(self, pool: CephPool) -> CrushRule:
        """Where the copies of a pool go."""
        return self.rules.get(self.rule_name(pool), CrushRule(domain=pool.domain))

    def rule_name(self, pool: CephPool) -> str:
        """The rule of a pool, by Ceph's own name of it if it is not written."""
        if pool.rule is not None:
            return pool.rule
        return DEFAULT_RULE if pool.domain is Domain.HOST else f"replicated_{pool.domain}"

    def osds_of(self, pool: CephPool) -> frozenset[str]:
        """The OSDs that may hold a pool: those of its rule's class."""
        wanted = self.rule_of(pool).device_class
        return frozenset(
            osd for osd, known in self.osds.items() if wanted in (None, known.device_class)
        )

    def flaws(self) -> Iterator[Flaw]:
        for word, names in (
            ("pools", self.pools),
            ("rules", self.rules),
            ("clients", self.clients),
        ):
            for name in names:
                if not NAME.fullmatch(name):
                    what = f"{name!r} is no name that Ceph takes everywhere"
                    yield Flaw((word, name), what, fix="use letters, digits, _ . and -")
        for name, pool in self.pools.items():
            if pool.rule is not None and pool.rule not in {DEFAULT_RULE, *self.rules}:
                fix = f"add {pool.rule} to rules, or use {DEFAULT_RULE}"
                yield Flaw(("pools", name, "rule"), f"there is no rule {pool.rule}", fix=fix)
        for name in self.clients:
            if OWN_CLIENT.fullmatch(name):
                why = "Ceph or Proxmox VE makes this key for itself"
                yield Flaw(("clients", name), f"client.{name} is not ours", why, "use another name")
        yield from self._config_flaws()

    def _config_flaws(self) -> Iterator[Flaw]:
        said = {"osd_memory_target": "osd-memory-target", "mon_osd_down_out_interval": "down-out"}
        for section, options in self.config.items():
            if not SECTION.fullmatch(section):
                fix = "global, mon, mgr, osd, mds, client, osd.3 or osd/class:ssd"
                yield Flaw(("config", section), f"{section!r} is no section", fix=fix)
            for option in options:
                path = ("config", section, option)
                if option == DELETE_SWITCH:
                    why = "it is the last word before data is destroyed, and stays a person's"
                    fix = f"`ceph config set mon {option} true` by hand, and rm it afterwards"
                    yield Flaw(path, f"{option} can't be declared", why, fix)
                elif option in said and said[option].replace("-", "_") in self.written:
                    yield Flaw(path, f"{said[option]} says the same", fix="write one of the two")
