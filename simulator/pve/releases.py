"""What older releases of Proxmox VE answer differently: 8.4 and 7.4 beside 9.2.

Looked at by `PveApi` for each call, and by the few handlers whose answer changed its kind. Source:
the reference of the API, version differences; official schemas of 7.4 and 8.4. Leaves out: HA
groups, privileges and built-in roles of older releases, types of storage that are gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Release:
    """One release. `absent`: a pattern of calls that it has not; `unknown`: parameters that it
    does not know, by call; `former`: patterns of paths that it has besides, as they are called now.
    """

    version: Mapping[str, str]
    absent: str = ""
    unknown: Mapping[str, frozenset[str]] = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)
    message_in_body: bool = True  # pve-http-server 5.2
    resize_is_task: bool = True
    memory_is_text: bool = True
    attaching_needs_sdn: bool = True
    replicating_needs: str = "VM.Replicate"
    qemu: str = "10.1.2"
    measures_pressure: bool = True  # and keeps finer figures

    @cached_property
    def _absent(self) -> re.Pattern[str]:
        return re.compile(self.absent or r"(?!)")

    def path(self, call: str) -> str:
        """The path of a call, such as `GET /nodes/a/ceph/pools`, as it is called now."""
        for pattern, path in self.former.items():
            if match := re.fullmatch(pattern, call):
                return match.expand(path)
        return call.partition(" ")[2]

    def lacks(self, call: str) -> bool:
        """Whether a call, such as `GET /pools`, is not there."""
        return self._absent.match(call) is not None

    def forgets(self, call: str) -> frozenset[str]:
        """Parameters of a call that are not known."""
        return self.unknown.get(call, frozenset())


_SINCE_9 = (
    r"\w+ /cluster/ha/rules|\w+ /cluster/sdn/lock|POST /cluster/sdn/rollback"
    r"|GET /cluster/sdn/dry-run|\w+ /cluster/sdn/fabrics|\w+ /cluster/bulk-action"
    r"|GET /nodes/\{node\}/capabilities/qemu/(cpu-flags|migration)"
)
_SINCE_8 = (
    r"\w+ /cluster/mapping|\w+ /cluster/sdn/vnets/\{vnet\}/firewall|(PUT|DELETE) /pools$"
    r"|\w+ /cluster/notifications|GET /cluster/metrics/export|GET /cluster/jobs/realm-sync"
    r"|PUT /access/users/\{userid\}/unlock-tfa"
    r"|GET /nodes/\{node\}/ceph/cfg/value"
)
_CEPH = r"(/nodes/[^/]+/ceph)"
_FORMER_IN_7 = {
    rf"GET {_CEPH}/pools/([^/]+)": r"\1/pool/\2/status",
    rf"\w+ {_CEPH}/pools(/[^/]+)?": r"\1/pool\2",
    rf"\w+ {_CEPH}/config": r"\1/cfg/raw",
    rf"\w+ {_CEPH}/configdb": r"\1/cfg/db",
}
_HA_AT_CREATE = frozenset({"ha-managed"})
_WORKERS = frozenset({"max-workers"})
_UNKNOWN_BEFORE_9 = {
    "POST /nodes/{node}/qemu": _HA_AT_CREATE,
    "POST /nodes/{node}/lxc": _HA_AT_CREATE,
    "POST /nodes/{node}/startall": _WORKERS,
    "POST /nodes/{node}/stopall": _WORKERS,
    "POST /nodes/{node}/migrateall": _WORKERS,
    "POST /cluster/ha/resources": frozenset({"failback"}),
    "PUT /cluster/ha/resources/{sid}": frozenset({"failback"}),
    "DELETE /cluster/ha/resources/{sid}": frozenset({"purge"}),
}

RELEASES: Mapping[str, Release] = {
    "9.2": Release({"version": "9.2.11", "release": "9.2", "repoid": "14a22df35955d97d"}),
    "8.4": Release(
        {"version": "8.4.14", "release": "8.4", "repoid": "b502d23c55afcba1"},
        absent=_SINCE_9,
        unknown=_UNKNOWN_BEFORE_9,
        replicating_needs="Datastore.Allocate",
        qemu="9.2.0",
        measures_pressure=False,
    ),
    "7.4": Release(
        {"version": "7.4-17", "release": "7.4", "repoid": "513c62be"},
        absent=f"{_SINCE_9}|{_SINCE_8}",
        former=_FORMER_IN_7,
        unknown={
            **_UNKNOWN_BEFORE_9,
            "POST /nodes/{node}/qemu/{vmid}/status/stop": frozenset({"overrule-shutdown"}),
            "POST /nodes/{node}/lxc/{vmid}/status/stop": frozenset({"overrule-shutdown"}),
            "GET /pools": frozenset({"poolid", "type"}),
        },
        message_in_body=False,
        resize_is_task=False,
        memory_is_text=False,
        attaching_needs_sdn=False,
        replicating_needs="Datastore.Allocate",
        qemu="7.2.0",
        measures_pressure=False,
    ),
}
"""By what a cluster's `version` begins with."""
NEWEST = RELEASES["9.2"]


def release_of(version: str) -> Release:
    """The release that stands for a version: the newest one for what is newer or unknown."""
    major = version.partition(".")[0]
    return next((known for key, known in RELEASES.items() if key.split(".")[0] == major), NEWEST)
