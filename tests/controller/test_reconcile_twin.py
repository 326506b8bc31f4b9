"""The whole controller against a twin's Proxmox VE: applied, drifted, moved, struck by a fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.desired import Commits
from controller.gate import judge
from controller.history import History, open_history
from controller.keeping import open_journal
from controller.loop import Controller
from controller.planning import wanted_things
from controller.pve import connect
from controller.pve.family import TOKEN_NAME, USER
from controller.pve.trail import PveTrail
from controller.reconcile import Ending, Pass
from controller.rehearsal import TwinClock
from controller.settings import Apply
from controller.source import Source
from controller.stage import devices_of, empty_stage
from controller.step import Rest
from controller.triggers import Triggers
from controller.world import World
from lab.faults import parse_faults
from simulator.pve.api import PveApi
from simulator.served.inprocess import TwinAdapter
from simulator.twin import Twin
from tests.controller.remotes import Remote
from tests.labs import lab_of
from tests.simulator.three_nodes import guest, hardware

CREW = f"{hardware()}\nguests:\n{guest('luffy', 101, on='pve1')}{guest('zoro', 102, on='pve2')}"


@dataclass
class House:
    """The twin, and the controller that cares for it."""

    twin: Twin
    remote: Remote
    history: History
    controller: Controller

    def until_in_sync(self) -> list[Ending]:
        endings = [self.once("poll").ending]
        while endings[-1] is not Ending.IN_SYNC:
            assert len(endings) < 6, self.history.runs()
            endings.append(self.once("verify").ending)
        return endings

    def once(self, reason: str) -> Pass:
        done = self.controller.once({reason})
        assert done is not None
        return done

    def by_alice(self, method: str, path: str, **params: str | int) -> None:
        login: dict[str, Any] = {"user": "root@pam", "token_name": "alice", "token": "sesame"}
        clock, adapter = TwinClock(self.twin), TwinAdapter(self.twin)
        port = connect("pve/a", ["pve1"], clock=clock, adapter=adapter, **login)
        port.send(Rest(method, path, params))

    def configured(self, vmid: int) -> dict[str, Any]:
        api = self.twin.devices["pve/a"]
        assert isinstance(api, PveApi)
        return dict(api.documents.guests[vmid].future)

    def condition(self, type_: str, subject: str = "") -> tuple[str, str]:
        shown = {str(t): c for t, c in self.history.conditions()[subject].items()}
        return str(shown[type_].status), shown[type_].reason


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Everything applied and in sync."""
    twin = empty_stage(lab_of(CREW))
    api = twin.devices["pve/a"]
    assert isinstance(api, PveApi)
    api.add_token("root@pam!alice", "sesame")
    remote = Remote(tmp_path / "lab.git")
    remote.commit({"lab.yaml": CREW})
    devices = devices_of(twin)
    kinds = {device.name: device.kinds for device in devices}
    history = open_history(f"sqlite:///{tmp_path / 'history.db'}")
    journal = open_journal(tmp_path / "journal", history)
    source = Source(remote.url, "main", ".", tmp_path / "mirror")
    trails = {"pve/a": PveTrail(f"{USER}!{TOKEN_NAME}")}
    controller = Controller(
        Commits(source, history, lambda lab: wanted_things(lab, kinds)),
        World(devices, journal, TwinClock(twin), trails),
        history,
        lambda plan, _lab, _observed: judge(plan, None),
        Triggers(),
        holder="this",
        apply=Apply.AUTO,
    )
    made = House(twin, remote, history, controller)
    assert Ending.APPLIED in made.until_in_sync()
    yield made
    journal.close()
    history.close()


def test_memory_changed_by_hand_is_seen_attributed_and_corrected(house: House) -> None:
    house.by_alice("PUT", "/nodes/pve1/qemu/101/config", memory=1024)
    assert house.once("drift").ending is Ending.APPLIED
    assert house.configured(101)["memory"] in (2048, "2048")
    [drift] = [event for event in house.history.events() if event.kind == "drift"]
    assert drift.subject == "guests/luffy"
    assert "2GiB -> 1GiB by root@pam!alice" in drift.told
    assert "update VM 101: -memory 1024" in drift.told
    house.until_in_sync()
    assert house.condition("Drifted") == ("False", "NoDrift")


def test_a_guest_that_somebody_moved_is_no_drift(house: House) -> None:
    house.by_alice("POST", "/nodes/pve1/qemu/101/migrate", target="pve3", online=1)
    house.twin.run_until(house.twin.now_s + 300)
    where = {key: guest.node for key, guest in house.twin.state.guests.items()}
    assert where[("a", 101)] == "pve3"
    assert house.once("drift").ending is Ending.IN_SYNC
    assert house.condition("Drifted") == ("False", "NoDrift")


def test_a_dead_node_is_unknown_and_nothing_on_it_is_made_anew(house: House) -> None:
    guests = set(house.twin.state.guests)
    house.twin.inject(parse_faults(["fail-node", "pve1"]))
    house.twin.run_until(house.twin.now_s + 5)
    done = house.once("drift")
    assert done.plan.empty
    assert house.condition("Ready", "guests/luffy") == ("Unknown", "DeviceUnreachable")
    assert house.condition("Ready", "guests/zoro") == ("True", "InSync")
    house.twin.run_until(house.twin.now_s + 600)  # HA brings it back elsewhere
    assert house.once("drift").ending is Ending.IN_SYNC
    assert house.condition("Ready", "guests/luffy") == ("True", "InSync")
    assert set(house.twin.state.guests) == guests
