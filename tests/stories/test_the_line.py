"""git -> load -> observe -> plan -> rehearsal -> apply over HTTPS -> second pass empty, and its
refusals.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.gate import Rule
from controller.reconcile import Ending
from lab.load import load
from tests.stories.site import LUFFY, Site, guest, passes, site, tree


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def test_a_push_is_applied_and_the_second_pass_changes_nothing(place: Site) -> None:
    commit = place.push(tree(LUFFY))
    with place.installation() as parts:
        first, second = passes(parts), passes(parts)
    assert first.ending is Ending.APPLIED
    assert first.plan.commit == commit
    assert (second.ending, second.plan.empty) == (Ending.IN_SYNC, True)
    config = place.api("pve2").nodes(_node(place)).qemu(101).config.get()
    assert (config["name"], config["memory"]) == ("luffy", "2048")
    assert config["scsi0"].startswith("vm:vm-101-disk-0")


def test_a_commit_that_does_not_load_is_refused_and_the_last_good_one_stays(place: Site) -> None:
    place.push(tree(LUFFY))
    with place.installation() as parts:
        passes(parts)
        place.push(tree(LUFFY.replace("vm, size", "vn, size")), "a wrong name")
        done = passes(parts)
    assert done.desired.trouble is not None
    assert done.desired.trouble.reason == "LabInvalid"
    assert "guests.yaml:6:" in done.desired.trouble.message
    assert done.desired.lab.guests["luffy"].disks["scsi0"].storage == "vm"
    assert done.ending is Ending.IN_SYNC


def test_an_unsafe_commit_is_refused_with_its_smallest_counterexample(place: Site) -> None:
    big = [guest(name, 101 + n, memory="6GiB") for n, name in enumerate(("luffy", "zoro"))]
    place.push(tree(*big))
    with place.installation() as parts:
        assert passes(parts).ending is Ending.APPLIED
        three = [*big, guest("ussop", 103, memory="6GiB")]
        place.push(tree(*three), "one too many")
        done = passes(parts)
        assert done.ending is Ending.REFUSED
        objection = done.judgement.objections[0]
        assert objection.rule is Rule.WORSE
        assert "1 GiB missing on pve" in objection.text
        assert "after fail-node pve" in objection.text
        assert objection.place is not None
        assert objection.place.file == "guests.yaml"
        assert {row["vmid"] for row in place.api().cluster.resources.get(type="vm")} == {101, 102}


def test_a_protected_guest_is_not_touched(place: Site) -> None:
    place.push(tree(guest("luffy", 101, more="protect: true")))
    with place.installation() as parts:
        passes(parts)
        place.push(tree(guest("luffy", 101, memory="3GiB", more="protect: true")))
        done = passes(parts)
    assert [objection.rule for objection in done.judgement.objections] == [Rule.PROTECTED]
    assert place.api().nodes(_node(place)).qemu(101).config.get()["memory"] == "2048"


def test_a_guest_that_left_the_files_stays_unless_delete_was_allowed(place: Site) -> None:
    zoro = guest("zoro", 102)
    place.push(tree(LUFFY, zoro))
    with place.installation() as parts:
        passes(parts)
        place.push(tree(LUFFY), "zoro goes")
        done = passes(parts)
        assert "102" in " ".join(note.subject for note in done.plan.notes if note.kind == "kept")
        free = guest("zoro", 102, more="manage: [observe, update, delete]\nstate: stopped")
        place.push(tree(LUFFY, free), "zoro may go")
        while passes(parts).ending is not Ending.IN_SYNC:
            pass
        place.push(tree(LUFFY), "zoro goes")
        assert passes(parts).ending is Ending.APPLIED
    assert [row["vmid"] for row in place.api().cluster.resources.get(type="vm")] == [101]


def test_an_empty_tree_deletes_nothing(place: Site) -> None:
    place.push(tree(LUFFY))
    with place.installation() as parts:
        passes(parts)
        place.push({"README.md": "gone"}, "everything went")
        done = passes(parts)
    assert done.desired.trouble is not None
    assert done.desired.trouble.reason == "EmptyTree"
    assert [row["vmid"] for row in place.api().cluster.resources.get(type="vm")] == [101]


def test_the_remote_goes_away_and_comes_back(place: Site) -> None:
    place.push(tree(LUFFY))
    with place.installation() as parts:
        passes(parts)
        away = place.remote.path.rename(place.folder / "away.git")
        done = passes(parts)
        assert done.desired.trouble is not None
        assert done.desired.trouble.reason == "SourceUnreachable"
        assert done.ending is Ending.IN_SYNC
        away.rename(place.remote.path)
        assert passes(parts).desired.trouble is None


def test_what_the_lab_holds_after_a_pass_loads_as_the_desired_state(place: Site) -> None:
    files = tree(LUFFY)
    place.push(files)
    with place.installation() as parts:
        done = passes(parts)
    written = {name: text.encode() for name, text in files.items()}
    assert load(written) == done.desired.lab


def _node(place: Site) -> str:
    (row,) = (r for r in place.api().cluster.resources.get(type="vm") if r["vmid"] == 101)
    return str(row["node"])
