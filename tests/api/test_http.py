"""The HTTP API as a client meets it: real requests to a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from api.answers import Fault
from api.http import KEEP_S, Server, ServerFailed, create_app
from api.metrics import Metrics
from api.routes.simulations import Bench
from api.timeline import as_json
from api.view import View
from controller.conditions import Condition, ConditionType, Status
from controller.database import HistoryAway
from controller.history import Event
from lab.errors import Refused
from lab.faults import parse_faults
from lab.lab import Lab
from simulator.outcome.simulate import simulate
from tests.api.exhibit import TOKEN, Exhibit
from tests.simulator.three_nodes import guest, three_nodes

BEARER = {"authorization": f"Bearer {TOKEN}"}
PVE2 = {"faults": "fail-node pve2"}

OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/api/v1/status"): {},
    ("GET", "/api/v1/objects"): {},
    ("GET", "/api/v1/plan"): {},
    ("GET", "/api/v1/runs"): {},
    ("GET", "/api/v1/runs/{number}"): {},
    ("GET", "/api/v1/lab"): {},
    ("GET", "/api/v1/events"): {"stream": True},
    ("POST", "/api/v1/simulations"): {"json": PVE2},
    ("POST", "/api/v1/look"): {"headers": BEARER},
    ("GET", "/healthz"): {},
    ("GET", "/readyz"): {},
    ("GET", "/metrics"): {},
}


def test_every_operation_of_openapi_answers_as_its_model_says(client: httpx.Client) -> None:
    described = client.get("/api/v1/openapi.json").json()
    found = {
        (method.upper(), path)
        for path, operations in described["paths"].items()
        for method in operations
    }
    assert found == OPERATIONS.keys(), "a route has come or gone: say here how to ask it"
    for (method, path), asked in OPERATIONS.items():
        operation = described["paths"][path][method.lower()]
        code, answer = next(iter(operation["responses"].items()))
        if asked.get("stream"):
            assert "text/event-stream" in answer["content"]
            continue
        response = client.request(method, path.replace("{number}", "1"), **asked)
        assert response.status_code == int(code), response.text
        if schema := answer.get("content", {}).get("application/json", {}).get("schema"):
            rooted = {**schema, "components": described["components"]}
            jsonschema.validate(response.json(), rooted)


@pytest.mark.parametrize(
    ("method", "path", "asked", "code"),
    [
        ("GET", "/api/v1/runs/99", {}, 404),
        ("GET", "/api/v1/runs/none", {}, 422),
        ("GET", f"/api/v1/runs/{10**30}", {}, 422),
        ("GET", "/api/v1/runs?limit=0", {}, 422),
        ("GET", "/api/v1/nothing", {}, 404),
        ("PUT", "/api/v1/status", {}, 405),
        ("POST", "/api/v1/look", {}, 401),
        ("POST", "/api/v1/look", {"headers": {"authorization": "Bearer wrong"}}, 401),
        ("POST", "/api/v1/simulations", {"json": {"faults": "fail-node pve9"}}, 422),
        ("POST", "/api/v1/simulations", {"json": {"faults": "break-node pve2"}}, 422),
        ("POST", "/api/v1/simulations", {"json": {"faults": "fail-node pve2@2h"}}, 422),
        ("POST", "/api/v1/simulations", {"json": {"faults": "fail-node pve2 " * 17}}, 422),
        ("POST", "/api/v1/simulations", {"json": {"faults": ""}}, 422),
        ("POST", "/api/v1/simulations", {"json": {**PVE2, "seed": -1}}, 422),
        ("POST", "/api/v1/simulations", {"json": {**PVE2, "colour": "red"}}, 422),
        ("POST", "/api/v1/simulations", {"content": b"x" * 70_000}, 413),
    ],
)
def test_what_can_t_be_done_is_a_problem_that_says_why(
    client: httpx.Client, method: str, path: str, asked: dict[str, Any], code: int
) -> None:
    response = client.request(method, path, **asked)
    assert response.status_code == code
    if code != 413:  # the server's own guard, before the application
        assert response.headers["content-type"] == "application/problem+json"
        told = response.json()
        assert told["status"] == code
        assert told["detail"]


def test_everything_that_is_not_understood_is_pointed_at(client: httpx.Client) -> None:
    asked = {"faults": "", "seed": 2**32, "a/b c": 1}
    told = client.post("/api/v1/simulations", json=asked).json()
    assert told["errors"] == [
        {"detail": "faults is empty", "fix": "write 1 or more characters", "pointer": "#/faults"},
        {
            "detail": "seed is 4294967296, not less than 4294967296",
            "fix": "write less than 4294967296",
            "pointer": "#/seed",
        },
        {"detail": "there is no key a/b c", "fix": "take it out", "pointer": "#/a~1b%20c"},
    ]
    assert told["detail"] == "; ".join(error["detail"] for error in told["errors"])
    told = client.get("/api/v1/runs?limit=all").json()
    assert told["errors"] == [
        {
            "detail": "limit is all, not a whole number",
            "fix": "write digits only",
            "parameter": "limit",
        }
    ]
    (error,) = client.post("/api/v1/simulations", content=b"{").json()["errors"]
    assert error["pointer"] == "#"
    (error,) = client.post("/api/v1/simulations").json()["errors"]
    assert error["detail"] == "the body is missing"


def test_a_misspelt_node_is_answered_with_the_nearest_name(client: httpx.Client) -> None:
    told = client.post("/api/v1/simulations", json={"faults": "fail-node pve22"}).json()
    assert "pve2" in told["detail"]
    assert "there is no node pve22" in told["detail"]


def test_a_simulation_tells_what_the_command_line_tells(
    client: httpx.Client, shown: Exhibit
) -> None:
    words = "fail-node pve2@0s..300s fail-switch sw1@30s"
    told = client.post("/api/v1/simulations", json={"faults": words, "seed": 7}).json()
    report = simulate(shown.lab, parse_faults([words]), seed=7)
    assert told == json.loads(json.dumps(as_json(report)))


def test_an_outage_says_from_when_until_when(client: httpx.Client) -> None:
    told = client.post("/api/v1/simulations", json=PVE2).json()
    zoro = next(each for each in told["outages"] if each["subject"] == "guest zoro")
    ((begun, ended),) = zoro["spans"]
    assert begun == 0.0
    assert ended == zoro["outage_s"] > 60
    student = next(each for each in told["outages"] if each["subject"] == "guest student11")
    assert student["spans"] == []


def test_a_second_simulation_at_the_same_time_is_asked_to_wait(
    client: httpx.Client, held: Held
) -> None:
    answers: list[httpx.Response] = []
    first = threading.Thread(
        target=lambda: answers.append(client.post("/api/v1/simulations", json=PVE2))
    )
    first.start()
    assert held.reached.wait(60)
    second = client.post("/api/v1/simulations", json=PVE2)
    assert (second.status_code, second.headers["retry-after"]) == (429, "2")
    held.go_on.set()
    first.join()
    assert answers[0].status_code == 200
    assert client.post("/api/v1/simulations", json=PVE2).status_code == 200


@dataclass(frozen=True)
class Held:
    """A lab whose simulation does not come past its guests until it may go on."""

    lab: Lab
    reached: threading.Event
    go_on: threading.Event


@pytest.fixture
def held(shown: Exhibit) -> Iterator[Held]:
    """What is shown is held from now on."""
    reached, go_on = threading.Event(), threading.Event()

    class Slow(Lab):
        """A lab whose guests are slow to be read."""

        def __getattribute__(self, name: str) -> Any:
            if name == "guests" and threading.current_thread().name.startswith("simulation"):
                reached.set()
                assert go_on.wait(60)
            return super().__getattribute__(name)

    lab = Slow(**{name: getattr(shown.lab, name) for name in shown.lab.__dataclass_fields__})
    assert shown.now is not None
    shown.now = replace(shown.now, lab=lab)
    yield Held(lab, reached, go_on)
    go_on.set()


def test_a_simulation_that_takes_too_long_is_given_up_and_keeps_its_turn(held: Held) -> None:
    bench = Bench()
    with pytest.raises(Exception, match="takes longer than 0 s"):
        bench.run(held.lab, parse_faults(["fail-node", "pve2"]), 0, 0)
    with pytest.raises(Exception, match="another simulation is running"):
        bench.run(held.lab, parse_faults(["fail-node", "pve2"]), 0, 60)
    bench.close()


def test_who_has_heard_of_a_simulation_may_ask_for_the_next_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However late the thread that made it comes to whatever it does afterwards."""
    monkeypatch.setattr(Future, "add_done_callback", lambda _self, _act: None)
    bench, lab = Bench(), three_nodes(guest("web", 101, on="pve1"))
    for _ in range(2):
        bench.run(lab, parse_faults(["fail-node", "pve1"]), 0, 60)
    bench.close()


