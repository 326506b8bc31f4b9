"""Calls to a cluster through any of its nodes: the next address when one does not answer.

Every node answers for the whole cluster. A question goes on to the next address whatever went wrong
on the way; what changes something does so only if it certainly was not begun. A node without quorum
shows a stale cluster, so the first address that has quorum is preferred.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException
from requests import exceptions

from controller.clock import Clock
from controller.pve.errors import (
    BROKEN,
    NO_QUORUM,
    UNREACHABLE,
    from_answer,
    from_failure,
    unsent,
)
from controller.step import Scalar
from lab.errors import DeviceError

QUORUM_S = 30.0  # for so long a node is believed to have quorum
STATUS = "/cluster/status"
AWAY_S = 10.0  # for so long nothing is asked of a node that its peers could not reach
_NODE = re.compile(r"/nodes/([^/]+)/.")


class Transport:
    """One cluster. `addresses` pairs each address with its client."""

    def __init__(
        self, device: str, addresses: Sequence[tuple[str, ProxmoxAPI]], clock: Clock
    ) -> None:
        self.device = device
        self._addresses = tuple(addresses)
        self._clock = clock
        self._first = 0
        self._choosing = Lock()
        self._chosen_s = -QUORUM_S
        self._silent: tuple[float, DeviceError | None] = (0.0, None)
        self._away: dict[str, tuple[float, DeviceError]] = {}

    def ask(self, path: str, params: Mapping[str, Scalar] | None = None) -> Any:
        """The answer to a question. Raises DeviceError."""
        self._choose()
        node = _NODE.match(path)
        since_s, error = self._away.get(node[1] if node else "", (None, None))
        if error is not None and since_s is not None and self._clock.now() < since_s + AWAY_S:
            raise DeviceError(self.device, error.what, retryable=True, status=error.status)
        return self._call("GET", path, params or {})

    def send(self, method: str, path: str, params: Mapping[str, Scalar]) -> Any:
        """The answer to a call that changes something. Raises DeviceError."""
        self._choose()
        return self._call(method, path, params)

    def _call(self, method: str, path: str, params: Mapping[str, Scalar]) -> Any:
        failures: list[DeviceError] = []
        for position in self._order():
            try:
                answer = self._once(position, method, path, params)
            except _Elsewhere as elsewhere:
                failures.append(elsewhere.error)
            else:
                self._first = position
                return answer
        error = next((each for each in failures if each.status), failures[-1])
        node = _NODE.match(path)
        if error.status == UNREACHABLE and node:
            self._away[node[1]] = (self._clock.now(), error)
        raise error

    def _order(self) -> list[int]:
        count = len(self._addresses)
        return [(self._first + each) % count for each in range(count)]

    def _once(self, position: int, method: str, path: str, params: Mapping[str, Scalar]) -> Any:
        """Raises _Elsewhere if another address may be asked, else DeviceError."""
        address, api = self._addresses[position]
        call = f"{method} {path}"
        asks = method == "GET"
        try:
            return getattr(api(path.strip("/")), method.lower())(**_wire(params))
        except ResourceException as failure:
            error = from_answer(self.device, call, failure)
            quorum_lost = not asks and NO_QUORUM.search(error.what)
            if error.status == UNREACHABLE or quorum_lost or (asks and error.status in BROKEN):
                raise _Elsewhere(error) from failure
            if error.status in BROKEN:  # the peer may have begun it: to us that is no answer
                error = DeviceError(self.device, error.what, retryable=True)
            raise error from failure
        except exceptions.RequestException as failure:
            error = from_failure(self.device, call, address, failure)
            if asks or unsent(failure):
                raise _Elsewhere(error) from failure
            raise error from failure
        except OSError as failure:  # requests says so of a CA file that is not there
            raise DeviceError(self.device, f"{call}: {failure}") from failure

    def _choose(self) -> None:
        """Prefer an address that has quorum; without any, the one that answers.

        Raises DeviceError if all are silent: the call itself would only wait as long again.
        """
        begun_s = self._clock.now()
        with self._choosing:
            found_s, silent = self._silent
            if silent is not None and begun_s < found_s:  # while we waited here
                raise silent
            now_s = self._clock.now()
            if len(self._addresses) > 1 and now_s >= self._chosen_s + QUORUM_S:
                self._chosen_s = now_s
                self._prefer()

    def _prefer(self) -> None:
        failures: list[DeviceError] = []
        for position in self._order():
            try:
                if self._quorate(position):
                    self._first = position
                    return
            except _Elsewhere as elsewhere:
                failures.append(elsewhere.error)
            except DeviceError:
                continue  # whoever asks next is told why
        if len(failures) == len(self._addresses) and not any(each.status for each in failures):
            self._chosen_s, self._silent = -QUORUM_S, (self._clock.now(), failures[-1])
            raise failures[-1]

    def _quorate(self, position: int) -> bool:
        """Raises _Elsewhere, DeviceError."""
        rows = self._once(position, "GET", STATUS, {})
        cluster = [row for row in rows if row.get("type") == "cluster"]
        return all(row.get("quorate") for row in cluster)


class _Elsewhere(Exception):
    """This address did not do it; another one may."""

    def __init__(self, error: DeviceError) -> None:
        super().__init__(str(error))
        self.error = error


def _wire(params: Mapping[str, Scalar]) -> dict[str, str | int | float]:
    """Parameters as the API takes them: booleans are 0 and 1."""
    return {
        name: int(value) if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }
