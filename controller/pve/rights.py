"""What the token may see. Lists hide what it may not: a filtered list must not be read as absence.

Leaves out: paths with the role NoAccess, which Proxmox VE does not tell of; give the token no such.
Source: the permission checks of the index calls in pve-manager, pve-access-control, pve-storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.clock import Clock
from controller.pve.transport import Transport
from lab.errors import DeviceError

FRESH_S = 60.0  # for so long rights are believed
_NEEDED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "/cluster/resources": ("/vms", ("VM.Audit",)),
    "/storage": ("/storage", ("Datastore.Audit", "Datastore.Allocate")),
    "/pools": ("/pool", ("Pool.Audit", "Pool.Allocate")),
    "/access/users": ("/access/groups", ("Sys.Audit", "User.Modify")),
    "/access/groups": ("/access/groups", ("Sys.Audit", "User.Modify", "Group.Allocate")),
    "/access/acl": ("/access", ("Sys.Audit",)),
    "/cluster/options": ("/", ("Sys.Audit", "Sys.Modify")),
}
"""List -> (the path whose whole subtree it shows, privileges of which one is enough)."""


class Rights:
    """The token's privileges, asked now and then."""

    def __init__(self, device: str, transport: Transport, clock: Clock) -> None:
        self._device = device
        self._transport = transport
        self._clock = clock
        self._asked_s: float | None = None
        self._known: Mapping[str, Mapping[str, Any]] = {}

    def check(self, path: str) -> None:
        """Raises DeviceError if a list would leave out what the token may not see."""
        if path not in _NEEDED:
            return
        root, privileges = _NEEDED[path]
        known = self._now()  # another thread may renew it at any time
        below = [at for at in known if at == root or at.startswith(f"{root.rstrip('/')}/")]
        blind = [at for at in below if not any(each in known[at] for each in privileges)]
        if blind or root not in below:
            where = blind[0] if blind else root
            what = f"GET {path} would hide what the token may not see: it lacks {privileges[0]} on"
            raise DeviceError(self._device, f"{what} {where}")

    def _now(self) -> Mapping[str, Mapping[str, Any]]:
        if self._asked_s is None or self._clock.now() > self._asked_s + FRESH_S:
            self._known = self._transport.ask("/access/permissions") or {}
            self._asked_s = self._clock.now()
        return self._known
