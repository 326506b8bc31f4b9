"""The array's protocols over real sockets and TLS, and their framing where no socket is needed."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import httpx
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth

from simulator.build import twin_of
from simulator.face import Close
from simulator.inprocess import TwinAdapter
from simulator.serve import ServedLab
from simulator.truenas.ddp import Ddp
from simulator.truenas.face import ArrayFace, attach_installed
from simulator.truenas.jsonrpc import JsonRpc
from tests.simulator.array import GIB, PASSWORD, Array, array, chain
from tests.simulator.rack import Tree, rack

SPEED = 60.0
LIMIT_S = 20.0
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
            made = httpx.post(url, json={"comment": "told"}, headers=headers, verify=context)
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
                    await asyncio.to_thread(_get, served, "/api/versions", timeout=5)
                except httpx.ConnectError:
                    return

        talk(served, "/api/current", does)
        served.restore("nas nas1")
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s:
            with suppress(httpx.ConnectError):
                assert _get(served, "/api/versions", timeout=5).json() == ["v25.10.5"]
                return
    pytest.fail("it did not come back")


def test_an_array_that_hangs_is_silent_on_an_open_connection(tmp_path: Path) -> None:
    with _served(tmp_path, "25.10") as served:

        async def does(client: Client) -> None:
            await client.call("auth.login_ex", login(served))
            await asyncio.to_thread(served.fail, "silence-nas nas1")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.call("core.ping"), 0.5)
            with pytest.raises(httpx.ReadTimeout):
                await asyncio.to_thread(_get, served, "/api/versions", timeout=0.5)

        talk(served, "/api/current", does)


# Framing without sockets.


def rpc(secure: bool = True) -> tuple[Array, Callable[[object], list[Any]], JsonRpc]:
    here = array(full=True)
    conversation = JsonRpc(here.api, secure=secure)

    def send(message: object) -> list[Any]:
        text = message if isinstance(message, str) else json.dumps(message)
        return [
            part if isinstance(part, Close) else json.loads(part)
            for part in conversation.receive(here.twin, text)
        ]

    return here, send, conversation


def request(method: str, *params: object, identity: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", -32700),
        ([request("core.ping")], -32600),
        ({"id": 1, "method": "core.ping"}, -32600),
        ({**request("core.ping"), "id": [1]}, -32600),
        ({**request("core.ping"), "params": {}}, -32600),
        (request("core.none"), -32601),
        (request("core.ping", 1, 2), -32001),
        (request("pool.query"), -32001),
        (request("auth.login", "user"), -32602),
    ],
)
def test_json_rpc_errors_have_the_protocols_numbers(message: object, code: int) -> None:
    _, send, _ = rpc()
    (answer,) = send(message)
    assert answer["error"]["code"] == code


def test_refusals_carry_errno_reason_and_what_is_wrong_with_which_member() -> None:
    here, send, _ = rpc()
    send(request("auth.login_with_api_key", here.key))
    (answer,) = send(request("iscsi.extent.create", {"name": "z", "disk": "zvol/tank/z"}))
    error = answer["error"]
    assert (error["code"], error["message"]) == (-32602, "Invalid params")
    assert (error["data"]["error"], error["data"]["errname"]) == (22, "EINVAL")
    assert ["iscsi_extent_create.name", "Extent name must be unique", 17] in error["data"]["extra"]
    (answer,) = send(request("iscsi.target.delete", 1))
    assert answer["error"]["message"] == "Method call error"
    assert answer["error"]["data"]["errname"] == "EFAULT"
    assert answer["error"]["data"]["reason"] == "[EFAULT] Target t is in use."


def test_a_notification_is_done_and_not_answered() -> None:
    here, send, _ = rpc()
    send(request("auth.login_with_api_key", here.key))
    message = {"jsonrpc": "2.0", "method": "iscsi.initiator.create", "params": [{"comment": "n"}]}
    assert send(message) == []
    assert "n" in [row["comment"] for row in here("iscsi.initiator.query")]


def test_a_job_that_fails_late_is_answered_with_its_error() -> None:
    here, send, conversation = rpc()
    send(request("core.set_options", {"legacy_jobs": False}))
    send(request("auth.login_with_api_key", here.key))
    assert send(request("service.control", "START", "none", identity="j")) == []
    here.wait(5)
    (text,) = conversation.deliver(here.twin)
    answer = json.loads(str(text))
    assert answer["id"] == "j"
    assert answer["error"]["data"]["errname"] == "ENOENT"


def test_legacy_jobs_answer_with_the_job() -> None:
    here, send, _ = rpc()
    send(request("auth.login_with_api_key", here.key))
    (answer,) = send(request("service.control", "START", "ssh"))
    assert answer["result"] == here("core.get_jobs")[-1]["id"]


def test_only_so_many_calls_are_held() -> None:
    here, send, _ = rpc()
    send(request("core.set_options", {"legacy_jobs": False}))
    send(request("auth.login_with_api_key", here.key))
    answers = [send(request("service.control", "START", "ssh")) for _ in range(21)]
    assert [len(answer) for answer in answers] == [0] * 20 + [1]
    assert answers[-1][0]["error"]["code"] == -32000


def test_nothing_is_told_before_login_and_no_more_after_unsubscribing() -> None:
    here, send, conversation = rpc()
    (answer,) = send(request("core.subscribe", "service.query"))
    here("service.update", "nfs", {"enable": True})
    assert conversation.deliver(here.twin) == []
    send(request("auth.login_with_api_key", here.key))
    here("service.update", "nfs", {"enable": False})
    (event,) = conversation.deliver(here.twin)
    assert json.loads(str(event))["params"]["fields"]["enable"] is False
    send(request("core.unsubscribe", answer["result"]))
    here("service.update", "nfs", {"enable": True})
    assert conversation.deliver(here.twin) == []


def test_a_key_over_plain_http_is_revoked_unless_the_test_says_otherwise() -> None:
    here, send, _ = rpc(secure=False)
    here.api.revokes = False
    (answer,) = send(request("auth.login_with_api_key", here.key))
    assert answer["result"] is True
    here.api.revokes = True
    (answer,) = send(request("auth.login_with_api_key", here.key))
    assert answer["result"] is False


@given(text=st.text(max_size=200) | st.binary(max_size=50).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_whatever_text_comes_the_framings_answer(text: str) -> None:
    here = _shaken()
    for conversation in (JsonRpc(here.api, secure=True), Ddp(here.api, secure=True)):
        for part in conversation.receive(here.twin, text):
            assert isinstance(part, Close) or json.loads(part)


# REST, in process through requests.


def rest(version: str, *, full: bool = True) -> tuple[Array, requests.Session]:
    here = array(version, full=full)
    session = requests.Session()
    session.auth = HTTPBasicAuth(here.api.version.administrator, PASSWORD)
    session.mount("https://", TwinAdapter(here.twin))
    return here, session


BASE = "https://nas1/api/v2.0"


def test_rest_2_has_paths_by_rule_and_bodies_that_are_the_parameter() -> None:
    here, web = rest("13.0", full=False)
    made = web.post(
        f"{BASE}/pool/dataset", json={"name": "tank/a", "type": "VOLUME", "volsize": GIB}
    )
    assert (made.status_code, made.json()["id"]) == (200, "tank/a")
    one = f"{BASE}/pool/dataset/id/tank%2Fa"
    assert web.get(one).json()["volsize"]["parsed"] == GIB
    assert web.put(one, json={"volsize": 2 * GIB}).json()["volsize"]["parsed"] == 2 * GIB
    assert web.post(f"{one}/attachments").json() == []
    assert web.get(f"{BASE}/iscsi/global/").json()["basename"] == "iqn.2005-10.org.freenas.ctl"
    assert web.put(f"{BASE}/iscsi/global", json={"basename": "iqn.x"}).json()["basename"] == "iqn.x"
    assert web.get(f"{BASE}/system/version").json() == "TrueNAS-13.0-U6.8"
    assert web.put(f"{BASE}/service/id/nfs", json={"enable": True}).json() == 4
    assert web.post(f"{BASE}/service/start", json={"service": "nfs"}).json() is True
    extent = {"name": "e", "disk": "zvol/tank/a"}
    number = web.post(f"{BASE}/iscsi/extent", json=extent).json()["id"]
    gone = web.delete(f"{BASE}/iscsi/extent/id/{number}", json={"remove": False, "force": False})
    assert gone.json() is True
    assert web.delete(one, json={"recursive": True}).json() is True
    assert web.get(one).status_code == 404
    assert here("iscsi.extent.query") == []


def test_rest_2_filters_by_query_string() -> None:
    here, web = rest("13.0", full=False)
    for number in range(3):
        here("iscsi.initiator.create", {"comment": f"c{number}", "initiators": ["iqn.a:b"]})
    url = f"{BASE}/iscsi/initiator"
    assert len(web.get(f"{url}?limit=0").json()) == 3
    assert [row["id"] for row in web.get(f"{url}?id__gt=1&sort=-id").json()] == [3, 2]
    assert web.get(f"{url}?count=true").json() == 3
    assert [row["id"] for row in web.get(f"{url}?comment=c1").json()] == [2]
    assert [row["id"] for row in web.get(f"{url}?id__in=1,3").json()] == [1, 3]
    assert [row["id"] for row in web.get(f"{url}?comment__contains=c").json()] == [1, 2, 3]
    assert [row["id"] for row in web.get(f"{url}?limit=1&offset=1").json()] == [2]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "/none", None, 404),
        ("GET", "/iscsi/target/id/99", None, 404),
        ("DELETE", "/iscsi/target/id/99", None, 404),
        ("POST", "/iscsi/target", "{", 400),
        ("POST", "/iscsi/target", '{"name": "Upper"}', 422),
        ("POST", "/iscsi/target", '{"nme": "x"}', 422),
        ("DELETE", "/iscsi/target/id/1", None, 422),
        ("DELETE", "/iscsi/extent/id/1", '{"rm": true}', 400),
        ("POST", "/service/start", '{"options": {}}', 400),
        ("POST", "/core/set_options", "{}", 404),
    ],
)
def test_rest_2_says_no_with_a_status(verb: str, path: str, body: str | None, status: int) -> None:
    _, web = rest("13.0")
    answer = web.request(verb, f"{BASE}{path}", data=body)
    assert answer.status_code == status
    assert answer.json()


def test_rest_2_bodies_of_refusals_are_the_vendors() -> None:
    _, web = rest("13.0")
    refused = web.delete(f"{BASE}/iscsi/target/id/1").json()
    assert refused == {"message": "Target t is in use.", "errno": 14}
    invalid = web.post(f"{BASE}/iscsi/extent", json={"name": "z", "disk": "zvol/tank/none"}).json()
    assert invalid["iscsi_extent_create.name"] == [
        {"message": "Extent name must be unique", "errno": 17}
    ]
    assert web.delete(f"{BASE}/iscsi/target/id/1", data="true").json() is True


@pytest.mark.parametrize("header", ["", "Basic !", "Basic dXNlcg==", "Bearer 1-x", "Token x"])
def test_rest_2_lets_nobody_in_without_a_login(header: str) -> None:
    here, _ = rest("13.0")
    web = requests.Session()
    web.mount("https://", TwinAdapter(here.twin))
    assert web.get(f"{BASE}/pool", headers={"Authorization": header}).status_code == 401


def test_rest_2_takes_an_api_key_since_12() -> None:
    for version, status in (("13.0", 200), ("11.3", 401)):
        here, _ = rest(version)
        web = requests.Session()
        web.mount("https://", TwinAdapter(here.twin))
        headers = {"Authorization": f"Bearer {here.key}"}
        assert web.get(f"{BASE}/pool", headers=headers).status_code == status


def test_rest_came_and_went() -> None:
    for version, first, second in (
        ("11.1", 200, 404), ("11.3", 200, 200), ("13.0", 404, 200), ("26.0", 404, 404),
    ):  # fmt: skip
        _, web = rest(version)
        web.auth = HTTPBasicAuth("root", PASSWORD)
        _.api.set_password("root", PASSWORD)
        assert web.get("https://nas1/api/v1.0/services/iscsi/target/").status_code == first
        assert web.get(f"{BASE}/iscsi/target").status_code == second


def test_a_job_over_rest_is_a_number_to_ask_for() -> None:
    here, web = rest("25.10")
    number = web.post(f"{BASE}/service/control", json={"verb": "START", "service": "ssh"}).json()
    here.wait(5)
    (job,) = web.get(f"{BASE}/core/get_jobs?id={number}").json()
    assert job["state"] == "SUCCESS"


OLD = "https://nas1/api/v1.0"


def test_rest_1_reads_the_whole_chain_under_its_old_names() -> None:
    _, web = rest("11.1")
    iscsi = f"{OLD}/services/iscsi"
    (target,) = web.get(f"{iscsi}/target/").json()
    groups = web.get(f"{iscsi}/targetgroup/").json()
    portals = web.get(f"{iscsi}/portal/").json()
    (extent,) = web.get(f"{iscsi}/extent/").json()
    (lun,) = web.get(f"{iscsi}/targettoextent/").json()
    (group,) = web.get(f"{iscsi}/authorizedinitiator/").json()
    assert target["iscsi_target_name"] == "t"
    assert [row["iscsi_target_portalgroup"] for row in groups] == [row["id"] for row in portals]
    assert portals[0]["iscsi_target_portal_ips"] == ["10.0.101.21:3260"]
    assert extent["iscsi_target_extent_disk"] == "zvol/tank/z"
    assert extent["iscsi_target_extent_type"] == "ZVOL"
    assert (lun["iscsi_target"], lun["iscsi_extent"]) == (target["id"], extent["id"])
    assert group["iscsi_target_initiator_initiators"].count("iqn.") == 3
    assert web.get(f"{iscsi}/globalconfiguration/").json()["iscsi_basename"].startswith("iqn.")
    assert web.get(f"{OLD}/sharing/nfs/").json()[0]["nfs_paths"] == ["/mnt/images/iso"]
    assert web.get(f"{OLD}/storage/volume/tank/zvols/").json()[0]["name"] == "z"
    assert web.get(f"{OLD}/storage/volume/images/datasets/").json()[0]["name"] == "iso"
    for path in ("services/services", "network/interface", "network/vlan", "storage/volume"):
        assert web.get(f"{OLD}/{path}/").json()
    assert web.get(f"{iscsi}/authcredential/").json() == []
    assert web.get(f"{OLD}/system/version/").json()["fullversion"] == "FreeNAS-11.1-U7"


def test_rest_1_pages_its_lists_finds_one_and_writes_nothing() -> None:
    here, web = rest("11.1")
    for number in range(24):
        here("iscsi.initiator.create", {"comment": str(number)})
    url = f"{OLD}/services/iscsi/authorizedinitiator/"
    assert len(web.get(url).json()) == 20
    assert len(web.get(url, params={"limit": 0}).json()) == 25
    assert len(web.get(url, params={"offset": 20}).json()) == 5
    assert web.get(f"{url}3/").json()["id"] == 3
    assert web.get(f"{url}99/").status_code == 404
    assert web.post(url, json={}).status_code == 405
    assert web.get(url, auth=HTTPBasicAuth("root", "wrong")).status_code == 401


PATHS = st.sampled_from(
    [
        "/iscsi/target",
        "/iscsi/target/id/1",
        "/pool/dataset/id/tank",
        "/service/start",
        "/pool",
        "/id",
    ]
)


@given(
    verb=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=PATHS | st.text(max_size=20).map(lambda text: f"/{text}"),
    query=st.text(max_size=20),
    body=st.binary(max_size=20) | st.sampled_from([b"{}", b"[]", b"true", b'{"force": 1}', b"1"]),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_asked_over_rest_is_answered(
    verb: str, path: str, query: str, body: bytes
) -> None:
    answer = _shaken_over_rest().request(verb, f"{BASE}{path}?{query}", data=body)
    assert answer.status_code in (200, 400, 404, 422)


@cache
def _shaken() -> Array:
    """One array for all examples."""
    return array()


@cache
def _shaken_over_rest() -> requests.Session:
    return rest("13.0")[1]


def test_an_array_has_one_face_with_what_its_release_speaks() -> None:
    here = array("25.10")
    face = ArrayFace(here.api)
    assert isinstance(face.conversation("/api/current", secure=True), JsonRpc)
    assert isinstance(face.conversation("/websocket", secure=True), Ddp)
    assert face.conversation("/api/v24.10", secure=True) is None
    assert face.conversation("/api/v2", secure=True) is None
    chain(here)
