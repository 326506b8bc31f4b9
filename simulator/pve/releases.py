"""Releases of Proxmox VE: 9.2, and what 8.4 and 7.4 answer differently.

    a route as 9.2 has it -> the changes of a release -> whether it is there, what it takes, who may

Looked at by `PveApi` for each call. The changes are data (`before_9`, `before_8`); what is more
than that, an answer of another kind, is a flag here that the handler concerned reads. Source: the
reference of the API, version differences; official schemas of 7.4 and 8.4. Leaves out: defaults
that no answer tells; calls that only older releases had, but for Ceph's (`POST /access/tfa`,
scanning for GlusterFS); nodes of different releases in one cluster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simulator.pve.before_8 import BEFORE_8, FORMER_IN_7, STRINGS_BEFORE_8
from simulator.pve.before_9 import BEFORE_9, STRINGS_BEFORE_9
from simulator.pve.changes import Change
from simulator.pve.parameters import PROPERTY_STRINGS, Table
from simulator.pve.permissions import acl_path_valid
from simulator.pve.roles import ROLES_7, ROLES_8, ROLES_9, Roles
from simulator.pve.routes import Guard, Route


@dataclass(frozen=True, eq=False)
class Release:
    """One release. `changes` and `strings`: what is different from 9.2, newer ones first;
    `strings` are of property strings, by name. `no_rights_on`: paths that no right can be given on.
    `former`: patterns of calls that it has besides, with their paths of now.
    """

    version: Mapping[str, str]
    roles: Roles = field(default_factory=lambda: ROLES_9)
    changes: tuple[Change, ...] = ()
    strings: tuple[Change, ...] = ()
    no_rights_on: str = "(?!)"
    former: Mapping[str, str] = field(default_factory=dict)
    message_in_body: bool = True  # pve-http-server 5.2
    resize_is_task: bool = True
    memory_is_text: bool = True
    attaching_needs_sdn: bool = True
    ha_by_rules: bool = True  # else by groups
    qemu: str = "10.1.2"
    measures_pressure: bool = True  # and keeps finer figures
    _tables: dict[str, Table] = field(default_factory=dict)
    _string_tables: dict[str, Table] = field(default_factory=dict)

    def path(self, call: str) -> str:
        """The path of a call, such as `GET /nodes/a/ceph/pools`, as it is called now."""
        for pattern, path in self.former.items():
            if match := re.fullmatch(pattern, call):
                return match.expand(path)
        return call.partition(" ")[2]

    def lacks(self, call: str) -> bool:
        """Whether a call, such as `GET /pools`, is not there."""
        return any(change.absent and change.concerns(call) for change in self.changes)

    def table(self, route: Route) -> Table:
        """What a call takes."""
        if (known := self._tables.get(route.call)) is None:
            known = route.table
            for change in self.changes:
                known = change.applied(known) if change.concerns(route.call) else known
            self._tables[route.call] = known
        return known

    @property
    def property_strings(self) -> Mapping[str, Table]:
        """Tables of the property strings."""
        if not self.strings:
            return PROPERTY_STRINGS
        if not self._string_tables:
            for name, known in PROPERTY_STRINGS.items():
                for change in self.strings:
                    known = change.applied(known) if change.concerns(name) else known
                self._string_tables[name] = known
        return self._string_tables

    def may(self, route: Route) -> Guard:
        """Who may make a call: the oldest change that says so, else the route."""
        told = [change.may for change in self.changes if change.may and change.concerns(route.call)]
        return told[-1] if told else route.may

    def has_rights_on(self, path: str) -> bool:
        """Whether rights can be given on a path."""
        return acl_path_valid(path) and not re.fullmatch(self.no_rights_on, path)


NEWEST = Release({"version": "9.2.11", "release": "9.2", "repoid": "14a22df35955d97d"})
_8_4 = Release(
    {"version": "8.4.14", "release": "8.4", "repoid": "b502d23c55afcba1"},
    roles=ROLES_8,
    changes=BEFORE_9,
    strings=STRINGS_BEFORE_9,
    no_rights_on=r"/sdn/fabrics.*",
    ha_by_rules=False,
    qemu="9.2.0",
    measures_pressure=False,
)
_7_4 = replace(
    _8_4,
    version={"version": "7.4-17", "release": "7.4", "repoid": "513c62be"},
    roles=ROLES_7,
    changes=(*BEFORE_9, *BEFORE_8),
    strings=(*STRINGS_BEFORE_9, *STRINGS_BEFORE_8),
    no_rights_on=r"/sdn/fabrics.*|/mapping.*|/pool/.*/.*",
    message_in_body=False,
    resize_is_task=False,
    memory_is_text=False,
    attaching_needs_sdn=False,
    former=FORMER_IN_7,
    qemu="7.2.0",
    _tables={},
    _string_tables={},
)
RELEASES: Mapping[str, Release] = {"9.2": NEWEST, "8.4": _8_4, "7.4": _7_4}
"""By what a cluster's `version` begins with."""


def release_of(version: str) -> Release:
    """The release that stands for a version: the newest one for what is newer or unknown."""
    major = version.partition(".")[0]
    return next((known for key, known in RELEASES.items() if key.split(".")[0] == major), NEWEST)
