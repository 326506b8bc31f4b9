"""A host of a rehearsal, brought to what was observed of the real one.

Everything observed is done again there by the steps that would make it. What the twin has no
counterpart of (a mount from a server that is not declared) stands in the twin's trace and is left
out; so are files that nobody declared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from controller.clock import Clock
from controller.linux.kinds import KINDS
from controller.linux.package import Package
from controller.linux.port import LinuxPort
from controller.linux.twin import TwinShell
from controller.linux.volume_group import VolumeGroup
from controller.managed import Context, Managed
from controller.secrets import Vault, rehearsed
from lab.errors import DeviceError, Refused
from simulator.linux.inprocess import HostConnection
from simulator.twin import Twin


def put(twin: Twin, host: str, things: Iterable[Managed], clock: Clock) -> None:
    """Make everything there, in the order of the kinds."""
    device = f"linux/{host}"
    port = LinuxPort(device, TwinShell(device, HostConnection(twin, host)), clock, Vault(rehearsed))
    order = {kind.kind: place for place, kind in enumerate(KINDS)}
    for thing in sorted(things, key=lambda thing: (order[thing.key.kind], thing.key)):
        if isinstance(thing, VolumeGroup) and _made(twin, thing.id):
            continue
        try:
            for step in _allowed(thing).steps(None, Context()):
                port.send(step)
        except (DeviceError, Refused) as error:
            twin.note(device, "not-staged", f"{thing.key}: {error}")


def _made(twin: Twin, name: str) -> bool:
    """Whether another node has made it: a group on a LUN is there for all."""
    return any(group.name == name for group in twin.state.volume_groups.values())


def _allowed(thing: Managed) -> Managed:
    return replace(thing, install=True) if isinstance(thing, Package) else thing
