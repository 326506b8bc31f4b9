"""REST 2.0: the way to FreeNAS 11.3 up to TrueNAS 24.10. Names of methods become routes, by rule.

None of the methods that we call is a job there. Source: reference of the TrueNAS API, REST 2.0
routes by rule, error bodies. Leaves out filters: lists are asked for as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from time import monotonic
from typing import Any
from urllib.parse import quote

import httpx

from controller.step import Json
from controller.truenas.login import Login, untrusted
from controller.truenas.transport import no_answer, number_of, refused
from lab.errors import DeviceError

BASE = "/api/v2.0"
OF_AN_ITEM = frozenset({"pool.dataset.attachments"})
ASKING = frozenset({"system.version", "iscsi.global.sessions", "core.ping"})
NAMED = {"service.start": ("service",), "service.stop": ("service",)}
BROKEN = frozenset({502, 503, 504})  # the web server is there, the middleware behind it is not
TOO_MANY = 429

Route = tuple[str, str, Json]
"""Verb, path below the base, body or None."""


class Rest2:
    """One array at `address` (`host:port`)."""

    def __init__(self, device: str, address: str, client: httpx.Client, login: Login) -> None:
        self.device = device
        self._address = address
        self._client = client
        self._login = login

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        """The result. Raises DeviceError."""
        verb, path, body = route(method, params)
        request = self._client.build_request(
            verb,
            f"https://{self._address}{BASE}{path}",
            params={"limit": 0} if verb == "GET" and method.endswith(".query") else None,
            json=body,
            timeout=httpx.Timeout(timeout_s, connect=min(5.0, timeout_s)),
        )
        answer = sent(self.device, self._client, request, method, self._login)
        if answer.status_code >= 400:
            raise _error(self.device, method, answer)
        return read(self.device, method, answer) if answer.content else None

    def close(self) -> None:
        """End the connections."""
        self._client.close()


class _Key(httpx.Auth):
    """Says who sends a request by an API key."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._secret}"
        yield request


def authorization(login: Login) -> httpx.Auth:
    """How a request says who sends it."""
    secret = login.secret().get_secret_value()
    return _Key(secret) if login.by_key else httpx.BasicAuth(login.user or "root", secret)


def sent(
    device: str, client: httpx.Client, request: httpx.Request, what: str, login: Login | None
) -> httpx.Response:
    """The response to a request. Raises DeviceError if there is none, or the login is refused."""
    try:
        answer = _received(client, request, authorization(login) if login is not None else None)
    except httpx.HTTPError as error:
        distrust = untrusted(device, request.url.netloc.decode(), error)
        why = str(error) or type(error).__name__
        raise distrust or no_answer(device, what, why) from error
    if answer.status_code in BROKEN:
        raise no_answer(device, what, f"HTTP {answer.status_code}")
    if answer.status_code == TOO_MANY:
        raise DeviceError(
            device, f"{what}: too many requests at once", retryable=True, status=TOO_MANY
        )
    if answer.status_code in (401, 403):
        told = f"{what}: login refused; check api_key, user and password in the settings"
        raise DeviceError(device, told, status=answer.status_code)
    return answer


def _received(
    client: httpx.Client, request: httpx.Request, auth: httpx.Auth | None
) -> httpx.Response:
    """The whole response; httpx alone would wait anew for every piece of it."""
    within_s = request.extensions["timeout"]["read"]
    deadline_s = monotonic() + within_s
    pieces: list[bytes] = []
    with closing(client.send(request, auth=auth, stream=True)) as answer:
        for piece in answer.iter_bytes():
            pieces.append(piece)
            if monotonic() > deadline_s:
                raise httpx.ReadTimeout(f"not all of it within {within_s:.0f} s", request=request)
    return httpx.Response(answer.status_code, content=b"".join(pieces), request=request)


def read(device: str, what: str, answer: httpx.Response) -> Any:
    """The value in a response. Raises DeviceError: a page of the web server is no answer."""
    try:
        return answer.json()
    except ValueError as error:
        raise no_answer(device, what, f"what came is not JSON: {answer.text[:80]!r}") from error


def route(method: str, params: Sequence[Json]) -> Route:
    """Where a method is. Raises KeyError for one whose route is not known here."""
    namespace, _, verb = method.rpartition(".")
    base = "/" + namespace.replace(".", "/")
    if verb in ("query", "config"):
        return "GET", base, None
    if verb == "create":
        return "POST", base, params[0]
    if verb == "update":
        return ("PUT", base, params[0]) if len(params) == 1 else (
            "PUT", f"{base}/id/{_segment(params[0])}", params[1],
        )  # fmt: skip
    if verb == "delete":
        return "DELETE", f"{base}/id/{_segment(params[0])}", params[1] if params[1:] else None
    if method in OF_AN_ITEM:
        return "POST", f"{base}/id/{_segment(params[0])}/{verb}", None
    if method in ASKING:
        return "GET", f"{base}/{verb}", None
    return "POST", f"{base}/{verb}", dict(zip(NAMED[method], params, strict=True))


def _segment(identity: Json) -> str:
    return quote(str(identity), safe="")


def _error(device: str, method: str, answer: httpx.Response) -> DeviceError:
    """From the bodies of refusals: one message, or lists of them by attribute."""
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    number, why = answer.status_code, str(body)
    if isinstance(body, Mapping) and "message" in body:
        number, why = number_of(body.get("errno"), number), str(body["message"])
    elif isinstance(body, Mapping):
        each = [
            f"{attribute}: {problem.get('message')}"
            for attribute, problems in body.items()
            if isinstance(problems, list)
            for problem in problems
            if isinstance(problem, Mapping)
        ]
        why = "; ".join(each) or why
    return refused(device, method, number, why[:1000])