def test_the_token_lets_a_webhook_say_look_now(client: httpx.Client, shown: Exhibit) -> None:
    body = {"ref": "refs/heads/main", "anything": "that a forge sends"}
    assert client.post("/api/v1/look", json=body, headers=BEARER).status_code == 202
    assert client.post("/api/v1/look", headers=BEARER).status_code == 202
    assert shown.looked == ["webhook", "webhook"]
    denied = client.post("/api/v1/look")
    assert denied.headers["www-authenticate"] == "Bearer"
    assert shown.looked == ["webhook", "webhook"]


Serve = Callable[[View], httpx.Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves a view and gives a client of it."""
    opened: list[tuple[Server, httpx.Client]] = []

    def start(view: View) -> httpx.Client:
        server = Server(create_app(view), "127.0.0.1", 0)
        server.__enter__()
        client = httpx.Client(base_url=server.url, trust_env=False, timeout=60)
        opened.append((server, client))
        return client

    yield start
    for server, client in opened:
        client.close()
        server.__exit__(None, None, None)


def test_without_a_token_nobody_may_say_look_now(shown: Exhibit, serve: Serve) -> None:
    client = serve(shown.view(token=None))
    answer = client.post("/api/v1/look", headers=BEARER)
    assert answer.status_code == 403
    assert "api.token" in answer.json()["detail"]
    assert shown.looked == []


def test_from_afar_a_simulation_needs_the_token_and_reading_does_not(
    shown: Exhibit, serve: Serve
) -> None:
    client = serve(shown.view(listen="0.0.0.0"))
    assert client.get("/api/v1/status").status_code == 200
    assert client.post("/api/v1/simulations", json=PVE2).status_code == 401
    assert client.post("/api/v1/simulations", json=PVE2, headers=BEARER).status_code == 200


@pytest.mark.parametrize("listen", ["0.0.0.0", "192.168.99.5", "::", "lab.example"])
def test_an_open_address_without_a_token_is_refused(shown: Exhibit, listen: str) -> None:
    with pytest.raises(Refused, match="no token is set"):
        shown.view(token=None, listen=listen)
    shown.view(listen=listen)
    shown.view(token=None, listen="::1")
    shown.view(token=None, listen="localhost")


def test_a_name_that_is_not_of_this_machine_is_turned_away(client: httpx.Client) -> None:
    answer = client.get("/api/v1/status", headers={"host": "evil.example:8420"})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    for host in ("localhost:1", "127.0.0.1", "[::1]:8420", "LOCALHOST"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_every_answer_is_kept_from_being_framed_sniffed_or_scripted(client: httpx.Client) -> None:
    for path in ("/", "/page/page.js", "/api/v1/status", "/api/v1/nothing", "/metrics"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_a_page_elsewhere_gets_no_leave_to_ask(client: httpx.Client) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = client.request("OPTIONS", "/api/v1/simulations", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]
    plain = client.post(
        "/api/v1/simulations", content=json.dumps(PVE2), headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 422


def test_no_answer_holds_a_secret(client: httpx.Client) -> None:
    for (method, path), asked in OPERATIONS.items():
        if not asked.get("stream"):
            response = client.request(method, path.replace("{number}", "1"), **asked)
            assert TOKEN not in response.text
            assert "secret://" not in response.text


def test_it_is_ready_once_a_pass_has_ended_and_alive_before(
    client: httpx.Client, shown: Exhibit
) -> None:
    assert client.get("/readyz").status_code == 200
    shown.history.remember({"looked": ""})
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_before_the_first_commit_the_lab_is_not_found_and_the_rest_answers(
    client: httpx.Client, shown: Exhibit
) -> None:
    shown.now = None
    assert client.get("/api/v1/lab").status_code == 404
    assert client.post("/api/v1/simulations", json=PVE2).status_code == 404
    assert client.get("/api/v1/status").status_code == 200
    shown.history.remember({"plan": ""})
    assert client.get("/api/v1/plan").status_code == 404


def test_a_history_that_is_away_is_a_503_that_says_to_come_back(
    shown: Exhibit, serve: Serve, tmp_path: Path
) -> None:
    client = serve(shown.view())
    assert client.get("/api/v1/status").status_code == 200
    shown.history.close()
    (tmp_path / "history.db").write_bytes(b"not a database" * 1000)
    for path in ("/api/v1/status", "/api/v1/runs", "/metrics", "/readyz"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert answer.headers["retry-after"] == "5"
    with pytest.raises(HistoryAway):
        shown.history.conditions()


def test_status_shows_the_commit_the_conditions_and_the_last_run(client: httpx.Client) -> None:
    told = client.get("/api/v1/status").json()
    assert told["sync"] == "in-sync"
    assert told["in_force"]["subject"] == "Give zoro its second disk"
    assert {each["type"]: each["status"] for each in told["conditions"]} == {
        "Ready": "True", "Reconciling": "False", "Stalled": "False", "Safe": "True",
        "Drifted": "False",
    }  # fmt: skip
    assert [run["result"] for run in told["runs"]] == ["applied"]
    assert {"subject": "guests/luffy"}.items() <= told["objects"][
        [each["subject"] for each in told["objects"]].index("guests/luffy")
    ].items()


def test_a_run_shows_what_was_done_to_which_thing(client: httpx.Client) -> None:
    told = client.get("/api/v1/runs/1").json()
    zoro = next(
        each
        for each in told["operations"]
        if (each["kind"], each["subject"]) == ("vm", "guests/zoro")
    )
    assert (zoro["action"], zoro["state"], zoro["device"]) == ("create", "done", "pve/a")
    assert {"field": "memory_bytes", "old": "nothing", "new": "8GiB"} in zoro["changes"]


def test_events_tell_of_a_run_and_of_conditions_as_they_change(
    client: httpx.Client, shown: Exhibit
) -> None:
    with client.stream("GET", "/api/v1/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = _events(stream)
        assert next(events) == (
            "run",
            {"number": 1, "result": "applied", "operations": {"done": 64}},
        )
        name, first = next(events)
        assert (name, first["looked_s"]) == ("status", shown.clock_s)

        ready = Condition(ConditionType.READY, Status.FALSE, "GateRefused", "no")
        shown.history.set_conditions({"": [ready]})
        shown.history.tell([Event(shown.clock_s, "condition", "", "Ready is False")])
        name, second = next(events)
        assert (name, second["event"]) == ("status", first["event"] + 1)

        shown.break_down(Fault(subject="node pve2", text="is offline"))
        assert next(events)[0] == "status"


def _events(stream: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Events as they come; after a minute of silence, four pings, no more is waited for."""
    name, pings = "", 0
    for line in stream.iter_lines():
        field, _, value = line.partition(": ")
        pings += line == ": ping"
        assert pings < 4, "nothing was told"
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_figures_show_all_devices_of_a_pass_or_those_of_the_one_before(shown: Exhibit) -> None:
    metrics, view = Metrics(), shown.view()
    scraped: list[bytes] = []
    scrape = threading.Thread(target=lambda: scraped.append(metrics.text(view)))

    class Watched(int):
        """A count that is scraped while it is taken over."""

        def __float__(self) -> float:
            scrape.start()
            scrape.join(0.2)
            return 1.0

    metrics.observed({"pve/a": Watched(1), "pve/b": 2}, 0)
    scrape.join()
    assert scraped[0].count(b"vlab_observed_things{") == 2


def test_only_so_many_may_listen_at_once(shown: Exhibit, serve: Serve, app: FastAPI) -> None:
    app.state.listeners.count = 64
    with Server(app, "127.0.0.1", 0) as server:
        answer = httpx.get(f"{server.url}api/v1/events", trust_env=False, timeout=60)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"


@pytest.fixture
def app(shown: Exhibit) -> FastAPI:
    """The application, not served yet."""
    return create_app(shown.view())


def test_a_server_ends_while_somebody_listens(app: FastAPI) -> None:
    with ExitStack() as opened:
        client = opened.enter_context(httpx.Client(trust_env=False, timeout=60))
        with Server(app, "127.0.0.1", 0) as server:
            listening = client.stream("GET", f"{server.url}api/v1/events")
            events = _events(opened.enter_context(listening))
            assert next(events)[0] == "run"
        assert [name for name, _ in events] == ["status"]


def test_an_idle_connection_is_given_up_by_the_client_first() -> None:
    """A server that closes it may do so just as the client asks again, which then fails."""
    assert (httpx.Limits().keepalive_expiry or 0) < KEEP_S


def test_a_port_that_is_taken_is_said_so(app: FastAPI) -> None:
    with Server(app, "127.0.0.1", 0) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        with pytest.raises(ServerFailed, match=f"127.0.0.1:{port}: Address already in use"):
            Server(app, "127.0.0.1", port)
