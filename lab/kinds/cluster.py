"""A Proxmox VE cluster: membership, HA and datacenter options.

Membership is in `corosync`. Source: the Proxmox VE administration guide, cluster manager and high
availability.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from lab.item import Item, Owned
from lab.kinds.corosync import Corosync
from lab.names import VlanName
from lab.units import Duration, Size, Version


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
