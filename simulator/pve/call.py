"""What handlers and workers stand on: the documents, the twin, who asks, from which node.

`Environment` is common to both; `Call` adds the checked parameters of a request. Source: the part
of PVE::RPCEnvironment and PVE::Cluster that handlers use.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from simulator.pve.documents import Documents, LogLine
from simulator.pve.parameters import Table, Value
from simulator.pve.permissions import Permissions
from simulator.pve.propertystring import items
from simulator.pve.sections import CHANGED
from simulator.pve.wire import ApiError, Given, denied, died
from simulator.pve.world import World
from simulator.served.multipart import File

if TYPE_CHECKING:
    from simulator.pve.api import PveApi
    from simulator.twin import Twin


@dataclass
class Environment:
    """Somebody acting on `node` of a cluster."""

    api: PveApi
    twin: Twin
    node: str
    user: str

    @property
    def documents(self) -> Documents:
        """The cluster's files."""
        return self.api.documents

    @cached_property
    def world(self) -> World:
        """The cluster in the twin."""
        return World(self.twin, self.api.cluster)

    @property
    def now_s(self) -> int:
        """Seconds of the Unix epoch."""
        return int(self.api.epoch_s + self.twin.now_s)

    @property
    def chance(self) -> random.Random:
        """A source of made-up values, the same in every run and never giving the same twice."""
        return random.Random(f"{self.api.seed}/{self.api.name}/{self.documents.next_serial()}")

    @cached_property
    def permissions(self) -> Permissions:
        """What the user may."""
        return Permissions(self.documents, self.user, self.api.release.roles)

    @cached_property
    def stored_bytes(self) -> Mapping[tuple[str, str], int]:
        """Sizes of volumes, summed by storage and place, when first asked."""
        sums: dict[tuple[str, str], int] = {}
        for volume in self.documents.volumes.values():
            place = (volume.storage, volume.node)
            sums[place] = sums.get(place, 0) + volume.size_bytes
        return sums

    def log(self, text: str, pri: int = 6) -> None:
        """Add a line to the cluster log."""
        number = self.documents.next_serial()
        line = LogLine(self.now_s, self.node, self.user, pri, "pvedaemon", 1000, text, number)
        self.documents.log.append(line)

    def need_quorum(self) -> None:
        """Raise unless /etc/pve can be written here, as handlers that check beforehand do."""
        if not self.world.quorate(self.node):
            raise died("cluster not ready - no quorum?")

    @contextmanager
    def locked(self, what: str, failure: str = "", *, kind: str = "file") -> Iterator[None]:
        """Hold the cluster-wide lock of a file; what fails meanwhile is told after `failure`.

        `kind`: the other locks that PVE::Cluster has, such as `firewall`.
        """
        if not self.world.quorate(self.node):
            raise died(f"{failure}cfs-lock '{kind}-{what}' error: no quorum!")
        try:
            yield
        except ApiError as error:
            raise ApiError(500, failure + error.spoken) from error


@dataclass
class Call(Environment):
    """One request, checked. `given`: parameters as they arrived; `file`: what an upload brought."""

    path: str = ""
    given: Mapping[str, Given] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    file: File | None = None
    members: dict[str, object] = field(default_factory=dict)  # of the answer, beside `data`
    takes: Table = field(default_factory=lambda: Table({}))  # what the call takes in this release

    def has(self, name: str) -> bool:
        """Whether a parameter was sent."""
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        value = self.values.get(name)
        return default if value is None else str(value)

    def number(self, name: str, default: int = 0) -> int:
        """An integer parameter."""
        value = self.values.get(name)
        return default if value is None else int(str(value))

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean parameter."""
        value = self.values.get(name)
        return default if value is None else bool(value)

    def words(self, name: str) -> list[str]:
        """A list parameter."""
        return items(self.text(name))

    def need_digest(self, digest: str) -> None:
        """Raise if what the caller has seen is not what is there now."""
        if self.has("digest") and self.text("digest") != digest:
            raise died(CHANGED)

    def need_known(self, option: str) -> None:
        """Raise unless an option, named to be unset, can be set in this release."""
        if option not in self.takes.params:
            raise died(f"no such option '{option}'")

    def may(self, path: str, *privileges: str) -> bool:
        """Whether the user has one of `privileges` on `path`."""
        return self.permissions.any(path, privileges)

    def need_all(self, path: str, *privileges: str) -> None:
        """Raise unless the user has all of `privileges` on `path`."""
        if not all(self.may(path, privilege) for privilege in privileges):
            raise denied(f"{path}, {'|'.join(privileges)}")

    def need(self, path: str, *privileges: str) -> None:
        """Raise unless the user has one of `privileges` on `path`."""
        if not self.may(path, *privileges):
            raise denied(f"{path}, {'|'.join(privileges)}")
