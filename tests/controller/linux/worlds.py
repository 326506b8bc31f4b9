"""Simulated hosts and arrays on which desired states are applied in turn, without a gate."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field

from controller.devices import Device
from controller.execute import Outcome, execute
from controller.journal import Journal, Record, ownership
from controller.linux.thing import DEVICE
from controller.managed import Key
from controller.observe import observe
from controller.observed import Observed
from controller.owned import Ownership
from controller.perform import Fate
from controller.plan import Action, Plan
from controller.planning import EVERYTHING, plan_changes, wanted_things
from controller.recover import recover
from controller.rehearsal import TwinClock
from controller.stage import devices_of, empty_stage
from lab.lab import Lab
from simulator.linux.call import Result
from simulator.linux.host import LinuxHost
from simulator.twin import Twin


class _Died(BaseException):
    """The process is gone; nothing of ours catches it."""


class _Mortal(Journal):
    """Dies after so many records; 0: lives on."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left, self.died = left, False

    def write(self, record: Record) -> None:
        super().write(record)
        self.left -= 1
        if not self.left:
            self.died = True
            raise _Died


@dataclass
class World:
    """A twin of a lab, nothing applied yet."""

    lab: Lab
    families: tuple[str, ...] = (DEVICE, "nas/")
    owned: Ownership = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.twin: Twin = empty_stage(self.lab)
        self.clock = TwinClock(self.twin)

    def forked(self) -> World:
        """Another one that is as this one is."""
        other = copy(self)
        other.twin = self.twin.fork()
        other.clock = TwinClock(other.twin)
        return other

    @property
    def devices(self) -> list[Device]:
        """Those of the families."""
        return [each for each in devices_of(self.twin) if each.name.startswith(self.families)]

    def host(self, name: str) -> LinuxHost:
        found = self.twin.devices[f"{DEVICE}{name}"]
        assert isinstance(found, LinuxHost)
        return found

    def run(self, host: str, *lines: str) -> Result:
        """Somebody else at work there, as root; the last line's result."""
        results = [self.host(host).run(self.twin, line) for line in lines]
        assert not any(result.status for result in results), results
        return results[-1]

    def seen(self) -> Observed:
        """What is there now."""
        kinds = {device.name: device.kinds for device in self.devices}
        named = wanted_things(self.lab, kinds).keys() | self.owned.keys()
        seen = observe(self.devices, self.clock, named=named)
        assert (seen.unknown, seen.doubtful) == ({}, {})
        return seen

    def plan(self, lab: Lab | None = None) -> Plan:
        """What would be done."""
        self.lab = lab or self.lab
        return plan_changes(self.lab, self.seen(), self.owned, "c0ffee", approve=EVERYTHING)

    def apply(self, lab: Lab | None = None) -> Outcome:
        """A pass."""
        plan, journal = self.plan(lab), Journal()
        outcome = execute(plan, self.devices, journal, self.clock)
        changed = {**self.owned, **ownership(self.owned, journal.records)}
        self.owned = {key: record for key, record in changed.items() if record is not None}
        return outcome

    def dies(self, lab: Lab, record: int) -> bool:
        """A pass that ends at once after that record of its journal; whether it got so far."""
        journal = _Mortal(record)
        with suppress(_Died):
            execute(self.plan(lab), self.devices, journal, self.clock)
        journal.left = 0
        self.owned = recover(journal, self.devices, self.clock, self.owned).owned(self.owned)
        return journal.died

    def applied(self, lab: Lab | None = None) -> None:
        """A pass that does everything."""
        failed = [each for each in self.apply(lab).results if each.fate is not Fate.DONE]
        assert not failed, failed[0].reason


def told(plan: Plan, key: Key) -> str:
    """What a plan says of a thing besides doing something."""
    return "; ".join(note.text for note in plan.notes if note.key == key)


def acts(plan: Plan, action: Action, device: str = DEVICE) -> list[str]:
    """`kind id` of what is done to hosts, in the order of the waves."""
    return [
        f"{each.key.device.removeprefix(DEVICE)} {each.key.kind} {each.key.id}"
        for each in plan.operations
        if each.action is action and each.key.device.startswith(device)
    ]
