"""JSON-RPC 2.0 over a websocket: the way to arrays since 25.04.

One connection, one call at a time; it is opened when needed and again after it was lost. Order of
what is sent: options, login, calls. Jobs answer when they end (`legacy_jobs` off). A call whose
answer is lost is never sent again from here: whoever asked looks at the object. Source: reference
of the TrueNAS API, JSON-RPC framing; RFC 6455. Leaves out events: we look, we do not listen.
"""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException

from controller.eventloop import event_loop
from controller.step import Json
from controller.truenas.login import Login, untrusted
from controller.truenas.transport import no_answer, number_of, refused, told
from lab.errors import DeviceError

OPEN_S, CLOSE_S = 10.0, 1.0
BEFORE_LOGIN_BYTES, LARGEST_BYTES = 8 * 2**10, 64 * 2**10  # of what we send; more ends it
ANSWER_BYTES = 256 * 2**20  # of what we take: all datasets of a large array
TOO_MANY, INVALID, REFUSED = -32000, -32602, -32001
NOT_LOGGED_IN = 207  # ENOTAUTHENTICATED
OPTIONS = {"legacy_jobs": False, "private_methods": False, "py_exceptions": False}
_OPTIONS_OF_2504 = {"py_exceptions": False}  # answers jobs with their numbers; we start none there


class JsonRpc:
    """One array at `address` (`host:port`), by the path of an API version."""

    def __init__(
        self, device: str, address: str, path: str, tls: ssl.SSLContext, login: Login
    ) -> None:
        self.device = device
        self._address = address
        self._url = f"wss://{address}{path}"
        self._tls = tls
        self._login = login
        self._ids = itertools.count(1)
        self._lock = Lock()
        self._connection: ClientConnection | None = None
        self._loop = event_loop()

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        """The result. Raises DeviceError."""
        with self._lock:
            connection = self._connection or self._open(timeout_s)
            try:
                return self._exchange(connection, method, params, timeout_s)
            except _Unsent:
                connection = self._open(timeout_s)  # it was closed while nobody used it
            try:
                return self._exchange(connection, method, params, timeout_s)
            except _Unsent as error:
                raise no_answer(self.device, method, error) from error

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._drop()

    def _open(self, timeout_s: float) -> ClientConnection:
        self._drop()
        try:
            open_s = min(OPEN_S, timeout_s)
            connection = self._loop.wait(self._connected(open_s), 2 * open_s)
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
            distrust = untrusted(self.device, self._address, error)
            raise distrust or no_answer(self.device, self._url, error) from error
        self._connection = connection
        try:
            self._begin(connection, min(OPEN_S, timeout_s))
        except _Unsent as error:
            raise no_answer(self.device, "login", error) from error
        except BaseException:
            self._drop()  # it is nobody's yet
            raise
        return connection

    async def _connected(self, timeout_s: float) -> ClientConnection:
        return await connect(
            self._url,
            ssl=self._tls,
            open_timeout=timeout_s,
            close_timeout=CLOSE_S,
            max_size=ANSWER_BYTES,
            compression=None,
            proxy=None,
        )

    def _begin(self, connection: ClientConnection, timeout_s: float) -> None:
        """Options and login. Raises DeviceError."""
        try:
            self._exchange(connection, "core.set_options", [OPTIONS], timeout_s, first=True)
        except DeviceError as error:
            if error.status != abs(INVALID):
                raise
            self._exchange(
                connection, "core.set_options", [_OPTIONS_OF_2504], timeout_s, first=True
            )
        answer = self._exchange(connection, *self._logging_in(), timeout_s, first=True)
        kind = answer.get("response_type") if isinstance(answer, Mapping) else answer
        if kind not in ("SUCCESS", True):
            raise DeviceError(self.device, _not_let_in(kind), status=401)

    def _logging_in(self) -> tuple[str, list[Json]]:
        secret = self._login.secret().get_secret_value()
        user = self._login.user
        if not self._login.by_key:
            return "auth.login", [user, secret]
        if not user:
            return "auth.login_with_api_key", [secret]
        options = {"user_info": False}
        return "auth.login_ex", [
            {
                "mechanism": "API_KEY_PLAIN",
                "username": user,
                "api_key": secret,
                "login_options": options,
            }
        ]

    def _exchange(
        self,
        connection: ClientConnection,
        method: str,
        params: Sequence[Json],
        timeout_s: float,
        *,
        first: bool = False,
    ) -> Any:
        """Send a call and wait for its answer.

        Raises _Unsent if the call certainly did not go out, else DeviceError.
        """
        number = next(self._ids)
        text = json.dumps(
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        )
        if len(text.encode()) > (BEFORE_LOGIN_BYTES if first else LARGEST_BYTES):
            what = f"{method}: {len(text)} characters are more than the array takes at once"
            raise DeviceError(self.device, what, status=413)
        try:
            answer = self._loop.wait(_answered(connection, number, text), timeout_s)
        except _Unsent:
            self._drop()
            raise
        except (ConnectionClosed, TimeoutError, OSError, ValueError) as error:
            self._drop()
            why = f"nothing for {timeout_s:.0f} s" if isinstance(error, TimeoutError) else error
            raise no_answer(self.device, method, why) from error
        if "error" not in answer:
            return answer.get("result")
        refusal = self._error(method, answer["error"])
        if refusal.status == NOT_LOGGED_IN and not first:  # our login was ended, the line was not
            self._drop()
            raise _Unsent(refusal.what)
        raise refusal

    def _error(self, method: str, said: object) -> DeviceError:
        error = said if isinstance(said, Mapping) else {"message": said}
        code, data = number_of(error.get("code"), REFUSED), error.get("data")
        data = data if isinstance(data, Mapping) else {}
        if code == TOO_MANY:
            why = "too many calls at once"
            return DeviceError(self.device, f"{method}: {why}", retryable=True, status=429)
        why = told(data.get("extra")) or data.get("reason") or str(error.get("message", ""))
        number = abs(code) if code == INVALID else number_of(data.get("error"), abs(code))
        return refused(self.device, method, number, str(why))

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.wait(connection.close(), OPEN_S)  # of which it takes CLOSE_S at most


class _Unsent(Exception):
    """The connection, or its login, was gone before the call."""


async def _answered(connection: ClientConnection, number: int, text: str) -> Mapping[str, Any]:
    """Send a call; the message with its id. Events and answers to nobody any more are passed by."""
    try:
        await connection.send(text)
    except ConnectionClosed as error:
        raise _Unsent(str(error)) from error
    while True:
        message = json.loads(await connection.recv())
        if isinstance(message, dict) and message.get("id") == number:
            return message


def _not_let_in(kind: object) -> str:
    match kind:
        case "EXPIRED":
            return "login: the API key has expired or was revoked; make another one"
        case "OTP_REQUIRED":
            return "login: this user needs a second factor; use an API key"
        case _:
            return "login: refused; check api_key and user in the settings"
