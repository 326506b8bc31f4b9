"""`vlab serve` as a process: it follows its remote, shows it, and ends when told to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from api.sight import Sight, look
from api.topology import GuestPlace
from controller.check import applied
from controller.devices import Device
from controller.pve import KINDS, context
from controller.stage import devices_of
from controller.step import Query, Step
from lab.errors import DeviceError
from lab.faults import Fault, FaultKind
from tests.controller.remotes import Remote
from tests.controller.shelf import ManualClock
from tests.simulator.three_nodes import guest, hardware, three_nodes

TOKEN = "let-me-in"
OFF = "    state: stopped\n"


@contextmanager
def served(folder: Path, remote: Remote, more: str = "") -> Iterator[httpx.Client]:
    """The process and a client of it; at the end it is told to stop, and must have ended well."""
    (folder / "token").write_text(TOKEN)
    (folder / "vlab.toml").write_text(
        f'drift_s = 3600\n[source]\nremote = "{remote.url}"\npath = "."\npoll_s = 3600\n'
        f'[api]\nlisten = "127.0.0.1:0"\ntoken = "secret://file/token"\n{more}'
    )
    run = [sys.executable, "-c", "from api.main import main; main()", "serve", "--settings"]
    process = subprocess.Popen(
        [*run, str(folder / "vlab.toml")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            if found := re.match(r"status page: (http://\S+)", line):
                break
        assert found is not None, "it ended without a page"
        try:
            with httpx.Client(base_url=found[1], trust_env=False, timeout=60) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            out, rest = process.communicate(timeout=60)
        except BaseException:
            process.kill()  # what failed is told, not waited for
            raise
        assert (process.returncode, out) == (0, "")
        assert TOKEN not in rest


def awaited(client: httpx.Client, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first status, of those that events announce, that fits; pings are 15 s apart."""
    pings = 0
    with client.stream("GET", "/api/v1/events") as stream:
        for line in stream.iter_lines():
            pings += line == ": ping"
            assert pings < 4, "nothing happens any more"
            if line == "event: status":
                told: dict[str, Any] = client.get("/api/v1/status").json()
                if fits(told):
                    return told
    raise AssertionError("the server ended")


def in_sync_with(subject: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a status says that the lab is as the commit of this subject."""
    return lambda told: told["sync"] == "in-sync" and told["in_force"]["subject"] == subject


def test_it_shows_the_commit_and_follows_a_webhook(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "lab.git")
    remote.commit({"lab.yaml": hardware()}, "Rack the nodes")
    with served(tmp_path, remote) as client:
        first = awaited(client, in_sync_with("Rack the nodes"))
        lab = client.get("/api/v1/lab").json()
        assert [host["name"] for host in lab["hosts"]] == ["pve1", "pve2", "pve3"]
        assert lab["commit"] == first["in_force"]["commit"]

        remote.commit({"lab.yaml": hardware().replace("id: 10,", "id: 11,")}, "Renumber")
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert client.post("/api/v1/look", headers=bearer).status_code == 202
        second = awaited(client, in_sync_with("Renumber"))
        assert second["looked_s"] != first["looked_s"]
        assert [vlan["id"] for vlan in client.get("/api/v1/lab").json()["vlans"]] == [99, 11]

        broken = hardware().replace("sw1/p1", "sw9/p1")
        remote.commit({"lab.yaml": broken}, "Oops")
        client.post("/api/v1/look", headers=bearer)
        third = awaited(client, lambda told: "LabInvalid" in str(told["conditions"]))
        assert third["newest"]["subject"] == "Oops"
        assert third["in_force"]["subject"] == "Renumber"
        assert "sw9" in third["newest"]["told"]

        figures = client.get("/metrics").text
        assert 'vlab_passes_total{ending="in-sync"}' in figures
        count = re.search(r"^vlab_pass_duration_seconds_count (\S+)$", figures, re.MULTILINE)
        assert count is not None
        assert float(count[1]) >= 2  # the third may not have been counted yet
        assert "vlab_unknown_devices 0.0" in figures
        assert 'vlab_condition{status="True",type="Stalled"} 1.0' in figures


def test_a_page_for_everybody_without_a_token_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "vlab.toml").write_text(
        f'[source]\nremote = "{tmp_path}"\n[api]\nlisten = "0.0.0.0:0"\n'
    )
    run = [sys.executable, "-c", "from api.main import main; main()", "serve", "--settings"]
    done = subprocess.run(
        [*run, str(tmp_path / "vlab.toml")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4
    assert "0.0.0.0 is not a loopback address, and no token is set" in done.stderr
    assert "fix: set api.token" in done.stderr


def test_a_look_shows_where_guests_are_and_which_run() -> None:
    lab = three_nodes(guest("web", 101, on="pve1"), guest("db", 102, on="pve3", more=OFF))
    seen = look(devices_of(applied(lab, "c0ffee")[0]))
    assert seen.places == {
        ("a", 101): GuestPlace("pve1", running=True),
        ("a", 102): GuestPlace("pve3", running=False),
    }
    assert seen.faults == ()


def test_a_node_that_is_away_is_a_fault_and_what_ran_there_unknown() -> None:
    lab = three_nodes(guest("web", 101, on="pve2"))
    twin, _ = applied(lab, "c0ffee")
    twin.inject([Fault(FaultKind.NODE, "pve2")])
    twin.run_until(twin.now_s + 30)
    seen = look(devices_of(twin))
    assert [(fault.subject, fault.text) for fault in seen.faults] == [("node pve2", "is offline")]
    assert seen.places["a", 101] == GuestPlace("pve2", running=None)


class Mute:
    """A way to a cluster that leads nowhere; tells when somebody takes it."""

    device = "pve/a"

    def __init__(self) -> None:
        self.asked = threading.Event()

    def ask(self, query: Query) -> object:
        self.asked.set()
        raise DeviceError(self.device, "no route to host", retryable=True)

    def send(self, step: Step) -> object:
        raise AssertionError(f"nobody sends here: {step}")

    def settle(self, step: Step, since_s: float) -> None:
        raise AssertionError(f"nobody sends here: {step}")


def test_a_cluster_that_does_not_answer_is_a_fault_and_nothing_of_it_is_claimed() -> None:
    seen = look([Device("pve/a", Mute(), KINDS, context)])
    assert seen.places == {}
    assert [(fault.subject, fault.text) for fault in seen.faults] == [
        ("cluster a", "does not answer: no route to host")
    ]


def test_a_cluster_that_answers_strangely_is_a_fault_and_the_others_are_seen() -> None:
    class Strange(Mute):
        """A way to something else than a cluster."""

        device = "pve/b"

        def ask(self, query: Query) -> object:
            return [{"type": "node", "online": 0}]

    lab = three_nodes(guest("web", 101, on="pve1"))
    ours = devices_of(applied(lab, "c0ffee")[0])
    seen = look([Device("pve/b", Strange(), KINDS, context), *ours])
    assert seen.places == {("a", 101): GuestPlace("pve1", running=True)}
    assert [(fault.subject, fault.text) for fault in seen.faults] == [
        ("cluster b", "answers in a form that can't be read")
    ]


def test_looks_are_made_in_the_background_and_not_too_often() -> None:
    clock, way = ManualClock(), Mute()
    sight = Sight([Device("pve/a", way, KINDS, context)], clock)
    assert sight.now().faults == ()
    assert way.asked.wait(60)
    sight.close()  # waits for the look under way
    assert len(sight.now().faults) == 1
