"""The array's protocols over real sockets and TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import httpx
import pytest

from simulator.build import twin_of
from simulator.served.lab import ServedLab
from simulator.truenas.api import TrueNasApi
from simulator.truenas.ddp import Ddp
from simulator.truenas.face import ArrayFace, attach_installed
from simulator.truenas.jsonrpc import JsonRpc
from tests.simulator.array import PASSWORD, array, chain
from tests.simulator.rack import Tree, rack

SPEED = 60.0
LIMIT_S = 60.0
Result = TypeVar("Result")


def _version(version: str) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        tree["nas"]["nas1"]["version"] = version
        tree["nas"]["nas1"]["shares"]["iso"]["path"] = "/mnt/images/iso"

    return change


def _served(folder: Path, version: str) -> ServedLab:
    twin = twin_of(rack(change=_version(version)))
    return ServedLab.start(twin, folder, speed=SPEED, port=0, password=PASSWORD)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLab]:
    with _served(tmp_path_factory.mktemp("new"), "25.10") as served:
        yield served


@pytest.fixture(scope="module")
def old_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLab]:
    with _served(tmp_path_factory.mktemp("old"), "13.0") as served:
        yield served


class Client:
    """A plain websocket client."""

    def __init__(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        self.stream = stream
        self.number = 0

    async def receive(self) -> Any:
        return json.loads(await self.stream.receive_str(timeout=LIMIT_S))

    async def send(self, message: object) -> Any:
        """The next message after this one."""
        await self.stream.send_str(json.dumps(message))
        return await self.receive()

    async def call(self, method: str, *params: object) -> Any:
        """The answer to a call, result or error, past events."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        await self.stream.send_str(json.dumps(request))
        while (answer := await self.receive()).get("id") != self.number:
            assert answer["method"] == "collection_update"
        return answer["result"] if "result" in answer else answer["error"]


def talk(
    lab: ServedLab, path: str, does: Callable[[Client], Coroutine[Any, Any, Result]]
) -> Result:
    """Let a client talk over verified TLS."""

    async def run() -> Result:
        context = ssl.create_default_context(cafile=str(lab.ca_file))
        url = f"wss://{lab.addresses['nas1']}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, ssl=context, max_msg_size=0) as stream,
        ):
            open_socket = stream.get_extra_info("socket")
            done = await asyncio.wait_for(does(Client(stream)), LIMIT_S)
        async with asyncio.timeout(LIMIT_S):
            while open_socket.fileno() != -1:  # the end of TLS takes a round trip
                await asyncio.sleep(0)
        return done

    return asyncio.run(run())


