"""Where a pass acts: everything outside that it touches, in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.attribution import Trail
from controller.clock import Clock
from controller.devices import Device
from controller.journal import Journal


@dataclass(frozen=True)
class World:
    """`trails`: by device, for those that keep a log. `parallel`: devices at work at a time."""

    devices: Sequence[Device]
    journal: Journal
    clock: Clock
    trails: Mapping[str, Trail] = field(default_factory=dict)
    parallel: int = 1
