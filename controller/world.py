"""Where a pass acts: everything outside that it touches, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.attribution import Trail
from controller.clock import Clock
from controller.devices import Device
from controller.journal import Journal
from controller.observed import Observed
from controller.silence import PatientPort
from lab.lab import Lab


def as_observed(_lab: Lab, observed: Observed) -> Observed:
    """For devices on which nothing needs a place."""
    return observed


@dataclass(frozen=True)
class World:
    """`trails`: by device, for those that keep a log. `parallel`: devices at work at a time.

    `place` adds to what was observed where things that do not exist yet are to be made. `silent`:
    names of devices that were given up in an earlier pass and have not answered since.
    """

    devices: Sequence[Device]
    journal: Journal
    clock: Clock
    trails: Mapping[str, Trail] = field(default_factory=dict)
    parallel: int = 1
    place: Callable[[Lab, Observed], Observed] = as_observed
    silent: set[str] = field(default_factory=set)

    def patient(self) -> World:
        """The same for one pass: devices that are silent are given up in it."""
        devices = [
            replace(device, port=PatientPort(device.port, self.clock, self.silent))
            for device in self.devices
        ]
        return replace(self, devices=devices)
