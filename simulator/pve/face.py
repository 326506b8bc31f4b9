"""A node's address of a served cluster: HTTP in, the cluster's API asked through this node."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from simulator.pve.documents import NodeFiles
from simulator.pve.install import installed
from simulator.pve.releases import release_of
from simulator.pve.tickets import TICKET_LIFETIME_S
from simulator.pve.wire import ApiError, Given, Request, decode
from simulator.served.face import (
    Conversation,
    HttpRequest,
    HttpResponse,
    OwnCertificate,
    Reachable,
    Shown,
)
from simulator.served.login import Login
from simulator.served.multipart import Form
from simulator.twin import Twin

BASE = "/api2/json"
BASES = re.compile(r"/api2/(json|extjs)(?=/|$)")
PORT = 8006
UPLOAD = re.compile(r"/api2/(json|extjs)/nodes/[^/]+/storage/[^/]+/upload")


def faces(
    twin: Twin, login: Login, *, epoch_s: float, speed: float
) -> Iterator[tuple[str, NodeFace]]:
    """Address and face of every node; a cluster without a device gets one.

    That has the cluster's declared load if the twin has it, else is as just installed.
    """
    for number, cluster in enumerate(sorted(twin.model.nodes), 1):
        name = f"pve/{cluster}"
        if name not in twin.devices:
            loaded = cluster in twin.state.workloads
            documents = (declared if loaded else installed)(twin, cluster)
            version = twin.model.lab.clusters[cluster].version
            made = PveApi(cluster, documents, release=release_of(version))
            twin.attach(made)
            made.sync(twin)
        api = twin.devices[name]
        assert isinstance(api, PveApi)
        api.epoch_s = epoch_s
        api.ticket_lifetime_s = TICKET_LIFETIME_S * max(1.0, speed)
        api.set_password(login.user, login.password)
        api.add_token(login.token, login.secret)
        for place, node in enumerate(twin.model.nodes[cluster], 1):
            yield address_of(number, place), NodeFace(api, node)


def address_of(cluster_number: int, node_number: int) -> str:
    """A loopback address for a node: 127.0.11.1 for the first node of the first cluster."""
    return f"127.0.{10 + cluster_number}.{node_number}"


class NodeFace:
    """One node of a cluster."""

    port = PORT

    def __init__(self, api: PveApi, node: str) -> None:
        self.api = api
        self.name = node

    def reachable(self, twin: Twin) -> Reachable:
        """Whether a client gets through to the node."""
        return self.api.reachable(twin, self.name)

    def digest_field(self, path: str) -> str | None:
        """Files are taken where they are uploaded to a storage."""
        return "checksum-algorithm" if UPLOAD.fullmatch(path) else None

    def shows(self, shown: Shown) -> None:
        """The API tells of them."""
        self.api.certificates[self.name] = shown

    def own_certificate(self) -> OwnCertificate | None:
        """The one that the node's pveproxy started with."""
        return self.api.documents.nodes.get(self.name, NodeFiles()).presented

    def answer(self, twin: Twin, request: HttpRequest) -> HttpResponse:
        """Answer below /api2/json and /api2/extjs; there are no pages here."""
        if (base := BASES.match(request.path)) is None:
            return HttpResponse(404, "no such file")
        try:
            response = self.api.handle(twin, self._asked(request, request.path[base.end() :]))
        except ApiError as error:
            response = error.response
        if base[1] == "extjs":
            response = response.extjs
        return HttpResponse(response.status, response.reason, response.headers, response.body)

    def _asked(self, request: HttpRequest, path: str) -> Request:
        """What is asked of `path`, without the envelope. Raises ApiError for a body that is not
        read here.
        """
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            raise ApiError(501, "chunked transfer encoding not supported\n", body=False)
        kind = request.headers.get("content-type", "")
        params, file = decode(request.query, kind, request.body), None
        if request.form is not None:
            params, file = params | _sent(request.form), request.form.file
        elif request.method == "POST" and UPLOAD.fullmatch(request.path):
            raise ApiError(501, f"upload 'Content-Type '{kind}' not implemented\n", body=False)
        return Request(self.name, request.method, path, params, request.headers, file)

    def conversation(self, path: str, *, secure: bool) -> Conversation | None:
        """None: consoles are left out."""
        del path, secure
        return None


def _sent(form: Form) -> dict[str, Given]:
    """Parameters of an upload: the fields, and the file, by the name that it had and where it was
    put.
    """
    params: dict[str, Given] = {**form.fields}
    if form.file is not None:
        if form.file.field != "filename":
            text = f"wrong field name '{form.file.field}' for file upload, expected 'filename'\n"
            raise ApiError(501, text, body=False)
        mark = hashlib.sha256(repr(form).encode()).hexdigest()[:32]
        params |= {"filename": form.file.name, "tmpfilename": f"/var/tmp/pveupload-{mark}"}  # noqa: S108
    return params
