"""Second factors of users: which there are, adding, changing and removing them.

Source: PVE::API2::TFA, PVE::API2::User; pve-rs and proxmox-tfa (Rust) for refusals. Leaves out:
WebAuthn, U2F and Yubico keys, which need a device or an outside server (see `factors`).
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.factors import (
    RECOVERY_KEYS,
    Factors,
    Recovery,
    TotpEntry,
    read_totp,
    recovery_hash,
)
from simulator.pve.routes import Routes
from simulator.pve.tickets import password_hash
from simulator.pve.wire import bad_parameters, denied, died
from simulator.pve_datacenter.access import (
    find_user,
    may_read_user,
    need_users_groups,
    realm_of,
    realm_type,
    self_or_modify,
)

routes = Routes()
_USER = "userid pve-userid ..64\n"
_PASSWORD = "password? string 5..64\n"  # noqa: S105 - a parameter's line
_LOCK = "priv_tfa_cfg"
AT = "/access/tfa/{userid}"


def _may_read(call: Call) -> None:
    """The user in question, or somebody who may look at users."""
    if call.user.partition("!")[0] != call.text("userid"):
        may_read_user(call)


def _entries(known: Factors) -> list[dict[str, object]]:
    """Factors as they are shown: those that are on without saying so."""
    rows: list[dict[str, object]] = []
    if known.recovery is not None:
        created_s = known.recovery.created_s
        rows.append({"id": "recovery", "type": "recovery", "description": "", "created": created_s})
    for entry in known.totp:
        row = {"id": entry.id, "type": "totp", "description": entry.description}
        rows.append({**row, "created": entry.created_s} | ({} if entry.enabled else {"enable": 0}))
    return rows


@routes.add("GET /access/tfa")
def factors(call: Call) -> object:
    """Of all users that have some and that the caller may see."""
    asking, rows = call.user.partition("!")[0], []
    for user, known in sorted(call.documents.factors.items()):
        groups = propertystring.items(str(call.documents.users.get(user, {}).get("groups") or ""))
        paths = ["/access/groups", *(f"/access/groups/{group}" for group in groups)]
        if user == asking or any(call.may(path, "User.Modify", "Sys.Audit") for path in paths):
            rows.append({"userid": user, "entries": _entries(known), **known.locks})
    return rows


def _of(call: Call) -> Factors:
    return call.documents.factors.get(call.text("userid"), Factors())


@routes.add(f"GET {AT}", _may_read, _USER)
def factors_of_user(call: Call) -> object:
    """Of one user."""
    find_user(call, call.text("userid"))
    return _entries(_of(call))


@routes.add(f"GET {AT}/{{id}}", _may_read, _USER + "id string\n")
def factor(call: Call) -> object:
    """One of them."""
    for row in _entries(_of(call)):
        if row["id"] == call.text("id"):
            return row
    raise died(f"No such tfa entry '{call.text('id')}'")


@routes.add("GET /access/users/{userid}/tfa", _may_read, _USER + "multiple? boolean\n")
def user_factors(call: Call) -> object:
    """Types of a user's factors, and the one that the realm asks for."""
    user = call.text("userid")
    find_user(call, user)
    realm = realm_of(user)
    if not realm_type(call, realm):
        raise died(f"auth domain '{realm}' does not exist")
    asked = str(call.documents.domains.get(realm, {}).get("tfa") or "")
    kind = propertystring.split(asked, "type").get("type") if asked else None
    types = ["totp"] if _of(call).totp else []
    return ({"realm": kind} if kind else {}) | ({"types": types} if call.flag("multiple") else {})


@routes.add("PUT /access/users/{userid}/unlock-tfa", need_users_groups, _USER)
def unlock(call: Call) -> object:
    """Let a user's factors be taken again. Whether they were not."""
    find_user(call, call.text("userid"))
    known = _of(call)
    if not known.empty:
        _keep(call, known.unlocked())
    return int(bool(known.locks))