def login(lab: ServedLab) -> dict[str, str]:
    key = lab.login.api_keys["nas1"]
    return {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": key}


@pytest.mark.parametrize("path", ["/api/current", "/api/v25.10", "/api/v25.10.5"])
def test_json_rpc_as_the_vendors_own_client_begins_it(lab: ServedLab, path: str) -> None:
    async def does(client: Client) -> None:
        wishes = {"legacy_jobs": False, "private_methods": False, "py_exceptions": False}
        assert await client.call("core.set_options", wishes) == wishes
        await client.call("core.subscribe", "core.get_jobs")
        assert (await client.call("auth.login_ex", login(lab)))["response_type"] == "SUCCESS"
        assert await client.call("system.version") == "TrueNAS-25.10.5"
        assert (await client.call("auth.me"))["pw_name"] == "truenas_admin"
        sessions = await client.call("iscsi.global.sessions", [], {"count": True})
        assert sessions == 6

    talk(lab, path, does)


def test_a_job_ends_with_an_event_and_a_late_answer(lab: ServedLab) -> None:
    async def does(client: Client) -> list[Any]:
        await client.call("core.set_options", {"legacy_jobs": False})
        await client.call("auth.login_ex", login(lab))
        await client.call("core.subscribe", "core.get_jobs")
        request = {
            "jsonrpc": "2.0",
            "id": "x",
            "method": "service.control",
            "params": ["START", "ssh"],
        }
        await client.stream.send_str(json.dumps(request))
        seen: list[Any] = []
        while not seen or seen[-1].get("id") != "x":
            seen.append(await client.receive())
        return seen

    *events, answer = talk(lab, "/api/current", does)
    assert answer == {"jsonrpc": "2.0", "id": "x", "result": True}
    fields = [event["params"]["fields"] for event in events]
    assert [(one["message_ids"], one["state"]) for one in fields] == [
        (["x"], "RUNNING"),
        (["x"], "SUCCESS"),
    ]


def test_another_clients_change_is_told_to_who_subscribed(lab: ServedLab) -> None:
    async def does(client: Client) -> Any:
        await client.call("auth.login_ex", login(lab))
        await client.call("core.subscribe", "iscsi.initiator.query")

        def other() -> int:
            url = f"https://{lab.addresses['nas1']}/api/v2.0/iscsi/initiator"
            headers = {"Authorization": f"Bearer {lab.login.api_keys['nas1']}"}
            context = ssl.create_default_context(cafile=str(lab.ca_file))
            made = httpx.post(url, json={"comment": "told"}, headers=headers, verify=context,
                              timeout=LIMIT_S)  # fmt: skip
            return int(made.json()["id"])

        identity = await asyncio.to_thread(other)
        event = await client.receive()
        await client.call("iscsi.initiator.delete", identity)
        return event["params"]

    told = talk(lab, "/api/current", does)
    assert (told["msg"], told["collection"]) == ("added", "iscsi.initiator.query")
    assert told["fields"]["comment"] == "told"


def test_the_older_framing_works_beside_it(lab: ServedLab) -> None:
    async def does(client: Client) -> None:
        assert (await client.send({"msg": "method", "id": 1, "method": "core.ping"}))[
            "msg"
        ] == "failed"
        hello = await client.send({"msg": "connect", "version": "1", "support": ["1"]})
        assert hello["msg"] == "connected"
        assert await client.send({"msg": "ping"}) == {"msg": "pong"}
        key = lab.login.api_keys["nas1"]
        call = {"msg": "method", "id": "a", "method": "auth.login_with_api_key", "params": [key]}
        assert await client.send(call) == {"msg": "result", "id": "a", "result": True}
        assert await client.send({"msg": "sub", "id": "s", "name": "core.get_jobs"}) == {
            "msg": "ready",
            "subs": ["s"],
        }
        bad = {"msg": "method", "id": "b", "method": "iscsi.portal.create", "params": [{"x": 1}]}
        error = (await client.send(bad))["error"]
        assert (error["error"], error["type"]) == (22, "VALIDATION")
        assert ["iscsi_portal_create.x", "Extra inputs are not permitted", 22] in error["extra"]
        job = {"msg": "method", "id": "c", "method": "service.control", "params": ["START", "ftp"]}
        assert (await client.send(job))["msg"] == "added"
        assert isinstance((await client.receive())["result"], int)
        assert (await client.receive())["fields"]["state"] == "SUCCESS"

    talk(lab, "/websocket", does)


def test_a_release_before_25_04_speaks_only_the_older_framing(old_lab: ServedLab) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError):
        talk(old_lab, "/api/current", Client.receive)
    assert _get(old_lab, "/api/versions").status_code == 404

    async def does(client: Client) -> Any:
        await client.send({"msg": "connect", "version": "1", "support": ["1"]})
        params = ["root", PASSWORD]
        call = {"msg": "method", "id": 1, "method": "auth.login", "params": params}
        assert (await client.send(call))["result"] is True
        return (await client.send({"msg": "method", "id": 2, "method": "system.version"}))["result"]

    assert talk(old_lab, "/websocket", does) == "TrueNAS-13.0-U6.8"


def test_a_message_that_is_too_long_ends_the_connection(lab: ServedLab) -> None:
    async def does(client: Client, *, first: bool) -> int | None:
        if first:
            await client.call("auth.login_ex", login(lab))
        await client.stream.send_str("x" * (65 * 1024 if first else 9 * 1024))
        await client.stream.receive(timeout=LIMIT_S)
        return client.stream.close_code

    assert talk(lab, "/api/current", lambda client: does(client, first=True)) == 1009
    assert talk(lab, "/api/current", lambda client: does(client, first=False)) == 1007


