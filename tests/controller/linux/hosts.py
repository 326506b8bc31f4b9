"""A small lab for things of hosts: three nodes, an array, a backup server, and what is added."""

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
"""
_SERVER = """
backup-servers:
  bak1:
    feeds: [feed1]
    nics: {eno1: {}}
    addresses: {backup: 192.168.254.31}
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
