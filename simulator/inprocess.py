"""The served APIs without sockets: an adapter for `requests` sessions that answers from a twin.

Mounted on a session, it lets any client built on requests (proxmoxer is one) work on a twin in the
same process, at the twin's present instant; whoever mounts it lets the time pass. Used by
rehearsals. Leaves out: certificates, and time that a request takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests import Response as HttpResponse
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectionError as Refused
from requests.exceptions import ConnectTimeout
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from simulator.pve.api import PveApi
from simulator.pve.wire import ApiError, Request, Response, decode
from simulator.twin import Twin

BASE = "/api2/json"


class TwinAdapter(BaseAdapter):
    """Answers `https://NODE:8006/api2/json/...`; `hosts` are other names and addresses of nodes."""

    def __init__(self, twin: Twin, hosts: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.twin = twin
        self.hosts = hosts or {}

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer at once. Raises what requests raises when nobody answers."""
        url = urlsplit(str(request.url))
        host = url.hostname or ""
        node = self.hosts.get(host) or self.hosts.get(url.netloc) or host
        declared = self.twin.model.lab.nodes.get(node)
        if declared is None:
            raise _refused(request, f"there is no node {node}")
        api = self.twin.devices[f"pve/{declared.cluster}"]
        assert isinstance(api, PveApi)
        match api.reachable(self.twin, node):
            case "refused":
                raise _refused(request, f"{node} refuses connections")
            case "timeout":
                raise ConnectTimeout(f"{node} does not answer", request=request)
            case _:
                return _http(request, answer(api, self.twin, node, request))

    def close(self) -> None:
        """Nothing is open."""


def _refused(request: PreparedRequest, why: str) -> Refused:
    """As requests says it of a connection that was never made."""
    url = urlsplit(str(request.url))
    pool = HTTPSConnectionPool(str(url.hostname), url.port)
    reason = NewConnectionError(HTTPSConnection(str(url.hostname), url.port), why)
    return Refused(MaxRetryError(pool, url.path, reason), request=request)


def answer(api: PveApi, twin: Twin, node: str, request: PreparedRequest) -> Response:
    """The API's answer to a prepared request."""
    url = urlsplit(str(request.url))
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    body = request.body or b""
    raw = body.encode() if isinstance(body, str) else bytes(body)
    try:
        params = decode(url.query, headers.get("content-type", ""), raw)
    except ApiError as error:
        return error.response
    path = url.path.removeprefix(BASE)
    return api.handle(twin, Request(node, str(request.method), path, params, headers))


def _http(request: PreparedRequest, response: Response) -> HttpResponse:
    made = HttpResponse()
    made.status_code = response.status
    made.reason = response.reason
    made.headers = CaseInsensitiveDict(response.headers)
    made.raw = BytesIO(response.body)
    made.url = str(request.url)
    made.request = request
    made.encoding = "utf-8"
    return made
