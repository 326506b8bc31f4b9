"""Files to a lab: what is said about bad ones, and what good ones mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabInvalid, Place
from lab.item import kebab
from lab.kinds.guest import Power
from lab.lab import WORDS, title
from lab.load import load
from tests.labs import lab_of

CASES = Path(__file__).parent / "cases"
SMALL = """
    vlans:
      management: {id: 99, role: management}
    clusters:
      a: {version: 9.10, corosync: {links: [management]}}
    guests:
      luffy:
        vmid: 101
        cluster: a
        memory: 8GiB
        onboot: true
        description: null
        placement: {prefer: null}
"""


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_bad_file_says_what_stands_beside_it(case: Path) -> None:
    with pytest.raises(LabInvalid) as caught:
        load({case.name: case.read_bytes()})
    assert str(caught.value) + "\n" == case.with_suffix(".txt").read_text()


def test_no_message_speaks_of_the_libraries_underneath() -> None:
    jargon = ("pydantic", "input", "validation", "Input", "dict", "str ", "NoneType", "scalar")
    for case in CASES.glob("*.txt"):
        for line in case.read_text().splitlines():
            if "not YAML" not in line:
                assert not any(word in line for word in jargon), line


def test_values_mean_what_their_field_says() -> None:
    lab = lab_of(SMALL)
    luffy = lab.guests["luffy"]
    assert lab.clusters["a"].version == "9.10"
    assert (luffy.vmid, luffy.memory, luffy.onboot) == (101, 8 * 2**30, True)
    assert luffy.state is Power.STARTED
    assert luffy.written == {"vmid", "cluster", "memory", "onboot", "placement"}


def test_null_resets_a_key_and_leaves_it_unwritten() -> None:
    lab = lab_of(SMALL)
    luffy = ("guests", "luffy")
    assert lab.resets == {(*luffy, "description"), (*luffy, "placement", "prefer")}
    assert lab.place(*luffy, "description") == Place("1.yaml", 12, 5)


def test_quoted_null_is_a_text() -> None:
    lab = lab_of('feeds: {feed1: {comment: "null"}}')
    assert lab.feeds["feed1"].comment == "null"
    assert not lab.resets


def test_numbers_as_keys_are_names() -> None:
    lab = lab_of("feeds: {1: {}, 02: {}, true: {}, null: {}}")
    assert list(lab.feeds) == ["1", "02", "true", "null"]


def test_a_place_is_that_of_the_key_or_the_list_item() -> None:
    lab = lab_of("feeds: {feed1: {}}\nvlans:\n  production: {id: 10, role: guests}\n", SMALL)
    assert lab.place("vlans", "production") == Place("1.yaml", 3, 3)
    assert lab.place("vlans", "production", "role") == Place("1.yaml", 3, 24)
    assert lab.place("clusters", "a", "corosync", "links") == Place("2.yaml", 5, 33)
    assert lab.place("clusters", "a", "corosync", "links", "0") == Place("2.yaml", 5, 41)


def test_the_place_of_what_was_not_written_is_that_of_what_is_around_it() -> None:
    lab = lab_of(SMALL)
    assert lab.places(("guests", "luffy", "memory", "x")) is None
    assert lab.place("guests", "luffy", "cores") == lab.place("guests", "luffy")
    assert lab.place("guests", "zoro") == lab.place("guests")
    assert lab.place("feeds", "feed1") is None


def test_the_same_entry_in_two_files_names_both_places() -> None:
    with pytest.raises(LabInvalid) as caught:
        lab_of("feeds:\n  feed1: {}\n", "feeds:\n  feed2: {}\n  feed1: {}\n")
    assert str(caught.value).splitlines()[0] == (
        "2.yaml:3:3: feed feed1 is written twice; the first is at 1.yaml:2:3"
    )


def test_a_file_that_cannot_be_read_causes_no_false_wrong_references() -> None:
    with pytest.raises(LabInvalid) as caught:
        lab_of("feeds: {feed1: {}", "switches:\n  sw1: {feeds: [feed1], ports: {}}\n")
    assert [problem.place and problem.place.file for problem in caught.value.problems] == ["1.yaml"]


def test_an_entry_that_is_malformed_still_counts_as_declared() -> None:
    with pytest.raises(LabInvalid) as caught:
        lab_of("feeds: {feed1: {colour: red}}", "switches:\n  sw1: {feeds: [feed1], ports: {}}\n")
    assert [problem.what for problem in caught.value.problems] == [
        "feed feed1: there is no key colour"
    ]


def test_what_was_observed_may_break_rules_but_not_the_shape() -> None:
    text = "switches:\n  sw1: {feeds: [nowhere], ports: {}}\n"
    assert lab_of(text, rules=False).switches["sw1"].feeds == ("nowhere",)
    with pytest.raises(LabInvalid):
        lab_of("switches: {sw1: {feeds: here}}", rules=False)


def test_only_one_spelling_of_a_key_is_taken() -> None:
    with pytest.raises(LabInvalid) as caught:
        lab_of("backup_servers: {}")
    assert caught.value.problems[0].fix == "did you mean backup-servers?"
    assert all(word == kebab(word) for word in WORDS)


def test_an_empty_tree_is_an_empty_lab() -> None:
    lab = load({"a.yaml": b"", "b.yaml": b"# nothing yet\n", "c.yaml": b"---\n"})
    assert all(not lab.map(word) for word in WORDS)


def test_entries_have_a_name_to_speak_of() -> None:
    assert title("switches", "sw1") == "switch sw1"
    assert title("nas", "nas1") == "nas nas1"
    assert title("ha-rules", "home") == "ha-rule home"
