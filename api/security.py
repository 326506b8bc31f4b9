"""Who may do what over HTTP, and what every answer says to a browser.

Reading is free for who reaches the address, changing needs the token. On loopback only names of
this machine are taken as `Host`, so that a page from elsewhere can't read through a name that it
points here (DNS rebinding). Sources: RFC 6750 (bearer tokens), Content Security Policy Level 3.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answers import Complaint
from api.view import View

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

_bearer = HTTPBearer(auto_error=False, description="The token of `api.token` in the settings.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def needs_token(request: Request, given: Bearer) -> None:
    """For what changes something."""
    view: View = request.app.state.view
    if view.token is None:
        raise HTTPException(403, "no token is set: write api.token in the settings")
    wanted = view.token.get_secret_value().encode()
    if given is None or not compare_digest(given.credentials.encode(), wanted):
        wrong = "the token is wrong" if given else "this needs the token"
        raise HTTPException(401, wrong, {"www-authenticate": "Bearer"})


def needs_token_from_afar(request: Request, given: Bearer) -> None:
    """For what changes nothing and costs something: free where only this machine can ask."""
    if not request.app.state.view.local:
        needs_token(request, given)


class Guarded:
    """The outermost layer: strange hosts are turned away, every answer gets the headers."""

    def __init__(self, app: ASGIApp, view: View) -> None:
        self._app = app
        self._hosts = LOCAL_HOSTS | {view.listen} if view.local else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        host = _name(Headers(scope=scope).get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            answer = Complaint(
                title="Misdirected Request", status=421, detail=f"{host!r} is not served here"
            )
            kind = "application/problem+json"
            refusal = JSONResponse(answer.model_dump(), 421, media_type=kind)
            await refusal(scope, receive, marked)
            return
        await self._app(scope, receive, marked)


def _name(host: str) -> str:
    """A `Host` without its port, in lower case: `[::1]:8420` -> `[::1]`."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
