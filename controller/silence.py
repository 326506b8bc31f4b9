"""A device that is silent is given up until the pass ends, so that nobody waits for it again and
again.

    asked -> no answer, for SILENT_S in all -> asked what it has answered before -> given up

Only time counts in which it was waited for and nothing was heard: a refused connection costs none,
and any answer begins the count anew. A device that is slow, or has questions that hang, answers
what it has answered before. In the next pass it is asked again, and given up after SOON_S, until it
has answered something. Leaves out how long a single answer may take: the ways to devices say so.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, RLock

from controller.clock import Clock
from controller.step import Port, Query, Step
from lab.errors import DeviceError

SILENT_S = 60.0
SOON_S = 1.0  # longer than a refusal takes; what really waits takes as long as connecting may


class PatientPort:
    """The way to one device for the length of a pass.

    `given_up`: why nothing is asked of it any more; empty while it may answer. As long as it has
    not answered, it is asked one thing at a time. `silent`: names of the devices that were given up
    and have not answered since; kept from pass to pass.
    """

    def __init__(self, port: Port, clock: Clock, silent: set[str]) -> None:
        self.device = port.device
        self.given_up = ""
        self._port = port
        self._clock = clock
        self._silent = silent
        self._patience_s = SOON_S if port.device in silent else SILENT_S
        self._alone, self._counting = RLock(), Lock()
        self._heard = False
        self._lost_s, self._counted_s = 0.0, clock.now()
        self._answered: Query | None = None

    def ask(self, query: Query) -> object:
        """The answer to a query. Raises DeviceError."""
        answer = self._tried(lambda: self._port.ask(query))
        self._answered = query
        return answer

    def send(self, step: Step) -> object:
        """Do one step. Raises DeviceError, as the port does."""
        return self._tried(lambda: self._port.send(step))

    def settle(self, step: Step, since_s: float) -> None:
        """Wait until nothing that `step` began still runs. Raises DeviceError."""
        self._tried(lambda: self._port.settle(step, since_s), tells=False)

    def _tried(self, call: Callable[[], object], *, tells: bool = True) -> object:
        """Call. `tells`: it can't come back without an answer of the device."""
        with self._alone:
            if not self._heard:
                return self._called(call, tells=tells)
        return self._called(call, tells=tells)

    def _called(self, call: Callable[[], object], *, tells: bool) -> object:
        if self.given_up:
            raise DeviceError(self.device, self.given_up)
        begun_s = self._clock.now()
        try:
            answer = call()
        except DeviceError as error:
            self._count(begun_s, error)
            self._give_up(error)
            raise
        if tells:
            self._count(begun_s)
        return answer

    def _give_up(self, error: DeviceError) -> None:
        """Do so if it is time, and it does not answer what it has answered before."""
        with self._alone:
            if self._lost_s < self._patience_s or self.given_up:
                return
            if self._answered is not None:
                begun_s = self._clock.now()
                try:
                    self._port.ask(self._answered)
                except DeviceError as again:
                    self._count(begun_s, again)
                else:
                    self._count(begun_s)
            if not self._heard:
                why = f"it is silent, and not asked again in this pass: {error.what}"
                self.given_up = why
                self._silent.add(self.device)

    def _count(self, begun_s: float, error: DeviceError | None = None) -> None:
        """Note that a call which began then has ended, with an answer or without."""
        with self._counting:
            now_s, lost_s = self._clock.now(), self._lost_s
            self._heard = error is None or not self._unheard(error)
            if self._heard:
                self._silent.discard(self.device)
                self._patience_s = SILENT_S
            self._lost_s = 0.0 if self._heard else lost_s + now_s - max(begun_s, self._counted_s)
            self._counted_s = now_s

    def _unheard(self, error: DeviceError) -> bool:
        """Whether it says that this device did not answer, rather than another one or a no."""
        return error.device == self.device and error.retryable and not error.status


def given_up(port: Port) -> str:
    """Why nothing is asked of a device any more; empty if it may be."""
    return port.given_up if isinstance(port, PatientPort) else ""
