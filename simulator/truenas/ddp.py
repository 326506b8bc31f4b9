"""The older framing over a websocket, which every release from 11 to 26 speaks at /websocket.

Modelled by the vendor on Meteor's DDP: connect, method, sub. Source: reference of the TrueNAS API,
old websocket framing.
"""

from __future__ import annotations

import errno
import json
from typing import Any

from simulator.served.face import Close
from simulator.truenas.api import TrueNasApi
from simulator.truenas.call import Session
from simulator.truenas.documents import Job
from simulator.truenas.errors import ENOTAUTHENTICATED, CallError, Invalid
from simulator.truenas.jsonrpc import Events
from simulator.truenas.pools import guid
from simulator.twin import Twin

OPEN_EVENTS = frozenset({"core.get_jobs"})


class Ddp:
    """One connection."""

    def __init__(self, api: TrueNasApi, *, secure: bool) -> None:
        self.api = api
        self.session = Session(secure=secure)
        self._events = Events(api, self.session)
        self._connected = False

    def receive(self, twin: Twin, text: str) -> list[str | Close]:
        """Take a message."""
        try:
            message = json.loads(text)
        except ValueError:
            return [Close(1003, "not JSON")]
        if not isinstance(message, dict):
            return [Close(1003, "not an object")]
        answer = self._answer(twin, message)
        return [*self.deliver(twin), *(json.dumps(part) for part in answer)]

    def _answer(self, twin: Twin, message: dict[str, Any]) -> list[dict[str, object]]:
        kind, identity = message.get("msg"), message.get("id")
        if kind == "connect":
            if message.get("version") != "1":
                return [{"msg": "failed", "version": "1"}]
            self._connected = True
            return [{"msg": "connected", "session": guid(self.api.name, twin.now_s)}]
        if kind == "ping":
            return [{"msg": "pong", **({} if identity is None else {"id": identity})}]
        if not self._connected:
            return [{"msg": "failed", "version": "1"}]
        match kind:
            case "method":
                return [{"msg": "result", "id": identity, **self._call(twin, message)}]
            case "sub":
                return [self._subscribe(identity, message.get("name"))]
            case "unsub":
                self.session.subscriptions.pop(str(identity), None)
                return []
            case _:
                return [{"msg": "error", "reason": f"unknown message {kind}"}]

    def _call(self, twin: Twin, message: dict[str, Any]) -> dict[str, object]:
        name, params = message.get("method"), message.get("params") or []
        if not isinstance(name, str) or not isinstance(params, list):
            return _error(errno.EINVAL, "method is a string and params a list")
        try:
            result = self.api.call(twin, self.session, name, params, message.get("id"))
        except Invalid as error:
            extra = [list(problem) for problem in error.problems]
            return _error(errno.EINVAL, str(error), "VALIDATION", extra)
        except CallError as error:
            return _error(error.number, str(error), None, error.extra)
        return {"result": result.id if isinstance(result, Job) else result}

    def _subscribe(self, identity: object, name: object) -> dict[str, object]:
        if not self.session.user and name not in OPEN_EVENTS:
            return {
                "msg": "nosub",
                "id": identity,
                **_error(ENOTAUTHENTICATED, "Not authenticated"),
            }
        self.session.subscriptions[str(identity)] = str(name)
        return {"msg": "ready", "subs": [identity]}

    def deliver(self, twin: Twin) -> list[str | Close]:
        """Events."""
        del twin
        return [
            json.dumps(
                {
                    "msg": event.message,
                    "collection": event.collection,
                    "id": event.id,
                    "fields": dict(event.fields),
                }
            )
            for event in self._events.new()
        ]


def _error(
    number: int, reason: str, kind: str | None = None, extra: object = None
) -> dict[str, object]:
    error = {"error": number, "type": kind, "reason": reason, "trace": None, "extra": extra}
    return {"error": error}
