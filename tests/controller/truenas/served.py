"""The twin's own array: behind real sockets, or in process; and somebody else at it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from ruamel.yaml import YAML

from controller.clock import Clock
from controller.devices import Device
from controller.execute import Outcome, execute
from controller.journal import Journal
from controller.managed import Key
from controller.observe import observe
from controller.observed import Observed
from controller.owned import OwnedRecord, Ownership
from controller.plan import Plan
from controller.planning import EVERYTHING, plan_changes, wanted_things
from controller.rehearsal import TwinClock
from controller.secrets import Vault, rehearsed
from controller.step import Json
from controller.truenas.connect import Connection
from controller.truenas.family import TwinTransport
from controller.truenas.kinds import KINDS, NAS_KINDS, context
from controller.truenas.login import Login
from controller.truenas.port import NasPort
from controller.truenas.transport import Transport, no_answer
from lab.lab import Lab
from simulator.build import twin_of
from simulator.served.lab import ServedLab
from simulator.truenas.face import attach_installed
from simulator.twin import Twin
from tests.simulator.rack import Tree, rack

DEVICE = "nas/nas1"
CHAP = rehearsed("secret://env/CHAP").get_secret_value()
"""What the login's secret is, here as in a rehearsal and on an array as declared."""


class LabClock:
    """Time of a served lab that runs `speed` times as fast as the wall's.

    `slept_s`: what was waited on purpose, of its time; the rest is the machine's.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self.slept_s = 0.0

    def now(self) -> float:
        return time.monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        time.sleep(seconds / self._speed)


class Line:
    """The way to an array, watched. `cut`: methods whose next answer is lost, after it was done.

    `watch` hears of each call before it is made.
    """

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.cut: set[str] = set()
        self.watch: Callable[[str], object] = lambda _method: None
        self.calls: list[tuple[str, tuple[Json, ...]]] = []

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        self.watch(method)
        self.calls.append((method, tuple(params)))
        answer = self.inner.call(method, params, timeout_s)
        if method in self.cut:
            self.cut.remove(method)
            raise no_answer(DEVICE, method, "cut")
        return answer

    def close(self) -> None:
        self.inner.close()

    def sent(self, *verbs: str) -> list[str]:
        """Methods of these verbs that were called, in order."""
        return [method for method, _ in self.calls if method.rpartition(".")[2] in verbs]


@dataclass
class Served:
    """An array as the controller sees it."""

    device: Device
    line: Line
    clock: Clock

    def observe(self) -> Observed:
        return observe([self.device], self.clock)

    def plan(self, lab: Lab, owned: Ownership | None = None) -> Plan:
        return plan_changes(lab, self.observe(), owned or {}, "c0ffee", approve=EVERYTHING)

    def apply(self, lab: Lab, owned: Ownership | None = None) -> Outcome:
        assert self.observe().unknown == {}
        return execute(self.plan(lab, owned), [self.device], Journal(), self.clock)

    def owned(self, lab: Lab) -> dict[Key, OwnedRecord]:
        """All that a lab declares, as ours."""
        return {
            key: OwnedRecord("a", thing.path, thing.values, thing.policy, needs=thing.needs)
            for key, thing in wanted_things(lab, {DEVICE: KINDS}).items()
        }

    def call(self, method: str, *params: Json) -> Any:
        """Somebody else at the array."""
        return self.line.inner.call(method, params, 10.0)


def steps(plan: Plan) -> list[str]:
    """Everything that a plan would send."""
    return [str(step) for operation in plan.operations for step in operation.steps]


def port(line: Line, clock: Clock, declared: Lab) -> Device:
    """A device on this line, whose vault knows the secrets of a lab."""
    vault = Vault(rehearsed)
    vault.learn(wanted_things(declared, {DEVICE: KINDS}).values())
    way = NasPort(DEVICE, line, NAS_KINDS, vault, clock, timeout_s=60.0)
    return Device(DEVICE, way, KINDS, context)


def lab(version: str = "25.10", change: Callable[[Tree], object] | None = None) -> Lab:
    """The rack, its array with one of each kind of thing. `change` has its way with the array."""

    def grow(tree: Tree) -> None:
        _grow(tree, version)
        if change is not None:
            change(tree["nas"]["nas1"])

    return rack(change=grow)


def hardware(version: str = "25.10") -> bytes:
    """The same without anything on the array, as the file that a person writes first."""
    text = StringIO()

    def strip(tree: Tree) -> None:
        _grow(tree, version)
        tree["storages"], tree["guests"] = {}, {}
        for section in PARTS:
            tree["nas"]["nas1"].pop(section, None)
        YAML().dump(json.loads(json.dumps(tree)), text)  # nothing in it is shared any more

    rack(change=strip)
    return f"# the hardware\n{text.getvalue()}".encode()


PARTS = ("datasets", "zvols", "portals", "chap", "targets", "shares", "snapshot-tasks")


def _grow(tree: Tree, version: str) -> None:
    for name, node in tree["nodes"].items():
        node["initiator"] = f"iqn.1993-08.org.debian:01:{name}"
    tree["vlans"]["nfs"]["subnet"] = "10.0.103.0/24"
    nas = tree["nas"]["nas1"]
    nas["version"] = version
    nas["manage"] = ["observe", "create", "update", "delete"]
    nas["addresses"] |= {"iscsi1": "10.0.101.21", "iscsi2": "10.0.102.21"}
    nas["datasets"] = {"images/iso": {"quota": "20GiB"}}
    nas["zvols"]["students"] = {"pool": "tank", "size": "50GiB", "sparse": True}
    nas["chap"] = {"x": {"tag": 7, "user": "students", "secret": "secret://env/CHAP"}}
    nas["targets"]["other"] = {
        "portals": ["p1"],
        "luns": {"3": "students"},
        "initiators": [],
        "chap": "x",
    }
    nas["shares"] = {
        "iso": {"pool": "images", "path": "/mnt/images/iso", "vlan": "nfs", "comment": "ISO"}
    }
    nas["snapshot-tasks"] = {
        "nightly": {"dataset": "tank/z", "schedule": "0 3 * * *", "keep": "2 weeks"}
    }


def in_process(declared: Lab, twin: Twin | None = None) -> Served:
    """The array of a lab, installed and empty unless a twin is given."""
    if twin is None:
        twin = twin_of(declared, empty=True)
        attach_installed(twin)
    clock = TwinClock(twin)
    line = Line(TwinTransport(twin, "nas1", clock))
    return Served(port(line, clock, declared), line, clock)


@contextmanager
def behind_sockets(
    declared: Lab, folder: Path, *, empty: bool = True, speed: float = 20.0
) -> Iterator[tuple[Served, ServedLab]]:
    """The array of a lab at an address on loopback."""
    twin = twin_of(declared, empty=empty)
    if empty:
        attach_installed(twin)
    with ServedLab.start(twin, folder, speed=speed, port=0) as served:
        clock = LabClock(speed)
        with closing(connected(served)) as connection:
            line = Line(connection)
            yield Served(port(line, clock, declared), line, clock), served


def connected(served: ServedLab, *, key: str = "", ca: Path | None = None) -> Connection:
    """A way to a served array, as its settings would make it; with another key or authority."""
    known = key or served.login.api_keys.get("nas1", "")
    login = Login(lambda: SecretStr(known or served.login.password), by_key=bool(known))
    address = served.addresses["nas1"]
    return Connection(DEVICE, address, login, ca=ca or served.ca_file, timeout_s=60.0)
