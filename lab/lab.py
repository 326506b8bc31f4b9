"""A loaded lab: one map per word of the language, and where each value was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_type_hints

from lab.errors import Place
from lab.item import Item, Path, kebab
from lab.kinds.access import Acl, Group, Pool, Realm, RoleSet, User
from lab.kinds.backup_job import BackupJob
from lab.kinds.backup_server import BackupServer
from lab.kinds.cable import Cable
from lab.kinds.ceph import Ceph
from lab.kinds.cluster import Cluster
from lab.kinds.expect import Expectation
from lab.kinds.feed import Feed
from lab.kinds.guest import Guest
from lab.kinds.ha_rule import HaRule
from lab.kinds.host import Host
from lab.kinds.nas import Nas
from lab.kinds.node import Node
from lab.kinds.router import Router
from lab.kinds.service import Service
from lab.kinds.storage import Storage
from lab.kinds.switch import Switch
from lab.kinds.vlan import Vlan

Map = dict[str, Item]


@dataclass(frozen=True)
class Lab:
    """What the language can say about one laboratory. Keys are the names people gave."""

    vlans: dict[str, Vlan] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)
    cables: dict[str, Cable] = field(default_factory=dict)
    routers: dict[str, Router] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    ceph: dict[str, Ceph] = field(default_factory=dict)
    nas: dict[str, Nas] = field(default_factory=dict)
    backup_servers: dict[str, BackupServer] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)
    guests: dict[str, Guest] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    roles: dict[str, RoleSet] = field(default_factory=dict)
    acls: dict[str, Acl] = field(default_factory=dict)
    realms: dict[str, Realm] = field(default_factory=dict)
    ha_rules: dict[str, HaRule] = field(default_factory=dict)
    backup_jobs: dict[str, BackupJob] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    expect: dict[str, Expectation] = field(default_factory=dict)
    resets: frozenset[Path] = field(default=frozenset(), metadata={"map": False})
    places: Callable[[Path], Place | None] = field(
        default=lambda _path: None, metadata={"map": False}, compare=False, repr=False
    )

    def map(self, word: str) -> Mapping[str, Item]:
        """The map of a word as written: `backup-jobs`."""
        found: Mapping[str, Item] = getattr(self, word.replace("-", "_"))
        return found

    def place(self, *path: str) -> Place | None:
        """Where `path`, or the nearest thing around it, was written; None for what has no file."""
        for length in range(len(path), 0, -1):
            if (place := self.places(path[:length])) is not None:
                return place
        return None

    @property
    def hosts(self) -> dict[str, Host]:
        """Every server: nodes, arrays and backup servers."""
        return {**self.nodes, **self.nas, **self.backup_servers}

    def members(self, cluster: str) -> list[str]:
        """Names of the nodes of a cluster, sorted."""
        return sorted(name for name, node in self.nodes.items() if node.cluster == cluster)


def _words() -> dict[str, Any]:
    hints = get_type_hints(Lab, include_extras=True)
    return {
        kebab(known.name): get_args(hints[known.name])[1]
        for known in fields(Lab)
        if known.metadata.get("map", True)
    }


WORDS: Mapping[str, Any] = _words()
"""Each top-level word, in the order of the language, with the type of its entries."""

_SINGULAR = {"switches": "switch", "nas": "nas", "expect": "expectation"}


def title(word: str, name: str) -> str:
    """An entry as people say it: `guest luffy`, `ha-rule apart`."""
    return f"{_SINGULAR.get(word, word.removesuffix('s'))} {name}"
