"""How to get into a served lab. Told on purpose: it opens nothing but a simulation here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Login:
    """One administrator of every device. Arrays add their API keys as they are made."""

    user: str
    password: str
    token: str  # user@realm!name
    secret: str
    api_keys: dict[str, str] = field(default_factory=dict)  # by array
