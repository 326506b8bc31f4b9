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
from simulator.truenas.errors import CallError
from simulator.twin import Twin


class InProcess:
    """A connection that is logged in with an API key."""

    def __init__(self, twin: Twin, nas: str, key: str) -> None:
        self.twin = twin
        self.name = f"nas/{nas}"
        self.key = key
        self.session = Session()

    @property
    def api(self) -> TrueNasApi:
        """The array, which must be attached to the twin."""
        api = self.twin.devices[self.name]
        assert isinstance(api, TrueNasApi)
        return api

    def call(self, method: str, *params: object) -> Any:
        """A result; of a job its id, as REST and the older framing answer.

        Raises ConnectionRefusedError and TimeoutError if nobody answers, PermissionError for a key
        that is not taken, CallError and Invalid for refusals.
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
        try:
            fits = self.api.call(self.twin, self.session, "auth.login_with_api_key", [self.key])
        except CallError as error:
            raise PermissionError(str(error)) from error
        if not fits:
            raise PermissionError(f"{self.name} does not take the API key")
