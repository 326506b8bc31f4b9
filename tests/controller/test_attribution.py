"""Who changed what, from what a device notes of it: Proxmox VE's cluster log and tasks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from controller.attribution import UNKNOWN, Bookmark, Entry, attribute
from controller.drift import read_logs
from controller.managed import Key
from controller.pve import connect
from controller.pve.trail import LOG, TASKS, PveTrail
from controller.rehearsal import TwinClock
from controller.stage import devices_of, empty_stage
from controller.step import Rest, Unanswered
from simulator.pve.api import PveApi
from simulator.served.inprocess import TwinAdapter
from simulator.twin import Twin
from tests.labs import lab_of
from tests.simulator.three_nodes import hardware

LUFFY = Key("pve/a", "vm", "101")
OURS = "root@pam!rehearsal"  # the login of the devices of a stage


def entry(id_: str, at_s: float, who: str, *says: str, about: Key = LUFFY) -> Entry:
    return Entry(id_, at_s, who, about, f"by {who}", frozenset(says))


def test_the_last_one_who_changed_the_field_is_named() -> None:
    entries = [
        entry("1", 10.0, "alice@pve", "memory", "cores"),
        entry("2", 30.0, "bob@pam", "memory"),
        entry("3", 40.0, "carol@pam", "cpu"),
        entry("4", 50.0, "dave@pam", "memory", about=Key("pve/a", "vm", "102")),
        entry("5", 60.0, "erin@pam"),  # made or removed it
    ]
    assert attribute(LUFFY, {"memory"}, entries).who == "bob@pam"
    assert attribute(LUFFY, {"memory", "cpu"}, entries).who == "carol@pam"
    assert attribute(LUFFY, (), entries).who == "erin@pam"
    assert attribute(LUFFY, {"tags"}, entries).who == UNKNOWN


def test_a_mark_tells_new_entries_by_their_names_and_not_by_a_clock() -> None:
    before = [entry("1", 1_000.0, "a"), entry("2", 1_030.0, "a")]
    mark = Bookmark.from_text(Bookmark.of(before).text())
    late = entry("3", 1_010.0, "b")  # another node's, older than what was read, and new
    new = entry("4", 1_030.0, "c")  # in the same second
    ancient = entry("0", 900.0, "d")  # before all: forgotten names do not make it new
    assert mark.since([*before, late, new, ancient]) == [late, new]
    assert Bookmark.from_text("").since(before) == before


def rows(**answers: Any) -> dict[str, object]:
    return {LOG.text: answers.get("log", []), TASKS.text: answers.get("tasks", [])}


def line(msg: str, user: str = "alice@pve", uid: int = 7) -> dict[str, Any]:
    """A line of the cluster log."""
    return {"uid": uid, "time": 1_700_000_000, "node": "pve1", "user": user, "msg": msg, "pri": 6}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("update VM 101: -memory 4096", {"memory"}),
        ("update VM 101: -cores 4 -delete cpu,tags -digest 0a", {"cores", "cpu", "tags", "digest"}),
        ("update VM 101: resize --disk scsi0 --size 60G", {"scsi0", "size"}),
        ("update VM 101: -description a\n-b", {"description", "b"}),
    ],
)
def test_the_log_tells_which_options_of_a_guest_were_changed(message: str, says: set[str]) -> None:
    [found] = PveTrail(OURS).read("pve/a", rows(log=[line(message)]))
    assert (found.about, found.who) == (LUFFY, "alice@pve")
    assert set(found.says) == says


@pytest.mark.parametrize(
    "answers",
    [
        rows(log=[line("successful auth for user 'alice@pve'"), line("update VM x: -y")]),
        rows(log=[line("update VM 101: -memory 1", user=OURS)]),
        rows(log=["no row", {}, {"msg": None}], tasks=[{"type": "vzdump", "id": "101"}]),
        rows(tasks=[{"type": "qmstop", "id": "101", "user": "root@pam", "tokenid": "rehearsal"}]),
        {LOG.text: Unanswered("permission denied"), TASKS.text: None},
        {},
    ],
)
def test_what_is_no_change_by_others_is_no_entry(answers: dict[str, object]) -> None:
    assert list(PveTrail(OURS).read("pve/a", answers)) == []


@pytest.mark.parametrize(
    ("field_name", "word"),
    [
        ("memory_bytes", "memory"),
        ("running.memory_bytes", "memory"),
        ("os", "ostype"),
        ("disks.scsi0.size_bytes", "scsi0"),
        ("disks.scsi0", "scsi0"),
        ("nets.net0.vlan", "net0"),
        ("state", "state"),
    ],
)
def test_fields_of_a_guest_have_the_options_names_in_the_log(field_name: str, word: str) -> None:
    assert PveTrail(OURS).word(LUFFY, field_name) == word


@pytest.fixture
def twin() -> Twin:
    """Three nodes with a guest that we made."""
    guest = (
        "guests: {luffy: {vmid: 101, cluster: a, memory: 2GiB, nets: {net0: {vlan: production}}}}"
    )
    twin = empty_stage(lab_of(f"{hardware()}\n{guest}", rules=False))
    api = twin.devices["pve/a"]
    assert isinstance(api, PveApi)
    api.add_token("root@pam!alice", "sesame")
    params: dict[str, str | int] = {"vmid": 101, "name": "luffy", "memory": 2048}
    (cluster,) = [device for device in devices_of(twin) if device.name == "pve/a"]
    cluster.port.send(Rest("POST", "/nodes/pve1/qemu", params))
    return twin


def by_alice(twin: Twin, method: str, path: str, **params: str | int) -> None:
    """Somebody else acts, through the same API."""
    login: dict[str, Any] = {"user": "root@pam", "token_name": "alice", "token": "sesame"}
    adapter = TwinAdapter(twin)
    port = connect("pve/a", ["pve1"], clock=TwinClock(twin), adapter=adapter, **login)
    port.send(Rest(method, path, params))


def entries(twin: Twin) -> tuple[Entry, ...]:
    log = read_logs(devices_of(twin), {"pve/a": PveTrail(OURS)})["pve/a"]
    assert log.silent == ""
    return log.entries


def test_memory_changed_through_the_api_is_attributed(twin: Twin) -> None:
    mark = Bookmark.of(entries(twin))
    assert mark.since(entries(twin)) == []
    by_alice(twin, "PUT", "/nodes/pve1/qemu/101/config", memory=1024)
    found = attribute(LUFFY, {"memory"}, mark.since(entries(twin)))
    assert (found.who, found.text) == ("root@pam!alice", "update VM 101: -memory 1024")
    assert "by root@pam!alice at 2026-" in str(found)


def test_power_and_removal_are_attributed_by_their_tasks(twin: Twin) -> None:
    mark = Bookmark.of(entries(twin))
    by_alice(twin, "POST", "/nodes/pve1/qemu/101/status/start")
    started = attribute(LUFFY, {"state"}, mark.since(entries(twin)))
    assert (started.who, started.text) == ("root@pam!alice", "task qmstart 101")
    by_alice(twin, "POST", "/nodes/pve1/qemu/101/status/stop")
    by_alice(twin, "DELETE", "/nodes/pve1/qemu/101")
    removed = attribute(LUFFY, (), mark.since(entries(twin)))
    assert (removed.who, removed.text) == ("root@pam!alice", "task qmdestroy 101")


def test_what_we_did_ourselves_is_nobody_elses_doing(twin: Twin) -> None:
    assert entries(twin) == ()


def recordings() -> Path:
    """The recorded answers of the real API; skips the test where they are not."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "reference"
    folder = Path(os.environ.get("VLAB_REFERENCE", beside)) / "pve-recordings"
    if not folder.is_dir():
        pytest.skip("no recorded answers here: set VLAB_REFERENCE")
    return folder


def test_tasks_as_the_real_api_lists_them_are_understood() -> None:
    listed = [
        row
        for file in sorted(recordings().glob("*.jsonl"))
        for exchange in map(json.loads, file.read_text().splitlines())
        if exchange.get("path") == "/cluster/tasks" and exchange.get("status") == 200
        for row in exchange["data"]
    ]
    found = list(PveTrail(OURS).read("pve/a", rows(tasks=listed)))
    kinds = {row["type"] for row in listed}
    assert {"qmigrate", "hamigrate", "srvreload"} <= kinds  # moves and reloads are no drift
    assert {each.text.split()[1] for each in found} <= kinds
    assert all(each.who == "root@pam" and each.at_s > 1e9 for each in found)
    assert len({each.id for each in found}) == len(found) > 0
