"""Which protocol an array speaks, found out when it is first needed and after it was silent.

    GET /api/versions          25.04 and later: JSON-RPC, the newest version that we know
    GET /api/v2.0/...          11.3 ... 24.10: REST 2.0
    else                       FreeNAS 11.1: REST 1.0, read only

The array may be another release after each silence: it was away for an upgrade.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from controller.secrets import SecretMissing
from controller.step import Json
from controller.truenas.jsonrpc import JsonRpc
from controller.truenas.login import Login, tls_context
from controller.truenas.rest1 import Rest1
from controller.truenas.rest2 import BASE, Rest2, read, sent
from controller.truenas.transport import Transport, no_answer
from lab.errors import DeviceError

KNOWN = (25, 10)  # the newest API version that our calls were written for
HTTPS = 443


class Connection:
    """The way to the array at `address`: `192.168.99.21`, `nas1.lab:8443`."""

    def __init__(
        self, device: str, address: str, login: Login, *, ca: Path | None, timeout_s: float
    ) -> None:
        self.device = device
        self._address = address if _has_port(address) else f"{address}:{HTTPS}"
        self._login = login
        self._ca = ca
        self._timeout_s = timeout_s
        self._chosen: _Way | None = None
        self._choosing = Lock()

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        """The result, by the protocol of the array. Raises DeviceError."""
        try:
            way = self._taken()
        except SecretMissing as error:
            raise DeviceError(self.device, f"login: {error}") from error
        try:
            return way.transport.call(method, params, timeout_s)
        except SecretMissing as error:
            raise DeviceError(self.device, f"login: {error}") from error
        except DeviceError as error:
            if not error.status:
                self._forget(way)
            raise
        finally:
            way.leave()

    def close(self) -> None:
        """Let go of what is open."""
        if (way := self._chosen) is not None:
            self._forget(way)

    def _forget(self, way: _Way) -> None:
        with self._choosing:
            if self._chosen is not way:
                return  # another call has met the same silence
            self._chosen = None
        way.leave()

    def _taken(self) -> _Way:
        with self._choosing:
            if self._chosen is None:
                self._chosen = _Way(self._choose())
            self._chosen.take()
            return self._chosen

    def _choose(self) -> Transport:
        tls = tls_context(self.device, self._ca)
        client = httpx.Client(verify=tls, timeout=self._timeout_s, trust_env=False)
        try:
            return self._found(tls, client)
        except BaseException:
            client.close()
            raise

    def _found(self, tls: ssl.SSLContext, client: httpx.Client) -> Transport:
        versions = self._get(client, "/api/versions")
        if versions.status_code == 200:
            client.close()
            path = f"/api/{newest(read(self.device, '/api/versions', versions))}"
            return JsonRpc(self.device, self._address, path, tls, self._login)
        if self._get(client, f"{BASE}/system/version", self._login).status_code != 404:
            return Rest2(self.device, self._address, client, self._login)
        return Rest1(self.device, self._address, client, self._login)

    def _get(self, client: httpx.Client, path: str, login: Login | None = None) -> httpx.Response:
        request = client.build_request("GET", f"https://{self._address}{path}")
        answer = sent(self.device, client, request, path, login)
        if answer.is_server_error:  # it says nothing of what the array speaks
            raise no_answer(self.device, path, f"HTTP {answer.status_code}")
        return answer


class _Way:
    """A transport that is closed when its last user leaves; the first one is who chose it.

    So a silence that one call meets closes nothing under the calls beside it, and what they open
    again meanwhile is closed with them.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._users = 1
        self._counting = Lock()

    def take(self) -> None:
        """One user more."""
        with self._counting:
            self._users += 1

    def leave(self) -> None:
        """One less."""
        with self._counting:
            self._users -= 1
            last = not self._users
        if last:
            self.transport.close()


def newest(versions: object) -> str:
    """Of the versions that an array offers (`v25.10.5`) the newest that we know; else `current`."""
    names = [str(each) for each in versions] if isinstance(versions, list) else []
    known = [name for name in names if (number := _number(name)) and number[:2] <= KNOWN]
    return max(known, key=_number, default="current")


def _number(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", name)))


def _has_port(address: str) -> bool:
    return bool(re.search(r"(^[^:]+|\]):\d+$", address))
