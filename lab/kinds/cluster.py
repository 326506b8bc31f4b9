"""A Proxmox VE cluster: membership, HA and datacenter options.

Sources: corosync.conf(5), votequorum(5); the Proxmox VE administration guide, cluster manager and
high availability.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from pydantic import Field

from lab.item import Flaw, Item, Owned
from lab.names import VlanName
from lab.units import Count, Duration, Flag, Natural, Size, Version

MAX_LINKS = 8  # corosync.conf(5), interface: linknumber 0 to 7


class Corosync(Item):
    """Membership. Timers in milliseconds; defaults are corosync 3's, 125 is what new clusters of
    9.2 write.
    """

    links: tuple[VlanName, ...]
    token_ms: Count = 3000
    token_coefficient_ms: Natural = 650
    two_node: Flag = False

    def flaws(self) -> Iterator[Flaw]:
        if not 1 <= len(self.links) <= MAX_LINKS:
            what = f"there are {len(self.links)} corosync links"
            yield Flaw(("links",), what, fix=f"write 1 to {MAX_LINKS}")


class ShutdownPolicy(StrEnum):
    """What HA does with the guests of a node that is shut down in order."""

    FREEZE = "freeze"
    FAILOVER = "failover"
    CONDITIONAL = "conditional"
    MIGRATE = "migrate"


class Scheduler(StrEnum):
    """How HA counts a node's load when it places a guest."""

    BASIC = "basic"
    STATIC = "static"
    DYNAMIC = "dynamic"


class Options(Item):
    """Datacenter options."""

    keyboard: str | None = None
    console: str | None = None
    email_from: str | None = None
    mac_prefix: str | None = None
    migration_vlan: VlanName | None = None
    shutdown_policy: ShutdownPolicy = ShutdownPolicy.CONDITIONAL
    scheduler: Scheduler = Scheduler.BASIC
    description: str | None = None


class Cluster(Owned):
    """A cluster; its nodes name it. `overcommit`: how much more memory than a node has its guests
    may ask for.
    """

    version: Version
    corosync: Corosync
    time_source: str | None = None
    overcommit: Size = 0
    migration_downtime: Duration = 0.1
    options: Options = Field(default_factory=Options)
