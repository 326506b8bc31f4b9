"""What is there and nobody declared, written down so that applying it changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adopt import adopt, as_yaml
from controller.managed import Value
from controller.observe import observe
from controller.plan import Action
from controller.planning import plan_changes
from lab.load import load
from tests.controller.passes import Passes, lab
from tests.controller.properties import assert_declares_itself, declared_back
from tests.controller.shelf import CLUSTERS, Guest, Ha, ManualClock, Pool, device, shelf
from tests.labs import lab_of


@pytest.fixture
def passes(tmp_path: Path) -> Passes:
    clock = ManualClock()
    return Passes(shelf(tmp_path, clock), clock)


@pytest.fixture
def strangers(passes: Passes) -> Passes:
    port = passes.port
    port.by_hand("pool", "mugiwara", comment="the company")
    port.by_hand("guest", "101", name="luffy", pool="mugiwara", cores=8, memory_mib=8192,
                 description="two\nlines: 'quoted'", tags="a,b",
                 **{"disks.scsi0.storage": "vm", "disks.scsi0.size_mib": 51200})  # fmt: skip
    port.by_hand("ha", "101", restart=2)
    return passes


def test_strangers_are_written_as_people_would_write_them(strangers: Passes) -> None:
    adoption = adopt(lab(""), observe([device(strangers.port)], strangers.clock))
    assert adoption.notes == ()
    assert adoption.files == {
        "adopted/guests.yaml": (
            "guests:\n"
            "  luffy:\n"
            "    manage: [observe]\n"
            "    vmid: 101\n"
            "    cluster: a\n"
            "    cores: 8\n"
            "    description: |-\n"
            "      two\n"
            "      lines: 'quoted'\n"
            "    memory: 8GiB\n"
            "    pool: mugiwara\n"
            "    tags: [a, b]\n"
            "    disks:\n"
            "      scsi0: {size: 50GiB, storage: vm}\n"
            "    ha:\n"
            "      restart: 2\n"
        ),
        "adopted/pools.yaml": (
            "pools:\n"
            "  mugiwara:\n"
            "    manage: [observe]\n"
            "    clusters: [a]\n"
            "    comment: the company\n"
        ),
    }


def test_a_plan_of_what_was_written_only_takes_note_of_it(strangers: Passes) -> None:
    observed = observe([device(strangers.port)], strangers.clock)
    files = adopt(lab(""), observed).files
    both = load({n: t.encode() for n, t in {**files, "a.yaml": CLUSTERS}.items()}, rules=False)
    plan = plan_changes(both, observed, {}, "c0ffee")
    assert not plan.pending
    assert not [operation for operation in plan.operations if operation.steps]
    assert sum(operation.action is Action.ADOPT for operation in plan.operations) == 3


def test_what_is_declared_or_part_of_the_device_is_not_written(strangers: Passes) -> None:
    declared = "pools: {mugiwara: {clusters: [a]}}"
    strangers.port.by_hand("options", "main", keyboard="de")
    adoption = adopt(lab(declared), observe([device(strangers.port)], strangers.clock))
    assert list(adoption.files) == ["adopted/guests.yaml"]


def test_files_that_are_there_keep_their_comments_and_get_more(strangers: Passes) -> None:
    tree = {"adopted/pools.yaml": b"# mine\npools:\n  other: {}  # also mine\n"}
    adoption = adopt(lab(""), observe([device(strangers.port)], strangers.clock), tree)
    text = adoption.files["adopted/pools.yaml"]
    assert text.startswith("# mine\npools:\n  other: {}  # also mine\n  mugiwara:\n")


def test_a_guest_whose_name_is_taken_is_told(strangers: Passes) -> None:
    declared = "guests: {luffy: {vmid: 150, cluster: a}}"
    strangers.port.by_hand("guest", "101", name="luffy", description=None)
    adoption = adopt(lab(declared), observe([device(strangers.port)], strangers.clock))
    # The name is part of what our small device holds, so another name would be another guest.
    assert "adopted/guests.yaml" not in adoption.files
    assert adoption.notes[0].text.startswith(
        'guests luffy is declared at 2.yaml:1:10, where it would say {"vmid": 101, "cluster": "a"'
    )


def test_ha_of_a_declared_guest_is_told_as_its_entry_is_elsewhere(strangers: Passes) -> None:
    declared = "guests: {luffy: {vmid: 101, cluster: a}}"
    adoption = adopt(lab(declared), observe([device(strangers.port)], strangers.clock))
    told = {str(note.key): note.text for note in adoption.notes}
    said = 'where it would say {"ha": {"restart": 2}}'
    assert told == {"shelf/a ha 101": f"guests luffy is declared at 2.yaml:1:10, {said}"}


def test_the_same_pool_on_two_devices_is_one_entry_and_another_one_is_told(
    strangers: Passes, tmp_path: Path
) -> None:
    other = shelf(tmp_path, strangers.clock, "shelf/b")
    other.by_hand("pool", "mugiwara", comment="the company")
    other.by_hand("pool", "x", comment="of b")
    strangers.port.by_hand("pool", "x", comment="of a")
    observed = observe([device(strangers.port), device(other)], strangers.clock)
    adoption = adopt(lab(""), observed)
    text = adoption.files["adopted/pools.yaml"]
    assert "  mugiwara:\n    manage: [observe]\n    clusters: [a, b]\n" in text
    assert "comment: of a" in text
    assert [str(note.key) for note in adoption.notes] == ["shelf/b pool x"]


def test_what_the_language_refuses_is_told_and_the_rest_written(strangers: Passes) -> None:
    strangers.port.by_hand("guest", "7", name="too-small-an-id")
    adoption = adopt(lab(""), observe([device(strangers.port)], strangers.clock))
    assert [(str(n.key), n.kind) for n in adoption.notes] == [("shelf/a guest 7", "unsaid")]
    assert "vmid is 7, less than 100" in adoption.notes[0].text
    assert "luffy" in adoption.files["adopted/guests.yaml"]


# Any text at all, with more of what is hard to write.
texts = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("\n\t :#'\"-?|>%@{[,\x85\ufeff"))
)
sizes = st.integers(1, 64).map(lambda mib: mib * 2**20)


def test_a_thing_is_said_once_what_it_needs_has_a_name_and_a_circle_never(
    strangers: Passes,
) -> None:
    observed = observe([device(strangers.port)], strangers.clock)
    circle = {
        key: replace(thing, needs=frozenset({key})) if key.kind == "pool" else thing
        for key, thing in observed.things.items()
    }
    adoption = adopt(lab(""), replace(observed, things=circle))
    assert adoption.files == {}
    assert {note.text for note in adoption.notes} == {
        "it can't be said before what it needs, and that not before it"
    }


def test_a_long_list_is_written_below_each_other() -> None:
    text = as_yaml({("roles", "r"): {"privileges": [f"VM.Config.Part{n}" for n in range(9)]}})
    assert "    privileges:\n    - VM.Config.Part0\n" in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@given(comment=texts)
def test_a_pool_said_in_the_language_is_the_same_pool(comment: str) -> None:
    assert_declares_itself(Pool.made("shelf/a", "mugiwara", {"comment": comment}), lab_of())


@given(cores=st.integers(1, 64), memory=sizes, description=texts, slots=st.sets(st.integers(0, 9)))
def test_a_guest_said_in_the_language_is_the_same_guest(
    cores: int, memory: int, description: str, slots: set[int]
) -> None:
    values: dict[str, Value] = {"name": "luffy", "cores": cores, "memory_bytes": memory}
    values |= {"description": description, "pool": "mugiwara", "tags": ("a", "b")}
    for slot in slots:
        values |= {f"disks.scsi{slot}.storage": "vm", f"disks.scsi{slot}.size_bytes": memory}
    assert_declares_itself(Guest.made("shelf/a", "101", values), lab_of())


def test_what_the_lab_has_no_name_for_does_not_come_back() -> None:
    stray = Ha.made("shelf/a", "101", {"restart": 1})
    assert declared_back(stray, lab_of()) is None
    with pytest.raises(AssertionError, match="shelf/a ha 101 is not among what {} wants"):
        assert_declares_itself(stray, lab_of())
    named = lab("guests: {luffy: {vmid: 101, cluster: a}}")
    assert stray.declare(named) == {"guests": {"luffy": {"ha": {"restart": 1}}}}
