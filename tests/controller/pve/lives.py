"""The life of a lab: one desired state after another, on a twin's Proxmox VE that lives on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controller.devices import Device
from controller.execute import AfterOperation, Outcome, execute
from controller.journal import Journal
from controller.managed import Key
from controller.observe import observe
from controller.owned import OwnedRecord
from controller.placing import place_new
from controller.plan import NoteKind, Plan
from controller.planning import plan_changes
from controller.pve import connect
from controller.recover import recover
from controller.rehearsal import TwinClock
from controller.stage import devices_of, empty_stage
from controller.step import Rest, Step
from lab.lab import Lab
from simulator.pve.api import PveApi
from simulator.served.inprocess import TwinAdapter
from simulator.twin import Twin
from tests.controller.pve.worlds import DEVICE
from tests.labs import lab_of
from tests.simulator.three_nodes import hardware

PASSES = 4
"""After which a lab that can become what is written has become it."""
TOLD = (NoteKind.FOREIGN, NoteKind.UNMANAGED)
"""Notes that a plan has in any case."""
MINE = "manage: [observe, create, update, delete]"


def declared(*texts: str) -> Lab:
    """Three nodes, and what the texts declare; by all rules."""
    return lab_of(hardware().replace("memory: 12GiB", "memory: 64GiB"), *texts)


@dataclass
class Life:
    """A cluster, and a controller's memory of it. `sent`: steps of the last pass, as they went."""

    twin: Twin
    journal: Journal = field(default_factory=Journal)
    owned: dict[Key, OwnedRecord] = field(default_factory=dict)
    sent: list[Step] = field(default_factory=list)

    @property
    def api(self) -> PveApi:
        api = self.twin.devices[DEVICE]
        assert isinstance(api, PveApi)
        return api

    def devices(self) -> list[Device]:
        """Ways to the devices that note what is sent."""
        found = list(devices_of(self.twin))
        for device in found:
            port: Any = device.port
            port.send = self._noting(port.send)
        return found

    def _noting(self, send: Callable[[Step], object]) -> Callable[[Step], object]:
        def noted(step: Step) -> object:
            self.sent.append(step)
            return send(step)

        return noted

    def plan(self, lab: Lab) -> Plan:
        """What there is to do."""
        return self._plan(lab, self.devices())

    def _plan(self, lab: Lab, devices: list[Device]) -> Plan:
        clock = TwinClock(self.twin)
        recovery = recover(self.journal, devices, clock, self.owned)
        self.owned = recovery.owned(self.owned)
        if not recovery.in_doubt:
            self.journal.clear()
        observed = observe(devices, clock).doubting(recovery.in_doubt)
        return plan_changes(lab, place_new(lab, observed), self.owned, "c0ffee")

    def act(self, lab: Lab, after: AfterOperation | None = None) -> tuple[Plan, Outcome]:
        """One pass."""
        devices = self.devices()
        plan = self._plan(lab, devices)
        self.sent.clear()
        return plan, execute(plan, devices, self.journal, TwinClock(self.twin), after)

    def become(self, lab: Lab) -> list[str]:
        """Passes until there is nothing to do; what went wrong, and what was left undone."""
        wrong: list[str] = []
        for _ in range(PASSES):
            plan, outcome = self.act(lab)
            if plan.empty:
                notes = (note for note in plan.notes if note.kind not in TOLD)
                return wrong + [f"{note.kind} {note.subject}: {note.text}" for note in notes]
            failed = [each for each in outcome.results if each.fate != "done"]
            wrong += [f"{each.operation.key} {each.fate}: {each.reason}" for each in failed]
            planned = [str(step) for operation in plan.operations for step in operation.steps]
            if not failed and [*dict.fromkeys(map(str, self.sent))] != planned:
                wrong.append(f"sent {self.sent}, planned {planned}")
        return [*wrong, "it does not come to rest"]

    def by_hand(self, *calls: Rest) -> None:
        """Somebody else does this."""
        self.api.add_token("root@pam!alice", "sesame")
        login: dict[str, Any] = {"user": "root@pam", "token_name": "alice", "token": "sesame"}
        clock, adapter = TwinClock(self.twin), TwinAdapter(self.twin)
        port = connect(DEVICE, ["pve1"], clock=clock, adapter=adapter, **login)
        for call in calls:
            port.send(call)

    def wait(self, seconds: float) -> None:
        self.twin.run_until(self.twin.now_s + seconds)


def life(lab: Lab) -> Life:
    """A cluster that was just installed."""
    return Life(empty_stage(lab))
