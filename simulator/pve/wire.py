"""A request and its answer as values, and the two ways an answer says no.

First and last stop of every call: `PveApi.handle` takes a `Request` and gives a `Response`; the
HTTPS server and the in-process adapter only carry them. Leaves out sockets, TLS and every kind of
encoding but JSON. Source: reference of the Proxmox VE API, transport; PVE::HTTPServer,
PVE::Exception.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from simulator.served.multipart import File

Given = str | int | float | bool | None | list[object] | dict[str, object]
"""A parameter as it arrived: text from a form or a query, or any JSON value."""

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `node` is the node whose address was asked; `path` follows `/api2/json`, URL-
    encoded. `file`: what an upload brought.
    """

    node: str
    method: str
    path: str
    params: Mapping[str, Given] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `reason` is the HTTP reason phrase, where Proxmox VE puts its message."""

    status: int
    reason: str
    members: Mapping[str, object] | None = None  # of the JSON body; None: no body at all

    @property
    def body(self) -> bytes:
        """The JSON text."""
        return b"" if self.members is None else json.dumps(self.members).encode()

    @property
    def extjs(self) -> Response:
        """The same below `/api2/extjs`: an answer with a body is 200, and says itself whether it is
        a success. Source: PVE::APIServer::Formatter::Standard.
        """
        if self.members is None:
            return self
        if self.status == 200:
            return replace(self, members={**self.members, "success": 1})
        return Response(200, "OK", {**self.members, "status": self.status, "success": 0})

    @property
    def headers(self) -> dict[str, str]:
        """As pve-http-server sends them."""
        common = {"Server": "pve-api-daemon/3.0", "Cache-Control": "max-age=0"}
        return {**common, "Content-Type": "application/json;charset=UTF-8"}


class ApiError(Exception):
    """An answer other than 200. `text` is what the handler died with, all lines of it."""

    def __init__(
        self, status: int, text: str, errors: Mapping[str, str] | None = None, *, body: bool = True
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.errors = errors
        self.body = body

    @property
    def spoken(self) -> str:
        """As Perl prints the exception, which is what an enclosing error quotes."""
        if self.errors is None:
            return self.text
        lines = "".join(f"{name}: {text}\n" for name, text in self.errors.items())
        return f"{self.status} {self.text}{lines}"

    @property
    def response(self) -> Response:
        """What goes over the wire: the first line is the reason phrase."""
        reason = self.text.split("\n", 1)[0].rstrip()
        if not self.body:
            return Response(self.status, reason)
        members: dict[str, object] = {"data": None}
        if self.errors is not None:
            members["errors"] = dict(self.errors)
        return Response(self.status, reason, {**members, "message": self.text})


def died(text: str) -> ApiError:
    """A handler's plain `die`."""
    return ApiError(500, f"{text}\n")


def denied(what: str = "") -> ApiError:
    """A permission that is missing; `what` names path and privileges."""
    return ApiError(
        403, f"Permission check failed ({what})\n" if what else "Permission check failed\n"
    )


def bad_parameters(**errors: str) -> ApiError:
    """Parameters that do not fit."""
    return wrong(errors)


def wrong(errors: Mapping[str, str]) -> ApiError:
    """The same, for names that are no identifiers."""
    return ApiError(400, "Parameter verification failed.\n", errors)


class TaskError(Exception):
    """A worker's `die`: the text becomes the task's exit status."""


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def decode(query: str, content_type: str, body: bytes) -> dict[str, Given]:
    """Parameters of a request: of its query, and of its body, which is a form or JSON.

    A key that comes twice makes a list. Raises ApiError for a body that is neither. Source of the
    status 506: PVE::APIServer::AnyEvent.
    """
    params: dict[str, Given] = {}
    pairs = parse_qsl(query, keep_blank_values=True)
    if body and content_type.startswith("application/json"):
        try:
            loaded = json.loads(body, parse_constant=_no_number)
            json.dumps(loaded, ensure_ascii=False).encode()  # half a surrogate pair is no text
        except (ValueError, RecursionError) as error:
            raise ApiError(400, f"unable to decode JSON body: {error}\n") from error
        if not isinstance(loaded, dict):
            raise ApiError(400, "JSON body is no object\n")
        params |= loaded
    elif body and content_type and not content_type.startswith(FORM):
        raise ApiError(506, f"upload 'Content-Type '{content_type}' not implemented\n", body=False)
    elif body:
        pairs += parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    for key, value in pairs:
        known = params.get(key)
        if isinstance(known, list):
            known.append(value)
        else:
            params[key] = value if key not in params else [known, value]
    return params
