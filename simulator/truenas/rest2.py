"""REST 2.0: paths made from method names by rule, FreeNAS 11.3 to TrueNAS 25.10.

The same methods as over the websocket. Leaves out: openapi.json, tokens, downloads, the daily alert
about its use on 25.10. Source: reference of the TrueNAS API, REST 2.0 routes.
"""

from __future__ import annotations

import errno
import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from simulator.served.face import HttpRequest, HttpResponse
from simulator.truenas.api import TrueNasApi
from simulator.truenas.auth import by_key
from simulator.truenas.call import Call, Session
from simulator.truenas.catalogue import METHODS, Method
from simulator.truenas.documents import Job
from simulator.truenas.errors import CallError, Invalid
from simulator.truenas.version import Version
from simulator.twin import Twin

BASE = "/api/v2.0"
EXTRA = "extra."  # begins a member of the options' `extra`: extra.pools=true
# Only of the websocket: they are about a connection, or a login that every request brings itself.
_NO_ROUTES = frozenset({
    "core.set_options", "core.subscribe", "core.unsubscribe", "auth.login_ex",
    "auth.login_with_token",
})  # fmt: skip
_VERBS = ("DELETE", "GET", "POST", "PUT")
_OPERATORS = {
    "eq": "=", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in",
    "nin": "nin", "regex": "~", "contains": "rin",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Route:
    """`{id}` in a path is one segment, percent-encoded."""

    verb: str
    path: str
    method: Method

    @property
    def of_item(self) -> bool:
        """Whether the first parameter is in the path."""
        return "{id}" in self.path


def route_of(method: Method) -> Route:
    """Where a method is, by the kind of method."""
    base = "/" + method.namespace.replace(".", "/")
    first = method.params[0].name if method.params else ""
    match method.verb:
        case "query" | "config":
            return Route("GET", base, method)
        case "get_instance":
            return Route("GET", f"{base}/id/{{id}}", method)
        case "create":
            return Route("POST", base, method)
        case "update":
            of_item = first in ("id", "id_or_name")
            return Route("PUT", f"{base}/id/{{id}}" if of_item else base, method)
        case "delete":
            return Route("DELETE", f"{base}/id/{{id}}", method)
    if method.item:
        return Route("POST", f"{base}/id/{{id}}/{method.verb}", method)
    verb = "GET" if method.query or not method.params else "POST"
    return Route(verb, f"{base}/{method.verb}", method)


@lru_cache
def routes(version: Version) -> dict[tuple[str, tuple[str, ...]], Route]:
    """All routes of a release, by verb and segments."""
    found = [
        route_of(method)
        for name, method in METHODS.items()
        if version.has(method.span) and name not in _NO_ROUTES
    ]
    return {(route.verb, tuple(route.path.strip("/").split("/"))): route for route in found}


class _Bad(Exception):
    """A request that is none: 400."""


def answer(api: TrueNasApi, twin: Twin, request: HttpRequest) -> HttpResponse:
    """Answer below /api/v2.0."""
    segments = request.path.removeprefix(BASE).strip("/").split("/")
    found = _find(api.version, request.method, segments)
    if found is None:
        verbs = [verb for verb in _VERBS if _find(api.version, verb, segments)]
        if verbs:
            return HttpResponse(405, "Method Not Allowed", {"Allow": ",".join(verbs)})
        return _json(404, {"message": "Not Found"})
    route, identity = found
    session = Session(secure=request.secure)
    if not route.method.open and not _log_in(api, twin, session, request.headers):
        return _json(401, {"message": "Unauthorized"})
    try:
        params = _parameters(route, identity, request)
        result = api.call(twin, session, route.method.name, params)
    except _Bad as error:
        return _json(400, {"message": str(error)})
    except Invalid as error:
        return _json(422, _problems(error))
    except CallError as error:
        status = 404 if error.number == errno.ENOENT and route.of_item else 422
        if error.number == errno.EINVAL and error.text.startswith("Too many arguments"):
            status = 400
        return _json(status, {"message": error.text, "errno": error.number})
    return _json(200, result.id if isinstance(result, Job) else result)


def _problems(error: Invalid) -> Mapping[str, object]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for attribute, text, number in error.problems:
        found.setdefault(attribute, []).append({"message": text, "errno": number})
    return found


def _json(status: int, value: object) -> HttpResponse:
    headers = {"Content-Type": "application/json"}
    return HttpResponse(status, "", headers, json.dumps(value).encode())


def _find(version: Version, verb: str, segments: list[str]) -> tuple[Route, str | None] | None:
    known = routes(version)
    if (route := known.get((verb, tuple(segments)))) is not None and not route.of_item:
        return route, None
    if "id" in segments[:-1]:
        place = segments.index("id") + 1
        identity = unquote(segments[place])
        pattern = (*segments[:place], "{id}", *segments[place + 1 :])
        if (route := known.get((verb, pattern))) is not None:
            return route, identity
    return None


def _log_in(api: TrueNasApi, twin: Twin, session: Session, headers: Mapping[str, str]) -> bool:
    kind, _, text = headers.get("authorization", "").partition(" ")
    match kind.lower():
        case "basic":
            try:
                user, _, password = b64decode(text, validate=True).decode().partition(":")
            except ValueError:
                return False
            return bool(api.call(twin, session, "auth.login", [user, password]))
        case "bearer" if api.version.has("12.0.."):
            call = Call(api, twin, session, METHODS["auth.login_with_api_key"])
            return by_key(call, text) == "SUCCESS"
    return False


def _parameters(route: Route, identity: str | None, request: HttpRequest) -> list[object]:
    """Positional parameters from path, query string and body. Raises _Bad."""
    method = route.method
    if method.query:
        return [*_filters(request.query)]
    given: list[object] = []
    left = list(method.params)
    if identity is not None:
        kind = left.pop(0).kind
        given.append(int(identity) if "int" in kind and identity.isdecimal() else identity)
    if method.verb == "get_instance":
        return given
    if not request.body:
        return given
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise _Bad(f"Failed to decode JSON: {error}") from error
    return [*given, *_from_body(left, body)]


def _from_body(left: list[Any], body: object) -> list[object]:
    """One parameter is the body itself; several are members of an object."""
    if len(left) == 1:
        return [body]
    if not isinstance(body, dict):
        if left and left[0].kind == "bool" and isinstance(body, bool):
            return [body]  # a bare `true` is the first of them: force
        raise _Bad("The body must be an object with the parameters' names")
    names = {name for param in left for name in (param.name, param.older)}
    if unknown := sorted(body.keys() - names):
        raise _Bad(f"Unexpected parameters: {', '.join(unknown)}")
    given: list[object] = []
    for number, param in enumerate(left):
        later = {name for other in left[number:] for name in (other.name, other.older)}
        if not later & body.keys():
            break
        name = param.name if param.name in body else param.older
        if name not in body and param.default is None:
            raise _Bad(f"{name} attribute expected")
        given.append(body[name] if name in body else json.loads(str(param.default)))
    return given


def _filters(query: str) -> tuple[list[object], dict[str, object]]:
    filters: list[object] = []
    extra: dict[str, object] = {}
    options: dict[str, object] = {"extra": extra}
    for name, text in parse_qsl(query, keep_blank_values=True):
        value = _value(text)
        match name:
            case "limit" | "offset":
                options[name] = value
            case "count":
                options[name] = bool(value)
            case "sort":
                options["order_by"] = text.split(",")
            case _ if name.startswith(EXTRA):
                extra[name.removeprefix(EXTRA)] = value
            case _:
                field, _, word = name.partition("__")
                operator = _OPERATORS.get(word or "eq")
                if operator is None:
                    field, operator = name, "="
                many = operator in ("in", "nin")
                filters.append(
                    [field, operator, [_value(part) for part in text.split(",")] if many else value]
                )
    return filters, options


def _value(text: str) -> object:
    words: dict[str, object] = {"true": True, "false": False, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    return int(text) if text.isdecimal() else text
