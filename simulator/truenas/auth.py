"""Logging in: passwords, API keys, and tokens; keys are revoked that came without TLS.

Every account has all rights. Source: reference of the TrueNAS API, JSON-RPC framing. Leaves out:
two-factor login, SCRAM, the origin of a token, the limit of tries a minute.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from simulator.truenas import alerts
from simulator.truenas.call import Call, Entry, date, serves
from simulator.truenas.documents import Documents, Row
from simulator.truenas.errors import Invalid, no_such
from simulator.truenas.version import Version

KEYS, TOKENS = "api_key", "auth.token"
SECRET_LENGTH = 64
REVOKED = "API key was used over an insecure transport"
# What `auth.login_ex` takes by mechanism, besides login_options.
MECHANISMS = {
    "API_KEY_PLAIN": ("username", "api_key"),
    "PASSWORD_PLAIN": ("username", "password"),
    "TOKEN_PLAIN": ("token",),
    "OTP_TOKEN": ("otp_token",),
}


def fingerprint(secret: str) -> str:
    """What is kept of a secret."""
    return sha256(secret.encode()).hexdigest()


def add_key(documents: Documents, version: Version, name: str, secret: str, now_s: float) -> str:
    """Keep an API key; the whole key is `<id>-<secret>`."""
    identity = documents.next_id(KEYS)
    user = version.administrator
    documents.rows(KEYS)[identity] = _row(identity, name, user, secret, now_s)
    return f"{identity}-{secret}"


def _row(identity: int, name: str, user: str, secret: str, now_s: float) -> Entry:
    return {
        "id": identity,
        "name": name,
        "username": user,
        "keyhash": fingerprint(secret),
        "created_s": now_s,
        "expires_at": None,
        "revoked": False,
    }


def _key_entry(call: Call, row: Row) -> Entry:
    made = {"id": row["id"], "name": row["name"], "created_at": date(row["created_s"])}
    if not call.version.strict:
        return made
    return {
        **made,
        "username": row["username"],
        "user_identifier": row["username"],
        "keyhash": row["keyhash"],
        "expires_at": row["expires_at"],
        "local": True,
        "revoked": row["revoked"],
        "revoked_reason": REVOKED if row["revoked"] else None,
    }


def _by_password(call: Call, user: str, password: str) -> bool:
    known = call.documents.passwords.get(user)
    if known is None or known != fingerprint(password):
        return False
    call.session.user = user
    return True


def by_key(call: Call, key: str, user: str | None = None) -> str:
    """Log in with an API key: SUCCESS, AUTH_ERR or EXPIRED."""
    number, _, secret = key.partition("-")
    row = call.documents.rows(KEYS).get(int(number)) if number.isdecimal() else None
    if row is None or row["keyhash"] != fingerprint(secret) or user not in (None, row["username"]):
        return "AUTH_ERR"
    if call.version.strict and not call.session.secure and call.api.revokes and not row["revoked"]:
        call.documents.rows(KEYS)[row["id"]] = {**row, "revoked": True}
        alerts.raise_alert(
            call, "ApiKeyRevoked", "WARNING", row["name"], f"{row['name']}: {REVOKED}"
        )
        return "EXPIRED"
    if row["revoked"] or _expired(row["expires_at"], call.now_s):
        return "EXPIRED"
    call.session.user = row["username"]
    return "SUCCESS"


def _expired(at: object, now_s: float) -> bool:
    """`at`: {"$date": milliseconds}, or None for a key that stays."""
    return isinstance(at, Mapping) and now_s >= float(at.get("$date", 0)) / 1000


@serves("auth.login")
def login(call: Call) -> object:
    """User and password."""
    return _by_password(call, call.args["username"], call.args["password"])


@serves("auth.login_with_api_key")
def login_with_api_key(call: Call) -> object:
    """An API key."""
    return by_key(call, call.args["api_key"]) == "SUCCESS"


@serves("auth.generate_token")
def generate_token(call: Call) -> object:
    """A token with which its maker can log in until it was not used for `ttl` seconds."""
    identity = call.documents.next_id(TOKENS)
    token = _new_secret(call, f"token {identity}")
    call.documents.rows(TOKENS)[identity] = {
        "hash": fingerprint(token),
        "user": call.session.user,
        "ttl_s": call.args["ttl"],
        "used_s": call.now_s,
        "single": call.args["single_use"],
    }
    return token


def _by_token(call: Call, token: str) -> bool:
    tokens = call.documents.rows(TOKENS)
    for identity, row in tokens.items():
        if row["hash"] != fingerprint(token):
            continue
        if row["ttl_s"] is not None and call.now_s > row["used_s"] + row["ttl_s"]:
            return False
        tokens[identity] = {**row, "used_s": call.now_s}
        if row["single"]:
            del tokens[identity]
        call.session.user = row["user"]
        return True
    return False


@serves("auth.login_with_token")
def login_with_token(call: Call) -> object:
    """A token."""
    return _by_token(call, call.args["token"])


@serves("auth.login_ex")
def login_ex(call: Call) -> object:
    """One of several mechanisms."""
    data = call.data
    _check_mechanism(data)
    match data["mechanism"]:
        case "API_KEY_PLAIN":
            answer = by_key(call, data["api_key"], data["username"])
        case "PASSWORD_PLAIN":
            fits = _by_password(call, data["username"], data["password"])
            answer = "SUCCESS" if fits else "AUTH_ERR"
        case "TOKEN_PLAIN":
            answer = "SUCCESS" if _by_token(call, data["token"]) else "AUTH_ERR"
        case _:
            answer = "AUTH_ERR"
    if answer != "SUCCESS":
        return {"response_type": answer}
    asked = (data.get("login_options") or {}).get("user_info", True)
    info = _user(call) if asked else None
    return {"response_type": answer, "user_info": info, "authenticator": "LEVEL_1"}


def _check_mechanism(data: Mapping[str, Any]) -> None:
    mechanism = data.get("mechanism")
    members = MECHANISMS.get(mechanism) if isinstance(mechanism, str) else None
    if members is None:
        text = f"Input tag {mechanism!r} does not match any of the expected tags"
        raise Invalid([("login_data", text, errno.EINVAL)])
    problems = [
        (f"login_data.{mechanism}.{name}", "Field required", errno.EINVAL)
        for name in members
        if not isinstance(data.get(name), str)
    ]
    problems += [
        (f"login_data.{mechanism}.{name}", "Extra inputs are not permitted", errno.EINVAL)
        for name in data
        if name not in (*members, "mechanism", "login_options")
    ]
    if not isinstance(data.get("login_options", {}), dict):
        problems.append(("login_data.login_options", "Input should be an object", errno.EINVAL))
    if problems:
        raise Invalid(problems)


@serves("auth.logout")
def logout(call: Call) -> object:
    """Leave, and stay connected."""
    call.session.user = ""
    call.session.subscriptions.clear()
    return True


@serves("auth.me")
def me(call: Call) -> object:
    """Who is logged in."""
    return _user(call)


def _user(call: Call) -> Entry:
    name = call.session.user
    root = name == "root"
    return {
        "pw_name": name,
        "pw_gecos": name,
        "pw_dir": "/root" if root else f"/home/{name}",
        "pw_shell": "/usr/bin/zsh",
        "pw_uid": 0 if root else 950,
        "pw_gid": 0 if root else 950,
        "grouplist": [544],
        "sid": None,
        "source": "LOCAL",
        "local": True,
        "attributes": {},
        "two_factor_config": {"secret_configured": False},
        "privilege": {"roles": {"$set": ["FULL_ADMIN"]}, "webui_access": True},
        "account_attributes": ["LOCAL", "SYS_ADMIN"],
    }


@serves("api_key.query")
def query_keys(call: Call) -> object:
    """Keys, without their secrets."""
    return call.selected([_key_entry(call, row) for row in call.documents.rows(KEYS).values()])


def _find(call: Call) -> Row:
    row = call.documents.rows(KEYS).get(call.args["id"])
    if row is None:
        raise no_such("API key", call.args["id"])
    return row


@serves("api_key.get_instance")
def get_key(call: Call) -> object:
    """One of them."""
    return _key_entry(call, _find(call))


def _new_secret(call: Call, identity: object) -> str:
    """Drawn by the array's seed, as all chance of the twin."""
    return fingerprint(f"{call.api.seed} {call.api.name} {identity} {call.now_s}")[:SECRET_LENGTH]


