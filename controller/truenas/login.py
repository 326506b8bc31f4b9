"""How we log in to an array, and over which TLS. A key never goes out without it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from lab.errors import DeviceError


@dataclass(frozen=True)
class Login:
    """An API key (12.0 and later), of `user` if named; or a user's password.

    `secret` is asked for when it is needed, so that a key that was changed needs no restart.
    """

    secret: Callable[[], SecretStr] = field(repr=False)
    user: str = ""
    by_key: bool = True


def tls_context(device: str, ca: Path | None) -> ssl.SSLContext:
    """Certificates are verified; against `ca` if given, else the system's authorities.

    Raises DeviceError if `ca` can't be used.
    """
    try:
        return ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise DeviceError(device, f"ca {ca}: {error}") from error


def untrusted(device: str, address: str, error: BaseException) -> DeviceError | None:
    """What to tell of a certificate that is not verified; None if it is something else."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            what = f"{address} is not trusted: {cause.verify_message}"
            fix = "name the authority of its certificate: ca"
            return DeviceError(device, f"{what}\n  fix: {fix}")
        cause = cause.__cause__ or cause.__context__
    return None
