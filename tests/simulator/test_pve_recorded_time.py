"""Recordings of HA daemons at work, made up here: played at their instants, with their beats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulator.cluster.state import CRM, LRM
from simulator.fidelity.pve_api import replay
from simulator.fidelity.pve_recorded import instants_of, rounds_of

NOON_S = 1_796_040_000  # 2026-11-30 12:00:00, a day on which nothing was recorded
STATUS = "/cluster/ha/status/current"
Exchange = dict[str, Any]


def asked(t: int, *rows: Exchange) -> Exchange:
    """The HA status, asked for in a wait."""
    quorum = {"id": "quorum", "type": "quorum", "node": "pve1", "status": "OK", "quorate": 1}
    note = f"t={t}s in this wait; recorded because it changed"
    return {"method": "GET", "path": STATUS, "note": note, "data": [quorum, *rows]}


def sent(method: str, path: str, data: object = None, **params: object) -> Exchange:
    return {"method": method, "path": path, "params": params, "data": data}


def clock(second: int) -> str:
    return f"Mon Nov 30 12:{second // 60:02}:{second % 60:02} 2026"


def master(node: str, second: int) -> Exchange:
    row = {"id": "master", "type": "master", "node": node, "timestamp": NOON_S + second}
    return {**row, "status": f"{node} (active, {clock(second)})"}


def armed(node: str, word: str = "armed") -> Exchange:
    watchdog = "active" if word == "armed" else "standby"
    row = {"id": "fencing", "type": "fencing", "node": node, "armed-state": word}
    return {**row, "status": f"{word} (CRM watchdog {watchdog})"}


def manager(node: str, word: str, second: int) -> Exchange:
    """A local resource manager."""
    watchdog = "active" if word == "active" else "standby"
    row = {"id": f"lrm:{node}", "type": "lrm", "node": node, "timestamp": NOON_S + second}
    return {**row, "status": f"{node} ({word}, watchdog {watchdog}, {clock(second)})"}


def service(node: str, word: str, crm: str = "") -> Exchange:
    row = {"id": "service:vm:101", "type": "service", "sid": "vm:101", "node": node}
    row |= {"state": word, "status": f"vm:101 ({node}, {word})", "request_state": "stopped"}
    return {**row, "max_restart": 1, "max_relocate": 1, "failback": 1} | (
        {"crm_state": crm} if crm else {}
    )


def story() -> list[Exchange]:
    """Daemons work; a stopped guest is handed to HA 21 s after noon."""
    idle = [manager("pve1", "idle", 16), manager("pve3", "idle", 18)]
    later = [manager("pve1", "idle", 26), manager("pve3", "idle", 28)]
    return [
        asked(0, armed("pve1", "standby")),
        asked(9, master("pve2", 19), armed("pve2"), manager("pve2", "active", 12), *idle),
        sent("POST", "/cluster/ha/resources", sid="vm:101", state="stopped"),
        asked(
            0, master("pve2", 19), armed("pve2"), manager("pve2", "active", 12),
            manager("pve1", "idle", 21), idle[1], service("pve2", "queued"),
        ),
        asked(
            8, master("pve2", 29), armed("pve2"), manager("pve2", "active", 22), *later,
            service("pve2", "request_stop", "request_stop"),
        ),
        asked(
            18, master("pve2", 39), armed("pve2"), manager("pve2", "active", 32),
            manager("pve1", "idle", 36), manager("pve3", "idle", 38),
            service("pve2", "stopped", "stopped"),
        ),
    ]  # fmt: skip


def played(folder: Path, exchanges: list[Exchange], initial: str = "base") -> list[str]:
    files = {"nodes/pve2/qemu-server/101.conf": "memory: 512\n"}
    header = {"seq": "s", "n": 0, "initial": initial, "area": "ha", "files": files}
    lines = [header]
    for n, exchange in enumerate(exchanges, 1):
        lines.append({"seq": "s", "n": n, "status": 200, "reason": "OK", **exchange})
    file = folder / "ha.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return [outcome.why or outcome.verdict for outcome in replay(file)]


def test_a_recording_of_daemons_at_work_comes_out_alike(tmp_path: Path) -> None:
    assert played(tmp_path, story()) == ["equal"] * 6


def test_a_round_too_many_is_seen(tmp_path: Path) -> None:
    late = story()
    late[4]["data"][-1] = service("pve2", "stopped", "stopped")
    assert played(tmp_path, late)[4].startswith("data.")


def test_what_chance_decided_is_taken_from_the_recording() -> None:
    rounds = rounds_of(story())
    assert rounds is not None
    assert rounds.master == "pve2"
    assert rounds.holding == {"pve2"}
    beats_s = rounds.next_beats_s(NOON_S, now_s=10.9)
    assert beats_s["pve2", CRM] == 19.5
    assert beats_s["pve2", LRM] == 12.25
    assert beats_s["pve1", LRM] == 11.25  # idle: every 5 s
    assert rounds_of([sent("GET", "/version", {})]) is None


def test_each_exchange_is_asked_when_the_recording_says() -> None:
    task = "UPID:pve1:00000D7E:00096B9F:6B02D93C:qmcreate:300:root@pam:"
    told = [*story(), sent("GET", "/version"), sent("POST", "/nodes/pve1/qemu", task, vmid=300)]
    found_s = [at_s and round(at_s - NOON_S, 1) for at_s in instants_of(told)]
    begun_s = int("6B02D93C", 16) - NOON_S + 0.9
    assert found_s == [10.9, 19.9, 21.9, 21.9, 29.9, 39.9, None, begun_s]


def test_where_no_guest_can_be_started_ha_goes_on_trying(tmp_path: Path) -> None:
    wanted = story()
    wanted[2] = sent("POST", "/cluster/ha/resources", sid="vm:101")
    for at, state, crm in (
        (3, "queued", ""),
        (4, "starting", "started"),
        (5, "starting", "started"),
    ):
        wanted[at]["data"][-1] = service("pve2", state, crm) | {"request_state": "started"}
    nowhere = "base, and daemons run; no guest can be started"
    assert played(tmp_path, wanted, nowhere) == ["equal"] * 6
    assert played(tmp_path, wanted)[5] != "equal"
