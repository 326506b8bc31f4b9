"""Second factors of a user: one-time codes by time (TOTP) and recovery keys, as plain data.

What `tickets` asks for at a login, and `tfa` lets users change; kept apart from the other documents
as it is secret (priv/tfa.cfg). Source: proxmox-tfa (Rust), RFC 6238; for the limits the
administration guide, Limits and Lockout. Leaves out: WebAuthn, U2F and Yubico keys, which need a
device.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, unquote, urlsplit

TOTP_TRIES, TRIES = 8, 100
LOCKED_S = 3600
RECOVERY_KEYS = 10


@dataclass(frozen=True, slots=True)
class Totp:
    """What an authenticator app knows. Periods are seconds."""

    secret: bytes
    digits: int = 6
    period_s: int = 30
    algorithm: str = "sha1"

    def code(self, step: int) -> str:
        """The code of the time `step * period_s`."""
        digest = hmac.new(self.secret, step.to_bytes(8, "big"), self.algorithm).digest()
        at = digest[-1] & 0xF
        number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
        return f"{number % 10**self.digits:0{self.digits}d}"

    def step_of(self, code: str, now_s: int) -> int | None:
        """The step whose code this is: the present one, or the one before or after."""
        now = now_s // self.period_s
        return next((step for step in (now - 1, now, now + 1) if self.code(step) == code), None)


def read_totp(uri: str) -> Totp:
    """A TOTP from its `otpauth://totp/...` address. Raises ValueError for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "otpauth" or parts.netloc != "totp":
        raise ValueError("not an otpauth uri")
    given = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    text = unquote(given.get("secret", "")).upper().rstrip("=")
    try:
        secret = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError("failed to decode secret") from error
    algorithm = given.get("algorithm", "sha1").lower()
    known = algorithm in ("sha1", "sha256", "sha512")
    digits, period = given.get("digits", "6"), given.get("period", "30")
    if not (secret and known and digits in ("6", "7", "8") and period.isdecimal() and int(period)):
        raise ValueError("not an otpauth uri")
    return Totp(secret, int(digits), int(period), algorithm)


@dataclass(frozen=True, slots=True)
class TotpEntry:
    """One app. `last_step`: of the code that was used last; no code is good for two logins."""

    id: str
    description: str
    created_s: int
    totp: Totp
    enabled: bool = True
    last_step: int = -1


@dataclass(frozen=True, slots=True)
class Recovery:
    """Hashes of the keys by their numbers; None: used."""

    created_s: int
    keys: tuple[str | None, ...]

    @property
    def left(self) -> list[int]:
        """Numbers of the keys that were not used."""
        return [number for number, key in enumerate(self.keys) if key is not None]


def recovery_hash(key: str) -> str:
    """How a recovery key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Factors:
    """All of one user, and how often a login with them failed."""

    totp: tuple[TotpEntry, ...] = ()
    recovery: Recovery | None = None
    totp_failures: int = 0
    failures: int = 0
    locked_until_s: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is none, not even one that is off."""
        return not self.totp and self.recovery is None

    @property
    def totp_locked(self) -> bool:
        """Whether codes are no longer taken."""
        return self.totp_failures >= TOTP_TRIES

    @property
    def locks(self) -> dict[str, int]:
        """Whether codes, and until when all factors, are not taken; nothing where they are."""
        told = {"totp-locked": int(self.totp_locked), "tfa-locked-until": self.locked_until_s}
        return {key: value for key, value in told.items() if value}

    def challenge(self) -> dict[str, object]:
        """What a login may be completed with."""
        totp = not self.totp_locked and any(entry.enabled for entry in self.totp)
        left = self.recovery.left if self.recovery is not None else []
        return ({"totp": True} if totp else {}) | ({"recovery": left} if left else {})

    def answered(self, response: str, now_s: int) -> tuple[Factors, bool]:
        """Factors after a response such as `totp:123456`, and whether it was right."""
        if now_s < self.locked_until_s:
            return self, False
        kind, _, text = response.partition(":")
        if kind == "totp":
            return self._by_code(text, now_s)
        if kind == "recovery" and self.recovery is not None:
            hashed = recovery_hash(text)
            if hashed in self.recovery.keys:
                keys = tuple(None if key == hashed else key for key in self.recovery.keys)
                used = replace(self.recovery, keys=keys)
                return replace(self.unlocked(), recovery=used), True
        return self._failed(now_s), False

    def _by_code(self, code: str, now_s: int) -> tuple[Factors, bool]:
        for entry in () if self.totp_locked else self.totp:
            step = entry.totp.step_of(code, now_s)
            if entry.enabled and step is not None and step > entry.last_step:
                used = replace(entry, last_step=step)
                totp = tuple(used if known is entry else known for known in self.totp)
                return replace(self, totp=totp, totp_failures=0, failures=0), True
        return replace(self._failed(now_s), totp_failures=self.totp_failures + 1), False

    def _failed(self, now_s: int) -> Factors:
        if self.failures + 1 < TRIES:
            return replace(self, failures=self.failures + 1)
        return replace(self, failures=0, locked_until_s=now_s + LOCKED_S)

    def unlocked(self) -> Factors:
        """As if no login had failed."""
        return replace(self, totp_failures=0, failures=0, locked_until_s=0)
