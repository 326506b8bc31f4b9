"""What a device shows at one address over HTTP: requests, answers, conversations over a websocket.

Every served device that speaks HTTP has a `Face`; the HTTPS server (`https`) and the adapter for
clients in the same process (`inprocess`) carry its messages and know nothing else of it. Leaves
out: sockets, TLS, time that a message takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cryptography import x509

from simulator.served.multipart import Form
from simulator.state import HostPower
from simulator.twin import Twin

Reachable = Literal["", "refused", "timeout"]
"""Whether a client in the middle of the management network gets through; else how it does not."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `path` is URL-encoded, names of headers are in lower case.

    `form`: in place of the body, where the face takes files.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    secure: bool = True  # over TLS, or within one process
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer. `reason` is the phrase of the status line."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a conversation, as RFC 6455 numbers it."""

    code: int
    reason: str = ""


class Conversation(Protocol):
    """One open websocket."""

    def receive(self, twin: Twin, text: str) -> list[str | Close]:
        """Take a message; what is sent back at once."""

    def deliver(self, twin: Twin) -> list[str | Close]:
        """What is to be sent by now that no message asked for just before: events, late answers."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificates that clients of one address are shown."""

    authority: x509.Certificate
    own: x509.Certificate


OwnCertificate = tuple[str, str]
"""A certificate that a device was given with those that lead to its authority, and its key: PEM."""


class Face(Protocol):
    """One address of a device."""

    name: str  # of the host in the lab, as certificates and `addresses` have it
    port: int  # where such devices listen

    def reachable(self, twin: Twin) -> Reachable:
        """Whether anybody gets through."""

    def digest_field(self, path: str) -> str | None:
        """Where forms with a file of any size are taken: the field that says how the file is to be
        summed up. None elsewhere.
        """

    def shows(self, shown: Shown) -> None:
        """Take note of the certificates that clients see here."""

    def own_certificate(self) -> OwnCertificate | None:
        """What a client that connects now is shown in place of those; None: nothing else."""

    def answer(self, twin: Twin, request: HttpRequest) -> HttpResponse:
        """Answer a request at the twin's present instant."""

    def conversation(self, path: str, *, secure: bool) -> Conversation | None:
        """A websocket that a client opens here; None where there is none."""


def reachable(twin: Twin, host: str) -> Reachable:
    """Whether a client in the middle of the management network gets through to a host's API.

    One that is off answers nothing, but its address is refused at once on one segment; one that
    hangs, or lies behind a dead switch, times out.
    """
    if not twin.facts.host_on(host):
        return "timeout" if twin.state.hosts[host] is HostPower.ON else "refused"
    if twin.model.management and not twin.facts.api_reachable(host):
        return "timeout"
    return ""
