"""The HA core played by the suite's clock: whole logs of our own cases and of upstream's.

Our cases are folders in upstream's format below `cluster_cases`; their logs follow from the
description of pve-ha-manager, not from a run of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer

from api import truth
from api.exits import Exit
from lab.errors import VlabError
from simulator.cluster.case import read_case
from simulator.cluster.suite import Play, advance, play
from simulator.fidelity.pve_ha import difference
from tests.reference import reference

OWN = Path(__file__).parent / "cluster_cases"


@pytest.mark.parametrize("name", sorted(folder.name for folder in OWN.iterdir()))
def test_our_case_has_the_log_that_follows_from_the_description(name: str) -> None:
    case = read_case(OWN / name)
    ours = play(case.cluster, case.entries)
    assert ours == case.expected, difference(case.expected, ours)


def test_every_regression_case_of_pve_ha_manager_has_its_log() -> None:
    folders = sorted(reference("pve-ha-cases").glob("test-*"))
    different = {}
    for folder in folders:
        case = read_case(folder)
        ours = play(case.cluster, case.entries)
        if ours != case.expected:
            different[case.name] = difference(case.expected, ours)
    assert folders
    assert not different


@pytest.mark.parametrize("rounds", [1, 9, 14])
def test_a_fork_goes_on_as_the_cluster_would_have_and_leaves_it_alone(rounds: int) -> None:
    case = read_case(OWN / "test-slave-falls-silent")
    game = Play(case.cluster, case.entries)
    for _ in range(rounds):
        advance(game)
    before = len(game.cluster.log)

    fork = game.fork()
    while advance(fork):
        pass

    assert len(game.cluster.log) == before
    while advance(game):
        pass
    assert game.cluster == fork.cluster


def copied(folder: Path, name: str = "test-slave-falls-silent") -> Path:
    return Path(shutil.copytree(OWN / name, folder / name))


def test_a_case_that_differs_shows_the_first_line_that_does_below_what_came_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = copied(tmp_path) / "log.expect"
    copied(tmp_path, "test-moves-fail")
    log.write_text(log.read_text().replace("info    120      cmdlist", "info    121      cmdlist"))

    assert truth.fidelity("pve-ha", tmp_path, "text") == Exit.DIFFERENT

    lines = capsys.readouterr().out.splitlines()
    assert "  equal: test-moves-fail" in lines
    at = next(n for n, line in enumerate(lines) if "different: test-slave-falls-silent" in line)
    assert [line[:4] for line in lines[at + 1 : at + 5]] == ["  | ", "  | ", "  - ", "  + "]
    assert lines[at + 3] == "  - info    121      cmdlist: execute network bob off"
    assert lines[at + 4] == "  + info    120      cmdlist: execute network bob off"
    assert lines[-1].startswith("  2 cases, 1 equal")


def test_one_case_of_a_folder_can_be_played_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied(tmp_path) / "cmdlist").write_text("[")
    copied(tmp_path, "test-moves-fail")

    assert truth.fidelity("pve-ha", tmp_path, "json", "test-moves-fail") == Exit.FINE
    answer = json.loads(capsys.readouterr().out)
    assert (answer["cases"], answer["equal"]) == (1, 1)

    with pytest.raises(VlabError, match="has no case test-none of pve-ha"):
        truth.fidelity("pve-ha", tmp_path, "text", "test-none")
    with pytest.raises(typer.BadParameter, match="needs the row"):
        truth.fidelity(None, tmp_path, "text", "test-moves-fail")


def test_a_malformed_case_is_named_after_the_others_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied(tmp_path) / "cmdlist").write_text("[")
    (copied(tmp_path, "test-lrm-restarts") / "hardware_status").write_text("{")
    copied(tmp_path, "test-moves-fail")
    (tmp_path / "README").write_text("stray")
    (tmp_path / "rule_sets").mkdir()

    with pytest.raises(VlabError) as error:
        truth.fidelity("pve-ha", tmp_path, "json")

    answer = json.loads(capsys.readouterr().out)
    assert (answer["row"], answer["cases"], answer["equal"]) == ("pve-ha", 1, 1)
    assert (answer["known"], answer["different"]) == (0, 0)
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [
        str(tmp_path / "test-lrm-restarts" / "hardware_status"),
        str(tmp_path / "test-slave-falls-silent" / "cmdlist"),
    ]


def test_warnings_of_a_full_node_are_told_but_not_compared(tmp_path: Path) -> None:
    log = copied(tmp_path, "test-more-is-used-than-there-is") / "log.expect"
    warned = log.read_text()
    assert "warning    40     hardware: overcommitted cpu on 'ada'" in warned
    log.write_text("".join(line for line in warned.splitlines(True) if "overcommitted" not in line))

    assert truth.fidelity("pve-ha", tmp_path, "text") == Exit.FINE


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("cmdlist", '[["power ada on"]', "cmdlist: the file: Invalid JSON"),
        ("cmdlist", '["power ada on"]', "cmdlist: line 1: 0: "),
        ("cmdlist", "", "cmdlist: the file: Invalid JSON"),
        ("hardware_status", '{"ada": {"power": "maybe", "network": "on"}}', "ada.power: "),
        (
            "hardware_status",
            '{"ada": {"power": "on", "network": "on", "pve-manager-version": "nine"}}',
            "ada.pve-manager-version: ",
        ),
        ("service_config", '{"vm:101": {"state": "started"}}', "vm:101.node: Field required"),
        ("service_config", '{"fa:10": {"node": "ada"}}', "service_config: line 1: fa:10"),
        ("manager_status", '{"service_status": []}', "manager_status: line 1: service_status: "),
        ("rules_config", "node-affinity: home\n\tnodes bob\n", "rules_config: line 1: "),
        ("groups", "colour: red\n\tnodes bob\n", "groups: line 1: "),
        ("log.expect", None, "log.expect: can't be read: "),
    ],
)
def test_a_malformed_file_is_named_with_what_is_wrong(
    tmp_path: Path, file: str, text: str | None, told: str
) -> None:
    folder = copied(tmp_path)
    (folder / file).unlink(missing_ok=True)
    if text is not None:
        (folder / file).write_text(text)

    with pytest.raises(VlabError) as error:
        truth.fidelity("pve-ha", tmp_path, "text")

    assert str(error.value).startswith(str(folder))
    assert told in str(error.value)


def test_everything_that_is_wrong_with_a_case_is_told_with_the_line_it_is_on(
    tmp_path: Path,
) -> None:
    folder = copied(tmp_path)
    (folder / "service_config").write_text(
        '{\n  "vm:101": {"node": "ada", "lock": "a \\"{[:,"},\n  "vm:102": {\n'
        '    "node": "ada",\n    "state": "idle",\n    "max_restart": "often"\n  },\n  "vm:x": {}}'
    )
    (folder / "manager_status").write_text('{"node_status":\n {"ada": "asleep"}}')
    (folder / "cmdlist").write_text('[\n  ["power ada on"],\n  ["power bob on", 5]\n]')
    (folder / "rules_config").write_text(
        "colour: red\n\tnodes bob\n\nno header\n\tnodes bob\n\n"
        "node-affinity: home\n\tresources vm:101\n\tnodes bob\n# fine\nnot indented\n"
    )
    (folder / "log.expect").unlink()

    with pytest.raises(VlabError) as error:
        read_case(folder)

    told = [line.removeprefix(f"{folder}/") for line in str(error.value).splitlines()]
    assert [": ".join(line.split(": ")[:3]) for line in told] == [
        "service_config: line 5: vm:102.state",
        "service_config: line 6: vm:102.max_restart",
        "service_config: line 8: vm:x.[key]",
        "service_config: line 8: vm:x.node",
        "manager_status: line 2: node_status.ada",
        "rules_config: line 1: colour red",
        "rules_config: line 4: a section starts with `type",
        "rules_config: line 11: a property is indented `key value`, not 'not indented'",
        "cmdlist: line 3: 1.1",
        "log.expect: can't be read: [Errno 2] No such file or directory",
    ]


def test_a_version_that_is_none_ends_the_run() -> None:
    cluster = read_case(OWN / "test-groups-become-rules").cluster
    node = min(cluster.machines)

    log = play(cluster, [[f"pve-manager-version {node} set nine"]])

    assert log.endswith("exit simulation - 'nine' is no version of pve-manager \n")
