"""Servers outside of the lab: the twin has none, so a node that asks one says that it can't.

Source: LWP::UserAgent's answer to itself (IO::Socket). Assumed: nobody resolves names there, and an
address is not on the way to anywhere.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

UNNAMED = "Temporary failure in name resolution"
PORTS = {"http": 80, "https": 443}


def why_unreached(host: str) -> str:
    """What the operating system says of a name or an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return UNNAMED
    return "No route to host"


def unreached(url: str) -> str:
    """What a client says of the server of a URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port
    except ValueError:
        port = None
    return f"Can't connect to {host}:{port or PORTS[parts.scheme]} ({why_unreached(host)})"
