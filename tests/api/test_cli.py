"""The command line as a shell sees it: results on stdout, talk on stderr, exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.api.shell import Shell, repository

HERE = Path(__file__).parents[2]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shutil.copytree(HERE / "desired-state", tmp_path / "desired-state")
    return Shell(tmp_path)


def test_a_sound_tree_validates(shell: Shell) -> None:
    done = shell("validate")
    assert (done.code, done.out) == (0, "desired-state: 0 errors, 0 warnings\n")


def test_every_problem_has_its_place_and_the_exit_code_is_one(shell: Shell) -> None:
    file = shell.folder / "desired-state" / "company" / "guests.yaml"
    file.write_text(file.read_text().replace("cores: 8", "coers: 8"))
    done = shell("validate")
    assert done.code == 1
    assert "desired-state/company/guests.yaml:" in done.out
    assert "did you mean cores" in done.out or "cores" in done.out
    rows = json.loads(shell("validate", "--output", "json").out)["problems"]
    assert {row["place"]["file"] for row in rows} == {"company/guests.yaml"}


def test_a_warning_is_in_every_output_and_is_no_failure(shell: Shell) -> None:
    """Token and consensus of cluster a come close to the watchdog of its nodes."""
    file = shell.folder / "desired-state" / "cluster-a.yaml"
    text = file.read_text()
    file.write_text(
        text.replace("links: [management]", "links: [management]\n      token-ms: 15000")
    )
    what = "cluster a needs up to 33 s to agree that a node is lost"

    done = shell("validate")
    assert done.code == 0
    assert f"warning: {what}\n  why: 15.125 s token + 18.15 s consensus" in done.out
    assert done.out.endswith("0 errors, 1 warning\n")
    (row,) = json.loads(shell("validate", "--output", "json").out)["problems"]
    assert (row["severity"], row["what"]) == ("warning", what)
    done = shell("validate", "--output", "markdown")
    assert (done.code, done.out.partition("`")[0]) == (0, "- warning ")
    assert what in done.out


def test_fmt_says_what_would_change_and_then_there_is_nothing_left(shell: Shell) -> None:
    file = shell.folder / "desired-state" / "power.yaml"
    file.write_text(file.read_text() + "\n\n\n")
    assert shell("fmt", "--check").code == 2
    assert shell("fmt").code == 0
    assert shell("fmt", "--check").code == 0
    assert shell("validate").code == 0


def test_the_schema_has_what_a_change_costs(shell: Shell) -> None:
    found = json.loads(shell("schema").out)
    assert found["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "reboot" in json.dumps(found)


def test_simulate_prints_a_timeline_and_the_verdict(shell: Shell) -> None:
    done = shell("simulate", "fail-node", "pve2")
    assert done.code == 0
    assert "2 of 3 nodes are members" in done.out
    assert "verdict: safe" in done.out


def test_an_unsafe_failure_exits_with_three(shell: Shell) -> None:
    file = shell.folder / "desired-state" / "company" / "guests.yaml"
    file.write_text(file.read_text().replace("state: stopped", "state: started"))
    done = shell("simulate", "fail-node", "pve2")
    assert done.code == 3
    assert "5 GiB missing on" in done.out


def test_faults_have_one_grammar_with_times_outside_or_inside(shell: Shell) -> None:
    inside = shell("simulate", "fail-node", "pve2@10s..300s", "--output", "json")
    outside = shell(
        "simulate", "fail-node", "pve2", "--at", "10s", "--restore-at", "300s", "--output", "json"
    )
    assert json.loads(inside.out) == json.loads(outside.out)


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "fail-node"),
        ("simulate", "fail-node", "pve22"),
        ("simulate", "burn-node", "pve2"),
        ("simulate", "fail-node", "pve2@9s..3s"),
        ("simulate", "fail-node", "pve2@"),
        ("lab", "up", "--speed", "0"),
        ("lab", "up", "--speed", "nan"),
        ("lab", "up", "--port", "-1"),
        ("demo", "--port", "70000"),
        ("simulate", "fail-node", "pve2@2h"),
        ("simulate", "fail-node", "pve2", "--scenario", "desired-state/scenarios/one-osd.yaml"),
        ("simulate", "--no-such-option"),
        ("nonsense",),
        ("check",),
    ],
)
def test_wrong_usage_exits_with_sixty_four(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell(*words)
    assert (done.code, done.out) == (64, "")
    assert done.err


def test_every_scenario_of_the_lab_comes_as_told(shell: Shell) -> None:
    stories = sorted((shell.folder / "desired-state" / "scenarios").glob("*.yaml"))
    assert stories
    done = shell("simulate", *(word for story in stories for word in ("--scenario", str(story))))
    assert done.code == 0, done.out
    assert done.out.count("as told") == len(stories)


def test_check_refuses_ussop_and_takes_him_with_less_memory(shell: Shell) -> None:
    repository(shell.folder)
    assert shell("check", "--base", "main").code == 0
    file = shell.folder / "desired-state" / "company" / "guests.yaml"
    on = file.read_text().replace("state: stopped", "state: started")
    file.write_text(on)
    refused = shell("check", "--base", "main")
    assert refused.code == 3
    assert "5 GiB missing on pve3" in refused.out
    head, _, rest = on.partition("  ussop:")
    file.write_text(f"{head}  ussop:{rest.replace('memory: 8GiB', 'memory: 2GiB', 1)}")
    taken = shell("check", "--base", "main")
    assert taken.code == 2, taken.out
    assert "safe: " in taken.out


@pytest.mark.parametrize("base", ["HEAD:desired-state", "HEAD:none.yaml", "HEAD^{tree}", "--all"])
def test_check_says_that_what_is_no_commit_is_none(shell: Shell, base: str) -> None:
    repository(shell.folder)
    done = shell("check", f"--base={base}")
    assert done.code == 64
    assert f"there is no commit {base} here" in done.err


def test_check_speaks_to_forges(shell: Shell) -> None:
    repository(shell.folder)
    file = shell.folder / "desired-state" / "company" / "guests.yaml"
    file.write_text(file.read_text().replace("state: stopped", "state: started"))
    suite = ElementTree.fromstring(shell("check", "--base", "main", "--output", "junit").out)  # noqa: S314
    assert int(suite.attrib["failures"]) > 0
    assert shell("check", "--base", "main", "--output", "markdown").out.startswith(
        "### vlab: unsafe"
    )
    data = json.loads(shell("check", "--base", "main", "--output", "json").out)
    assert (data["safe"], data["objections"][0]["rule"]) == (False, "worse")


def test_without_settings_a_verb_says_which_file_is_missing(shell: Shell) -> None:
    done = shell("plan")
    assert (done.code, done.out) == (1, "")
    assert "vlab.toml" in done.err


def test_the_script_of_the_package_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("vlab")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert "simulate" in done.stdout


def test_nothing_that_was_written_steers_the_terminal(shell: Shell) -> None:
    tree = shell.folder / "desired-state"
    (tree / "\x1b[31m.yaml").write_text('guests: {x: {os: "\\e]0;title\\a", vmid: "\\e[2J"}}')
    for words in (("validate",), ("simulate", "fail-node", "\x1b[2J")):
        done = shell(*words)
        assert "\\u001b[" in done.out + done.err
        assert "\x1b" not in done.out + done.err


def test_a_folder_without_a_file_of_the_language_is_told(shell: Shell) -> None:
    (shell.folder / "empty").mkdir()
    done = shell("validate", "--tree", "empty")
    assert done.out.startswith("warning: empty holds no .yaml file")
    assert (done.code, done.out.endswith("empty: 0 errors, 1 warning\n")) == (0, True)


def test_fmt_says_plainly_that_a_file_is_no_text(shell: Shell) -> None:
    (shell.folder / "desired-state" / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    done = shell("fmt")
    assert done.code == 1
    assert "binary.yaml:1:1: byte 1 is not UTF-8 text" in done.err


@pytest.mark.parametrize("verb", ["plan", "history"])
def test_machines_are_told_what_is_wrong_with_the_settings(verb: str, tmp_path: Path) -> None:
    (tmp_path / "vlab.toml").write_text('aply = "auto"\n[source]\nremote = "lab.git"\n')
    said = Shell(tmp_path)(verb, "--output", "json")
    assert said.code == 1
    assert said.err == "vlab.toml:1:1: there is no key aply\n  fix: did you mean apply?\n"
    assert json.loads(said.out)["problems"] == [
        {
            "place": {"file": "vlab.toml", "line": 1, "column": 1},
            "what": "there is no key aply",
            "why": "",
            "fix": "did you mean apply?",
            "severity": "error",
        }
    ]
