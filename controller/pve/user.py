"""Users and the groups they are in. The realm is part of the identity, `name@realm`.

Source: the Proxmox VE administration guide, user management, users. Leaves out passwords (only a
ticket may set them, and realms such as AD keep their own), API tokens, second factors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from controller.pve.fields import FLAG, SET, field
from controller.pve.principal import Principal
from controller.step import Query


@dataclass(frozen=True)
class User(Principal):
    """A user."""

    kind = "user"
    word = "users"
    words = ("users",)
    listed = Query("/access/users", {"full": 1})
    named = "userid"
    instead = {"enable": 1}
    fields = (
        field("groups", SET, default=()),
        field("enabled", FLAG, api="enable", default=True),
        field("first_name", api="firstname"),
        field("last_name", api="lastname"),
        field("email"),
        field("comment"),
    )

    def complete(self) -> Self:
        """The same with what it needs."""
        return replace(self, needs=self.refers("group", *self.held("groups")))
