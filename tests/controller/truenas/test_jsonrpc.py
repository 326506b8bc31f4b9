"""What a connection may do to us that the served array never does: a small server that misbehaves.

Over TLS and a real websocket; each test says how the server answers.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.protocol import State

from controller.eventloop import event_loop
from controller.secrets import SecretMissing, resolve
from controller.truenas.jsonrpc import JsonRpc
from controller.truenas.login import Login, tls_context
from lab.errors import DeviceError
from simulator.served.authority import Authority

KEY = "1-key-that-must-not-be-told"
WAIT_S = 60.0
Answer = Callable[[ServerConnection, dict[str, Any]], Awaitable[object]]
"""What a server says to a call besides options and login: a result, or sent by itself (`...`)."""


class Array:
    """A server that lets everybody in. `login`: what it says to one, `calls`: what came."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.login: object = True
        self.refuses_options = 0  # how many forms of options it does not know
        self.calls: list[str] = []

    async def __call__(self, connection: ServerConnection) -> None:
        async for text in connection:
            call = json.loads(text)
            self.calls.append(call["method"])
            said = await self._said(connection, call)
            if said is not ...:
                await connection.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], **said}))

    async def _said(self, connection: ServerConnection, call: dict[str, Any]) -> Any:
        if call["method"] == "core.set_options":
            if self.refuses_options:
                self.refuses_options -= 1
                return error(-32602, extra=[["options.legacy_jobs", "Extra inputs", 22]])
            return {"result": {}}
        if call["method"].startswith("auth."):
            return {"result": self.login}
        return await self.answer(connection, call)


def error(code: int, **data: object) -> dict[str, object]:
    return {"error": {"code": code, "message": "Method call error", "data": data}}


@contextmanager
def served(array: Array, folder: Path, *, user: str = "") -> Iterator[JsonRpc]:
    """A way to this server."""
    authority = Authority(folder, datetime.now(UTC))
    tls = authority.server_context("nas1", "127.0.0.1")
    trusted = tls_context("nas/nas1", authority.ca_file)
    loop = event_loop()

    async def opened() -> Server:
        return await serve(array, "127.0.0.1", 0, ssl=tls, close_timeout=0.2)

    async def ended() -> None:
        server.close()
        await server.wait_closed()

    server = loop.wait(opened(), WAIT_S)
    address = f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
    way = JsonRpc("nas/nas1", address, "/api/current", trusted, Login(lambda: SecretStr(KEY), user))
    try:
        yield way
    finally:
        way.close()
        loop.wait(ended(), WAIT_S)


def says(said: object) -> Answer:
    """The same to every call."""

    async def answer(_connection: ServerConnection, _call: dict[str, Any]) -> object:
        return said

    return answer


async def pong(_connection: ServerConnection, _call: dict[str, Any]) -> object:
    return {"result": "pong"}


def test_events_and_answers_to_nobody_are_passed_by(tmp_path: Path) -> None:
    async def noisy(connection: ServerConnection, call: dict[str, Any]) -> object:
        event = {"jsonrpc": "2.0", "method": "collection_update", "params": {"msg": "changed"}}
        await connection.send(json.dumps(event))
        await connection.send(json.dumps({"jsonrpc": "2.0", "id": 999, "result": "another's"}))
        return await pong(connection, call)

    with served(Array(noisy), tmp_path) as way:
        assert way.call("core.ping", [], WAIT_S) == "pong"


def test_a_connection_that_was_closed_while_idle_is_opened_again(tmp_path: Path) -> None:
    async def once(connection: ServerConnection, call: dict[str, Any]) -> object:
        await connection.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": "pong"}))
        await connection.close()
        return ...

    array = Array(once)
    with served(array, tmp_path) as way:
        for _ in range(3):
            assert way.call("core.ping", [], WAIT_S) == "pong"
            assert way._connection is not None
            way._loop.wait(
                way._connection.wait_closed(), WAIT_S
            )  # the other side's goodbye has come
    assert array.calls.count("core.ping") == 3
    assert array.calls.count("auth.login_with_api_key") == 3


def test_a_call_that_got_no_answer_is_not_sent_again(tmp_path: Path) -> None:
    async def hang_up(connection: ServerConnection, _call: dict[str, Any]) -> object:
        await connection.close()
        return ...

    array = Array(hang_up)
    with served(array, tmp_path) as way:
        with pytest.raises(DeviceError, match="no answer") as lost:
            way.call("iscsi.portal.create", [{}], WAIT_S)
        assert (lost.value.retryable, lost.value.status) == (True, 0)
    assert array.calls.count("iscsi.portal.create") == 1


def test_an_array_that_says_nothing_is_waited_for_as_long_as_allowed(tmp_path: Path) -> None:
    said = iter([{"result": "pong"}])

    async def once(_connection: ServerConnection, _call: dict[str, Any]) -> object:
        return next(said, ...)

    with served(Array(once), tmp_path) as way:
        assert way.call("core.ping", [], WAIT_S) == "pong"
        with pytest.raises(DeviceError, match=r"core\.ping: no answer: nothing for 0 s"):
            way.call("core.ping", [], 0.2)


