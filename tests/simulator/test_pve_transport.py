"""What every call goes through: login, permission, proxying, parameter checks, quorum."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from simulator.pve.face import NodeFace
from simulator.pve.parameters import UNKNOWN
from simulator.pve.wire import ApiError, decode
from simulator.served.face import HttpRequest
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster, cluster


def test_a_success_is_an_envelope_with_data() -> None:
    response = cluster().send("GET /version")
    assert (response.status, response.reason) == (200, "OK")
    assert response.body.startswith(b'{"data": {"version"')
    assert response.headers["Server"] == "pve-api-daemon/3.0"


def test_an_error_is_told_in_the_reason_phrase_and_in_the_body() -> None:
    response = cluster().send("GET /storage/none")
    assert (response.status, response.reason) == (500, "storage 'none' does not exist")
    assert response.members == {"data": None, "message": "storage 'none' does not exist\n"}


def _below_extjs(here: Cluster, call: str, **headers: str) -> tuple[int, str, bytes]:
    method, _, path = call.partition(" ")
    asked = HttpRequest(method, f"/api2/extjs{path}", "", headers, b"", secure=True)
    answer = NodeFace(here.api, "pve1").answer(here.twin, asked)
    return answer.status, answer.reason, answer.body


def test_below_extjs_the_answer_itself_says_whether_it_is_a_success() -> None:
    """So the pages ask, and clients that Proxmox makes itself."""
    here = cluster()
    token = f"PVEAPIToken={ROOT}={SECRET}"
    status, reason, body = _below_extjs(here, "GET /version", authorization=token)
    told = json.loads(body)
    assert (status, reason, told["success"]) == (200, "OK", 1)
    assert told["data"] == here.ok("GET /version")
    status, reason, body = _below_extjs(here, "GET /storage/none", authorization=token)
    assert (status, reason) == (200, "OK")
    assert json.loads(body) == {
        "data": None,
        "message": "storage 'none' does not exist\n",
        "status": 500,
        "success": 0,
    }
    status, _, body = _below_extjs(here, "POST /pools", authorization=token)
    told = json.loads(body)
    assert (status, told["status"], list(told["errors"])) == (200, 400, ["poolid"])
    assert _below_extjs(here, "GET /version") == (401, "No ticket", b"")


@pytest.mark.parametrize(
    "call", ["GET /nope", "PUT /version", "GET /nodes/pve1/nope", "HEAD /version"]
)
def test_a_call_that_does_not_exist_is_501(call: str) -> None:
    assert cluster().refusal(call) == (501, f"Method '{call}' not implemented")


def test_nobody_gets_in_without_a_ticket_or_with_a_wrong_token() -> None:
    here = cluster()
    assert here.send("GET /version", user=None).members is None
    assert here.refusal("GET /version", user=None) == (401, "No ticket")
    wrong = {"authorization": f"PVEAPIToken={ROOT}=guessed"}
    assert here.refusal("GET /version", headers=wrong) == (401, "Authentication failed!")


@pytest.mark.parametrize("between", ["=", " "])
def test_a_token_follows_its_scheme_and_may_be_quoted(between: str) -> None:
    token = f"PVEAPIToken{between}{ROOT.replace('@', '%40')}={SECRET}"
    assert cluster().ok("GET /version", user=None, headers={"authorization": token})


def test_a_body_that_comes_in_chunks_is_not_read() -> None:
    here = cluster()
    headers = {"authorization": f"PVEAPIToken={ROOT}={SECRET}", "transfer-encoding": "chunked"}
    asked = HttpRequest("POST", "/api2/json/pools", "", headers, b"poolid=x")
    answer = NodeFace(here.api, "pve1").answer(here.twin, asked)
    assert (answer.status, answer.reason) == (501, "chunked transfer encoding not supported")
    assert here.ok("GET /pools") == []


def _login(here: Cluster) -> tuple[str, str]:
    answer = here.ok("POST /access/ticket", user=None, username="root@pam", password=SECRET)
    return f"PVEAuthCookie={quote(answer['ticket'], safe='')}", answer["CSRFPreventionToken"]


def test_a_ticket_reads_and_with_its_csrf_token_writes() -> None:
    here = cluster()
    cookie, csrf = _login(here)
    assert here.ok("GET /version", user=None, headers={"cookie": cookie})
    refused = here.refusal("POST /pools", user=None, headers={"cookie": cookie}, poolid="x")
    assert refused == (401, "Permission denied - invalid csrf token")
    here.ok(
        "POST /pools",
        user=None,
        headers={"cookie": cookie, "csrfpreventiontoken": csrf},
        poolid="x",
    )


def test_a_ticket_expires_and_renews_itself_before() -> None:
    here = cluster()
    cookie, _ = _login(here)
    here.wait(3600)
    ticket = here.ok("POST /access/ticket", user=None, username="root@pam", password=SECRET)[
        "ticket"
    ]
    again = here.ok("POST /access/ticket", user=None, username="root@pam", password=ticket)
    here.wait(3601)
    stale = here.refusal("GET /version", user=None, headers={"cookie": cookie})
    assert stale == (401, "permission denied - invalid PVE ticket")
    renewed = f"PVEAuthCookie={quote(again['ticket'], safe='')}"
    assert here.ok("GET /version", user=None, headers={"cookie": renewed})


def test_a_forged_ticket_is_refused() -> None:
    here = cluster()
    cookie, _ = _login(here)
    forged = cookie.replace(quote("root@pam", safe=""), quote("evil@pam", safe=""))
    assert forged != cookie
    assert here.refusal("GET /version", user=None, headers={"cookie": forged})[0] == 401


def test_a_wrong_password_is_401_and_login_is_not_for_tokens() -> None:
    here = cluster()
    wrong = here.refusal("POST /access/ticket", user=None, username="root@pam", password="guessed")
    assert wrong == (401, "authentication failure")
    by_token = here.refusal("POST /access/ticket", username="root@pam", password=SECRET)
    assert by_token[0] == 403


def test_a_disabled_user_and_an_expired_token_are_shut_out() -> None:
    here = cluster()
    token = here.user("ana@pve", "PVEAuditor")
    here.ok("PUT /access/users/ana@pve", enable="0")
    assert here.refusal("GET /version", user=token) == (401, "Authentication failed!")
    here.ok("PUT /access/users/ana@pve", enable="1")
    soon = here.api.epoch_s + here.twin.now_s + 60
    here.ok("PUT /access/users/ana@pve/token/t1", expire=int(soon))
    assert here.ok("GET /version", user=token)
    here.wait(61)
    assert here.refusal("GET /version", user=token) == (401, "Authentication failed!")


def test_a_token_of_root_is_not_root_where_only_root_may() -> None:
    here = cluster()
    here.guest(100)
    assert here.refusal("PUT /nodes/pve1/qemu/100/config", args="-x") == (
        500,
        "only root can set 'args' config",
    )


def test_parameters_are_refused_together_each_with_its_reason() -> None:
    errors = cluster().errors(
        "POST /access/users", userid="ana", expire="-1", bogus="1", enable="yes"
    )
    assert errors == {
        "userid": "invalid format - value 'ana' does not look like a valid user name\n",
        "expire": "value must have a minimum value of 0",
        "bogus": UNKNOWN,
        "enable": "type check ('boolean') failed - got 'yes'",
    }


def test_json_has_types_that_forms_have_not() -> None:
    here = cluster()
    here.guest(100)
    config = "PUT /nodes/pve1/qemu/100/config"
    here.ok(config, onboot=True, tags=["b", "a"], cores=2)
    assert here.config(100)["tags"] == "a;b"
    assert here.errors(config, agent=True) == {
        "agent": "type check ('string') failed - got JSON::PP::Boolean"
    }
    assert here.errors(config, cores=["1", "2"]) == {
        "cores": "type check ('integer') failed - got ARRAY"
    }


def test_a_path_and_a_body_must_agree() -> None:
    here = cluster()
    here.guest(100)
    here.ok("PUT /nodes/pve1/qemu/100/config", vmid=100, cores=1)
    clash = here.errors("PUT /nodes/pve1/qemu/100/config", vmid=101, cores=1)
    assert clash == {
        "vmid": "duplicate parameter (already defined in URI) with conflicting values!"
    }


def test_permission_is_asked_before_parameters_are_looked_at() -> None:
    here = cluster()
    token = here.user("weak@pve")
    refused = here.refusal("POST /storage", user=token, storage="1bad")
    assert refused == (403, "Permission check failed (/storage, Datastore.Allocate)")


def test_a_node_answers_for_another_one() -> None:
    assert cluster().ok("GET /nodes/pve3/qemu", node="pve1") == []


def test_a_dead_node_gives_595_through_its_peers_and_a_strange_one_a_failed_lookup() -> None:
    here = cluster()
    here.fail("fail-node pve3")
    response = here.send("GET /nodes/pve3/status", node="pve1")
    assert (response.status, response.reason, response.members) == (595, "No route to host", None)
    here.fail("silence-node pve2")
    assert here.refusal("GET /nodes/pve2/status") == (595, "Connection timed out")
    status, reason = here.refusal("GET /nodes/pve9/status")
    assert (status, reason.split(" - ")[0]) == (500, "hostname lookup 'pve9' failed")


def test_reachability_is_what_the_wiring_says() -> None:
    here = cluster()
    assert [here.api.reachable(here.twin, node) for node in ("pve1", "pve2")] == ["", ""]
    here.fail("fail-node pve2")
    assert here.api.reachable(here.twin, "pve2") == "refused"
    here.fail("silence-node pve3")
    assert here.api.reachable(here.twin, "pve3") == "timeout"


def test_without_quorum_files_can_be_read_and_not_written() -> None:
    here = cluster()
    here.guest(100)
    here.fail("fail-node pve2 fail-node pve3")
    assert here.ok("GET /storage")
    assert here.refusal("PUT /nodes/pve1/qemu/100/config", cores="2")[1].endswith(
        "Permission denied"
    )
    assert here.refusal("POST /access/groups", groupid="g") == (
        500,
        "create group failed: cfs-lock 'file-user_cfg' error: no quorum!",
    )
    for call, params in {
        "POST /nodes/pve1/qemu": {"vmid": "200"},
        "POST /nodes/pve1/qemu/100/status/start": {},
        "POST /cluster/ha/resources": {"sid": "vm:100"},
    }.items():
        assert here.refusal(call, **params) == (500, "cluster not ready - no quorum?")
    here.ok("POST /nodes/pve1/network", iface="vmbr7", type="bridge")


def test_a_body_is_a_form_or_json() -> None:
    form = decode("a=1", "application/x-www-form-urlencoded", b"b=2&b=3&c=%C3%B1")
    assert form == {"a": "1", "b": ["2", "3"], "c": "\u00f1"}
    assert decode("", "application/json", b'{"a": [1], "b": null}') == {"a": [1], "b": None}
    with pytest.raises(ApiError, match="unable to decode"):
        decode("", "application/json", b"{")
