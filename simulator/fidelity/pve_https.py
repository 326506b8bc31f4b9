"""Requests to a twin's API over HTTPS, as a client of another machine would send them.

For `pve_api`, to show that what travels over the wire is what the plain function answers: forms,
JSON bodies, query strings, headers and reason phrases. Simulated time stands still but for what the
player lets pass.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from simulator.pve.api import PveApi
from simulator.pve.face import BASE
from simulator.pve.wire import Request, Response
from simulator.served.lab import ADMINISTRATOR, ServedLab
from simulator.twin import Twin

Deliver = Callable[[Request], Response]


@contextmanager
def over_https(twin: Twin, api: PveApi) -> Iterator[Deliver]:
    """A way to send requests to a twin that is served meanwhile, at free ports of loopback."""
    epoch_s, documents = api.epoch_s, api.documents
    with (
        TemporaryDirectory(prefix="vlab-") as folder,
        ServedLab.start(twin, Path(folder), speed=0.0, port=0) as served,
    ):
        api.epoch_s = epoch_s
        documents.tokens.pop(ADMINISTRATOR)
        documents.passwords.pop(served.login.user)
        context = ssl.create_default_context(cafile=str(served.ca_file))

        def deliver(request: Request) -> Response:
            host, _, port = served.addresses[request.node].partition(":")
            connection = HTTPSConnection(host, int(port), context=context, timeout=30)
            try:
                return _sent(connection, request)
            finally:
                connection.close()

        yield deliver


def _sent(connection: HTTPSConnection, request: Request) -> Response:
    """A value that is no text can only have come as JSON, and goes as JSON again."""
    is_json = any(not isinstance(value, str | list) for value in request.params.values())
    path, headers, body = BASE + request.path, dict(request.headers), b""
    if request.method in ("GET", "DELETE"):
        if request.params:
            path += "?" + urlencode(request.params, doseq=True)
    elif is_json:
        body = json.dumps(request.params).encode()
        headers["content-type"] = "application/json"
    else:
        body = urlencode(request.params, doseq=True).encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    connection.request(request.method, path, body or None, headers)
    answer = connection.getresponse()
    text = answer.read()
    return Response(answer.status, answer.reason, json.loads(text) if text else None)
