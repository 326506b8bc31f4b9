"""Groups of users. Who is in one is said by the users.

Source: the Proxmox VE administration guide, user management, groups.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.pve.fields import field
from controller.pve.principal import Principal
from controller.step import Query


@dataclass(frozen=True)
class Group(Principal):
    """A group."""

    kind = "group"
    word = "groups"
    words = ("groups",)
    listed = Query("/access/groups")
    named = "groupid"
    fields = (field("comment"),)
