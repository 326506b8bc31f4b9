"""Users and groups. Source: PVE::API2::User, PVE::API2::Group."""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.factors import Factors
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.tickets import password_hash
from simulator.pve.wire import ApiError, bad_parameters, denied, died

routes = Routes()
index(routes, "/access", "users groups roles acl domains openid tfa ticket password", "subdir")

USER = """
userid      pve-userid ..64
comment?    string ..2048
email?      email-opt ..254
enable?     boolean
expire?     integer 0..
firstname?  string ..1024
groups?     pve-groupid-list
keys?       /[0-9a-zA-Z!=]{0,4096}/
lastname?   string ..1024
"""
TEXTS = ("comment", "email", "firstname", "lastname", "keys")


def realm_of(user: str) -> str:
    """The realm in a user's name."""
    return user.rpartition("@")[2]


def need_realm(call: Call) -> None:
    """The right to have users in the realm of `userid`."""
    call.need(f"/access/realm/{realm_of(call.text('userid'))}", "Realm.AllocateUser")


def need_users_groups(call: Call) -> None:
    """User.Modify on all groups, or on one of the user's. Source: userid-group checks."""
    user = call.documents.users.get(call.text("userid"), {})
    groups = items(str(user.get("groups") or ""))
    if not any(call.may(f"/access/groups/{group}", "User.Modify") for group in groups):
        call.need("/access/groups", "User.Modify")


def may_create(call: Call) -> None:
    """Both rights."""
    need_realm(call)
    named = call.words("groups")
    if not named or not all(call.may(f"/access/groups/{g}", "User.Modify") for g in named):
        call.need("/access/groups", "User.Modify")


def self_or_modify(call: Call) -> None:
    """The user in question and none of his tokens, or somebody with rights over users."""
    if call.user != call.text("userid"):
        try:
            need_users_groups(call)
        except ApiError as error:
            raise denied() from error


def find_user(call: Call, user: str, failure: str = "") -> Entry:
    """A user's entry. Raises if there is none."""
    if (entry := call.documents.users.get(user)) is None:
        raise died(f"{failure}no such user ('{user}')")
    return entry


