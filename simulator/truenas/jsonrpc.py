"""JSON-RPC 2.0 over a websocket, as 25.04 and later speak it: one connection's framing.

Text in, texts out; what is called is `TrueNasApi.call`. Leaves out: uploads, older versions of the
API on a newer array, the limit of calls without login. Source: JSON-RPC 2.0; reference of the
TrueNAS API, JSON-RPC framing.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from typing import Any

from simulator.served.face import Close
from simulator.truenas.api import TrueNasApi
from simulator.truenas.call import Session
from simulator.truenas.documents import Event, Job
from simulator.truenas.errors import ENOMETHOD, CallError, Invalid, name_of
from simulator.twin import Twin

LIMIT_BYTES = 64 * 1024
LIMIT_BEFORE_LOGIN_BYTES = 8 * 1024
HELD_CALLS = 20
NOT_JSON, NOT_A_REQUEST, NO_METHOD, INVALID = -32700, -32600, -32601, -32602
TOO_MANY, REFUSED = -32000, -32001
_WORDS = {
    NOT_JSON: "Parse error",
    NOT_A_REQUEST: "Invalid request",
    NO_METHOD: "Method does not exist",
    INVALID: "Invalid params",
    TOO_MANY: "Too many concurrent calls",
    REFUSED: "Method call error",
}


class Events:
    """What a connection's subscriptions have not been told yet."""

    def __init__(self, api: TrueNasApi, session: Session) -> None:
        self.api = api
        self.session = session
        self._told = self._last()

    def _last(self) -> int:
        events = self.api.documents.events
        return events[-1].serial if events else 0

    def new(self) -> list[Event]:
        """Those since the last time; none before login."""
        told, self._told = self._told, self._last()
        if not self.session.user or told == self._told:
            return []
        wanted = set(self.session.subscriptions.values())
        known = self.api.documents.events
        return [event for event in known if event.serial > told and event.collection in wanted]


class JsonRpc:
    """One connection."""

    def __init__(self, api: TrueNasApi, *, secure: bool) -> None:
        self.api = api
        self.session = Session(secure=secure)
        self._events = Events(api, self.session)
        self._waiting: dict[int, object] = {}  # job -> id of the request that waits for its end

    def receive(self, twin: Twin, text: str) -> list[str | Close]:
        """Take a message."""
        before = not self.session.user
        if len(text.encode()) > (LIMIT_BEFORE_LOGIN_BYTES if before else LIMIT_BYTES):
            return [Close(1007 if before else 1009, "Max message length exceeded")]
        try:
            message = json.loads(text)
        except ValueError:
            return [_error(None, NOT_JSON)]
        if problem := _malformed(message):
            identity = message.get("id") if isinstance(message, dict) else None
            identity = identity if isinstance(identity, str | int) else None
            return [_error(identity, NOT_A_REQUEST, data=_fault(errno.EINVAL, problem))]
        answer = self._call(twin, message)
        events = self.deliver(twin)
        return [*events, *answer] if "id" in message else events

    def _call(self, twin: Twin, message: Mapping[str, Any]) -> list[str | Close]:
        identity, name = message.get("id"), message["method"]
        if len(self._waiting) >= HELD_CALLS:
            return [_error(identity, TOO_MANY)]
        try:
            result = self.api.call(twin, self.session, name, message.get("params", []), identity)
        except Invalid as error:
            extra = [list(problem) for problem in error.problems]
            return [_error(identity, INVALID, data=_fault(errno.EINVAL, str(error), extra))]
        except CallError as error:
            if error.number == ENOMETHOD:
                return [_error(identity, NO_METHOD)]
            return [_error(identity, REFUSED, data=_fault(error.number, str(error), error.extra))]
        if not isinstance(result, Job):
            return [_result(identity, result)]
        if self.session.legacy_jobs:
            return [_result(identity, result.id)]
        self._waiting[result.id] = identity
        return []

    def deliver(self, twin: Twin) -> list[str | Close]:
        """Events, and the results of jobs that have ended."""
        del twin
        sent: list[str | Close] = [_notification(event) for event in self._events.new()]
        for number, identity in list(self._waiting.items()):
            job = self.api.documents.jobs.get(number)
            if job is None or job.state != "RUNNING":
                del self._waiting[number]
                sent.append(_ended(identity, job))
        return sent


def _malformed(message: object) -> str:
    """What is wrong with a message; "" if it is a request."""
    if not isinstance(message, dict):
        return "a request is an object; there are no batches"
    if message.get("jsonrpc") != "2.0":
        return "'jsonrpc' member must be '2.0'"
    if not isinstance(message.get("id"), str | int | None) or isinstance(message.get("id"), bool):
        return "'id' member must be of type string, number, or null"
    if not isinstance(message.get("method"), str):
        return "'method' member must be of type string"
    if not isinstance(message.get("params", []), list):
        return "'params' member must be of type list"
    return ""


def _fault(number: int, reason: str, extra: object = None) -> dict[str, object]:
    known = {"error": number, "errname": name_of(number), "reason": reason}
    return {**known, "trace": None, "extra": extra}


def _result(identity: object, value: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": identity, "result": value})


def _error(identity: object, code: int, data: object = None) -> str:
    error: dict[str, object] = {"code": code, "message": _WORDS[code]}
    if data is not None:
        error["data"] = data
    return json.dumps({"jsonrpc": "2.0", "id": identity, "error": error})


def _ended(identity: object, job: Job | None) -> str:
    """The late answer to a call that started a job."""
    if job is None:
        return _error(identity, REFUSED, _fault(errno.EFAULT, "[EFAULT] The job is not known"))
    if job.state == "SUCCESS":
        return _result(identity, job.result)
    info = job.exc_info or {}
    number, reason = int(info.get("errno") or errno.EFAULT), job.error or job.state
    code = INVALID if info.get("type") == "ValidationErrors" else REFUSED
    return _error(identity, code, _fault(number, reason, info.get("extra")))


def _notification(event: Event) -> str:
    params = {
        "msg": event.message,
        "collection": event.collection,
        "id": event.id,
        "fields": dict(event.fields),
    }
    return json.dumps({"jsonrpc": "2.0", "method": "collection_update", "params": params})
