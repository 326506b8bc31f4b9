"""The HTTPS server in a loop of the test's own, before a face that is made for one question."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from simulator.served import https
from simulator.served.authority import Authority
from simulator.served.face import (
    Close,
    Conversation,
    HttpRequest,
    HttpResponse,
    Reachable,
    Shown,
)
from simulator.served.https import HttpsServer
from simulator.twin import Twin
from tests.simulator.linux_hosts import hosts

LIMIT_S = 60.0
LONG = "".join(random.Random(1).choices("0123456789abcdef", k=2**20))


class Face:
    """One that counts what it is asked, and talks at length."""

    name, port = "pve1", 0

    def __init__(self) -> None:
        self.state: Reachable = ""
        self.looked = self.asked = 0

    def reachable(self, twin: Twin) -> Reachable:
        return self.state

    def digest_field(self, path: str) -> str | None:
        self.looked += 1  # once its request is let in
        return None

    def shows(self, shown: Shown) -> None:
        pass

    def own_certificate(self) -> None:
        pass

    def answer(self, twin: Twin, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        return HttpResponse(200)

    def conversation(self, path: str, *, secure: bool) -> Conversation | None:
        return Talk()


class Talk:
    """A long answer; once it is given, something short that comes of itself."""

    answered = False

    def receive(self, twin: Twin, text: str) -> list[str | Close]:
        self.answered = True
        return [LONG]

    def deliver(self, twin: Twin) -> list[str | Close]:
        return ["late"] if self.answered else []


def served(
    folder: Path, does: Callable[[Face, aiohttp.ClientSession, str], Awaitable[None]]
) -> Face:
    """Let a client meet the face over verified TLS."""
    twin, face = hosts().twin, Face()

    async def run() -> None:
        server = HttpsServer(face, twin, twin.settle, "127.0.11.1", 0)
        await server.open(Authority(folder, datetime.now(UTC)))
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        connector = aiohttp.TCPConnector(ssl=context)
        try:
            async with aiohttp.ClientSession(connector=connector) as session:
                await asyncio.wait_for(does(face, session, str(server.place)), LIMIT_S)
        finally:
            await server.close()
            await asyncio.sleep(0)

    asyncio.run(run())
    return face


def test_what_comes_of_itself_does_not_pass_a_long_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the long one is compressed in a thread meanwhile."""
    monkeypatch.setattr(https, "TICK_S", 0)

    async def does(face: Face, session: aiohttp.ClientSession, place: str) -> None:
        async with session.ws_connect(f"wss://{place}/", compress=15, max_msg_size=0) as stream:
            assert stream.compress
            await stream.send_str("go")
            assert [await stream.receive_str() for _ in range(2)] == [LONG, "late"]

    served(tmp_path, does)


def test_who_waits_to_be_let_in_when_a_device_dies_hears_the_end(tmp_path: Path) -> None:
    """One who is reset before TLS begins never closes its socket: an error of Python 3.11."""
    twin, face = hosts().twin, Face()

    async def die(client: socket.socket) -> None:
        server = HttpsServer(face, twin, twin.settle, "127.0.11.1", 0)
        await server.open(Authority(tmp_path, datetime.now(UTC)))
        client.connect((server.place.address, server.place.port))
        face.state = "refused"
        await server.follow()
        await server.close()

    with socket.socket() as client:
        asyncio.run(die(client))
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(client, server_hostname="pve1")
    gc.collect()  # what was forgotten warns, which is an error


@pytest.mark.parametrize(("then", "asked"), [("", 1), ("refused", 0)])
def test_a_request_is_not_answered_by_a_device_that_died_while_its_body_came(
    then: Reachable, asked: int, tmp_path: Path
) -> None:
    async def does(face: Face, session: aiohttp.ClientSession, place: str) -> None:
        begun, rest = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            begun.set()
            await rest.wait()
            yield b"second"

        asking = asyncio.ensure_future(session.post(f"https://{place}/", data=body()))
        await begun.wait()
        while not face.looked:
            await asyncio.sleep(0)
        face.state = then
        rest.set()
        if then:
            with pytest.raises(aiohttp.ClientError):
                await asking
        else:
            assert (await asking).status == 200

    assert served(tmp_path, does).asked == asked
