"""Who asks: tickets with their CSRF token, those of one path, API tokens, and the login itself.

First stop of every call. A user with second factors first gets a ticket that is good for nothing
but the answer to its challenge. Source: PVE::AccessControl, PVE::HTTPServer auth_handler. Leaves
out: OpenID, and the three seconds by which Proxmox VE delays a refusal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Documents
from simulator.pve.factors import Factors
from simulator.pve.permissions import TOP_PATHS, Permissions
from simulator.pve.routes import Route, Routes
from simulator.pve.wire import ApiError, Request

if TYPE_CHECKING:
    from simulator.pve.api import PveApi

TICKET_LIFETIME_S = 7200  # PVE::AccessControl, ticket_lifetime
COOKIES = ("PVEAuthCookie", "__Host-PVEAuthCookie")
TOKEN = re.compile(r"(?:^|\s)PVEAPIToken(?:=| )([^;]+)")
"""In a header. Source: PVE::APIServer::Formatter extract_auth_value."""

routes = Routes()


def unauthorized(text: str, *, body: bool = False) -> ApiError:
    """Nobody we know."""
    return ApiError(401, text, body=body)


def _failed() -> ApiError:
    """A login of which nobody shall learn what was wrong."""
    return ApiError(401, "authentication failure\n")


def password_hash(password: str) -> str:
    """How a password is kept."""
    return hashlib.sha256(password.encode()).hexdigest()


def _sign(api: PveApi, text: str) -> str:
    key = hashlib.sha256(f"{api.seed} {api.name} authkey".encode()).digest()
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


def make_ticket(api: PveApi, user: str, now_s: int, only_for: str = "") -> str:
    """A login that lasts; `only_for`: who must be named together with it."""
    plain = f"PVE:{user}:{now_s:08X}"
    return f"{plain}::{_sign(api, plain + only_for)}"


def csrf_token(api: PveApi, user: str, now_s: int) -> str:
    """What has to come with every call that changes something."""
    return f"{now_s:08X}:{_sign(api, f'{now_s:08X}:{user} csrf').rstrip('=')}"


def ticket_user(api: PveApi, ticket: str, now_s: int, only_for: str = "") -> str | None:
    """Whose a ticket is; None if it is invalid or too old."""
    plain, _, signature = ticket.partition("::")
    kind, _, rest = plain.partition(":")
    user, _, stamp = rest.rpartition(":")
    if kind != "PVE" or not hmac.compare_digest(
        signature.encode(), _sign(api, plain + only_for).encode()
    ):
        return None
    age_s = now_s - int(stamp, 16)
    return user if -300 < age_s < api.ticket_lifetime_s else None


ONE_PATH_AGES_S = range(-19, 40)  # PVE::AccessControl verify_vnc_ticket, verify_tunnel_ticket


def path_ticket(api: PveApi, kind: str, user: str, path: str, now_s: int) -> str:
    """What opens a console (PVEVNC) or a tunnel (PVETUNNEL): good for one user or token, on one
    path.
    """
    plain = f"{kind}:{now_s:08X}"
    return f"{plain}::{_sign(api, f'{plain}:{user}:{path}')}"


def path_ticket_fits(api: PveApi, ticket: str, kind: str, user: str, path: str, now_s: int) -> bool:
    """Whether a ticket is one of that kind for that user and path, and not too old."""
    match = re.fullmatch(f"{kind}:([0-9A-F]{{8}})::.+", ticket)
    if match is None:
        return False
    made_s = int(match[1], 16)
    known = path_ticket(api, kind, user, path, made_s)
    fresh = now_s - made_s in ONE_PATH_AGES_S
    return fresh and hmac.compare_digest(ticket.encode(), known.encode())


def need_path_ticket(call: Call, ticket: str, kind: str, path: str) -> None:
    """Raise unless a ticket opens a path to the caller."""
    if not path_ticket_fits(call.api, ticket, kind, call.user, path, call.now_s):
        raise unauthorized(f"permission denied - invalid {kind} ticket\n", body=True)


def _usable(documents: Documents, user: str, now_s: int) -> bool:
    """Whether a user exists, is enabled and has not expired."""
    entry = documents.users.get(user)
    if entry is None:
        return False
    expire = int(str(entry.get("expire") or 0))
    return bool(entry.get("enable", 1)) and (expire == 0 or expire > now_s)


def _token_user(api: PveApi, text: str, now_s: int) -> str:
    name, _, secret = text.partition("=")
    token = api.documents.tokens.get(name)
    if token is None or not token.get("secret"):
        raise unauthorized("Authentication failed!")
    known = hmac.compare_digest(str(token["secret"]).encode(), secret.encode())
    expire = int(str(token.get("expire") or 0))
    expired = expire != 0 and expire <= now_s
    if not known or expired or not _usable(api.documents, name.partition("!")[0], now_s):
        raise unauthorized("Authentication failed!")
    return name


def _cookie(request: Request) -> str | None:
    cookie: SimpleCookie = SimpleCookie(request.headers.get("cookie", ""))
    return next((unquote(cookie[name].value) for name in COOKIES if name in cookie), None)


def authenticate(api: PveApi, request: Request, route: Route | None, now_s: int) -> str:
    """The user or token that asks; "" where no login is needed. Raises ApiError 401 or 403."""
    if given := TOKEN.search(request.headers.get("authorization", "")):
        user = _token_user(api, unquote(given[1]), now_s)
        if route is not None and route.ticket_only:
            path = unquote(request.path)
            why = f"URI '{path}' not available with API token, need proper ticket.\n"
            raise ApiError(403, f"Permission check failed ({why})\n")
        return user
    if route is not None and route.may == "world":
        return ""
    if (ticket := _cookie(request)) is None:
        raise unauthorized("No ticket")
    user_or_none = ticket_user(api, ticket, now_s)
    if user_or_none is None or not _usable(api.documents, user_or_none, now_s):
        raise unauthorized("permission denied - invalid PVE ticket")
    if request.method != "GET":
        _check_csrf(api, request.headers.get("csrfpreventiontoken", ""), user_or_none)
    return user_or_none


def _check_csrf(api: PveApi, token: str, user: str) -> None:
    stamp = token.partition(":")[0]
    known = len(stamp) == 8 and all(digit in "0123456789ABCDEF" for digit in stamp)
    if not known or not hmac.compare_digest(
        token.encode(), csrf_token(api, user, int(stamp, 16)).encode()
    ):
        raise unauthorized("Permission denied - invalid csrf token")


@routes.add("GET /access/ticket", "world")
def dummy(call: Call) -> object:
    """Does nothing; the login form of the web interface asks it."""
    return None


@routes.add(
    "POST /access/ticket",
    "world",
    """
    username        string ..64
    password        string
    new-format?     boolean
    otp?            string
    path?           string ..64 requires=privs
    privs?          pve-priv-list ..64 requires=path
    realm?          pve-realm ..32
    tfa-challenge?  string
    """,
    ticket_only=True,
)
def login(call: Call) -> object:
    """A ticket for a password, or for a ticket that is still valid; with a path and privileges no
    ticket, but whether the user has them, which a console's ticket will do for.
    """
    user = call.text("username")
    if "@" not in user:
        user = f"{user}@{call.text('realm', 'pam')}"
    if call.has("path"):
        password = call.text("password")
        valid = ticket_user(call.api, password, call.now_s) == user or _right(call, user, password)
        return _verified(call, user, password, valid=valid)
    if not _usable(call.documents, user, call.now_s):
        raise _failed()
    challenge = _challenge(call, user)
    call.user = user
    call.log(f"successful auth for user '{user}'")
    plain = user if challenge is None else f"!tfa!{quote(json.dumps(challenge), safe='')}"
    answer: dict[str, object] = {
        "username": user,
        "ticket": make_ticket(call.api, plain, call.now_s, "" if challenge is None else user),
        "CSRFPreventionToken": csrf_token(call.api, user, call.now_s),
    }
    answer |= {"cap": _capabilities(call)} if challenge is None else {"NeedTFA": 1}
    if call.world.quorate(call.node):
        answer["clustername"] = call.api.cluster_name
    return answer


def _verified(call: Call, user: str, ticket: str, *, valid: bool = False) -> dict[str, str]:
    """Whether a console's ticket, or what is valid otherwise, is of somebody who may. Raises."""
    path = f"/{call.text('path').strip('/')}"
    owner = user.partition("!")[0]
    known = _usable(call.documents, owner, call.now_s)
    held = Permissions(call.documents, user, call.api.release.roles)
    may = all(held.any(path, [privilege]) for privilege in call.words("privs"))
    fits = valid or path_ticket_fits(call.api, ticket, "PVEVNC", user, path, call.now_s)
    if not (known and fits and may):
        raise _failed()
    return {"username": user}


