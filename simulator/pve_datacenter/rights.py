"""Roles, the access control list, tokens, realms, and what somebody may.

Source: PVE::API2::Role, ACL, User (tokens), Domains, AccessControl (permissions).
"""

from __future__ import annotations

import uuid

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import Value, table
from simulator.pve.permissions import TOP_PATHS, Permissions, normal_path
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.wire import bad_parameters, denied, died
from simulator.pve_datacenter.access import find_user, self_or_modify

routes = Routes()

ROLE = "roleid pve-roleid\nprivs? pve-priv-list"


@routes.add("GET /access/roles")
def roles(call: Call) -> object:
    """All roles; the built-in ones are `special`."""
    rows: list[dict[str, object]] = [
        {"roleid": name, "privs": ",".join(sorted(privileges)), "special": 1}
        for name, privileges in call.api.release.roles.items()
    ]
    rows += [
        {"roleid": name, "privs": entry["privs"]} for name, entry in call.documents.roles.items()
    ]
    return rows


@routes.add("POST /access/roles", "/access Sys.Modify", ROLE)
def create_role(call: Call) -> object:
    """A role of one's own."""
    name = call.text("roleid")
    if name.lower().startswith("pve"):
        namespace = "the (case-insensitive) 'PVE' namespace"
        raise bad_parameters(roleid=f"cannot use role ID starting with {namespace}")
    with call.locked("user_cfg", "create role failed: "):
        if name in call.api.release.roles or name in call.documents.roles:
            raise died(f"role '{name}' already exists")
        call.documents.roles[name] = {"privs": ",".join(sorted(set(call.words("privs"))))}
    return None


@routes.add("GET /access/roles/{roleid}", "all", "roleid pve-roleid")
def role(call: Call) -> object:
    """Privileges of a role."""
    return dict.fromkeys(sorted(_privileges(call, call.text("roleid"))), 1)


def _privileges(call: Call, name: str) -> set[str]:
    if name in call.api.release.roles:
        return set(call.api.release.roles[name])
    if (entry := call.documents.roles.get(name)) is None:
        raise died(f"role '{name}' does not exist")
    return set(items(str(entry["privs"])))


@routes.add(
    "PUT /access/roles/{roleid}", "/access Sys.Modify", ROLE + "\nappend? boolean requires=privs"
)
def update_role(call: Call) -> object:
    """Replace a role's privileges, or add to them."""
    name = call.text("roleid")
    if name in call.api.release.roles:
        raise died(f"auto-generated role '{name}' cannot be modified")
    with call.locked("user_cfg", "update role failed: "):
        old = _privileges(call, name)
        privileges = set(call.words("privs")) | (old if call.flag("append") else set())
        call.documents.roles[name] = {"privs": ",".join(sorted(privileges))}
    return None


@routes.add("DELETE /access/roles/{roleid}", "/access Sys.Modify", "roleid pve-roleid")
def delete_role(call: Call) -> object:
    """Remove a role and the rights that use it."""
    name = call.text("roleid")
    if name in call.api.release.roles:
        raise died(f"auto-generated role '{name}' cannot be deleted")
    with call.locked("user_cfg", "delete role failed: "):
        _privileges(call, name)
        del call.documents.roles[name]
        for known in [e for e in call.documents.acl if e[3] == name]:
            del call.documents.acl[known]
    return None


@routes.add("GET /access/acl")
def acl(call: Call) -> object:
    """Entries on the paths where the caller may change rights or audit access."""
    audit = call.may("/access", "Sys.Audit")
    return [
        {"path": path, "type": kind, "ugid": who, "roleid": role, "propagate": propagate}
        for (path, kind, who, role), propagate in call.documents.acl.items()
        if audit or call.may(path, "Permissions.Modify")
    ]


