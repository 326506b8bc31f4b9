"""After a crash or a lost connection: look at what was begun, and take over what is ours.

Runs before each pass and after each execution. It sends nothing: what is still to be done, the next
plan finds by itself. Where nothing was begun it asks nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller import journal as record
from controller.clock import Clock
from controller.devices import Device
from controller.journal import Doubt, Journal, doubts, ownership
from controller.managed import Key
from controller.observe import look_until
from controller.owned import OwnedRecord, Ownership
from controller.step import Unanswered
from lab.errors import DeviceError


@dataclass(frozen=True)
class Recovery:
    """What the journal comes to.

    `changed`: records to be kept by the history, None for what is not ours any more. `in_doubt`:
    things whose step may still be at work, and why that can't be seen; they count as unknown
    (`Observed.doubting`). `findings`: what was begun and found, for people.
    """

    changed: Mapping[Key, OwnedRecord | None]
    in_doubt: Mapping[Key, str]
    findings: tuple[str, ...] = ()

    def owned(self, before: Ownership) -> dict[Key, OwnedRecord]:
        """`before` with what has changed."""
        after = {**before, **self.changed}
        return {key: found for key, found in after.items() if found is not None}


def recover(
    journal: Journal, devices: Sequence[Device], clock: Clock, owned: Ownership
) -> Recovery:
    """Look at every operation in doubt, and say what is ours.

    Waits, where a device may show only later what it was told before a crash.

    Once the history has kept `changed`, and if nothing is in doubt, the journal can be cleared.
    """
    by_name = {device.name: device for device in devices}
    in_doubt, findings = {}, []
    for doubt in doubts(journal.records):
        device = by_name.get(doubt.key.device)
        why, there = (f"{doubt.key.device} is not in the settings", False)
        if device is not None:
            why, there = _look(doubt, device, clock)
        if why:
            in_doubt[doubt.key] = f"{doubt.step} was begun, and what became of it is unknown: {why}"
            continue
        journal.write(record.looked(doubt.key, clock.now(), there=there))
        findings.append(f"{doubt.step} was begun; {doubt.key} is {'' if there else 'not '}there")
    return Recovery(ownership(owned, journal.records), in_doubt, tuple(findings))


def _look(doubt: Doubt, device: Device, clock: Clock) -> tuple[str, bool]:
    """Why nothing can be said, or whether the thing is there."""
    if not doubt.answered:
        try:
            device.port.settle(doubt.step, doubt.begun_s)
        except DeviceError as error:
            return str(error), False
    kinds = {kind.kind: kind for kind in device.kinds}
    settles_s = kinds[doubt.key.kind].settles_s if doubt.key.kind in kinds else 0.0
    seen = look_until(device, doubt.key, clock, doubt.settled, doubt.begun_s + settles_s)
    return (seen.why, False) if isinstance(seen, Unanswered) else ("", seen is not None)
