"""A small lab for things of hosts: a backup server, and what is added to its entry."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent, indent

from controller.linux.kinds import KINDS
from controller.managed import Managed
from lab.lab import Lab
from tests.labs import lab_of

BACKUP = "bak1"
NAME = f"linux/{BACKUP}"
NODE = "linux/pve4"

_LAB = """
vlans:
  management: {id: 99, role: management, subnet: 192.168.99.0/24}
  backup: {id: 254, role: backup, subnet: 192.168.254.0/24}
feeds: {feed1: {}}
switches: {sw1: {feeds: [feed1], ports: {p1: {vlans: [management, backup]}}}}
cables: {c1: {ends: [bak1/eno1, sw1/p1]}}
"""
_SERVER = """
backup-servers:
  bak1:
    feeds: [feed1]
    nics: {eno1: {vlans: [management, backup]}}
    addresses: {management: 192.168.99.31, backup: 192.168.254.31}
    disks: {sda: {size: 146GB}, sdb: {size: 1TB}}
    raids: {os: {level: single, disks: [sda]}}
    disk: sdb
    mount: /backup
"""


def lab_with(entry: str, *, exports: str = "{}") -> Lab:
    """The lab whose backup server says `entry` besides."""
    more = indent(dedent(entry), "    ")
    return lab_of(_LAB, f"{_SERVER}    exports: {exports}\n{more}\n", rules=False)


def wanted(lab: Lab, *kinds: str, device: str = NAME) -> Iterator[Managed]:
    """What a host shall hold, of some kinds."""
    for kind in KINDS:
        if kind.kind in kinds:
            yield from kind.wanted(lab, device)
