"""Recorded exchanges with the real API, and the player that compares ours with them."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from simulator.fidelity.pve_api import Outcome, replay
from simulator.fidelity.pve_known import KNOWN
from tests.reference import reference
from tests.simulator.pve_renaming import with_other_names

EQUAL = {
    "access": 230,
    "backup": 49,
    "cluster": 87,
    "firewall": 148,
    "ha": 145,
    "lxc": 74,
    "mapping": 32,
    "network": 74,
    "pools": 33,
    "qemu": 315,
    "replication": 31,
    "sdn": 91,
    "storage": 104,
    "version": 27,
}
"""Exchanges of each area that are equal: never fewer than once there were."""


@cache
def _played(area: str) -> tuple[Outcome, ...]:
    return tuple(replay(reference("pve-recordings") / f"{area}.jsonl"))


@pytest.mark.parametrize("area", EQUAL)
def test_every_recorded_answer_is_given_or_its_difference_is_known(area: str) -> None:
    different = [o for o in _played(area) if o.verdict in ("different", "not built")]
    assert not different, "\n".join(f"{o.seq} {o.n} {o.call}: {o.why}" for o in different)


@pytest.mark.parametrize(("area", "equal"), EQUAL.items())
def test_as_many_are_equal_as_ever_were(area: str, equal: int) -> None:
    assert Counter(outcome.verdict for outcome in _played(area))["equal"] >= equal


def test_every_known_difference_still_is_one() -> None:
    differing = [o.why for area in EQUAL for o in _played(area) if o.verdict == "known"]
    assert set(differing) == {known.why for known in KNOWN}


def test_of_all_exchanges_98_in_100_are_equal() -> None:
    outcomes = [outcome for area in EQUAL for outcome in _played(area)]
    equal = sum(outcome.verdict == "equal" for outcome in outcomes)
    assert equal >= 0.98 * len(outcomes)


@pytest.mark.parametrize("area", EQUAL)
def test_a_recording_with_other_names_ids_and_sizes_comes_out_alike(
    area: str, tmp_path: Path
) -> None:
    renamed = tmp_path / f"{area}.jsonl"
    renamed.write_text(with_other_names((reference("pve-recordings") / renamed.name).read_text()))
    assert renamed.read_text() != (reference("pve-recordings") / renamed.name).read_text()
    theirs = [(o.seq, o.n, o.verdict) for o in _played(area)]
    ours = {(o.seq, o.n): o for o in replay(renamed)}
    changed = [ours[seq, n] for seq, n, verdict in theirs if ours[seq, n].verdict != verdict]
    changed = [o for o in changed if o.call != "GET /cluster/nextid"]  # the lowest that is free
    assert not changed, "\n".join(f"{o.seq} {o.n} {o.call}: {o.why}" for o in changed)


def _recording(folder: Path, *exchanges: dict[str, Any], **header: Any) -> Path:
    lines: list[dict[str, Any]] = [{"seq": "s", "n": 0, "initial": "base", "area": "x", **header}]
    lines += [{"seq": "s", "n": n, **exchange} for n, exchange in enumerate(exchanges, 1)]
    file = folder / "x.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def _exchange(call: str, status: int = 200, reason: str = "OK", **more: Any) -> dict[str, Any]:
    method, _, path = call.partition(" ")
    return {"method": method, "path": path, "status": status, "reason": reason, **more}


VERSION = {"release": "9.2", "version": "9.2.11", "repoid": "14a22df35955d97d"}


def _verdicts(folder: Path, *exchanges: dict[str, Any], **header: Any) -> list[str]:
    return [outcome.verdict for outcome in replay(_recording(folder, *exchanges, **header))]


@pytest.mark.parametrize(
    "exchange",
    [
        _exchange("GET /version", data={**VERSION, "version": "9.2.12"}),
        _exchange("GET /version", data={**VERSION, "console": "x"}),
        _exchange("GET /version", data={"release": "9.2", "version": "9.2.11"}),
        _exchange("GET /version", data=[VERSION]),
        _exchange("GET /version", status=500, reason="OK", data=VERSION),
        _exchange("GET /pools", data=[{"poolid": "x"}]),
        _exchange("GET /cluster/nextid", data=100),
        _exchange("GET /storage/xx", 500, "storage 'yy' does not exist", data=None),
        _exchange(
            "GET /storage/xx", 500, "storage 'xx' does not exist", data=None, message="short"
        ),
        _exchange("GET /pools", data=[], changes="x"),
    ],
)
def test_any_difference_is_seen(tmp_path: Path, exchange: dict[str, Any]) -> None:
    assert _verdicts(tmp_path, exchange) == ["different"]


def test_an_equal_answer_is_equal_and_an_artifact_is_skipped(tmp_path: Path) -> None:
    message = {"message": "storage 'xx' does not exist\n"}
    assert _verdicts(
        tmp_path,
        _exchange("GET /version", data=VERSION),
        _exchange("GET /version", data="anything", artifact=1),
        _exchange("GET /storage/xx", 500, "storage 'xx' does not exist", data=None, **message),
        _exchange("GET /version", 401, "No ticket", user=None, body_empty=1),
        _exchange("GET /cluster/sdn/dry-run", data=None),
    ) == ["equal", "skipped", "equal", "equal", "not built"]


def test_a_digest_of_theirs_is_replaced_by_ours(tmp_path: Path) -> None:
    files = {"nodes/pve1/qemu-server/100.conf": "memory: 512\nname: web1\n"}
    digest, other = "a" * 40, "b" * 40
    config = "/nodes/pve1/qemu/100/config"
    web = {"memory": "512", "name": "web1"}
    changed = {"memory": "1024", "name": "web1"}
    mismatch = "checksum mismatch (file change by other user?)"
    assert _verdicts(
        tmp_path,
        _exchange(f"GET {config}", data={**web, "digest": digest}),
        _exchange(f"PUT {config}", params={"memory": 1024, "digest": digest}, data=None),
        _exchange(f"GET {config}", data={**changed, "digest": other}),
        _exchange(
            f"PUT {config}", 500, mismatch, params={"memory": 2, "digest": digest}, data=None,
            message=f"{mismatch}\n",
        ),
        _exchange(f"GET {config}", data={**changed, "digest": digest}),
        files=files,
    ) == ["equal", "equal", "equal", "different", "different"]  # fmt: skip


def test_a_task_is_waited_for_and_its_id_replaced(tmp_path: Path) -> None:
    upid = "UPID:pve1:00000001:00000002:6B02BCEE:qmcreate:100:root@pam:"
    status = {
        "upid": upid, "type": "qmcreate", "id": "100", "user": "root@pam", "node": "pve1",
        "status": "stopped", "exitstatus": "OK", "pid": 1, "pstart": 2, "starttime": 3,
    }  # fmt: skip
    path = f"/nodes/pve1/tasks/{upid}"
    assert _verdicts(
        tmp_path,
        _exchange("POST /nodes/pve1/qemu", params={"vmid": 100}, data=upid),
        _exchange(f"GET {path}/status", data=status),
        _exchange(f"GET {path}/log", data=[{"n": 1, "t": "TASK OK"}], total=1),
    ) == ["equal", "equal", "equal"]


def test_sets_are_compared_without_order_and_lists_of_rows_too(tmp_path: Path) -> None:
    rows = [
        {
            "type": "dir",
            "storage": "local",
            "content": "iso,import,vztmpl,backup",
            "path": "/var/lib/vz",
        },
        {
            "type": "dir",
            "storage": "data",
            "content": "snippets,images,rootdir",
            "path": "/srv/data",
        },
    ]
    rows = [{**row, "digest": "c" * 40} for row in rows]
    assert _verdicts(tmp_path, _exchange("GET /storage", data=rows)) == ["equal"]
    rows[0]["content"] = "iso,import,vztmpl"
    assert _verdicts(tmp_path, _exchange("GET /storage", data=rows)) == ["different"]


def test_what_travels_over_https_is_what_is_answered_in_process(tmp_path: Path) -> None:
    recording = _recording(
        tmp_path,
        _exchange("GET /version", data=VERSION),
        _exchange("POST /pools", params={"poolid": "web", "comment": "a b&c=d"}, data=None),
        _exchange("GET /pools", data=[{"poolid": "web", "comment": "a b&c=d"}]),
        _exchange("PUT /pools", params={"poolid": "web", "delete": True}, body="json", data=None),
        _exchange(
            "GET /storage/xx", 500, "storage 'xx' does not exist", data=None,
            message="storage 'xx' does not exist\n",
        ),
        _exchange("GET /version", 401, "No ticket", user=None, body_empty=1),
    )  # fmt: skip
    assert [o.verdict for o in replay(recording, https=True)] == ["equal"] * 6
