"""Which release an array runs, and where older ones differ from the newest: the only table of it.

The things of this folder speak as TrueNAS 25.10 does. `row` turns what an older array answered into
that, `call` turns a call into what it takes. Source: the middleware's schemas by release.

    what              11.3 ... 13             SCALE to 25.04          25.10
    an NFS share      paths, several          path                    path
    start and stop    service.start(name)     service.start(name)     service.control(verb, name)
    NFS clients       not counted             counted since 25.04     counted
    port, discovery   at the portal           25.04: of the array     of the array

The last line needs no translation: we set neither. 11.1 has REST 1.0 alone (`rest1`), read only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import total_ordering

from controller.step import Answers, Json, Query
from controller.truenas.fields import Row
from lab.errors import DeviceError

VERSION = Query("system.version")


@total_ordering
@dataclass(frozen=True)
class Release:
    """FreeNAS 11.1 ... TrueNAS 26: only its two numbers count."""

    major: int
    minor: int

    def __lt__(self, other: Release) -> bool:
        return (self.major, self.minor) < (other.major, other.minor)

    def __str__(self) -> str:
        name = "FreeNAS" if self.major < 12 else "TrueNAS"
        minor = f"{self.minor:02d}" if self.major > 20 else str(self.minor)
        return f"{name} {self.major}.{minor}"


REST1_ONLY = Release(11, 2)  # before it, iSCSI is in REST 1.0 alone
SCALE = Release(20, 0)
JSON_RPC = Release(25, 4)
SERVICE_CONTROL = Release(25, 10)
CLIENTS_COUNTED = JSON_RPC


def release_of(device: str, text: object) -> Release:
    """`TrueNAS-13.0-U6.8`, `FreeNAS-11.3-U5`, `25.10.5`. Raises DeviceError."""
    found = re.search(r"(\d+)\.(\d+)", str(text))
    if found is None:
        raise DeviceError(device, f"is of no version that we know: {str(text)[:60]!r}")
    return Release(int(found[1]), int(found[2]))


def release_in(device: str, answers: Answers) -> Release:
    """The release that answered. Raises DeviceError."""
    return release_of(device, answers[VERSION.text])


def row(release: Release, namespace: str, found: Row) -> Row:
    """A row as the newest release would answer it."""
    if namespace == "sharing.nfs" and release < SCALE:
        return {**found, "path": ",".join(map(str, found.get("paths") or ()))}
    return found


def call(release: Release, method: str, params: Sequence[Json]) -> tuple[str, tuple[Json, ...]]:
    """A call as this release takes it."""
    match method, params:
        case "service.control", (str(verb), service) if release < SERVICE_CONTROL:
            return f"service.{verb.lower()}", (service,)
        case (("sharing.nfs.create" | "sharing.nfs.update"), (*before, dict(data))) if (
            release < SCALE and "path" in data
        ):
            older = {name: value for name, value in data.items() if name != "path"}
            return method, (*before, {"paths": [data["path"]], **older})
    return method, tuple(params)
