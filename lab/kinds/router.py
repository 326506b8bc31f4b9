"""The router of the lab and what it forwards."""

from __future__ import annotations

from ipaddress import IPv4Address

from lab.item import Item
from lab.names import FeedName, VlanName


class Forward(Item):
    """Traffic let through from one VLAN (or `vpn`, `internet`) to another."""

    source: str
    to: str


class RouterPort(Item):
    """A port of the router and the VLANs on it."""

    vlans: tuple[VlanName, ...] = ()
    access: VlanName | None = None


class Router(Item):
    """Joins VLANs: `legs` are its addresses; only what `forwards` says passes."""

    feeds: tuple[FeedName, ...]
    ports: dict[str, RouterPort]
    legs: dict[VlanName, IPv4Address]
    forwards: tuple[Forward, ...] = ()