def test_an_array_that_hangs_is_given_up_even_when_it_is_left(tmp_path: Path) -> None:
    said = iter([{"result": "pong"}])

    async def hang(connection: ServerConnection, _call: dict[str, Any]) -> object:
        if (pong := next(said, None)) is not None:
            return pong
        connection.transport.pause_reading()  # not even a goodbye is heard any more
        return ...

    with served(Array(hang), tmp_path) as way:
        assert way.call("core.ping", [], WAIT_S) == "pong"
        connection = way._connection
        with pytest.raises(DeviceError, match="no answer: nothing for 0 s"):
            way.call("core.ping", [], 0.2)
        assert connection is not None
        assert connection.state is State.CLOSED


def test_an_array_that_does_not_shake_hands_is_given_up_in_time(tmp_path: Path) -> None:
    authority = Authority(tmp_path, datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes connections, says nothing
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        trusted = tls_context("nas/nas1", authority.ca_file)
        way = JsonRpc("nas/nas1", address, "/api/current", trusted, Login(lambda: SecretStr(KEY)))
        with pytest.raises(DeviceError, match="no answer") as lost:
            way.call("core.ping", [], 0.3)
        assert (lost.value.retryable, lost.value.status) == (True, 0)


def test_too_many_calls_are_tried_again_later(tmp_path: Path) -> None:
    with served(Array(says(error(-32000))), tmp_path) as way:
        with pytest.raises(DeviceError, match="too many calls at once") as told:
            way.call("core.ping", [], WAIT_S)
        assert told.value.retryable
        assert told.value.status


@pytest.mark.parametrize(
    ("said", "text", "status"),
    [
        (error(-32001, error=16, reason="[EBUSY] in use"), r"refused: \[EBUSY\] in use", 16),
        (
            error(-32602, error=22, reason="?", extra=[["x.disk", "not there", 22]]),
            "refused: x.disk: not there",
            32602,
        ),
        (error(-32601), "refused: Method call error", 32601),
        ({"error": "no"}, "refused: no", 32001),
        ({"error": {"code": None, "message": "no", "data": ["?"]}}, "refused: no", 32001),
        (error(-32001, error="EX", reason="no"), "refused: no", 32001),
    ],
)
def test_a_refusal_is_told_with_what_is_wrong(
    said: object, text: str, status: int, tmp_path: Path
) -> None:
    with served(Array(says(said)), tmp_path) as way:
        with pytest.raises(DeviceError, match=text) as told:
            way.call("iscsi.extent.create", [{}], WAIT_S)
        assert told.value.status == status


def test_an_array_that_knows_fewer_options_gets_those_that_it_knows(tmp_path: Path) -> None:
    array = Array(pong)
    array.refuses_options = 1
    with served(array, tmp_path) as way:
        assert way.call("core.ping", [], WAIT_S) == "pong"
    assert array.calls[:3] == ["core.set_options", "core.set_options", "auth.login_with_api_key"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (False, "refused; check api_key"),
        ({"response_type": "AUTH_ERR"}, "refused; check api_key"),
        ({"response_type": "EXPIRED"}, "expired or was revoked"),
        ({"response_type": "OTP_REQUIRED"}, "second factor"),
    ],
)
def test_a_login_that_is_not_taken_says_why(answer: object, text: str, tmp_path: Path) -> None:
    array = Array(pong)
    array.login = answer
    with served(array, tmp_path, user="vlab") as way:
        with pytest.raises(DeviceError, match=text) as told:
            way.call("core.ping", [], WAIT_S)
        assert KEY not in str(told.value)
    assert "core.ping" not in array.calls


def test_a_login_that_was_ended_is_made_again(tmp_path: Path) -> None:
    ended = error(-32001, error=207, reason="[ENOTAUTHENTICATED] Not authenticated")
    said = [ended, {"result": "pong"}, ended, ended]

    async def answer(_connection: ServerConnection, _call: dict[str, Any]) -> object:
        return said.pop(0)

    array = Array(answer)
    with served(array, tmp_path) as way:
        assert way.call("core.ping", [], WAIT_S) == "pong"
        with pytest.raises(DeviceError, match="no answer.*Not authenticated"):
            way.call("core.ping", [], WAIT_S)  # it does not go on like this for ever
    assert array.calls.count("auth.login_with_api_key") == 3


def test_a_connection_without_a_login_is_not_kept(tmp_path: Path) -> None:
    array = Array(pong)
    with served(array, tmp_path) as way:
        login, way._login = way._login, Login(lambda: resolve("secret://file/key", tmp_path))
        with pytest.raises(SecretMissing):
            way.call("core.ping", [], WAIT_S)
        way._login = login
        assert way.call("core.ping", [], WAIT_S) == "pong"
    assert "auth.login_with_api_key" in array.calls


def test_a_call_larger_than_the_array_takes_is_not_sent(tmp_path: Path) -> None:
    array = Array(pong)
    with served(array, tmp_path) as way:
        with pytest.raises(DeviceError, match="more than the array takes at once"):
            way.call("core.bulk", ["x" * 2**16], WAIT_S)
        assert way.call("core.ping", [], WAIT_S) == "pong"
    assert "core.bulk" not in array.calls


def test_an_answer_of_many_megabytes_is_taken(tmp_path: Path) -> None:
    large = "x" * (4 * 2**20)
    with served(Array(says({"result": large})), tmp_path) as way:
        assert way.call("pool.dataset.query", [], WAIT_S) == large
