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

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.exceptions import ConnectionError as Refused
from requests.exceptions import ConnectTimeout
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from simulator.pve.api import PveApi
from simulator.pve.face import NodeFace
from simulator.served.face import Face, HttpRequest, HttpResponse
from simulator.served.multipart import Form, FormReader
from simulator.truenas.api import TrueNasApi
from simulator.truenas.face import ArrayFace
from simulator.twin import Twin

PIECE_BYTES = 64 * 1024


class TwinAdapter(BaseAdapter):
    """Answers `https://HOST:PORT/...`; `hosts` are other names and addresses of the lab's hosts."""

    def __init__(self, twin: Twin, hosts: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.twin = twin
        self.hosts = hosts or {}

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Answer at once. Raises what requests raises when nobody answers."""
        url = urlsplit(str(request.url))
        host = url.hostname or ""
        name = self.hosts.get(host) or self.hosts.get(url.netloc) or host
        face = _face(self.twin, name)
        if face is None:
            raise _refused(request, f"there is no node {name}")
        match face.reachable(self.twin):
            case "refused":
                raise _refused(request, f"{name} refuses connections")
            case "timeout":
                raise ConnectTimeout(f"{name} does not answer", request=request)
            case _:
                return _http(request, face.answer(self.twin, _asked(face, request)))

    def close(self) -> None:
        """Nothing is open."""


def _face(twin: Twin, name: str) -> Face | None:
    """What answers at a host of the lab."""
    lab = twin.model.lab
    if name in lab.nodes:
        api = twin.devices[f"pve/{lab.nodes[name].cluster}"]
        assert isinstance(api, PveApi)
        return NodeFace(api, name)
    if name in lab.nas:
        array = twin.devices[f"nas/{name}"]
        assert isinstance(array, TrueNasApi)
        return ArrayFace(array)
    return None


def _refused(request: PreparedRequest, why: str) -> Refused:
    """As requests says it of a connection that was never made."""
    url = urlsplit(str(request.url))
    pool = HTTPSConnectionPool(str(url.hostname), url.port)
    reason = NewConnectionError(HTTPSConnection(str(url.hostname), url.port), why)
    return Refused(MaxRetryError(pool, url.path, reason), request=request)


def _asked(face: Face, request: PreparedRequest) -> HttpRequest:
    """A prepared request as a served device takes it."""
    url = urlsplit(str(request.url))
    body, form = request.body or b"", None
    kind = str(request.headers.get("content-type", ""))
    digest_field = face.digest_field(url.path)
    if digest_field is not None and kind.lower().startswith("multipart/form-data"):
        body, form = b"", _form(kind, digest_field, body)
    return HttpRequest(
        str(request.method),
        url.path,
        url.query,
        {name.lower(): str(value) for name, value in request.headers.items()},
        body.encode() if isinstance(body, str) else bytes(body),
        secure=url.scheme == "https",
        form=form,
    )


def _form(kind: str, digest_field: str, body: Any) -> Form:
    """A form with a file: in one piece, or to be read in many, as streaming encoders have it."""
    reader = FormReader(kind, digest_field)
    if isinstance(body, bytes):
        reader.feed(body)
    else:
        while piece := body.read(PIECE_BYTES):
            reader.feed(piece)
    return reader.end()


def _http(request: PreparedRequest, response: HttpResponse) -> Response:
    made = Response()
    made.status_code = response.status
    made.reason = response.reason
    made.headers = CaseInsensitiveDict(response.headers)
    made.raw = BytesIO(response.body)
    made.url = str(request.url)
    made.request = request
    made.encoding = "utf-8"
    return made
