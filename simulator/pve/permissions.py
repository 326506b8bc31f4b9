"""Who may do what: roles, and what the access control list gives a user or a token on a path.

Source: PVE::AccessControl `roles`, PVE::RPCEnvironment `permissions`; the Proxmox VE administration
guide, permission management. The deepest entry on a path wins, a user's own entry over his groups',
NoAccess over everything; a pool's roles hold on its members; a token with privilege separation has
what both it and its user have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from simulator.pve.documents import Documents
from simulator.pve.propertystring import items
from simulator.pve.roles import ROLES_9, Roles

TOP_PATHS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")

_ACL_PATH = re.compile(
    r"/|/access(/groups(/[A-Za-z0-9.\-_]+)?|/realm(/[A-Za-z0-9.\-_]+)?)?|/nodes(/[A-Za-z0-9.\-]+)?"
    r"|/pool(/[A-Za-z0-9.\-_]+){0,3}|/sdn(/(zones|fabrics|controllers|dns|ipams)(/[\w.\-]+){0,3})?"
    r"|/storage(/[A-Za-z0-9.\-]+)?|/vms(/[1-9][0-9]{2,})?|/mapping(/[A-Za-z0-9.\-_]+){0,2}"
)


def normal_path(path: str) -> str | None:
    """An ACL path as it is kept, or None if it can't be one. Source: PVE::AccessControl."""
    normal = "/" + "/".join(part for part in path.split("/") if part)
    return normal if re.fullmatch(r"[A-Za-z0-9.\-_/]+", normal) else None


def acl_path_valid(path: str) -> bool:
    """Whether rights can be given on a path."""
    return _ACL_PATH.fullmatch(normal_path(path) or "") is not None


class Permissions:
    """What one user or token may, over documents that stay as they are meanwhile. `built_in`: the
    roles of the release.
    """

    def __init__(self, documents: Documents, user: str, built_in: Roles = ROLES_9) -> None:
        self.documents = documents
        self.user = user
        self.built_in = built_in
        self._cache: dict[str, Mapping[str, int]] = {}
        self._below: dict[str, Mapping[str, int]] = {}

    def on(self, path: str) -> Mapping[str, int]:
        """Privilege -> whether it holds below `path` too."""
        if (known := self._cache.get(path)) is None:
            known = self._inherited(path) if self._plain(path) else self._privileges(path)
            self._cache[path] = known
        return known

    def _inherited(self, path: str) -> Mapping[str, int]:
        """What the path above hands down; one answer for all that lies directly below it."""
        parent = path.rpartition("/")[0]
        if (known := self._below.get(parent)) is None:
            known = {name: 1 for name, propagate in self.on(parent).items() if propagate}
            self._below[parent] = known
        return known

    def any(self, path: str, privileges: Iterable[str]) -> bool:
        """Whether one of `privileges` is there."""
        held = self.on(path)
        return any(privilege in held for privilege in privileges)

    @cached_property
    def everything(self) -> bool:
        """Whether nothing can be refused: root@pam."""
        return self.user == "root@pam"

    @cached_property
    def _owner(self) -> Permissions | None:
        """The user behind a token."""
        owner, is_token, _ = self.user.partition("!")
        return Permissions(self.documents, owner, self.built_in) if is_token else None

    def _plain(self, path: str) -> bool:
        """Whether nothing was said about the path itself; always false for the topmost ones."""
        if path in self._acl or path in self._pool_roles or path.count("/") < 2:
            return False
        return self._owner is None or self._owner._plain(path)

    @cached_property
    def _acl(self) -> Mapping[str, list[tuple[str, str, str, int]]]:
        by_path: dict[str, list[tuple[str, str, str, int]]] = {}
        for (path, kind, who, role), propagate in self.documents.acl.items():
            by_path.setdefault(path, []).append((kind, who, role, propagate))
        return by_path

    @cached_property
    def _groups(self) -> frozenset[str]:
        user = self.documents.users.get(self.user, {})
        return frozenset(items(str(user.get("groups") or "")))

    @cached_property
    def _pool_roles(self) -> Mapping[str, Mapping[str, int]]:
        """Roles that pools give on their members; never further down."""
        given: dict[str, dict[str, int]] = {}
        for pool, entry in self.documents.pools.items():
            if not (roles := self._roles(f"/pool/{pool}")):
                continue
            members = [f"/vms/{vmid}" for vmid in items(str(entry.get("vms") or ""))]
            members += [f"/storage/{name}" for name in items(str(entry.get("storage") or ""))]
            for member in members:
                given.setdefault(member, {}).update(dict.fromkeys(roles, 0))
        return given

    def _roles(self, path: str) -> dict[str, int]:
        """Role -> propagate, from the access control list alone."""
        roles: dict[str, int] = {}
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            here = self._acl.get("/" + "/".join(parts[:depth]))
            if not here:
                continue
            final = depth == len(parts)
            kind = "token" if "!" in self.user else "user"
            own = {r: p for k, who, r, p in here if (k, who) == (kind, self.user) and (final or p)}
            groups = {
                r: p
                for k, who, r, p in here
                if k == "group" and who in self._groups and (final or p)
            }
            roles = own or groups or roles
        return {"NoAccess": roles["NoAccess"]} if "NoAccess" in roles else roles

    def _privileges(self, path: str) -> Mapping[str, int]:
        if self.everything:
            return dict.fromkeys(self.built_in["Administrator"], 1)
        if self._owner is not None:
            token = self.documents.tokens.get(self.user)
            if token is None:
                return {}
            if not token.get("privsep", 1):
                return self._owner.on(path)
        roles = self._roles(path)
        pool_roles = self._pool_roles.get(path, {})
        if "NoAccess" not in roles:
            roles = {"NoAccess": 0} if "NoAccess" in pool_roles else {**pool_roles, **roles}
        held: dict[str, int] = {}
        for role, propagate in roles.items():
            for privilege in self._role(role):
                held[privilege] = held.get(privilege, 0) | propagate
        if self._owner is not None:
            owners = self._owner.on(path)
            return {name: propagate for name, propagate in held.items() if name in owners}
        return held

    def _role(self, name: str) -> Iterable[str]:
        if name in self.built_in:
            return self.built_in[name]
        own = items(str(self.documents.roles.get(name, {}).get("privs") or ""))
        return self.built_in["Administrator"].intersection(own)