def may_modify(call: Call) -> None:
    """Permissions.Modify on the path; owners of storages, guests and pools may share what they
    have.
    """
    if (path := normal_path(call.text("path"))) is None and call.user != "root@pam":
        raise denied()
    path = path or "/"
    wider = {"storage": "Datastore.Allocate", "vms": "VM.Allocate", "pool": "Pool.Allocate"}
    privileges = ["Permissions.Modify"]
    if (own := wider.get(path.split("/")[1])) and path.count("/") > 1:
        privileges.append(own)
    call.need(path, *privileges)


@routes.add(
    "PUT /access/acl",
    may_modify,
    """
    path        string
    roles       pve-roleid-list
    users?      pve-userid-list
    groups?     pve-groupid-list
    tokens?     pve-tokenid-list
    propagate?  boolean
    delete?     boolean
    """,
)
def update_acl(call: Call) -> object:
    """Give or take roles on a path: one entry for each role and each user, group or token."""
    if not (call.has("users") or call.has("groups") or call.has("tokens")):
        text = "either 'users', 'groups' or 'tokens' is required."
        raise bad_parameters(users=text, groups=text, tokens=text)
    path = normal_path(call.text("path"))
    if path is None or not (call.flag("delete") or call.api.release.has_rights_on(path)):
        raise bad_parameters(path=f"invalid ACL path '{call.text('path')}'")
    with call.locked("user_cfg", "ACL update failed: "):
        for role in call.words("roles"):
            if role not in call.api.release.roles and role not in call.documents.roles:
                raise died(f"role '{role}' does not exist")
            _need_role(call, path, role)
            for kind in ("user", "group", "token"):
                for who in call.words(f"{kind}s"):
                    _need_subject(call, kind, who)
                    entry = (path, kind, who, role)
                    if call.flag("delete"):
                        call.documents.acl.pop(entry, None)
                    else:
                        call.documents.acl[entry] = call.number("propagate", 1)
    return None


def _need_role(call: Call, path: str, role: str) -> None:
    """Who can't change rights hands on no more than what he has there."""
    held, propagate = call.permissions.on(path), call.number("propagate", 1)
    if "Permissions.Modify" in held:
        return
    adds, wanted = not call.flag("delete"), _privileges(call, role)
    verb, needs = "add" if adds else "remove", "requires 'Permissions.Modify'"
    if not wanted <= held.keys():
        needs += " or superset of privileges."
        raise bad_parameters(role=f"Cannot {verb} role '{role}' - {needs}")
    if adds and propagate and not all(held[name] for name in wanted):
        role += "' with propagation - requires 'Permissions.Modify' or propagated superset of"
        raise bad_parameters(role=f"Cannot {verb} role '{role} privileges.")
    if role == "NoAccess":
        raise bad_parameters(role=f"Cannot {verb} role '{role}' - {needs}")


def _need_subject(call: Call, kind: str, who: str) -> None:
    documents = call.documents
    if kind == "user" and who not in documents.users:
        raise died(f"user '{who}' does not exist")
    if kind == "group" and who not in documents.groups:
        raise died(f"group '{who}' does not exist")
    if kind == "token" and who not in documents.tokens:
        owner, _, name = who.partition("!")
        raise died(f"no such token '{name}' for user '{owner}'")


@routes.add("GET /access/permissions", takes="path? string\nuserid? string")
def permissions(call: Call) -> object:
    """Path -> privilege -> propagate, of the caller or, for who may audit, of anybody."""
    whose = call.text("userid", call.user)
    if call.user not in (whose, whose.partition("!")[0]):
        call.need("/access", "Sys.Audit")
    held = Permissions(call.documents, whose, call.api.release.roles)
    if call.has("path"):
        return {call.text("path"): dict(held.on(call.text("path")))}
    documents = call.documents
    paths = {*TOP_PATHS, *(path for path, *_ in documents.acl)}
    for entry in documents.pools.values():
        paths |= {f"/vms/{vmid}" for vmid in items(str(entry.get("vms") or ""))}
        paths |= {f"/storage/{name}" for name in items(str(entry.get("storage") or ""))}
    return {path: dict(found) for path in sorted(paths) if (found := held.on(path))}


