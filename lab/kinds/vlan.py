"""A virtual LAN. Source: IEEE 802.1Q."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import Field

from lab.item import Item


class Role(StrEnum):
    """What a VLAN is for; the rules across objects need to know."""

    MANAGEMENT = "management"
    GUESTS = "guests"
    ISCSI = "iscsi"
    CEPH = "ceph"
    NFS = "nfs"
    BACKUP = "backup"


class Vlan(Item):
    """One broadcast domain, by its 802.1Q id."""

    id: Annotated[int, Field(ge=1, le=4094)]
    role: Role
    mtu: Annotated[int, Field(ge=576, le=9216)] = 1500
    subnet: IPv4Network | None = None
