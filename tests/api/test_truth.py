"""`vlab fidelity`, on small recordings of our own in each row's format, and on the real ones."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from api import truth
from api.exits import Exit
from lab.errors import VlabError
from simulator.fidelity import bonds, ceph, corosync, multipath, pve_files, pve_known
from simulator.fidelity.case import Case, Known, Verdict
from simulator.fidelity.rows import ROWS, measure
from tests.reference import ROOT, reference

Data = dict[str, Any]
UUID = "791bd624-b31e-4082-bc79-cdb9662369d4"


def asked(
    row: str | None, folder: Path | None, capsys: pytest.CaptureFixture[str]
) -> tuple[int, Data]:
    """Exit code and answer of the command."""
    code = truth.fidelity(row, folder, "json")
    answer: Data = json.loads(capsys.readouterr().out)
    return code, answer


def verdicts(row: str, folder: Path) -> dict[str, Verdict]:
    """What was thought of each case."""
    score = measure(ROWS[row], folder)
    assert score is not None
    return {case.name: case.verdict for case in score.cases}


def lines(file: Path, *rows: Data) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


# pve-api


def exchange(n: int, method: str, path: str, data: object = None, **more: object) -> Data:
    head = {"seq": "one", "n": n, "method": method, "path": path}
    return {**head, "status": 200, "reason": "OK", "data": data, **more}


def api_recording(folder: Path, *exchanges: Data, area: str = "pools") -> None:
    head = {"seq": "one", "n": 0, "area": area, "initial": "base"}
    lines(folder / f"{area}.jsonl", head, *exchanges)


def test_exchanges_that_come_out_alike_are_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api_recording(
        tmp_path,
        exchange(1, "POST", "/pools", params={"poolid": "web", "comment": "shops"}),
        exchange(2, "GET", "/pools", [{"poolid": "web", "comment": "shops"}]),
    )
    code, answer = asked("pve-api", tmp_path, capsys)

    assert code == Exit.FINE
    assert (answer["row"], answer["cases"], answer["equal"]) == ("pve-api", 2, 2)


def test_an_exchange_that_differs_is_named_and_the_command_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api_recording(tmp_path, exchange(1, "GET", "/pools", [{"poolid": "web"}]))
    code, answer = asked("pve-api", tmp_path, capsys)

    assert code == Exit.DIFFERENT
    assert (answer["equal"], answer["different"]) == (0, 1)
    assert answer["differences"][0]["case"] == "pools/one/1 GET /pools"


def test_what_the_twin_does_not_have_is_neither_equal_nor_different(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api_recording(tmp_path, exchange(1, "GET", "/cluster/sdn/dry-run", ""), area="sdn")
    code, answer = asked("pve-api", tmp_path, capsys)

    assert code == Exit.FINE
    assert (answer["equal"], answer["different"], answer["not_built"]) == (0, 0, 1)


def test_an_area_is_played_alone_and_only_some_differences_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [exchange(n, "GET", "/pools", [{"poolid": "web"}]) for n in (1, 2, 3)]
    api_recording(tmp_path, *wrong)
    api_recording(tmp_path, exchange(1, "GET", "/pools", []), area="other")
    assert truth.fidelity("pve-api", tmp_path, "json", area="other") == Exit.FINE
    assert json.loads(capsys.readouterr().out)["cases"] == 1
    assert truth.fidelity("pve-api", tmp_path, "text", show=1) == Exit.DIFFERENT
    told = capsys.readouterr().out
    assert told.count("different: pools/one/") == 1
    assert "and 2 more: --show 3" in told
    assert re.search(r"^other +1 +1 ", told, re.MULTILINE)


# pve-files


def digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def rule_read(text: str) -> list[Data]:
    """A rule is made and read, its file as given."""
    rule = {"rule": "near", "type": "node-affinity", "nodes": "pve1", "resources": "vm:100"}
    guest = {"vmid": 100, "name": "web"}
    shown = {**rule, "order": 1, "comment": "a%b", "digest": digest(text)}
    return [
        exchange(1, "POST", "/nodes/pve1/qemu", "UPID:x", params=guest),
        exchange(2, "POST", "/cluster/ha/resources", params={"sid": "vm:100"}),
        exchange(3, "POST", "/cluster/ha/rules", params={**rule, "comment": "a%b"}),
        exchange(4, "GET", "/cluster/ha/rules", [shown]),
    ]


RULE = "node-affinity: near\n\tcomment a%25b\n\tnodes pve1\n\tresources vm:100\n\n"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [(RULE, Verdict.EQUAL), (RULE.replace("%25", "%"), Verdict.DIFFERENT)],
)
def test_a_file_is_the_same_when_its_digest_is(text: str, verdict: Verdict, tmp_path: Path) -> None:
    api_recording(tmp_path, *rule_read(text), area="ha")
    assert verdicts("pve-files", tmp_path) == {"ha/one/4/0 GET /cluster/ha/rules": verdict}


GUEST = f"""boot: order=net0
meta: creation-qemu=9.0.0,ctime=1
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
smbios1: uuid={UUID}
vmgenid: {UUID}
"""
STORAGES = """dir: local
\tpath /var/lib/vz
\tcontent import,iso,backup,vztmpl

