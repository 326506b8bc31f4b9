"""One operation: journal, send, prove; and look before doing anything twice.

    begun (on disk) -> send -> done -> ... -> look until the device agrees -> proved

An answer that was lost says nothing about what was done. Then: wait until nothing that the step
began still runs, look, and ask the thing itself for the steps that are left from there; a create
that worked is never sent again. If the device can't be looked at, the operation is in doubt, and
`recover` takes it up in the next pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller import journal as record
from controller.clock import Clock
from controller.devices import Device
from controller.diff import differs, disagreeing
from controller.journal import Journal
from controller.managed import Context, Managed
from controller.observe import look_until, observe
from controller.plan import Action, Operation
from controller.secrets import SecretMissing
from controller.step import Step, Unanswered
from lab.errors import DeviceError, Refused

PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # before each further attempt, for errors that may pass


class Fate(StrEnum):
    """What became of an operation."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    IN_DOUBT = "in doubt"


@dataclass(frozen=True)
class Result:
    """One operation, afterwards. `sent`: steps that went out, again ones included."""

    operation: Operation
    fate: Fate
    reason: str = ""
    sent: int = 0
    took_s: float = 0.0


class _Denied(Exception):
    """The device will not do it, however often it is asked."""


class _Doubt(Exception):
    """What the device did can't be seen now."""


def perform(
    operation: Operation, device: Device, commit: str, journal: Journal, clock: Clock
) -> Result:
    """Do one operation. Never raises for what a device does."""
    return _Performance(operation, device, commit, journal, clock).result()


class _Performance:
    def __init__(
        self, operation: Operation, device: Device, commit: str, journal: Journal, clock: Clock
    ) -> None:
        self.operation = operation
        self.device = device
        self.commit = commit
        self.journal = journal
        self.clock = clock
        self.begun_s = clock.now()
        self.sent = 0
        self.ours = False  # something of it was done, or may have been

    @property
    def _thing(self) -> Managed:
        thing = self.operation.wanted or self.operation.old
        assert thing is not None, "what has neither before nor after has no steps"
        return thing

    def result(self) -> Result:
        try:
            self._send_all()
            self._prove()
        except _Denied as denied:
            why = str(denied)
            self.journal.write(record.failed(self.operation, why, self.clock.now(), ours=self.ours))
            return self._result(Fate.FAILED, why)
        except _Doubt as doubt:
            return self._result(Fate.IN_DOUBT, str(doubt))
        self.journal.write(record.proved(self.operation, self.commit, self.clock.now()))
        return self._result(Fate.DONE)

    def _result(self, fate: Fate, reason: str = "") -> Result:
        return Result(self.operation, fate, reason, self.sent, self.clock.now() - self.begun_s)

    def _send_all(self) -> None:
        """Send every step; after a lost answer, what is left of them as seen from there."""
        steps = self.operation.steps
        for pause_s in (*PAUSES_S, None):
            lost = self._send(steps)
            if lost is None:
                return
            step, since_s, error = lost
            if pause_s is not None:
                self.clock.sleep(pause_s)
            steps = self._left(step, since_s, error)
            if not steps:
                return
        raise _Denied(f"asked {len(PAUSES_S) + 1} times: {error}")

    def _send(self, steps: tuple[Step, ...]) -> tuple[Step, float, DeviceError] | None:
        """Send steps in turn, up to the first whose answer is lost, which is returned."""
        for step in steps:
            since_s = self.clock.now()
            self.journal.write(record.begun(self.operation, self.commit, step, since_s))
            self.sent += 1
            try:
                self.device.port.send(step)
            except (DeviceError, Refused, SecretMissing) as error:
                if isinstance(error, DeviceError) and error.retryable:
                    return step, since_s, error
                raise _Denied(f"{step}: {error}") from error
            self.ours = True
            self.journal.write(record.done(self.operation, self.clock.now()))
        return None

    def _left(self, step: Step, since_s: float, lost: DeviceError) -> tuple[Step, ...]:
        """The steps from where the device is now. Raises _Doubt if that can't be seen."""
        key = self.operation.key
        try:
            self.device.port.settle(step, since_s)
        except DeviceError as error:
            raise _Doubt(f"{lost}; then, when asked what became of it: {error}") from error
        if not lost.status:  # no answer at all: it may have been done, and show only later
            seen = self._settled(since_s + self._thing.settles_s)
            self._known(lost, seen.why if isinstance(seen, Unanswered) else "")
        observed = observe([self.device], self.clock, named=[key])
        self._known(lost, observed.why_unknown(key))
        thing = observed.things.get(key)
        self.ours = self.ours or thing is not None
        self.journal.write(record.looked(key, self.clock.now(), there=thing is not None))
        return self._remaining(thing, observed.context(key.device))

    def _known(self, lost: DeviceError, why_not: str) -> None:
        """Raises _Doubt if there is a reason why a thing can't be seen."""
        if why_not:
            raise _Doubt(f"{lost}; then, when looked at: {why_not}")

    def _remaining(self, thing: Managed | None, context: Context) -> tuple[Step, ...]:
        wanted = self.operation.wanted
        try:
            if wanted is None:
                return tuple(thing.remove(context)) if thing else ()
            if thing is not None and not disagreeing(wanted.values, thing):
                return ()
            if thing is not None:
                return tuple(wanted.steps(thing, context))
        except Refused as refused:
            raise _Denied(str(refused)) from refused
        if self.operation.action is Action.CREATE:
            return self.operation.steps
        raise _Denied(f"{self.operation.key} went away meanwhile")

    def _prove(self) -> None:
        """Look until the device agrees, for as long as this kind may need to."""
        operation = self.operation
        if not (operation.steps or operation.changes):
            return
        settles_s = self._thing.settles_s
        seen = self._settled(self.clock.now() + settles_s)
        if isinstance(seen, Unanswered):
            raise _Doubt(f"sent, but could not be read back: {seen.why}")
        if wrong := self._wrong(seen):
            raise _Denied(f"sent, but {settles_s:.0f} s later {wrong}")

    def _settled(self, deadline_s: float) -> Managed | Unanswered | None:
        """The thing once it is as wanted, or when the time is up."""
        key = self.operation.key
        return look_until(
            self.device, key, self.clock, lambda seen: not self._wrong(seen), deadline_s
        )

    def _wrong(self, seen: Managed | None) -> str:
        """What the device does not show yet; empty if it is as wanted."""
        wanted = self.operation.wanted
        if wanted is None:
            return "it is still there" if seen else ""
        return differs(wanted.values, seen) if seen else "it is not there"
