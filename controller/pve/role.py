"""Roles of our own: named sets of privileges. The built-in ones are part of Proxmox VE, left alone.

Source: the Proxmox VE administration guide, user management, roles. Which privileges exist differs
between releases; an unknown one is refused by the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.pve.fields import SET, field
from controller.pve.principal import Principal
from controller.step import Query


def is_built_in(role: str) -> bool:
    """Whether a role comes with Proxmox VE: those names are reserved."""
    return role in ("Administrator", "NoAccess") or role.startswith("PVE")


@dataclass(frozen=True)
class Role(Principal):
    """A role."""

    kind = "role"
    word = "roles"
    words = ("roles",)
    listed = Query("/access/roles")
    named = "roleid"
    fields = (field("privileges", SET, api="privs", default=()),)

    @classmethod
    def ours(cls, row: Mapping[str, Any]) -> bool:
        return not row.get("special")
