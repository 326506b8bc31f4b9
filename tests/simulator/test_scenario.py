"""Scenario files: stories that come as they say, or say what came instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabInvalid
from lab.load import read_tree
from simulator.outcome.scenario import ScenarioResult, read_scenario, run_scenario
from tests.simulator.three_nodes import guest, hardware

TREE = Path(__file__).parents[2] / "desired-state"
STORIES = sorted((TREE / "scenarios").glob("*.yaml"))
EXPECT = "expect: {quick: {services: [files], any-one-fault-of: [node], outage: 300s}}"


def _files() -> dict[str, bytes]:
    guests = "guests:\n" + guest("luffy", 101, on="pve2")
    services = f"services: {{files: {{all: [luffy]}}}}\n{EXPECT}\n"
    texts = {"hardware.yaml": hardware(), "guests.yaml": guests, "services.yaml": services}
    return {name: text.encode() for name, text in texts.items()}


def _run(folder: Path, text: str) -> ScenarioResult:
    path = folder / "story.yaml"
    path.write_text(text, encoding="utf-8")
    return run_scenario(path, _files())


def _problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(LabInvalid) as caught:
        _run(folder, text)
    return [str(problem).splitlines()[0] for problem in caught.value.problems]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_of_the_desired_state_comes_as_it_says(path: Path) -> None:
    assert run_scenario(path, read_tree(TREE)).differences == ()


def test_a_story_that_holds_is_equal(tmp_path: Path) -> None:
    text = """
title: pve2 is lost
faults: fail-node pve2
expect: {verdict: safe, outages: {files: {at-least: 100s, at-most: 300s}}, says: [loses power]}
"""
    done = _run(tmp_path, text)
    assert done.equal
    assert done.scenario.written.title == "pve2 is lost"


def test_a_story_that_does_not_hold_says_what_came_instead(tmp_path: Path) -> None:
    text = """
title: nobody notices
faults: [fail-node pve2]
expect: {verdict: unsafe, outages: {files: {at-most: 10s}, mail: {}}, says: [no such words]}
"""
    verdict, files, mail, says = _run(tmp_path, text).differences
    assert verdict == "verdict is safe, unsafe expected: nothing found"
    assert files.startswith("files: out for ")
    assert files.endswith("s, at most 10 s expected")
    assert mail.startswith("mail: there is no such service; ")
    assert says == "nothing says 'no such words'"


def test_an_outage_without_end_is_longer_than_any_bound(tmp_path: Path) -> None:
    text = """
title: both
faults: fail-node pve2 fail-node pve3
expect: {verdict: unsafe, outages: {files: {at-least: 90000s}}}
"""
    assert _run(tmp_path, text).equal
    (difference,) = _run(tmp_path, text.replace("at-least", "at-most")).differences
    assert difference == "files: does not come back, at most 90000 s expected"


def test_changes_are_laid_over_the_desired_state_and_null_removes(tmp_path: Path) -> None:
    text = """
title: without HA
changes:
  guests: {luffy: {ha: null, boot: 10s}}
  expect: {quick: {outage: 3000s}}
faults: fail-node pve2
expect: {verdict: unsafe, outages: {files: {at-least: 3000s}}}
"""
    assert _run(tmp_path, text).equal


def test_changes_that_do_not_fit_are_told_with_their_place(tmp_path: Path) -> None:
    text = """
title: wrong
changes:
  gests: {luffy: {boot: 10s}}
  guests: {luffy: {memory: much}}
faults: fail-node pve2
expect: {verdict: safe}
"""
    word, memory = _problems(tmp_path, text)
    assert word == "story.yaml:4:3: gests is no word of the language"
    assert memory.startswith("story.yaml:5:20: guest luffy: memory: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title: a\nfaults: fail-node pve2\n", "story.yaml:1:1: scenario: expect is missing"),
        (
            "title: a\nfaults: fail-node pve2\nexpect: {verdict: fine}\n",
            "story.yaml:3:10: scenario: expect.verdict is fine, which is none of its values",
        ),
        (
            "title: a\nfaults: fail-node pve2\nexpect: {verdict: safe}\nseed: 3\n",
            "story.yaml:4:1: scenario: there is no key seed",
        ),
        (
            "title: a\nfaults: fail-node pve2@2h\nexpect: {verdict: safe}\n",
            "story.yaml:2:1: fail-node pve2@7200s: a run ends after 3600 s",
        ),
        (
            "title: a\nfaults: break-node pve2\nexpect: {verdict: safe}\n",
            "story.yaml:2:1: 'break-node' is no fault",
        ),
        (
            "title: a\nfaults: fail-node pve7\nexpect: {verdict: safe}\n",
            "story.yaml:2:1: fail-node pve7: there is no node pve7",
        ),
        (
            "title: a\nchanges: [x]\nfaults: fail-node pve2\nexpect: {verdict: safe}\n",
            "story.yaml:2:1: changes is not a map of words",
        ),
        ("title: [", "story.yaml:2:1: this is not YAML"),
    ],
)
def test_a_story_that_can_not_be_read_says_where_and_why(
    tmp_path: Path, text: str, problem: str
) -> None:
    (found,) = _problems(tmp_path, text)
    assert found.startswith(problem)


def test_everything_wrong_with_a_story_is_told_at_once(tmp_path: Path) -> None:
    begin, end = "title: a\nfaults: [fail-node pve2@0s, ", "]\nexpect: {verdict: safe}\n"
    assert _problems(tmp_path, f"{begin}break-node pve2, fail-node{end}changes: [x]\n") == [
        "story.yaml:4:1: changes is not a map of words",
        "story.yaml:2:29: 'break-node' is no fault",
        "story.yaml:2:46: write pairs of a fault and a name: fail-node pve2 fail-switch sw1@30s",
    ]
    assert _problems(tmp_path, f"{begin}fail-switch sw7, fail-node pve1@2h{end}") == [
        "story.yaml:2:29: fail-switch sw7: there is no switch sw7",
        "story.yaml:2:46: fail-node pve1@7200s: a run ends after 3600 s",
    ]


def test_a_story_may_be_read_without_being_run() -> None:
    scenario = read_scenario(
        "s.yaml", b"title: a\nfaults: [fail-node n]\nexpect: {verdict: safe}\n"
    )
    assert [str(fault) for fault in scenario.faults] == ["fail-node n"]
    assert scenario.changes is None
