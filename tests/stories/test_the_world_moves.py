"""Drift, dead nodes, a second controller, kill -9: what an administrator fears at three in the
morning.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.conditions import ConditionType
from controller.plan import NoteKind
from controller.reconcile import Ending
from controller.settings import Apply
from tests.stories.site import LUFFY, NODES, Site, guest, passes, site, tree, write_settings


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def test_a_memory_size_changed_by_hand_is_attributed_and_corrected(place: Site) -> None:
    place.push(tree(LUFFY))
    with place.installation() as parts:
        passes(parts), passes(parts)
        place.api().nodes(_node(place, 101)).qemu(101).config.put(memory=4096)
        done = passes(parts, "drift")
        (told,) = done.told.values()
        assert "memory" in told
        assert "root@pam" in told
        assert done.ending is Ending.APPLIED
        assert _memory(place) == "2048"
        assert passes(parts).ending is Ending.IN_SYNC


def test_drift_is_only_reported_where_the_object_says_so(place: Site) -> None:
    place.push(tree(guest("luffy", 101, more="drift: report")))
    with place.installation() as parts:
        passes(parts), passes(parts)
        place.api().nodes(_node(place, 101)).qemu(101).config.put(memory=4096)
        done = passes(parts, "drift")
        assert [drift.corrected for drift in done.drifts] == [False]
        assert _memory(place) == "4096"
        shown = parts.history.conditions()["guests/luffy"]
        assert shown[ConditionType.DRIFTED].status == "True"


def test_a_guest_that_was_moved_is_not_drift(place: Site) -> None:
    place.push(tree(LUFFY))
    with place.installation() as parts:
        passes(parts), passes(parts)
        before = _node(place, 101)
        target = next(node for node in ("pve1", "pve2", "pve3") if node != before)
        place.api().cluster.ha.resources("vm:101").migrate.post(node=target)
        place.eventually(lambda: _node(place, 101) == target)
        done = passes(parts)
    assert (done.ending, done.drifts) == (Ending.IN_SYNC, ())


def test_what_a_dead_node_held_is_unknown_and_nothing_is_deleted(place: Site) -> None:
    off = "ha: {}"
    alone = guest("zoro", 102).replace(f"    {off}\n", "    state: stopped\n")
    place.push(tree(LUFFY, alone))
    with place.installation() as parts:
        passes(parts), passes(parts)
        dead = _node(place, 102)
        place.served.fail(f"fail-node {dead}")
        done = passes(parts, "drift")
        told = [note.subject for note in done.plan.notes if note.kind is NoteKind.UNKNOWN]
        assert any("102" in subject for subject in told)
        assert done.ending is Ending.UNSEEN
        assert not any(operation.key.id == "102" for operation in done.plan.operations)
        ready = parts.history.conditions()[""][ConditionType.READY]
        assert ready.status != "True"
        place.served.restore(f"node {dead}")
        place.eventually(lambda: passes(parts).ending is Ending.IN_SYNC)
        assert {row["vmid"] for row in _guests(place)} == {101, 102}


def test_while_a_node_is_missing_the_lab_is_not_called_safe(place: Site) -> None:
    place.push(tree(LUFFY))
    with place.installation() as parts:
        passes(parts), passes(parts)
        assert parts.history.conditions()[""][ConditionType.SAFE].status == "True"
        empty = next(node for node in NODES if node != _node(place, 101))
        place.served.fail(f"fail-node {empty}")
        place.eventually(
            lambda: (
                passes(parts, "drift").ending is Ending.IN_SYNC
                and parts.history.conditions()[""][ConditionType.SAFE].reason == "InvariantBroken"
            )
        )


def test_of_two_controllers_with_one_history_only_one_writes(place: Site, tmp_path: Path) -> None:
    place.push(tree(LUFFY))
    shared = f"sqlite:///{tmp_path / 'history.db'}"
    first = place.settings.model_copy(update={"history": shared})
    second = write_settings(tmp_path, place.served, Apply.AUTO, "other")
    second = second.model_copy(update={"history": shared})
    place.settings = first
    with place.installation() as leading:
        assert passes(leading).ending is Ending.APPLIED
        place.settings = second
        with place.installation() as other:
            assert other.controller.once({"poll"}) is None
    with place.installation() as other:
        assert passes(other).ending is Ending.IN_SYNC, "who ends lets go of the lease"


def test_killed_after_every_record_of_the_journal_it_ends_in_the_same_lab(place: Site) -> None:
    guests: list[str] = []
    survived = False
    while not survived:
        last = len(guests) + 1
        guests.append(guest(f"guest{last}", 100 + last, memory="512MiB"))
        place.push(tree(*guests))
        died = _process(place, last)
        survived = died.returncode == 0
        assert survived or died.returncode == -9, died.stderr
        with place.installation() as parts:
            place.eventually(lambda: passes(parts).ending is Ending.IN_SYNC)
        assert _creations(place, 100 + last) == 1, f"killed after record {last}"
        held = [volume["vmid"] for volume in place.api().nodes("pve1").storage("vm").content.get()]
        assert sorted(held) == [100 + number for number in range(1, last + 1)]
    assert len(guests) > 6, "a guest and its HA resource are more records than that"


def _process(place: Site, last: int) -> subprocess.CompletedProcess[str]:
    file = place.folder / "state.toml"
    command = [sys.executable, "-m", "tests.stories.killed", str(file), str(last)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _creations(place: Site, vmid: int) -> int:
    """How often a guest was created, failed attempts included."""
    tasks = place.api().cluster.tasks.get()
    return sum(task["type"] == "qmcreate" and task["id"] == str(vmid) for task in tasks)


def _guests(place: Site) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = place.api().cluster.resources.get(type="vm")
    return rows


def _node(place: Site, vmid: int) -> str:
    return next(str(row["node"]) for row in _guests(place) if row["vmid"] == vmid)


def _memory(place: Site) -> str:
    return str(place.api().nodes(_node(place, 101)).qemu(101).config.get()["memory"])
