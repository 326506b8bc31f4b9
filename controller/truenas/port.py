"""The way to one array for the rest of the controller: asks, sends, and looks after a lost answer.

What a step leaves open until it is sent:

    {portal 192.168.101.21}    the array's number of this thing, looked up by its identity
    secret://env/NAME          a secret; put in last, and taken out of every answer

Secrets of the array that no reference stands for are taken out as well. Cannot tell real from
simulated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from controller.clock import Clock
from controller.secrets import Vault
from controller.step import SECRET, Json, JsonRpc, Query, Step
from controller.truenas import guards, versions
from controller.truenas.chap import FOREIGN
from controller.truenas.thing import NasThing
from controller.truenas.transport import Transport
from controller.truenas.versions import REST1_ONLY, VERSION
from lab.errors import DeviceError, Refused

POLL_S = (0.5, 1.0, 2.0)  # between looks at jobs; the last repeats
JOBS = frozenset({"service.control"})  # of the methods that we call
SECRETS = frozenset({"secret", "peersecret"})  # members that hold one
REFERRING = frozenset({"portal", "initiator", "target", "extent"})  # members that hold a number
_REFERENCE = re.compile(r"\{([a-z-]+) (.+)\}")
_MASK = re.compile(r"\**")


class NasPort:
    """One array, `nas/nas1`."""

    def __init__(
        self,
        device: str,
        transport: Transport,
        kinds: Sequence[type[NasThing]],
        vault: Vault,
        clock: Clock,
        *,
        timeout_s: float = 30.0,
    ) -> None:
        self.device = device
        self._transport = transport
        self._kinds = {kind.kind: kind for kind in kinds}
        self._vault = vault
        self._clock = clock
        self._timeout_s = timeout_s

    def ask(self, query: Query) -> object:
        """The answer to a query, which is a method without parameters. Raises DeviceError."""
        return _veiled(self._vault.hide(self._asked(query.path)))

    def send(self, step: Step) -> object:
        """Do one call and wait for its job. Raises DeviceError, Refused."""
        assert isinstance(step, JsonRpc), "an array is spoken to by methods"
        release = versions.release_of(self.device, self._asked(VERSION.path))
        if release < REST1_ONLY:
            raise Refused(f"{release} is only read", "update the array, or change it by hand")
        params = self._resolved(step.params)
        guards.check(step.method, params, self._asked)
        method, older = versions.call(release, step.method, params)
        sent = [self._vault.reveal(each) for each in older]
        try:
            answer = self._transport.call(method, sent, step.timeout_s)
        except DeviceError as error:
            raise self._vault.clean(error) from None  # the first one may show a secret
        return _veiled(self._vault.hide(answer))

    def settle(self, step: Step, since_s: float) -> None:
        """Wait until no job that `step` began still runs; plain calls have ended with their answer.

        What became of it is seen at the object, never at the job: numbers of jobs begin anew when
        the array's middleware does. Raises DeviceError if it still runs after the step's time.
        """
        assert isinstance(step, JsonRpc), "an array is spoken to by methods"
        if step.method not in JOBS:
            return
        deadline_s = self._clock.now() + step.timeout_s
        pauses = iter(POLL_S)
        while True:
            begun_s = self._clock.now()
            if not self._runs(step.method):
                return
            if begun_s >= deadline_s:
                what = f"{step.method} still runs after the time it was given"
                raise DeviceError(self.device, what, retryable=True)
            self._clock.sleep(next(pauses, POLL_S[-1]))

    def _runs(self, method: str) -> bool:
        release = versions.release_of(self.device, self._asked(VERSION.path))
        if release < versions.SERVICE_CONTROL:
            return False
        wanted: Json = [["method", "=", method], ["state", "in", ["WAITING", "RUNNING"]]]
        return bool(self._asked("core.get_jobs", wanted))

    def _asked(self, method: str, *params: Json) -> Any:
        return self._transport.call(method, params, self._timeout_s)

    def _resolved(self, params: Sequence[Json]) -> list[Json]:
        """Parameters with the array's numbers in the places of references."""
        first = [self._number(params[0]) if isinstance(params[0], str) else self._inside(params[0])]
        return [*first, *map(self._inside, params[1:])] if params else []

    def _inside(self, value: Json) -> Json:
        match value:
            case dict():
                return {
                    name: self._number(each)
                    if name in REFERRING and isinstance(each, str)
                    else self._inside(each)
                    for name, each in value.items()
                }
            case list() | tuple():
                return [self._inside(each) for each in value]
            case _:
                return value

    def _number(self, text: str) -> Json:
        """The number behind a reference; any other text is itself. Raises DeviceError."""
        found = _REFERENCE.fullmatch(text)
        if found is None:
            return text
        kind, identity = self._kinds[found[1]], found[2]
        answers: dict[str, object] = {}
        while missing := [q for q in kind.fetch(self.device, answers) if q.text not in answers]:
            answers |= {query.text: self._asked(query.path) for query in missing}
        for known, row in kind.found(self.device, answers):
            if known == identity:
                number: Json = row["id"]
                return number
        raise DeviceError(self.device, f"there is no {found[1]} {identity} any more", status=2)


def _veiled(value: Json) -> Json:
    """The same without secrets that no reference stands for; a mask stays one."""
    match value:
        case dict():
            return {
                name: FOREIGN if name in SECRETS and _is_bare(each) else _veiled(each)
                for name, each in value.items()
            }
        case list() | tuple():
            return [_veiled(each) for each in value]
        case _:
            return value


def _is_bare(value: object) -> bool:
    return (
        isinstance(value, str) and not value.startswith(SECRET) and _MASK.fullmatch(value) is None
    )
