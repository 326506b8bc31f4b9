"""Outages over seeds as people and machines read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from api import spread as shown
from benchmarks.lab import DESIRED
from lab.faults import parse_faults
from simulator.outcome.spread import OutageSpread, Spread, spread
from tests.api.shell import Shell
from tests.simulator.three_nodes import guest, three_nodes

LUFFY = guest("luffy", 101, on="pve2")
PLAIN = guest("zoro", 102, on="pve2").replace("    ha: {}\n", "")


@pytest.fixture(scope="module")
def twelve() -> Spread:
    """A node lost with a guest that HA brings back and one that it does not, under twelve seeds."""
    return spread(three_nodes(LUFFY, PLAIN), parse_faults(["fail-node pve2"]), range(5, 17))


def test_a_percentile_is_what_so_many_runs_do_not_exceed() -> None:
    hundred = OutageSpread("guest luffy", tuple(float(n) for n in range(1, 101)))
    assert [hundred.percentile_s(share) for share in (50, 99, 100)] == [50, 99, 100]
    assert OutageSpread("guest luffy", (7.0,)).percentile_s(50) == 7


def test_text_has_the_middle_the_worst_and_what_never_comes_back(twelve: Spread) -> None:
    head, *rest = shown.render(twelve, "text").splitlines()
    assert head == "fail-node pve2, 12 seeds from 5"
    luffy = next(line for line in rest if "guest luffy" in line).split()
    assert 130 < float(luffy[2]) <= float(luffy[4]) <= float(luffy[6]) < 240
    zoro = next(line for line in rest if "guest zoro" in line)
    assert zoro.endswith("not back  not back in 12 of 12")
    assert "verdict: safe under all 12 seeds" in rest


def test_json_has_no_number_where_there_is_no_end(twelve: Spread) -> None:
    told = json.loads(shown.render(twelve, "json"))
    assert told["seeds"] == {"from": 5, "count": 12}
    by_subject = {row["subject"]: row for row in told["outages"]}
    assert by_subject["guest zoro"]["p99_s"] is None
    assert by_subject["guest zoro"]["not_back"] == by_subject["guest zoro"]["runs"] == 12
    assert by_subject["guest luffy"]["p50_s"] <= by_subject["guest luffy"]["p99_s"]
    assert told["verdict"] == {"name": "safe", "unsafe_seeds": [], "findings": []}


def test_markdown_is_a_table(twelve: Spread) -> None:
    lines = shown.render(twelve, "markdown").splitlines()
    assert "| outages | p50 | p99 | worst |  |" in lines
    assert any(line.startswith("| guest zoro | not back |") for line in lines)
    with pytest.raises(ValueError, match="no form"):
        shown.render(twelve, "poem")


def test_unsafe_seeds_are_named_with_what_was_found() -> None:
    more = (
        "services: {files: {all: [luffy]}}\n"
        "expect: {q: {services: [files], any-one-fault-of: [node], outage: 160s}}"
    )
    done = spread(three_nodes(LUFFY, more=more), parse_faults(["fail-node pve2"]), range(12))
    count = len(done.findings)
    assert 0 < count < 12
    text = shown.render(done, "text")
    assert f"verdict: unsafe under {count} of 12 seeds: " in text
    assert "files is out for " in text


def test_the_command_says_it_by_its_exit_code(tmp_path: Path) -> None:
    shutil.copytree(DESIRED, tmp_path / "desired-state")
    shell = Shell(tmp_path)
    done = shell("simulate", "fail-node", "pve2", "--seeds", "3", "--seed", "7")
    assert done.out.startswith("fail-node pve2, 3 seeds from 7\n")
    assert done.code == 0
    assert shell("simulate", "--scenario", "x.yaml", "--seeds", "3").code == 64
    assert shell("simulate", "fail-node", "pve22", "--seeds", "3").code == 64
