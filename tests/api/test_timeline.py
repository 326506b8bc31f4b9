"""Reports as people and machines read them."""

from __future__ import annotations

import json
import re

import pytest

from api.timeline import FORMAT_VERSION, render
from lab.faults import parse_faults
from simulator.outcome.report import Report
from simulator.outcome.simulate import simulate
from tests.simulator.three_nodes import apart, guest, three_nodes

SERVERS = [
    guest(name, vmid, on=on, memory="8GiB")
    for name, vmid, on in (("luffy", 101, "pve1"), ("zoro", 102, "pve2"), ("ussop", 104, "pve3"))
]
MORE = f"""
{apart("luffy", "zoro")}
services: {{files: {{all: [zoro]}}, directory: {{any: [luffy, ussop]}}}}
expect: {{quick: {{services: [files, directory], any-one-fault-of: [node], outage: 60s}}}}
"""


@pytest.fixture(scope="module")
def report() -> Report:
    """zoro's node is lost; the only node that luffy leaves has no memory for it."""
    return simulate(three_nodes(*SERVERS, more=MORE), parse_faults(["fail-node pve2"]))


def test_text_tells_what_happens_when_and_to_whom(report: Report) -> None:
    lines = render(report, "text").splitlines()
    assert lines[0] == "fail-node pve2"
    timeline = [line for line in lines if line.startswith("+")]
    assert re.match(r"\+    0\.0s  node pve2      \S", timeline[0])
    assert any(re.match(r"\+ +\d+\.\ds  cluster a      .*members", line) for line in timeline)
    assert any(re.match(r"\+ +\d+\.\ds  guest zoro     starts on pve3", line) for line in timeline)
    assert timeline[-1].endswith("nothing more will happen")
    times = [float(line[1:].split("s")[0]) for line in timeline]
    assert times == sorted(times)


def test_text_ends_with_outages_reserves_memory_and_the_verdict(report: Report) -> None:
    text = render(report, "text")
    out_s = report.outages_by_subject["service files"].outage_s
    assert re.search(rf"^  service files +{out_s:.1f} s$", text, re.MULTILINE)
    assert "2 of 3 votes, quorum needs 2" in text
    assert "5 GiB missing on pve3 (guests there: ussop, zoro)" in text
    assert "no outage: guest luffy, guest ussop, service directory" in text
    assert "verdict: unsafe" in text
    assert f"3.yaml:4:10: files is out for {out_s:.1f} s after fail-node pve2; 60 s allowed" in text
    assert all(line in text for line in report.rests_on)
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_text_says_what_does_not_come_back_and_why() -> None:
    plain = guest("luffy", 101, on="pve2").replace("    ha: {}\n", "")
    lab = three_nodes(plain, guest("zoro", 102, more="    state: stopped\n"))
    text = render(simulate(lab, parse_faults(["fail-node pve2"])), "text")
    assert re.search(r"guest luffy +\d+\.\d s  and not back: pve2 is off", text)
    assert "served nobody before the faults, not counted: guest zoro" in text
    assert "not judged: no expectation covers a fault of this kind: node" in text
    assert "verdict: safe" in text


def test_text_has_colour_only_when_asked_for(report: Report) -> None:
    assert "\x1b" not in render(report, "text")
    coloured = render(report, "text", colour=True)
    assert "\x1b[31mverdict: unsafe\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == render(report, "text")


def test_markdown_is_tables_that_names_can_not_break(report: Report) -> None:
    text = render(report, "markdown")
    assert text.startswith("### `fail-node pve2`: unsafe\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    assert any(row.startswith("| service files | ") for row in rows)
    odd = simulate(
        three_nodes(guest("nami", 103, on="pve2"), more="services: {'a|b_c': {all: [nami]}}"),
        parse_faults(["fail-node pve2"]),
    )
    assert "| service a\\|b\\_c | " in render(odd, "markdown")


def test_json_has_everything_under_a_version(report: Report) -> None:
    data = json.loads(render(report, "json"))
    assert data["format_version"] == FORMAT_VERSION
    assert data["faults"] == ["fail-node pve2"]
    assert data["verdict"]["name"] == "unsafe"
    outages = {outage["subject"]: outage for outage in data["outages"]}
    assert (
        outages["service files"]["outage_s"] == report.outages_by_subject["service files"].outage_s
    )
    assert outages["service directory"] == {
        "subject": "service directory",
        "outage_s": 0.0,
        "ongoing": False,
        "reason": "",
        "spans": [],
    }
    assert data["overcommit"][0]["missing_bytes"] == 5 * 2**30
    assert data["events"][0].keys() == {"at_s", "subject", "kind", "text"}
    memory = next(finding for finding in data["verdict"]["findings"] if finding["node"])
    assert memory["path"] == ["clusters", "a", "overcommit"]


def test_an_unknown_form_is_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="use text, markdown or json"):
        render(report, "xml")