def test_a_client_that_does_not_know_the_authority_turns_away(lab: ServedLab) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.ws_connect(f"wss://{lab.addresses['nas1']}/api/current")

    asyncio.run(run())


def _get(lab: ServedLab, path: str, **options: Any) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    options = {"timeout": LIMIT_S, **options}
    return httpx.get(f"https://{lab.addresses['nas1']}{path}", verify=context, **options)


def test_an_array_may_be_served_as_just_installed(tmp_path: Path) -> None:
    twin = twin_of(rack(change=_version("25.10")), empty=True)
    attach_installed(twin)
    with ServedLab.start(twin, tmp_path, port=0) as served:
        headers = {"Authorization": f"Bearer {served.login.api_keys['nas1']}"}

        def names(path: str) -> list[str]:
            return [
                row["name"] for row in _get(served, f"/api/v2.0/{path}", headers=headers).json()
            ]

        assert names("pool") == names("pool/dataset")[::-1] == ["tank", "images"]
        assert names("iscsi/target") == []
        assert _get(served, "/api/v2.0/iscsi/portal", headers=headers).json() == []
        assert served.addresses["nas1"].startswith("127.0.10.1:")
        assert _get(served, "/elsewhere").status_code == 404


def test_losing_the_array_cuts_connections_and_refuses_new_ones(tmp_path: Path) -> None:
    with _served(tmp_path, "25.10") as served:

        async def does(client: Client) -> None:
            await client.call("auth.login_ex", login(served))
            await asyncio.to_thread(served.fail, "fail-nas nas1")
            message = await client.stream.receive(timeout=LIMIT_S)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            while True:
                try:
                    await asyncio.to_thread(_get, served, "/api/versions")
                except httpx.ConnectError:
                    return
                except httpx.TransportError:
                    continue  # it was lost while it answered

        talk(served, "/api/current", does)
        served.restore("nas nas1")
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s:
            with suppress(httpx.ConnectError):
                assert _get(served, "/api/versions").json() == ["v25.10.5"]
                return
    pytest.fail("it did not come back")


def test_an_array_that_hangs_is_silent_on_an_open_connection(tmp_path: Path) -> None:
    with _served(tmp_path, "25.10") as served:

        async def does(client: Client) -> None:
            await client.call("auth.login_ex", login(served))
            await asyncio.to_thread(served.fail, "silence-nas nas1")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.call("core.ping"), 0.5)
            with pytest.raises(httpx.TimeoutException):
                await asyncio.to_thread(_get, served, "/api/versions", timeout=0.5)

        talk(served, "/api/current", does)


def test_what_a_silent_array_was_asked_is_not_done_once_it_is_dead(tmp_path: Path) -> None:
    with _served(tmp_path, "25.10") as served:
        device = served.twin.devices["nas/nas1"]
        assert isinstance(device, TrueNasApi)

        async def does(client: Client) -> None:
            await client.call("auth.login_ex", login(served))
            await asyncio.to_thread(served.fail, "silence-nas nas1")
            asked = asyncio.create_task(client.call("pool.dataset.create", {"name": "tank/late"}))
            with pytest.raises(httpx.TimeoutException):
                await asyncio.to_thread(_get, served, "/api/versions", timeout=0.5)
            await asyncio.to_thread(served.fail, "fail-nas nas1")
            with pytest.raises((aiohttp.ClientError, TypeError)):  # cut, without an answer
                await asked

        talk(served, "/api/current", does)
        assert "tank/late" not in device.documents.datasets


def test_an_array_has_one_face_with_what_its_release_speaks() -> None:
    here = array("25.10")
    face = ArrayFace(here.api)
    assert isinstance(face.conversation("/api/current", secure=True), JsonRpc)
    assert isinstance(face.conversation("/websocket", secure=True), Ddp)
    assert face.conversation("/api/v24.10", secure=True) is None
    assert face.conversation("/api/v2", secure=True) is None
    chain(here)