dir: data
\tpath /srv/data
\tcontent rootdir,images,snippets

nfs: isos
\tdisable
\texport /x
\tpath /mnt/pve/isos
\tserver nas

"""


@pytest.mark.parametrize(
    ("text", "verdict"),
    [(GUEST, Verdict.KNOWN), (GUEST.replace("boot", "cores: 1\nboot"), Verdict.DIFFERENT)],
)
def test_what_chance_drew_is_no_excuse_for_more(
    text: str, verdict: Verdict, tmp_path: Path
) -> None:
    shown = dict(line.split(": ") for line in GUEST.splitlines())
    made = {"vmid": 100, "net0": "virtio,bridge=vmbr0"}
    api_recording(
        tmp_path,
        exchange(1, "POST", "/nodes/pve1/qemu", "UPID:x", params=made),
        exchange(2, "GET", "/nodes/pve1/qemu/100/config", {**shown, "digest": digest(text)}),
        area="qemu",
    )
    assert list(verdicts("pve-files", tmp_path).values()) == [verdict]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [(STORAGES, Verdict.KNOWN), (STORAGES.replace("disable", "disable 1"), Verdict.DIFFERENT)],
)
def test_the_order_of_a_set_is_no_excuse_for_more(
    text: str, verdict: Verdict, tmp_path: Path
) -> None:
    made = {"storage": "isos", "type": "nfs", "server": "nas", "export": "/x", "disable": 1}
    shown = {**made, "path": "/mnt/pve/isos", "shared": 1, "content": "images"}
    api_recording(
        tmp_path,
        exchange(1, "POST", "/storage", {"storage": "isos", "type": "nfs"}, params=made),
        exchange(2, "GET", "/storage/isos", {**shown, "digest": digest(text)}),
        area="storage",
    )
    assert list(verdicts("pve-files", tmp_path).values()) == [verdict]


def test_an_area_belongs_to_a_row_of_parts(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="--area goes with a row of parts: pve-api"):
        truth.fidelity("corosync", tmp_path, "text", area="access")


# ceph-timelines


def timeline(folder: Path, acts: list[Data], *, down_s: float, stall_s: float) -> None:
    """Three hosts with an OSD each; osd.0 dies at 5 s, and is seen so `down_s` later."""
    tree = [{"id": -2 - n, "name": f"h{n}", "type": "host", "children": [n]} for n in range(3)]
    pools = [{"pool_name": name, "size": 3, "min_size": 2} for name in ("rep", "ec")]
    conf = {"mons": 3, "fast": True, "down_out": 20}
    begin = {"t": 0.0, "event": "begin", "conf": conf, "pools": pools, "tree": tree}
    samples = [_sample(second, 5 + down_s, stall_s) for second in range(1, 16)]
    done = sorted([*acts, *samples], key=lambda line: float(line["t"]))
    lines(folder / "own.jsonl", begin, *done, {"t": 16.0, "event": "end"})


def _sample(second: int, down_at_s: float, stall_s: float) -> Data:
    waits = 5 < second <= 5 + stall_s
    probe = {"done": 0 if waits else 20, "stuck": int(waits), "oldest_s": stall_s if waits else 0}
    up = 2 if second >= down_at_s else 3
    io = {"rep": probe, "ec": probe}
    return {"t": float(second), "io": io, "osds": [3, up, 3], "quorum": ["h0", "h1", "h2"]}


KILL: Data = {"t": 5.0, "event": "kill", "daemons": ["osd.0"]}


def test_a_timeline_is_compared_act_by_act(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline(tmp_path, [KILL], down_s=1.5, stall_s=3)

    assert verdicts("ceph-timelines", tmp_path) == {
        "own 1 down": Verdict.EQUAL,
        "own 1 rep I/O": Verdict.EQUAL,
        "own out": Verdict.EQUAL,
        "own number out": Verdict.EQUAL,
        "own ec": Verdict.NOT_BUILT,
        "own rep stall": Verdict.EQUAL,
    }
    assert asked("ceph-timelines", tmp_path, capsys)[0] == Exit.FINE


def test_a_timeline_that_goes_otherwise_differs_where_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline(tmp_path, [KILL], down_s=6, stall_s=9)
    found = verdicts("ceph-timelines", tmp_path)

    different = {name for name, verdict in found.items() if verdict is Verdict.DIFFERENT}
    assert different == {"own 1 down", "own rep stall"}
    assert asked("ceph-timelines", tmp_path, capsys)[0] == Exit.DIFFERENT


def test_daemons_that_the_twin_does_not_have_are_not_built(tmp_path: Path) -> None:
    timeline(tmp_path, [{**KILL, "daemons": ["mgr.h0"]}], down_s=99, stall_s=0)

    assert verdicts("ceph-timelines", tmp_path) == {"own": Verdict.NOT_BUILT}


# corosync


def membership(folder: Path, name: str, lost_s: float, formed_s: float, **more: object) -> None:
    """Three nodes, of which the third goes."""
    seen = {"quorate": "Yes", "nodes": "2", "flags": "Quorate"}
    log = [
        [lost_s, "TOTEM", "A processor failed, forming new configuration"],
        [formed_s, "QUORUM", "Sync members[2]: 1 2"],
        [formed_s, "QUORUM", "Sync left[1]: 3"],
    ]
    case = {
        "case": name,
        "n": 3,
        "after": {"n1": seen, "n2": seen},
        "log": {"n1": log, "n2": log},
        "token_lost_s": lost_s,
        **more,
    }
    config = {"case": "config", "n": 3, "runtime": {"token": 3650, "consensus": 4380}}
    (folder / "corosync.json").write_text(json.dumps({"cases": [config, case]}))


def test_membership_is_compared_by_verdict_and_time(tmp_path: Path) -> None:
    membership(tmp_path, "kill", 3.3, 7.7)

    assert verdicts("corosync", tmp_path) == dict.fromkeys(
        ["config token", "config consensus", "kill n1", "kill n2", "kill token lost",
         "kill membership", "kill verdict"], Verdict.EQUAL
    )  # fmt: skip


def test_a_membership_that_forms_at_another_time_differs(tmp_path: Path) -> None:
    membership(tmp_path, "kill", 3.3, 12.0)

    assert verdicts("corosync", tmp_path)["kill membership"] is Verdict.DIFFERENT


def test_a_verdict_on_quorum_differs_whatever_the_times(tmp_path: Path) -> None:
    blocked = {"quorate": "No", "nodes": "2", "flags": "x"}
    membership(tmp_path, "kill", 3.3, 7.7, after={"n1": blocked, "n2": blocked})

    assert verdicts("corosync", tmp_path)["kill n1"] is Verdict.DIFFERENT


def test_a_known_difference_is_told_apart_and_keeps_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    membership(tmp_path, "own-pause-2s", 3.3, 12.0, what="then node 3 dies")
    code, answer = asked("corosync", tmp_path, capsys)

    assert code == Exit.FINE
    assert (answer["known"], answer["different"]) == (1, 0)
    assert "after a pause" in answer["known_differences"][0]["why"]


def test_settings_are_read_from_the_flags_of_the_daemons(tmp_path: Path) -> None:
    seen = {"quorate": "Yes", "nodes": "2", "expected": "2", "total": "2"}
    seen["flags"] = "Quorate WaitForAll LastManStanding"
    membership(tmp_path, "kill", 3.3, 7.7, after={"n1": seen, "n2": seen})
    assert set(verdicts("corosync", tmp_path).values()) == {Verdict.EQUAL}

    plain = {**seen, "flags": "Quorate"}
    membership(tmp_path, "kill", 3.3, 7.7, after={"n1": plain, "n2": plain})
    assert verdicts("corosync", tmp_path)["kill n1"] is Verdict.DIFFERENT  # it expects 3 still


def test_who_is_gone_before_a_case_was_lost_one_by_one(tmp_path: Path) -> None:
    """The last of four that counted their votes down: at once they could not have."""
    seen = {"quorate": "No", "nodes": "1", "expected": "2", "total": "1"}
    seen["flags"] = "WaitForAll LastManStanding"
    log = [[3.9, "TOTEM", "A processor failed"], [9.0, "QUORUM", "Sync members[1]: 1"],
           [9.0, "QUORUM", "Sync left[1]: 2"],
           [9.0, "QUORUM", "This node is within the non-primary component"]]  # fmt: skip
    case = {"n": 4, "after": {"n1": seen}, "log": {"n1": log}, "token_lost_s": 3.9}
    membership(tmp_path, "third-kill", 3.9, 9.0, **case)

    assert set(verdicts("corosync", tmp_path).values()) == {Verdict.EQUAL}


def test_a_device_that_votes_for_nobody_was_lost(tmp_path: Path) -> None:
    seen = {"quorate": "No", "nodes": "1", "expected": "3", "total": "1", "flags": "Qdevice"}
    log = [[2.6, "TOTEM", "A processor failed"], [6.2, "QUORUM", "Sync members[1]: 1"],
           [6.2, "QUORUM", "Sync left[1]: 2"],
           [9.0, "QUORUM", "This node is within the non-primary component"]]  # fmt: skip
    after = {"n": 2, "after": {"n1": seen}, "log": {"n1": log}, "token_lost_s": 2.6}
    membership(tmp_path, "kill", 2.6, 6.2, **after)
    assert set(verdicts("corosync", tmp_path).values()) == {Verdict.EQUAL}

    voted = {**seen, "quorate": "Yes", "total": "2"}
    membership(tmp_path, "kill", 2.6, 6.2, **{**after, "after": {"n1": voted}})
    found = verdicts("corosync", tmp_path)
    assert (found["kill n1"], found["kill verdict"]) == (Verdict.EQUAL, Verdict.DIFFERENT)


# network


def bond(folder: Path, failure: str, dropped_s: float, rejoined_s: float, **more: object) -> None:
    """A member that fails at 0 s and is whole at 10 s, its carrier seen 0.1 s later."""
    data = {
        "case": "own", "lacp_rate": "fast", "miimon_ms": 100, "updelay_ms": 0, "downdelay_ms": 0,
        "failure": failure, "restored_at": 10.0, "how": "injected by one system call at t=0",
        "events": [
            {"t": -0.3, "mii": "up", "actor_state": 63},
            {"t": dropped_s, "mii": "down" if failure == "carrier" else "up", "actor_state": 15},
            {"t": 10.1, "mii": "up", "actor_state": 7},
            {"t": 10.1 + rejoined_s, "mii": "up", "actor_state": 63},
        ],
        **more,
    }  # fmt: skip
    (folder / "bond-lacp.json").write_text(json.dumps({"cases": [data]}))


@pytest.mark.parametrize(
    ("failure", "dropped_s", "rejoined_s", "expected"),
    [
        ("carrier", 0.1, 2.8, (Verdict.EQUAL, Verdict.EQUAL)),
        ("silent", 2.6, 2.8, (Verdict.EQUAL, Verdict.EQUAL)),
        ("silent", 0.1, 2.8, (Verdict.DIFFERENT, Verdict.EQUAL)),
        ("carrier", 0.1, 9.0, (Verdict.EQUAL, Verdict.DIFFERENT)),
    ],
)
def test_bonds_are_compared_by_when_a_member_is_used(
    tmp_path: Path,
    failure: str,
    dropped_s: float,
    rejoined_s: float,
    expected: tuple[Verdict, Verdict],
) -> None:
    bond(tmp_path, failure, dropped_s, rejoined_s)
    found = verdicts("network", tmp_path)

    assert (found["own dropped"], found["own rejoined"]) == expected


def test_a_bond_that_cannot_be_declared_is_not_built(tmp_path: Path) -> None:
    bond(tmp_path, "carrier", 0.1, 2.8, updelay_ms=1000)

    assert verdicts("network", tmp_path) == {"own": Verdict.NOT_BUILT}


def paths(folder: Path, stalls: list[object], still_hung_s: float | None, *names: str) -> None:
    """Portals that are silent from 1 s to 31 s."""
    marks = [[at_s, ";".join(f"tc dev {name} root" for name in names)] for at_s in (1.0, 31.0)]
    data = {
        "case": "own",
        "multipath": {"no_path_retry": "queue"},
        "marks": marks,
        "stalls": stalls,
        "still_hung_s": still_hung_s,
        "events": [[45.0, [["LOGGED_IN", "LOGGED_IN"], [["A", "0"], ["A", "1"]]]]],
    }
    (folder / "multipath.json").write_text(json.dumps({"cases": [data]}))


def test_a_lost_path_is_compared_by_how_long_a_write_waits(tmp_path: Path) -> None:
    paths(tmp_path, [[1.0, 14.0, None]], None, "n0")
    assert set(verdicts("network", tmp_path).values()) == {Verdict.EQUAL}

    paths(tmp_path, [[1.0, 4.0, None]], None, "n0")
    assert verdicts("network", tmp_path)["own stall"] is Verdict.DIFFERENT


def test_a_write_that_still_waits_at_the_end_has_waited_at_least_that_long(tmp_path: Path) -> None:
    paths(tmp_path, [], 40.0, "n0", "n1")
    assert verdicts("network", tmp_path)["own stall"] is Verdict.EQUAL

    paths(tmp_path, [], 90.0, "n0", "n1")
    assert verdicts("network", tmp_path)["own stall"] is Verdict.DIFFERENT


# the command


def test_rows_without_cases_say_so_and_are_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = asked(None, tmp_path, capsys)

    assert code == Exit.FINE
    assert [row["row"] for row in answer["rows"]] == list(ROWS)
    assert not any(row["present"] or row["equal"] for row in answer["rows"])
    assert all("VLAB_REFERENCE" in row["how"] for row in answer["rows"])

    assert truth.fidelity(None, tmp_path, "text") == Exit.FINE
    assert capsys.readouterr().out.count("cases not present; set VLAB_REFERENCE") == len(ROWS)


def test_one_row_without_cases_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLAB_REFERENCE", str(tmp_path))
    assert truth.fidelity("corosync", None, "text") == Exit.FAILED
    assert "cases not present" in capsys.readouterr().out

    with pytest.raises(VlabError, match=r"has no cases of corosync: corosync\*.json"):
        truth.fidelity("corosync", tmp_path, "text")


def test_all_rows_are_found_below_one_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "network-data").mkdir()
    membership(tmp_path / "network-data", "kill", 3.3, 12.0)

    assert truth.fidelity(None, tmp_path, "text") == Exit.DIFFERENT
    out = capsys.readouterr().out
    assert re.search(r"^corosync +7 +6 +0 +1 +0 +0$", out, re.MULTILINE)
    assert "`vlab fidelity corosync` says where" in out


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "corosync.json").write_text("nonsense")
    with pytest.raises(VlabError, match=r"corosync\.json: is no recording"):
        truth.fidelity("corosync", tmp_path, "text")


def test_a_row_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="rows are pve-api, pve-files, ceph-timelines"):
        truth.fidelity("pve", tmp_path, "text")


# the recordings themselves

KNOWN: dict[str, Known] = {
    "ceph-timelines": ceph.KNOWN,
    "corosync": corosync.KNOWN,
    "network": {**bonds.KNOWN, **multipath.KNOWN},
}


@pytest.fixture(scope="module")
def scores() -> truth.Scores:
    """Every row on the recordings, measured once."""
    return truth.measured(reference("pve-recordings").parent)


def cases_of(row: str, scores: truth.Scores) -> tuple[Case, ...]:
    if (score := scores[row]) is None:
        pytest.skip(f"no reference data for {row}")
    return score.cases


@pytest.mark.parametrize("row", KNOWN)
def test_nothing_differs_but_what_is_listed_and_all_of_that_does(
    row: str, scores: truth.Scores
) -> None:
    cases = cases_of(row, scores)

    assert [case for case in cases if case.verdict is Verdict.DIFFERENT] == []
    known = [case.name for case in cases if case.verdict is Verdict.KNOWN]
    gone = [name for name in KNOWN[row] if not any(re.fullmatch(name, case) for case in known)]
    assert gone == []


def test_no_file_differs_for_a_reason_that_is_not_listed(scores: truth.Scores) -> None:
    cases = cases_of("pve-files", scores)

    assert [case for case in cases if case.verdict is Verdict.DIFFERENT] == []
    reasons = {case.why for case in cases if case.verdict is Verdict.KNOWN}
    assert reasons == {pve_files.DRAWN, pve_files.HASHED, pve_files.SALTED}


def test_no_exchange_differs_but_what_is_listed_and_all_of_that_does(scores: truth.Scores) -> None:
    cases = cases_of("pve-api", scores)

    assert [case for case in cases if case.verdict is Verdict.DIFFERENT] == []
    reasons = {case.why for case in cases if case.verdict is Verdict.KNOWN}
    assert reasons == {known.why for known in pve_known.KNOWN}


def test_the_page_has_the_figures_as_they_are_measured(scores: truth.Scores) -> None:
    written = (ROOT / "docs" / "reference" / "fidelity.md").read_text()

    assert written == f"{truth.page(scores)}\n", "run `make docs`"
