"""The array's API without sockets: `call` at the twin's present instant, for rehearsals.

What a websocket client sees: results as JSON gives them back, refusals with their numbers, nobody
there when the array is off. Whoever calls lets the time pass that a job takes.
"""

from __future__ import annotations

import json
from typing import Any

from simulator.truenas.api import TrueNasApi
from simulator.truenas.call import Session
from simulator.truenas.documents import Job
from simulator.twin import Twin


class InProcess:
    """A connection that logs in with an API key, or with user and password (before 12.0)."""

    def __init__(
        self, twin: Twin, nas: str, key: str = "", *, user: str = "", password: str = ""
    ) -> None:
        self.twin = twin
        self.name = f"nas/{nas}"
        self.session = Session()
        self._login_method = "auth.login_with_api_key" if key else "auth.login"
        self._secrets = [key] if key else [user, password]

    @property
    def api(self) -> TrueNasApi:
        """The array, which must be attached to the twin."""
        api = self.twin.devices[self.name]
        assert isinstance(api, TrueNasApi)
        return api

    def call(self, method: str, *params: object) -> Any:
        """A result; of a job its id, as REST and the older framing answer.

        Raises ConnectionRefusedError and TimeoutError if nobody answers, PermissionError if the
        login is not taken, CallError and Invalid for refusals.
        """
        match self.api.reachable(self.twin):
            case "refused":
                raise ConnectionRefusedError(f"{self.name} refuses connections")
            case "timeout":
                raise TimeoutError(f"{self.name} does not answer")
        if not self.session.user:
            self._login()
        sent = json.loads(json.dumps(params))
        result = self.api.call(self.twin, self.session, method, sent)
        return json.loads(json.dumps(result.id if isinstance(result, Job) else result))

    def _login(self) -> None:
        if not self.api.call(self.twin, self.session, self._login_method, self._secrets):
            raise PermissionError(f"{self.name} does not let us in")
