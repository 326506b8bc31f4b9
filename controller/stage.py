"""The stage of a rehearsal: a twin whose served devices hold given documents, and the ways to them.

empty_stage(lab)         everything installed and wired, nothing on it
stage_of(lab, observed)  what was observed: verbatim, with guests and dead nodes as they are
devices_of(twin)         its devices, in process, through the same clients as real ones
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.devices import Device
from controller.families import FAMILIES
from controller.observed import Observed
from controller.planning import wanted_things
from controller.rehearsal import TwinClock
from controller.secrets import Vault, rehearsed
from lab.lab import Lab
from simulator.build import twin_of
from simulator.ha.part import run_in
from simulator.twin import Twin


def empty_stage(lab: Lab) -> Twin:
    """A twin whose devices are installed and hold nothing."""
    twin = twin_of(lab, empty=True)
    for family in FAMILIES:
        family.install(twin)
    twin.changed()
    twin.settle()
    return twin


def stage_of(lab: Lab, observed: Observed) -> Twin:
    """A twin of the physical half of `lab` that holds what was observed, after it came to rest."""
    twin = twin_of(lab, empty=True)
    for family in FAMILIES:
        family.stage(twin, observed)
    run_in(twin)
    twin.changed()
    twin.settle()
    return twin


def devices_of(twin: Twin) -> Sequence[Device]:
    """The devices that a twin serves, in process."""
    vault = Vault(rehearsed)
    clock = TwinClock(twin)
    devices = [device for family in FAMILIES for device in family.served(twin, clock, vault)]
    kinds = {device.name: device.kinds for device in devices}
    vault.learn(wanted_things(twin.model.lab, kinds).values())
    return devices