@routes.add(
    "POST /access/vncticket",
    "world",
    """
    authid     string ..64
    path       string ..64
    port?      integer
    privs      pve-priv-list ..64
    vncticket  string
    """,
)
def verify_vnc_ticket(call: Call) -> object:
    """Whether somebody, also a token, may open a console. That it is for this port is not looked
    at.
    """
    _verified(call, call.text("authid"), call.text("vncticket"))
    return None


def _right(call: Call, user: str, password: str) -> bool:
    return password_hash(password) == call.documents.passwords.get(user)


def _challenge(call: Call, user: str) -> dict[str, object] | None:
    """What has to be answered yet; None if nothing has. Raises for what is wrong.

    Source: PVE::AccessControl authenticate_user, authenticate_2nd_new.
    """
    password = call.text("password")
    if call.has("tfa-challenge"):
        if ticket_user(call.api, call.text("tfa-challenge"), call.now_s, user) is None:
            raise _failed()
        _take(call, user, password)
        return None
    if ticket_user(call.api, password, call.now_s) == user:
        return None
    if not _right(call, user, password):
        raise _failed()
    realm = call.documents.domains.get(user.rpartition("@")[2], {})
    asked = propertystring.split(str(realm.get("tfa") or ""), "type").get("type")
    factors = call.documents.factors.get(user, Factors())
    if asked == "yubico":
        return {"yubico": True, **{k: v for k, v in factors.challenge().items() if k == "recovery"}}
    if factors.empty:
        if asked:
            raise _failed()
        return None
    if not call.has("otp"):
        return factors.challenge()
    _take(call, user, call.text("otp"))
    return None


def _take(call: Call, user: str, response: str) -> None:
    """Keep how a challenge was answered. Raises if it was answered wrongly."""
    factors, right = call.documents.factors.get(user, Factors()).answered(response, call.now_s)
    if not factors.empty:
        call.documents.factors[user] = factors
    if not right:
        raise _failed()


CAPABILITIES = {
    "/access": "access",
    "/nodes": "nodes",
    "/storage": "storage",
    "/vms": "vms",
    "/sdn": "sdn",
    "/mapping": "mapping",
    "/": "dc",
}


def _capabilities(call: Call) -> dict[str, dict[str, int]]:
    """What the web interface shows: privileges by area. Source: PVE::RPCEnvironment."""
    found: dict[str, dict[str, int]] = {area: {} for area in CAPABILITIES.values()}
    for path in (*TOP_PATHS, "/mapping"):
        if (area := CAPABILITIES.get(path)) and call.api.release.has_rights_on(path):
            found[area] |= dict.fromkeys(call.permissions.on(path), 1)
    return found
