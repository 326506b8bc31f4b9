"""Ceph clusters for the rest of the controller: real ones, and those of a rehearsal.

In a rehearsal without a way to the real monitors a cluster is taken to be as it is declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from controller.ceph.kinds import KINDS, costs
from controller.ceph.port import CephPort
from controller.ceph.thing import DEVICE
from controller.ceph.transport import (
    CONNECT_S,
    Answer,
    CephCommand,
    Librados,
    NoAnswer,
    Transport,
    rados_module,
)
from controller.clock import Clock
from controller.devices import Device
from controller.managed import Cost, Managed
from controller.observe import UNREADABLE
from controller.observed import Observed
from controller.secrets import Vault
from controller.settings import CephSettings, Settings
from controller.step import Answers, Json, answered
from lab.faults import Fault, FaultKind
from simulator.mon.install import declared, from_answers, mark
from simulator.mon.monitors import Monitors, NoQuorum
from simulator.twin import Twin


class CephFamily:
    """Clusters, `ceph/a`."""

    kinds: tuple[type[Managed], ...] = KINDS

    def costs(self) -> Mapping[str, Cost]:
        """Of all fields of `ceph`."""
        return costs()

    def opened(self, settings: Settings, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Those of the settings' `ceph` tables."""
        for name, way in settings.ceph.items():
            port = CephPort(f"{DEVICE}{name}", _transport(settings, way), vault)
            yield Device(port.device, port, KINDS)

    def install(self, twin: Twin) -> None:
        """Clusters that hold what is declared: Ceph is there before the load is."""
        for name in twin.model.lab.ceph:
            twin.attach(Monitors(name, declared(twin, name)))

    def stage(self, twin: Twin, observed: Observed) -> None:
        """Clusters that hold what was observed, with OSDs that were down or out.

        Those that were not observed, or in a form that nobody knows, hold what is declared.
        """
        for name in twin.model.lab.ceph:
            answers = answered(observed.documents.get(f"{DEVICE}{name}", {}))
            held = _held(twin, name, answers) if answers else None
            monitors = held or Monitors(name, declared(twin, name))
            twin.attach(monitors)
            monitors.sync(twin)
            with suppress(*UNREADABLE):
                down = mark(monitors.site(twin), answers)
                twin.inject(Fault(FaultKind.OSD, f"{name}/{osd}") for osd in down)

    def served(self, twin: Twin, clock: Clock, vault: Vault) -> Iterator[Device]:
        """Through the same port as to real ones."""
        for name in twin.model.lab.ceph:
            monitors = twin.devices.get(f"{DEVICE}{name}")
            if isinstance(monitors, Monitors):
                port = CephPort(monitors.name, _InProcess(twin, monitors), vault)
                yield Device(port.device, port, KINDS)


def _held(twin: Twin, name: str, answers: Answers) -> Monitors | None:
    """Monitors that would give these answers; None if none would."""
    try:
        monitors = Monitors(name, from_answers(twin, name, answers))
        monitors.sync(twin)  # what the physics asks of them
    except UNREADABLE:
        return None
    return monitors


class _InProcess:
    """The monitors of a twin."""

    overheard = False

    def __init__(self, twin: Twin, monitors: Monitors) -> None:
        self._twin = twin
        self._monitors = monitors

    def command(self, prefix: str, args: Mapping[str, Json], timeout_s: float) -> Answer:
        try:
            reply = self._monitors.command(self._twin, {"prefix": prefix, **args})
        except NoQuorum as error:
            raise NoAnswer("the monitors have no quorum") from error
        return Answer(-reply.code, reply.output, reply.text)


def _transport(settings: Settings, way: CephSettings) -> Transport:
    conf = settings.path(way.conf)
    keyring = settings.path(way.keyring) if way.keyring is not None else None
    rados = None if way.command else rados_module()
    if rados is not None:
        return Librados(rados, conf, way.client, keyring)
    program = way.command or ("ceph",)
    argv = [str(settings.path(program[0])) if "/" in program[0] else program[0], *program[1:]]
    argv += ["--conf", str(conf), "--name", way.client]
    argv += ["--keyring", str(keyring)] if keyring is not None else []
    return CephCommand([*argv, "--connect-timeout", f"{CONNECT_S:.0f}"])