@serves("api_key.create")
def create_key(call: Call) -> object:
    """A new key, shown this once."""
    user = call.data.get("username", call.version.administrator)
    if user not in call.documents.passwords:
        raise Invalid([("api_key_create.username", f"{user}: user does not exist", errno.ENOENT)])
    identity = call.documents.next_id(KEYS)
    secret = _new_secret(call, identity)
    row = _row(identity, call.data["name"], user, secret, call.now_s)
    call.documents.rows(KEYS)[identity] = {**row, "expires_at": call.data.get("expires_at")}
    entry = _key_entry(call, call.documents.rows(KEYS)[identity])
    return {**entry, "key": f"{identity}-{secret}"}


@serves("api_key.update")
def update_key(call: Call) -> object:
    """Another name, or another secret."""
    row, data = dict(_find(call)), dict(call.data)
    reset = data.pop("reset", False)
    secret = _new_secret(call, row["id"])
    if reset:
        row |= {"keyhash": fingerprint(secret), "revoked": False}
    call.documents.rows(KEYS)[row["id"]] = {**row, **data}
    entry = _key_entry(call, call.documents.rows(KEYS)[row["id"]])
    return {**entry, "key": f"{row['id']}-{secret}"} if reset else entry


@serves("api_key.delete")
def delete_key(call: Call) -> object:
    """No longer a key."""
    del call.documents.rows(KEYS)[_find(call)["id"]]
    return True
