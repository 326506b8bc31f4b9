"""JSON-RPC 2.0 and the older framing without sockets: what is answered, refused, told."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.served.face import Close
from simulator.truenas.ddp import Ddp
from simulator.truenas.jsonrpc import JsonRpc
from tests.simulator.array import Array, array


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
@settings(max_examples=200)
def test_whatever_text_comes_the_framings_answer(text: str) -> None:
    here = _shaken()
    for conversation in (JsonRpc(here.api, secure=True), Ddp(here.api, secure=True)):
        for part in conversation.receive(here.twin, text):
            assert isinstance(part, Close) or json.loads(part)


@cache
def _shaken() -> Array:
    """One array for all examples."""
    return array()
