"""The verbs of an operator against a served lab: what they print, and how they exit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.shell import Said, Shell
from tests.stories.site import LUFFY, Site, guest, site, tree

ZORO = guest("zoro", 102)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def vlab(place: Site, verb: str, *words: str) -> Said:
    """A verb with the settings of the site."""
    return Shell(place.folder)(verb, *words, "--settings", "state.toml")


def test_a_plan_is_shown_saved_applied_and_then_there_is_none(place: Site) -> None:
    place.push(tree(LUFFY))
    planned = vlab(place, "plan", "--save", "plan.json")
    assert planned.code == 2
    assert "create pve/a vm 101" in planned.out
    assert vlab(place, "apply", "plan.json").code == 0
    assert vlab(place, "plan").code == 0
    assert vlab(place, "status").out.startswith("in-sync")
    assert "applied" in vlab(place, "history").out


def test_a_stale_plan_is_refused_and_nothing_is_done(place: Site) -> None:
    place.push(tree(LUFFY))
    vlab(place, "plan", "--save", "plan.json")
    place.push(tree(LUFFY, ZORO))
    done = vlab(place, "apply", "plan.json")
    assert done.code == 5
    assert "stale" in done.err
    assert place.api().cluster.resources.get(type="vm") == []


def test_a_file_that_is_no_plan_is_refused_before_anything_is_asked(place: Site) -> None:
    place.push(tree(LUFFY))
    (place.folder / "plan.json").write_bytes(b"\xff\x00")
    done = vlab(place, "apply", "plan.json")
    assert done.code == 4
    assert done.err == "this is no plan file\n  fix: make one: vlab plan --save FILE\n"
    os.mkfifo(place.folder / "pipe")
    for name, why in (("none.json", "can't be read: No such file"), ("pipe", "is no regular file")):
        done = vlab(place, "apply", name)
        assert done.code == 1
        assert done.err.startswith(f"{name} {why}")
        assert done.err.endswith("\n  fix: make one: vlab plan --save FILE\n")
    done = vlab(place, "plan", "--save", "none/plan.json")
    assert done.code == 1
    assert "none/plan.json: No such file or directory\n  fix: " in done.err


def test_what_was_there_before_is_adopted_only_when_a_person_says_so(place: Site) -> None:
    place.api().pools.post(poolid="crew", comment="by hand")
    place.push(tree(more="pools:\n  crew: {comment: by git}\n"))
    first = vlab(place, "apply")
    assert first.code == 4
    assert "vlab apply --adopt" in first.err
    assert place.api().pools.get(poolid="crew")[0]["comment"] == "by hand"
    assert vlab(place, "apply", "--adopt").code == 0
    assert place.api().pools.get(poolid="crew")[0]["comment"] == "by git"


def test_adopt_writes_what_git_does_not_have(place: Site) -> None:
    place.api().pools.post(poolid="crew", comment="by hand")
    place.push(tree(LUFFY))
    done = vlab(place, "adopt", "--into", "found")
    assert done.code == 0
    written = "".join(path.read_text() for path in (place.folder / "found").rglob("*.yaml"))
    assert "crew:" in written
    assert "manage: [observe]" in written


def test_drift_names_the_person(place: Site) -> None:
    place.push(tree(LUFFY))
    assert vlab(place, "apply").code == 0
    (row,) = place.api().cluster.resources.get(type="vm")
    place.api().nodes(row["node"]).qemu(101).config.put(memory=4096)
    done = vlab(place, "drift", "--output", "json")
    assert done.code == 2
    (found,) = json.loads(done.out)["drift"]
    assert "root@pam" in found["told"]


def test_a_refused_plan_says_the_line_and_exits_with_three(place: Site) -> None:
    place.push(tree(*(guest(name, 101 + n, memory="9GiB") for n, name in enumerate("abcd"))))
    done = vlab(place, "plan")
    assert done.code == 3
    assert "guests.yaml:" in done.err
    assert "missing on pve" in done.err


def test_a_wrong_token_is_told_without_showing_it(place: Site) -> None:
    (place.folder / "token").write_text("not-the-secret")
    place.push(tree(LUFFY))
    done = vlab(place, "apply")
    assert done.code != 0
    assert "401" in done.out + done.err
    assert "not-the-secret" not in done.out + done.err


def test_a_commit_that_does_not_load_is_told_beside_what_stays_in_force(place: Site) -> None:
    good = place.push(tree(LUFFY))
    assert vlab(place, "apply").code == 0
    place.push(tree(LUFFY.replace("vmid:", "vmdi:")))
    for verb in ("plan", "diff", "drift", "apply"):
        done = vlab(place, verb)
        assert f"{good[:12]} stays in force: LabInvalid\n" in done.err
        assert "there is no key vmdi" in done.err
        assert done.code == 1


def test_a_rewritten_history_waits_for_a_person(place: Site) -> None:
    first = place.push(tree(LUFFY))
    place.push(tree(LUFFY, ZORO))
    assert vlab(place, "apply").code == 0
    place.remote.rewind(first)
    vlab(place, "apply")
    assert "HistoryRewritten" in vlab(place, "status").out
    assert vlab(place, "apply", "--accept-rewrite").code == 0
    assert "HistoryRewritten" not in vlab(place, "status").out
