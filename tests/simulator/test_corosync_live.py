"""The twin beside real corosync daemons, in namespaces that are made for it and gone afterwards."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from api import truth
from api.exits import Exit
from simulator.emulate import corosync as real
from simulator.fidelity.case import Case, Verdict
from simulator.fidelity.corosync_live import (
    SCRIPTS,
    Outcome,
    Script,
    Stage,
    cases,
    compared,
    run_twin,
)

GONE_S = 60.0
TIMES = (": token lost", ": membership", ": verdict")
SCRIPT = Script("own", 3, {}, ("~start 1 2 3", "split 1 2 | 3", "~heal"))


@pytest.mark.parametrize(
    ("said", "read", "meant"),
    [
        ("Oct 25 01:30:00.125", "2026-10-25 01:30:01", "2026-10-25 01:30:00"),
        ("Dec 31 23:59:59.125", "2027-01-01 00:00:01", "2026-12-31 23:59:59"),
        ("Feb 29 12:00:00.125", "2028-03-01 00:00:01", "2028-02-29 12:00:00"),
    ],
)
def test_a_time_without_a_year_is_the_last_such_one_whatever_the_zone(
    said: str, read: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of Berlin's comes twice in October."""

    def utc_s(text: str) -> float:
        return datetime.fromisoformat(f"{text}+00:00").timestamp()

    assert real.ENVIRONMENT["TZ"] == "UTC"
    line = f"{said} [7] n1 corosync notice  [QUORUM] Members[1]: 1\n"
    (tmp_path / "1.log").write_text(line)
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: utc_s(read))
        (entry,) = real.Cluster(tmp_path, 1).log(1)
    assert entry == (utc_s(meant) + 0.125, "QUORUM", "Members[1]: 1")


def test_what_takes_long_to_look_at_is_looked_at_once_more_after_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a busy machine sees only what was there before it came to rest."""
    clock_s, looks = [0.0], []

    def slow() -> bool:
        looks.append(clock_s[0])
        clock_s[0] += 3.0
        return False

    with monkeypatch.context() as clock:
        clock.setattr(time, "monotonic", lambda: clock_s[0])
        clock.setattr(time, "sleep", lambda _: None)
        assert not real.Cluster(tmp_path, 1).until(slow, 0.5)
    assert looks == [0.0, 3.0]


def test_the_cables_of_a_node_are_cut_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine each takes its time, and the cluster would come apart over seconds."""
    told: dict[int, list[str]] = {}

    def ip(_: real.Cluster, number: int, *words: str, text: str = "") -> None:
        told.setdefault(number, []).append(text)

    monkeypatch.setattr(real.Cluster, "_ip", ip)
    real.Cluster(tmp_path, 3).split({1, 2}, {3})
    assert told == {
        1: ["".join(f"link set l{link}n2 up\nlink set l{link}n3 down\n" for link in (0, 1))],
        2: ["link set l0n3 down\nlink set l1n3 down\n"],
    }


def commands() -> list[str]:
    """Every process of this machine, as its command line."""
    files = [folder / "cmdline" for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
    found = []
    for file in files:
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has just ended
            continue
    return found


def buffers() -> set[Path]:
    """What daemons share memory by."""
    return set(Path("/dev/shm").glob("qb-*"))


def verdicts(change: Mapping[str, str] | None = None, late_s: float = 0.0) -> dict[str, Verdict]:
    """The twin against itself, as if `change` and `late_s` were the real outcome of the split."""
    twins = [run_twin(SCRIPT, seed) for seed in range(3)]
    start, split, heal = twins[0]
    times = {what: at_s and at_s + late_s for what, at_s in split.times_s.items()}
    told = [start, Outcome({**split.said, **(change or {})}, times), heal]
    found = compared(SCRIPT, {"token": 3650, "consensus": 4380}, told, twins)
    return {case.name: case.verdict for case in found}


def test_every_running_node_and_every_time_is_a_case() -> None:
    found = verdicts()

    assert set(found.values()) == {Verdict.EQUAL}
    split = [name for name in found if name.startswith("own/2 split 1 2 | 3: ")]
    assert [name.partition(": ")[2] for name in split] == [
        *("n1", "n2", "n3"),
        *("token lost", "membership", "verdict"),
    ]
    assert not any("heal: membership" in name for name in found)  # its times are not compared


def test_another_verdict_or_a_time_out_of_bounds_differs() -> None:
    wrong = verdicts({"n3": "quorate among 1 of 3"})
    assert [name for name in wrong if wrong[name] is not Verdict.EQUAL] == [
        "own/2 split 1 2 | 3: n3"
    ]

    late = verdicts(late_s=2.0)
    assert late["own/2 split 1 2 | 3: membership"] is Verdict.DIFFERENT
    assert late["own/2 split 1 2 | 3: n3"] is Verdict.EQUAL


def test_acts_say_who_is_joined_to_whom() -> None:
    stage = Stage(range(1, 5))
    for act in ("~start 1 2 3 4", "split 1 2 | 3 4", "kill 4"):
        stage.follow(act)
    assert [stage.together(node) for node in (1, 2, 3)] == [{1, 2}, {1, 2}, {3}]
    stage.follow("heal")
    assert stage.together(3) == {1, 2, 3}


def test_clusters_of_two_to_five_nodes_are_split_and_healed() -> None:
    done = {
        script.nodes
        for script in SCRIPTS
        if any("split" in act for act in script.acts) and any("heal" in act for act in script.acts)
    }
    assert done == {2, 3, 4, 5}


def test_where_it_is_not_installed_the_row_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(real.ENVIRONMENT, "PATH", "/nowhere")

    assert truth.fidelity("corosync-live", None, "text") == Exit.FAILED
    assert "not run: corosync, " in capsys.readouterr().out


# The real thing


@pytest.fixture
def installed() -> None:
    """Skips where real daemons can't be run."""
    if why := real.missing(device=True):
        pytest.skip(why)


@pytest.mark.usefixtures("installed")
def test_the_twin_does_as_real_daemons_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verdict; and nine times of ten, as other tests run beside and make daemons late."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # to know our daemons from others
    found = list(cases())

    times = [case for case in found if case.name.endswith(TIMES)]
    late = [case for case in times if case.verdict is not Verdict.EQUAL]
    assert [case for case in found if case.verdict is not Verdict.EQUAL and case not in late] == []
    assert len(late) <= len(times) / 10, late
    assert {script.name for script in SCRIPTS} == {named(case) for case in found}
    assert not any(str(tmp_path) in command for command in commands())


def named(case: Case) -> str:
    return case.name.partition("/")[0]


HOLDER = """
import sys, time
from pathlib import Path
from simulator.emulate.corosync import Cluster
with Cluster(Path(sys.argv[1]), 2) as cluster:
    cluster.start(1, 2)
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.usefixtures("installed")
def test_nothing_is_left_of_a_cluster_whose_owner_is_killed(tmp_path: Path) -> None:
    before = buffers()
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    assert any(str(tmp_path) in command for command in commands() if "corosync" in command)

    owner.kill()
    owner.communicate()

    end_s = time.monotonic() + GONE_S
    while left := [command for command in commands() if str(tmp_path) in command]:
        assert time.monotonic() < end_s, left
    assert buffers() <= before