def _row(call: Call, user: str, entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {"enable": entry.get("enable", 1)}
    if (expire := entry.get("expire", 0)) is not None:
        row["expire"] = expire
    row |= {name: entry[name] for name in TEXTS if entry.get(name)}
    return row


def _tokens(call: Call, user: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for name, token in call.documents.tokens.items():
        owner, _, short = name.partition("!")
        if owner == user:
            found[short] = {key: value for key, value in token.items() if key != "secret"}
    return found


@routes.add("GET /access/users", takes="enabled? boolean\nfull? boolean")
def users(call: Call) -> object:
    """Users that the caller may see."""
    rows = []
    for user, entry in call.documents.users.items():
        seen = call.user.partition("!")[0] == user or call.may(
            "/access/groups", "User.Modify", "Sys.Audit"
        )
        if not seen or (
            call.has("enabled") and call.flag("enabled") != bool(entry.get("enable", 1))
        ):
            continue
        row = {"userid": user, **_row(call, user, entry)}
        if kind := realm_type(call, realm_of(user)):
            row["realm-type"] = kind
        row |= call.documents.factors.get(user, Factors()).locks
        if call.flag("full"):
            row["groups"] = ",".join(items(str(entry.get("groups") or "")))
            tokens = [{"tokenid": name, **token} for name, token in _tokens(call, user).items()]
            row["tokens"] = tokens or None
        rows.append(row)
    return rows


def realm_type(call: Call, realm: str) -> str:
    """Type of a realm; "" if there is none of that name."""
    entry = call.documents.domains.get(realm)
    return str(entry["type"]) if entry else realm if realm in ("pam", "pve") else ""


@routes.add("POST /access/users", may_create, USER + "password? string 8..64")
def create_user(call: Call) -> object:
    """A new user."""
    user, failure = call.text("userid"), "create user failed: "
    with call.locked("user_cfg", failure):
        if user in call.documents.users:
            raise died(f"user '{user}' already exists")
        if call.has("password"):
            if realm_of(user) == "pam":
                raise died(
                    f"change password failed: user '{user.rpartition('@')[0]}' does not exist"
                )
            _set_password(call, user)
        call.documents.users[user] = _updated(call, {"enable": 1, "expire": 0})
    return None


def _set_password(call: Call, user: str) -> None:
    """Keep a password. Source: PVE::AccessControl domain_set_password, PVE::Auth::Plugin."""
    if not (kind := realm_type(call, realm_of(user))):
        raise died(f"auth domain '{realm_of(user)}' does not exist")
    if kind not in ("pam", "pve"):
        raise died(f"can't set password on auth type '{kind}'")
    call.documents.passwords[user] = password_hash(call.text("password"))


def _updated(call: Call, old: Entry) -> Entry:
    entry: dict[str, Value] = dict(old)
    for name in ("enable", "expire", *TEXTS):
        if call.has(name):
            entry[name] = call.values[name]
    if call.has("groups"):
        groups = call.words("groups")
        if missing := [group for group in groups if group not in call.documents.groups]:
            raise died(f"no such group '{missing[0]}'")
        if call.flag("append"):
            groups += items(str(old.get("groups") or ""))
        entry["groups"] = ",".join(sorted(set(groups)))
    return {name: value for name, value in entry.items() if value != ""}


def may_read_user(call: Call) -> None:
    """User.Modify or Sys.Audit over the user's groups. Told without a path."""
    groups = items(str(call.documents.users.get(call.text("userid"), {}).get("groups") or ""))
    paths = ["/access/groups", *(f"/access/groups/{group}" for group in groups)]
    if not any(call.may(path, "User.Modify", "Sys.Audit") for path in paths):
        raise denied()


@routes.add("GET /access/users/{userid}", may_read_user, "userid pve-userid ..64")
def user(call: Call) -> object:
    """One user."""
    name = call.text("userid")
    entry = find_user(call, name)
    groups = items(str(entry.get("groups") or ""))
    return {**_row(call, name, entry), "groups": groups, "tokens": _tokens(call, name) or None}


@routes.add(
    "PUT /access/users/{userid}", need_users_groups, USER + "append? boolean requires=groups"
)
def update_user(call: Call) -> object:
    """Change a user; an empty text unsets."""
    name, failure = call.text("userid"), "update user failed: "
    with call.locked("user_cfg", failure):
        call.documents.users[name] = _updated(call, find_user(call, name))
    return None


def may_delete(call: Call) -> None:
    """Rights over the realm and over users."""
    need_realm(call)
    need_users_groups(call)


@routes.add("DELETE /access/users/{userid}", may_delete, "userid pve-userid ..64")
def delete_user(call: Call) -> object:
    """Remove a user with tokens and rights; one that is absent is fine. root@pam only loses its
    entry.
    """
    name, documents = call.text("userid"), call.documents
    with call.locked("user_cfg", "delete user failed: "):
        documents.users.pop(name, None)
        documents.passwords.pop(name, None)
        documents.factors.pop(name, None)
        if name == "root@pam":
            documents.users[name] = {"enable": 1, "expire": None}
            return None
        for token in [token for token in documents.tokens if token.partition("!")[0] == name]:
            del documents.tokens[token]
        for entry in [e for e in documents.acl if e[2] == name or e[2].startswith(f"{name}!")]:
            del documents.acl[entry]
    return None


def may_change_password(call: Call) -> None:
    """The user, or somebody with rights over the realm and over users."""
    if call.user != call.text("userid"):
        may_delete(call)


@routes.add(
    "PUT /access/password",
    may_change_password,
    "userid pve-userid ..64\npassword string 8..64\nconfirmation-password? string 5..64",
    ticket_only=True,
)
def change_password(call: Call) -> object:
    """A new password; users other than root@pam repeat their present one."""
    name = call.text("userid")
    find_user(call, name)
    if call.user != "root@pam":
        if not call.has("confirmation-password"):
            raise bad_parameters(**{"confirmation-password": "password is required to modify user"})
        given = password_hash(call.text("confirmation-password"))
        if call.documents.passwords.get(call.user) != given:
            raise bad_parameters(**{"confirmation-password": "invalid credentials"})
        if call.user != name and realm_of(name) == "pam":
            raise denied()
    _set_password(call, name)
    return None


GROUP = "groupid pve-groupid\ncomment? string"


def _members(call: Call, group: str) -> list[str]:
    return [
        name
        for name, entry in call.documents.users.items()
        if group in items(str(entry.get("groups") or ""))
    ]


@routes.add("GET /access/groups")
def groups(call: Call) -> object:
    """Groups that the caller may see, with their users."""
    rows = []
    for name, entry in call.documents.groups.items():
        if call.may(f"/access/groups/{name}", "User.Modify", "Sys.Audit", "Group.Allocate"):
            rows.append({"groupid": name, **entry, "users": ",".join(_members(call, name))})
    return rows


@routes.add("POST /access/groups", "/access/groups Group.Allocate", GROUP)
def create_group(call: Call) -> object:
    """A new group."""
    name = call.text("groupid")
    with call.locked("user_cfg", "create group failed: "):
        if name in call.documents.groups:
            raise died(f"group '{name}' already exists")
        comment = call.text("comment")
        call.documents.groups[name] = {"comment": comment} if comment else {}
    return None


@routes.add(
    "GET /access/groups/{groupid}",
    "/access/groups Sys.Audit|Group.Allocate",
    "groupid pve-groupid",
)
def group(call: Call) -> object:
    """One group."""
    name = call.text("groupid")
    if (entry := call.documents.groups.get(name)) is None:
        raise died(f"group '{name}' does not exist")
    return {**entry, "members": _members(call, name)}


@routes.add("PUT /access/groups/{groupid}", "/access/groups Group.Allocate", GROUP)
def update_group(call: Call) -> object:
    """A group's comment."""
    name = call.text("groupid")
    with call.locked("user_cfg", "update group failed: "):
        if name not in call.documents.groups:
            raise died(f"group '{name}' does not exist")
        if call.has("comment"):
            comment = call.text("comment")
            call.documents.groups[name] = {"comment": comment} if comment else {}
    return None


@routes.add(
    "DELETE /access/groups/{groupid}", "/access/groups Group.Allocate", "groupid pve-groupid"
)
def delete_group(call: Call) -> object:
    """Remove a group, its rights, and it from its users."""
    name, documents = call.text("groupid"), call.documents
    with call.locked("user_cfg", "delete group failed: "):
        if name not in documents.groups:
            raise died(f"group '{name}' does not exist")
        for member in _members(call, name):
            entry = documents.users[member]
            left = [group for group in items(str(entry["groups"])) if group != name]
            documents.users[member] = {**entry, "groups": ",".join(left)}
        del documents.groups[name]
        for known in [e for e in documents.acl if e[1:3] == ("group", name)]:
            del documents.acl[known]
    return None
