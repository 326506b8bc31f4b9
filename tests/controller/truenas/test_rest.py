"""What a web server before an array may say that the served array never does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from controller.secrets import resolve
from controller.truenas import rest2
from controller.truenas.connect import Connection
from controller.truenas.login import Login
from lab.errors import DeviceError

KEY = "1-key-that-must-not-be-told"
PAGE = "<html>TrueNAS is starting</html>"
NONE = httpx.Response(404)
CORE = httpx.Response(200, json="TrueNAS-13.0-U6.8")
Answer = httpx.Response | Callable[[], httpx.Response]


def way(
    monkeypatch: pytest.MonkeyPatch,
    says: dict[str, Answer],
    login: Login | None = None,
    clients: list[httpx.Client] | None = None,
) -> Connection:
    """The way to an array that says this at paths that begin so, and else 404.

    `clients` gets those that it makes.
    """
    clients = [] if clients is None else clients

    def answer(request: httpx.Request) -> httpx.Response:
        path = next((path for path in says if request.url.path.startswith(path)), "")
        said = says.get(path, NONE)
        return said if isinstance(said, httpx.Response) else said()

    client = httpx.Client

    def made(**_: object) -> httpx.Client:
        clients.append(client(transport=httpx.MockTransport(answer)))
        return clients[-1]

    monkeypatch.setattr("controller.truenas.connect.httpx.Client", made)
    login = login or Login(lambda: SecretStr(KEY))
    return Connection("nas/nas1", "nas1", login, ca=None, timeout_s=5.0)


@pytest.mark.parametrize(
    ("says", "told", "status"),
    [
        ({"/api/versions": httpx.Response(200, text=PAGE)}, "no answer: what came is not JSON", 0),
        ({"/api/versions": httpx.Response(500)}, "/api/versions: no answer: HTTP 500", 0),
        ({"/api/versions": httpx.Response(429)}, "too many requests at once", 429),
        ({"/api/v2.0": httpx.Response(500)}, "version: no answer: HTTP 500", 0),
        ({"/api/v2.0": httpx.Response(200, text=PAGE)}, "what came is not JSON: '<html>", 0),
        ({"/api/v1.0": httpx.Response(200, text=PAGE)}, "what came is not JSON: '<html>", 0),
    ],
)
def test_what_is_no_answer_is_asked_for_again_and_tells_nothing_of_the_protocol(
    says: dict[str, Answer], told: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = way(monkeypatch, says)
    with pytest.raises(DeviceError, match=told) as error:
        array.call("system.version", (), 5.0)
    assert (error.value.retryable, error.value.status) == (True, status)
    assert KEY not in str(error.value)

    says.clear()
    says["/api/v2.0"] = CORE
    assert array.call("system.version", (), 5.0) == "TrueNAS-13.0-U6.8"


@pytest.mark.parametrize(
    "body",
    [{"message": "in use", "errno": "EBUSY"}, {"x.name": ["in use"]}, {"x": "in use"}, ["in use"]],
)
def test_a_refusal_in_another_form_is_still_one(body: object) -> None:
    error = rest2._error("nas/nas1", "x", httpx.Response(422, json=body))
    assert (error.retryable, error.status) == (False, 422)
    assert "in use" in error.what


def test_an_answer_that_comes_drop_by_drop_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = iter(range(0, 1000, 3))
    monkeypatch.setattr("controller.truenas.rest2.monotonic", lambda: next(now_s))
    drops: list[bytes] = []

    def dripping() -> Iterator[bytes]:
        for _ in range(100):
            drops.append(b" ")
            yield b" "

    says = {"/api/v2.0": lambda: httpx.Response(200, content=dripping())}
    array = way(monkeypatch, {**says})
    with pytest.raises(DeviceError, match="no answer: not all of it within 5 s"):
        array.call("system.version", (), 5.0)
    assert len(drops) < 5


def test_a_silence_that_one_call_meets_closes_nothing_under_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, met = threading.Event(), threading.Event()
    here = threading.get_ident()

    def secret() -> SecretStr:
        if threading.get_ident() != here:  # the other call, about to be sent
            begun.set()
            assert met.wait(60)
        return SecretStr(KEY)

    says: dict[str, Answer] = {"/api/v2.0/system": CORE, "/api/v2.0/pool": httpx.Response(503)}
    clients: list[httpx.Client] = []
    array = way(monkeypatch, says, Login(secret), clients)
    with ThreadPoolExecutor(1) as pool:
        assert array.call("system.version", (), 5.0) == "TrueNAS-13.0-U6.8"
        other = pool.submit(array.call, "system.version", (), 5.0)
        assert begun.wait(60)
        with pytest.raises(DeviceError, match="no answer"):
            array.call("pool.query", (), 5.0)
        met.set()
        assert other.result(60) == "TrueNAS-13.0-U6.8"
    array.close()
    assert [client.is_closed for client in clients] == [True]


def test_a_secret_that_is_gone_for_a_while_is_told_of_this_array(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = Login(lambda: resolve("secret://file/key", tmp_path))
    array = way(monkeypatch, {"/api/v2.0": CORE}, login)
    with pytest.raises(DeviceError, match=r"login: secret://file/key: .*No such file"):
        array.call("system.version", (), 5.0)
    (tmp_path / "key").write_text(KEY)
    assert array.call("system.version", (), 5.0) == "TrueNAS-13.0-U6.8"