def _need_confirmed(call: Call) -> None:
    """Raise unless root@pam asks, or somebody who gives his own password and not for root@pam."""
    user = call.text("userid")
    find_user(call, user)
    if call.user == "root@pam":
        return
    if user == "root@pam":
        raise denied()
    if not call.has("password"):
        raise bad_parameters(password="password is required to modify TFA data")  # noqa: S106
    if call.documents.passwords.get(call.user) != password_hash(call.text("password")):
        raise died("invalid credentials")


def _keep(call: Call, known: Factors) -> None:
    """Write a user's factors; an `x` in user.cfg says that there are some."""
    user, documents = call.text("userid"), call.documents
    with call.locked(_LOCK):
        entry = {key: value for key, value in documents.users[user].items() if key != "keys"}
        if known.empty:
            documents.factors.pop(user, None)
        else:
            documents.factors[user] = known
            entry["keys"] = "x"
        documents.users[user] = entry


@routes.add(
    f"POST {AT}",
    self_or_modify,
    _USER
    + _PASSWORD
    + """
    challenge?    string
    description?  string ..255
    totp?         string
    type          enum(totp,u2f,webauthn,recovery,yubico)
    value?        string
    """,
    ticket_only=True,
)
def add(call: Call) -> object:
    """A new factor, of which a first code must be right; recovery keys are told only here."""
    _need_confirmed(call)
    kind = call.text("type")
    if kind == "totp":
        return _add_totp(call)
    if kind == "recovery":
        return _add_recovery(call)
    if kind == "yubico":
        realm = realm_of(call.text("userid"))
        raise died(f"no yubico otp configuration available for realm {realm}")
    raise died(f"no {kind} configuration available")


def _add_totp(call: Call) -> object:
    if not call.has("description"):
        raise died("'description' is required for new entries")
    if call.has("challenge"):
        raise died("'challenge' parameter is invalid for 'totp' entries")
    if not (call.has("totp") and call.has("value")):
        raise died("'totp' type requires both 'totp' and 'value' parameters")
    try:
        totp = read_totp(call.text("totp"))
    except ValueError as error:
        raise died(str(error)) from error
    if totp.step_of(call.text("value"), call.now_s) is None:
        raise died("failed to verify TOTP challenge")
    name = str(uuid.UUID(int=call.chance.getrandbits(128), version=4))
    entry = TotpEntry(name, call.text("description"), call.now_s, totp)
    known = _of(call)
    _keep(call, replace(known, totp=(*known.totp, entry)))
    return {"id": name}


def _add_recovery(call: Call) -> object:
    if any(map(call.has, ("totp", "value", "challenge"))):
        raise died("generating recovery tokens does not allow additional parameters")
    if (known := _of(call)).recovery is not None:
        raise died("user already has recovery keys")
    chance = call.chance
    keys = [
        "-".join(f"{chance.getrandbits(16):04x}" for _ in range(4)) for _ in range(RECOVERY_KEYS)
    ]
    kept = Recovery(call.now_s, tuple(map(recovery_hash, keys)))
    _keep(call, replace(known, recovery=kept))
    return {"id": "recovery", "recovery": keys}


@routes.add(
    f"PUT {AT}/{{id}}",
    self_or_modify,
    _USER + _PASSWORD + "description? string ..255\nenable? boolean\nid string\n",
    ticket_only=True,
)
def update(call: Call) -> object:
    """Describe a factor anew, or turn it off and on."""
    _need_confirmed(call)
    known, name = _of(call), call.text("id")
    if name not in [entry.id for entry in known.totp]:
        raise died("no such entry")
    totp = tuple(
        entry
        if entry.id != name
        else replace(
            entry,
            description=call.text("description", entry.description),
            enabled=call.flag("enable", entry.enabled),
        )
        for entry in known.totp
    )
    _keep(call, replace(known, totp=totp))
    return None


@routes.add(
    f"DELETE {AT}/{{id}}", self_or_modify, _USER + _PASSWORD + "id string\n", ticket_only=True
)
def delete(call: Call) -> object:
    """Remove a factor, or all recovery keys."""
    _need_confirmed(call)
    known, name = _of(call), call.text("id")
    left = replace(
        known,
        totp=tuple(entry for entry in known.totp if entry.id != name),
        recovery=None if name == "recovery" else known.recovery,
    )
    if left == known:
        raise died("no such entry")
    _keep(call, left)
    return None
