"""What single settings may be: seconds, references to secrets, addresses and names.

What is refused is told with its reason and fix, and never repeated: it may be a secret in the wrong
place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from controller.database import url_of
from controller.secrets import HOW, REFERENCE
from lab.item import Flaw, Flawed
from lab.units import parse_duration

_COPIED = "the file is copied, shown and kept where a secret must not be"


def _in_seconds(value: Any) -> Any:
    """Refuse `"30s"`, which counts in the language of the lab, and say what it is here."""
    if not isinstance(value, str):
        return value
    try:
        fix = f"write {parse_duration(value):g} without quotes"
    except ValueError:
        fix = "write digits without quotes"
    raise Flawed(Flaw((), "this is a text, not a number of seconds", fix=fix))


def _reference(text: str) -> str:
    if not re.match(REFERENCE, text):
        raise Flawed(Flaw((), "this is no reference to a secret", _COPIED, HOW))
    return text


def _no_password(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Flawed(
            Flaw(
                (), "this is no URL", fix="write SCHEME://HOST/PATH, an address of IPv6 in brackets"
            )
        ) from error
    if parts.password is not None or "password" in parse_qs(parts.query):
        fix = "take it out; leave it to git's credential helper, ~/.netrc or ~/.pgpass"
        raise Flawed(Flaw((), "a password does not belong here", _COPIED, fix))
    return url


def _over_tls(address: str) -> str:
    scheme, parted, rest = address.partition("://")
    if not parted:
        return address
    if scheme not in ("https", "wss"):
        why = "an API key sent without TLS would be revoked"
        raise Flawed(Flaw((), f"{scheme} is not https", why, "write the host alone"))
    return rest.rstrip("/")


def _database(url: str) -> str:
    try:
        if url:
            url_of(url)
    except ValueError as error:
        raise Flawed(Flaw((), str(error), fix="write postgresql://vlab@HOST/NAME")) from error
    return url


def _address(listen: str) -> str:
    try:
        address(listen)
    except ValueError as error:
        what = f"this is no host and port: {error}"
        raise Flawed(Flaw((), what, fix="write both: 127.0.0.1:8420")) from error
    return listen


def address(listen: str) -> tuple[str, int]:
    """`127.0.0.1:8420` or `[::1]:8420` in two. Raises ValueError."""
    parts = urlsplit(f"//{listen}")
    if parts.hostname is None or parts.port is None:
        raise ValueError("one of the two is missing")
    if parts.netloc != listen or "@" in listen:
        raise ValueError("there is more")
    parts.hostname.encode("idna")
    return parts.hostname, parts.port


def _like(pattern: str, what: str, fix: str) -> AfterValidator:
    """Refuse a text of another form without repeating it: it may be a secret in the wrong place."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise Flawed(Flaw((), what, fix=fix))
        return text

    return AfterValidator(check)


Seconds = Annotated[float, Field(gt=0, le=86_400, strict=True), BeforeValidator(_in_seconds)]
Secret = Annotated[str, AfterValidator(_reference)]
Url = Annotated[str, AfterValidator(_no_password)]
FILLED = _like(r"(?s).*\S.*", "this is empty", "write what the installation has there")
Text = Annotated[str, FILLED]
Branch = Annotated[
    str, _like(r"[A-Za-z0-9][\w.+/-]*", "this is no name of a branch", "write its name alone: main")
]
User = Annotated[
    str,
    _like(
        r"[^\s:/!]+@[A-Za-z][\w.-]+", "this is no user of Proxmox VE", "write name@realm: vlab@pve"
    ),
]
Client = Annotated[
    str, _like(r"client\.\S+", "this is no client of Ceph", "write client.NAME: client.vlab")
]
Array = Annotated[str, FILLED, AfterValidator(_over_tls)]
Database = Annotated[str, AfterValidator(_no_password), AfterValidator(_database)]
Listen = Annotated[str, AfterValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65_535, strict=True)]
