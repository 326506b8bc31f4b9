"""Clients of a cluster: proxmoxer with an API token, TLS verified, one session for each address.

In process, for rehearsals, the same clients talk through a `requests` adapter that leads to the
twin: nothing else differs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from proxmoxer import ProxmoxAPI
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter

from controller.clock import Clock
from controller.pve.port import PvePort
from controller.pve.transport import STATUS
from controller.step import Json

CONNECT_S = 5.0
ANSWER_S = 35.0  # nodes give a request that they pass on 30 s
STATUS_S = 10.0  # what each node knows by itself

for name in ("proxmoxer", "proxmoxer.core", "proxmoxer.backends.https"):
    logging.getLogger(name).setLevel(logging.WARNING)  # at INFO it prints what is sent


def connect(
    device: str,
    addresses: Sequence[str],
    *,
    user: str,
    token_name: str,
    token: str,
    clock: Clock,
    ca: Path | None = None,
    timeout_s: float = ANSWER_S,
    adapter: BaseAdapter | None = None,
    reveal: Callable[[Json], Json] = lambda value: value,
) -> PvePort:
    """The way to the cluster at `addresses` (`10.0.0.1`, `pve1.lab:8006`), for `user!token_name`.

    `ca`: certificates of the authorities to trust; the system's if not given.
    """
    clients = []
    for address in addresses:
        api = ProxmoxAPI(
            address,
            user=user,
            token_name=token_name,
            token_value=token,
            verify_ssl=str(ca) if ca is not None else True,
            timeout=(min(CONNECT_S, timeout_s), timeout_s),
        )
        session = api._store["session"]
        session.trust_env = False  # a proxy or a CA from the environment is not meant for devices
        session.hooks["response"].append(_whole_message)
        if adapter is not None:
            session.mount("https://", adapter)
        else:
            session.mount(f"{api._store['base_url']}{STATUS}", _Soon())
        clients.append((address, api))
    return PvePort(device, clients, clock, user=f"{user}!{token_name}", reveal=reveal)


class _Soon(HTTPAdapter):
    """For what a node knows by itself."""

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:
        connect_s, answer_s = more["timeout"]
        soon = {**more, "timeout": (connect_s, min(STATUS_S, answer_s))}
        return super().send(request, *args, **soon)


def _whole_message(response: Response, *_args: Any, **_kwargs: Any) -> None:
    """Put all lines of an error where proxmoxer looks: the reason phrase has the first one only."""
    if response.status_code < 400:
        return
    try:
        body = response.json()
    except ValueError:
        return  # an older release, or no answer of Proxmox VE: the reason phrase is all there is
    message = body.get("message") if isinstance(body, dict) else None
    if isinstance(message, str) and message.strip():
        response.reason = " ".join(line.strip() for line in message.splitlines() if line.strip())
