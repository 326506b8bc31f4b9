"""Where guests are and what is broken, as the devices say at this moment: for the drawing alone.

A look asks each cluster two short questions, while somebody watches and never more often than
`EVERY_S`; passes neither wait for it nor learn from it. What does not answer is shown as such and
never as absent. Leaves out what the plan needs; that is `controller.observe`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from api.answers import Fault
from api.topology import GuestKey, GuestPlace
from controller.clock import Clock
from controller.devices import Device
from controller.observe import UNREADABLE
from controller.pve.guests import GUESTS
from controller.pve.members import MEMBERS, away
from controller.pve.vm import Vm
from controller.step import Answers
from lab.errors import DeviceError

EVERY_S = 4.0
PVE = "pve/"


@dataclass(frozen=True)
class Sighting:
    """What one look showed."""

    places: Mapping[GuestKey, GuestPlace] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


class Sight:
    """The last look, and a new one in the background when it has become old."""

    def __init__(self, devices: Sequence[Device], clock: Clock) -> None:
        self._devices = tuple(devices)
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sight")
        self._lock = threading.Lock()
        self._due_s = 0.0
        self._seen = Sighting()

    def now(self) -> Sighting:
        """What was seen last; does not wait."""
        with self._lock:
            if self._clock.now() >= self._due_s:
                self._due_s = float("inf")
                self._pool.submit(self._look)
            return self._seen

    def close(self) -> None:
        """Look no more."""
        with self._lock:
            self._due_s = float("inf")
        self._pool.shutdown(cancel_futures=True)

    def _look(self) -> None:
        seen = look(self._devices)
        with self._lock:
            self._seen = seen
            self._due_s = self._clock.now() + EVERY_S


def look(devices: Sequence[Device]) -> Sighting:
    """Ask each cluster where its guests are and which nodes it misses."""
    places: dict[GuestKey, GuestPlace] = {}
    faults: list[Fault] = []
    for device in (each for each in devices if each.name.startswith(PVE)):
        cluster = device.name.removeprefix(PVE)
        answers, why = _answers(device)
        if not answers:
            faults.append(Fault(subject=f"cluster {cluster}", text=f"does not answer: {why}"))
        try:
            silent = away(answers)
            places |= dict(_places(device, cluster, answers, silent))
        except UNREADABLE:
            text = "answers in a form that can't be read"
            faults.append(Fault(subject=f"cluster {cluster}", text=text))
        else:
            faults += [Fault(subject=f"node {node}", text="is offline") for node in silent]
    return Sighting(places, tuple(faults))


def _answers(device: Device) -> tuple[dict[str, object], str]:
    """What a device answers, and why it does not answer the rest."""
    answers: dict[str, object] = {}
    why = ""
    for query in (GUESTS, MEMBERS):
        try:
            answers[query.text] = device.port.ask(query)
        except DeviceError as error:
            why = error.what
    return answers, why


def _places(
    device: Device, cluster: str, answers: Answers, silent: tuple[str, ...]
) -> Iterator[tuple[GuestKey, GuestPlace]]:
    context = device.context(device.name, answers)
    running = {key.id for key in context.running if key.kind == Vm.kind}
    for vmid, node in context.locations.items():
        yield (cluster, int(vmid)), GuestPlace(node, None if node in silent else vmid in running)