NAMED = r"userid pve-userid ..64" "\n" r"tokenid /[A-Za-z][A-Za-z0-9.\-_]+/" "\n"


@routes.add("GET /access/users/{userid}/token", self_or_modify, "userid pve-userid ..64")
def tokens(call: Call) -> object:
    """A user's tokens."""
    owner = call.text("userid")
    find_user(call, owner)
    found = []
    for name, token in call.documents.tokens.items():
        user, _, short = name.partition("!")
        if user == owner:
            found.append({"tokenid": short, **_shown(token)})
    return found


def _shown(token: Entry) -> dict[str, Value]:
    return {key: value for key, value in token.items() if key != "secret"}


def _token(call: Call) -> tuple[str, Entry]:
    owner, short = call.text("userid"), call.text("tokenid")
    find_user(call, owner)
    name = f"{owner}!{short}"
    if (token := call.documents.tokens.get(name)) is None:
        raise died(f"no such token '{short}' for user '{owner}'")
    return name, token


@routes.add("GET /access/users/{userid}/token/{tokenid}", self_or_modify, NAMED)
def token(call: Call) -> object:
    """One token, without its secret."""
    return _shown(_token(call)[1])


SETTINGS = "comment? string\nexpire? integer 0..\nprivsep? boolean\n"


@routes.add("POST /access/users/{userid}/token/{tokenid}", self_or_modify, NAMED + SETTINGS)
def create_token(call: Call) -> object:
    """A new token; its secret is told here and never again."""
    owner, short = call.text("userid"), call.text("tokenid")
    name = f"{owner}!{short}"
    find_user(call, owner)
    if name in call.documents.tokens:
        raise bad_parameters(tokenid="Token already exists.")
    secret = str(uuid.UUID(int=call.chance.getrandbits(128), version=4))
    with call.locked("user_cfg", "generating token failed: "):
        entry: dict[str, Value] = {
            "privsep": call.number("privsep", 1),
            "expire": call.number("expire"),
        }
        if call.text("comment"):
            entry["comment"] = call.text("comment")
        call.documents.tokens[name] = {**entry, "secret": secret}
    info = {key: call.given[key] for key in ("comment", "expire", "privsep") if call.has(key)}
    if isinstance(info.get("privsep"), bool):  # told as it was sent, but not as JSON's own
        info["privsep"] = call.number("privsep")
    return {"full-tokenid": name, "info": {"privsep": 1, **info}, "value": secret}


@routes.add(
    "PUT /access/users/{userid}/token/{tokenid}",
    self_or_modify,
    NAMED + SETTINGS + "delete? pve-configid-list\nregenerate? boolean",
)
def update_token(call: Call) -> object:
    """Change what belongs to a token; its secret only to a new one that is told once."""
    name, old = _token(call)
    settings = table(SETTINGS).params
    if unknown := next((key for key in call.words("delete") if key not in settings), None):
        raise bad_parameters(delete=f"unknown option '{unknown}'")
    with call.locked("user_cfg", "updating token info failed: "):
        sent = {key: call.values[key] for key in settings if call.has(key)}
        new = {key: value for key, value in {**old, **sent}.items() if value != ""}
        for key in call.words("delete"):
            new.pop(key, None)
        if call.flag("regenerate"):
            new["secret"] = str(uuid.UUID(int=call.chance.getrandbits(128), version=4))
        call.documents.tokens[name] = new
    told = {**_shown(new), **{key: call.given[key] for key in sent}}
    if call.flag("regenerate"):
        told |= {"full-tokenid": name, "value": new["secret"]}
    return told


@routes.add("DELETE /access/users/{userid}/token/{tokenid}", self_or_modify, NAMED)
def delete_token(call: Call) -> object:
    """Remove a token and its rights."""
    name, _ = _token(call)
    with call.locked("user_cfg", "deleting token failed: "):
        del call.documents.tokens[name]
        for known in [e for e in call.documents.acl if e[1:3] == ("token", name)]:
            del call.documents.acl[known]
    return None
