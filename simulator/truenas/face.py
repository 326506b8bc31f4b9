"""The array's one address: which protocol is at which path, by release."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from secrets import token_hex

from simulator.served.face import Conversation, HttpRequest, HttpResponse, Reachable, Shown
from simulator.served.login import Login
from simulator.truenas import rest1, rest2
from simulator.truenas.api import TrueNasApi
from simulator.truenas.auth import SECRET_LENGTH
from simulator.truenas.ddp import Ddp
from simulator.truenas.declared import declared
from simulator.truenas.documents import Documents
from simulator.truenas.install import installed
from simulator.truenas.jsonrpc import JsonRpc
from simulator.truenas.version import version_of
from simulator.twin import Twin

PORT = 8443  # the vendor's is 443, which needs rights that a simulation should not
_VERSIONED = re.compile(r"/api/v(\d+\.\d+(\.\d+)?)/?")


def faces(twin: Twin, login: Login, *, epoch_s: float) -> Iterator[tuple[str, ArrayFace]]:
    """Address and face of every array; one without a device gets what is declared."""
    for number, nas in enumerate(sorted(twin.model.lab.nas), 1):
        if f"nas/{nas}" not in twin.devices:
            attach(twin, nas, declared(twin, nas))
        api = twin.devices[f"nas/{nas}"]
        assert isinstance(api, TrueNasApi)
        api.epoch_s = epoch_s
        api.set_password(api.version.administrator, login.password)
        if api.version.has("12.0.."):
            login.api_keys[nas] = api.add_key(token_hex(SECRET_LENGTH // 2))
        yield f"127.0.10.{number}", ArrayFace(api)


def attach_installed(twin: Twin) -> None:
    """Let every array of the lab be as just installed."""
    for nas in twin.model.lab.nas:
        attach(twin, nas, installed(twin, nas))


def attach(twin: Twin, nas: str, documents: Documents) -> TrueNasApi:
    """Put an array on a twin, and let the physics have what it serves."""
    api = TrueNasApi(nas, documents, version_of(twin.model.lab.nas[nas].version))
    twin.attach(api)
    api.sync(twin)
    twin.settle()
    return api


class ArrayFace:
    """One array."""

    port = PORT

    def __init__(self, api: TrueNasApi) -> None:
        self.api = api
        self.name = api.nas

    def reachable(self, twin: Twin) -> Reachable:
        """Whether a client gets through to the array."""
        return self.api.reachable(twin)

    def shows(self, shown: Shown) -> None:
        """The array does not tell of them."""
        del shown

    def own_certificate(self) -> None:
        """It is given none."""

    def answer(self, twin: Twin, request: HttpRequest) -> HttpResponse:
        """REST of the release, and the list of versions."""
        version = self.api.version
        if request.path.startswith(f"{rest2.BASE}/") and version.rest2:
            return rest2.answer(self.api, twin, request)
        if request.path.startswith(f"{rest1.BASE}/") and version.rest1:
            return rest1.answer(self.api, twin, request)
        if request.path == "/api/versions" and version.jsonrpc:
            body = json.dumps([f"v{version.short}"]).encode()
            return HttpResponse(200, "", {"Content-Type": "application/json"}, body)
        return HttpResponse(404, "Not Found")

    def digest_field(self, path: str) -> str | None:
        """None: files are not taken."""
        del path
        return None

    def conversation(self, path: str, *, secure: bool) -> Conversation | None:
        """The websocket at a path."""
        if path.rstrip("/") == "/websocket":
            return Ddp(self.api, secure=secure)
        versioned = _VERSIONED.fullmatch(path)
        own = versioned is not None and f"{self.api.version.short}.".startswith(f"{versioned[1]}.")
        if self.api.version.jsonrpc and (path.rstrip("/") == "/api/current" or own):
            return JsonRpc(self.api, secure=secure)
        return None
