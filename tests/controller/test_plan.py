"""The plan as a value: what makes it stale, how it prints, what it never shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from controller.managed import Cost, Key, Managed, Mark, Policy, shown
from controller.observed import Observed
from controller.owned import OwnedRecord
from controller.plan import Plan, fingerprint_of
from controller.planning import plan_changes, wanted_things
from controller.render import plan_data, plan_file, render_markdown, render_text
from controller.step import Rest
from lab.errors import LabInvalid, Refused
from lab.item import Act
from tests.controller.passes import lab
from tests.controller.shelf import KINDS, Guest, Options, Pool

LAB = """
pools: {mugiwara: {comment: the company}}
guests: {luffy: {vmid: 101, cluster: a, cores: 8, pool: mugiwara}}
"""
THERE = Guest.made("shelf/a", "101", {"name": "luffy", "cores": 4, "memory_bytes": 2**30})


def _observed(*things: Managed, **more: object) -> Observed:
    options = Options.made("shelf/a", "main", {})
    found = {thing.key: thing for thing in (options, *things)}
    return replace(Observed({"shelf/a": KINDS}, found), **more)  # type: ignore[arg-type]


def _owned(declared: str, commit: str = "old") -> dict[Key, OwnedRecord]:
    return {
        key: OwnedRecord(commit, thing.path, thing.values, thing.policy)
        for key, thing in wanted_things(lab(declared), {"shelf/a": KINDS}).items()
    }


def _plan(*things: Managed, commit: str = "beef", declared: str = LAB) -> Plan:
    before = declared.replace("cores: 8", "cores: 4")
    return plan_changes(lab(declared), _observed(*things), _owned(before), commit)


def same_plan(text: str, plan: Plan) -> bool:
    return fingerprint_of(text) == plan.fingerprint


def test_a_plan_of_the_same_commit_and_world_is_the_same_plan() -> None:
    assert same_plan(plan_file(_plan(THERE)), _plan(THERE))


def test_a_plan_is_stale_when_the_commit_or_anything_that_it_touches_has_changed() -> None:
    written = plan_file(_plan(THERE))
    foreign = replace(THERE, values={**THERE.values, "disks.scsi7.storage": "theirs"})
    by_hand = replace(THERE, values={**THERE.values, "cores": 2})
    assert not same_plan(written, _plan(THERE, commit="cafe"))
    assert not same_plan(written, _plan(foreign))
    assert not same_plan(written, _plan(by_hand))
    assert not same_plan(written, _plan())
    assert not same_plan(written, _plan(THERE, declared=LAB.replace("cores: 8", "cores: 16")))


def test_a_plan_is_not_stale_when_something_that_it_does_not_touch_has_changed() -> None:
    other = Pool.made("shelf/a", "theirs", {})
    assert same_plan(plan_file(_plan(THERE)), _plan(THERE, other))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format_version": 1}', "not json", "[" * 100_000]
)
def test_what_is_no_plan_file_is_refused_with_the_command_that_makes_one(text: str) -> None:
    with pytest.raises(Refused, match=r"this is no plan file\n  fix: make one: vlab plan"):
        fingerprint_of(text)


def test_a_plan_file_of_another_format_is_refused() -> None:
    data = {**plan_data(_plan(THERE)), "format_version": 99}
    with pytest.raises(Refused, match="format 99, not 1"):
        fingerprint_of(json.dumps(data))


def test_the_file_says_everything_in_plain_json() -> None:
    data = json.loads(plan_file(_plan(THERE)))
    update = next(op for wave in data["waves"] for op in wave if op["action"] == "update")
    assert update == {
        "action": "update",
        "key": {"device": "shelf/a", "kind": "guest", "id": "101"},
        "path": ["guests", "luffy"],
        "cost": "none",
        "place": "2.yaml:3:10",
        "reason": "changed by somebody else since old was applied",
        "changes": [
            {"field": "cores", "old": 4, "new": 8, "cost": "none", "place": "2.yaml:3:41",
             "drifted": False},
            {"field": "pool", "old": None, "new": "mugiwara", "cost": "none",
             "place": "2.yaml:3:51", "drifted": True},
        ],
        "steps": ["PUT /guest/101 cores=8 pool=mugiwara"],
    }  # fmt: skip
    assert [note["kind"] for note in data["notes"]] == []


def test_secrets_are_printed_nowhere() -> None:
    secret = "secret://env/POOL_PASSWORD"
    assert shown("comment", secret) == "***"
    assert shown("", (secret, "x")) == "[***, x]"
    assert str(Rest("PUT", "/x", {"password": secret, "y": 1})) == "PUT /x password=*** y=1"
    declared = f"pools: {{mugiwara: {{comment: '{secret}'}}}}"
    plan = plan_changes(lab(declared), _observed(), {}, "beef")
    for text in (render_text(plan), render_markdown(plan), plan_file(plan)):
        assert "POOL_PASSWORD" not in text
        assert "***" in text.replace("\\*", "*")


def test_text_from_a_device_cannot_move_the_cursor_or_become_markup() -> None:
    evil = Guest.made("shelf/a", "101", {"name": "luffy", "cores": 4, "description": "\x1b[2J|<b>"})
    declared = "guests: {luffy: {vmid: 101, cluster: a, description: fine}}"
    plan = plan_changes(lab(declared), _observed(evil), {}, "beef")
    assert "\x1b" not in render_text(plan)
    assert r"\x1b[2J|<b> -> fine" in render_text(plan)
    assert "\\|\\<b\\>" in render_markdown(plan)


def test_values_print_as_people_write_them() -> None:
    assert shown("memory_bytes", 8 * 2**30) == "8GiB"
    assert shown("onboot", True) == "true"
    assert shown("comment", Mark.RESET) == "(default)"
    assert shown("comment", None) == "nothing"


def test_markdown_is_a_table_for_each_wave() -> None:
    text = render_markdown(_plan(declared=LAB))
    assert text.startswith("**commit beef: 2 to create**\n\n### Wave 1\n\n| | what | change |")
    assert (
        "| + | shelf/a guest 101 (guests luffy) | is gone since old was applied | none | 2.yaml:3 |"
        in text
    )


def test_the_worst_cost_and_emptiness_are_those_of_the_operations() -> None:
    assert _plan(THERE).cost is Cost.NONE
    assert not _plan(THERE).empty
    gone = plan_changes(lab(""), _observed(), {}, "beef")
    assert [operation.action for operation in gone.operations] == ["record"]


def test_an_identity_declared_twice_is_refused_with_both_places() -> None:
    twice = "guests: {luffy: {vmid: 101, cluster: a}, zoro: {vmid: 101, cluster: a}}"
    with pytest.raises(LabInvalid) as caught:
        plan_changes(lab(twice), _observed(), {}, "beef")
    assert str(caught.value).startswith(
        "2.yaml:1:42: shelf/a guest 101 is declared twice; the first is at 2.yaml:1:10"
    )


def test_a_step_in_doubt_makes_its_thing_unknown() -> None:
    observed = _observed(THERE).doubting({THERE.key: "a step may be at work"})
    plan = plan_changes(lab(LAB), observed, {}, "beef")
    assert "guest" not in {operation.key.kind for operation in plan.operations}
    assert ("unknown", "a step may be at work") in {(n.kind, n.text) for n in plan.notes}


def test_where_guests_are_to_be_created_is_part_of_what_is_around_them() -> None:
    observed = _observed(THERE).placing("shelf/a", {"101": "pve2"})
    assert observed.context("shelf/a").placement == {"101": "pve2"}
    assert observed.context("shelf/z").placement == {}


def test_the_same_words_on_another_device_are_other_things() -> None:
    both = lab("pools: {p: {}}")
    kinds = {"shelf/a": KINDS, "shelf/b": KINDS}
    wanted = wanted_things(both, kinds)
    assert [str(key) for key in wanted if key.kind == "pool"] == [
        "shelf/a pool p",
        "shelf/b pool p",
    ]


def _standing_on_another_device(manage: frozenset[Act]) -> Plan:
    """Nothing is declared any more: a guest, and a pool of another device that it was put on."""
    base = Pool.made("shelf/b", "base", {})
    guest = Guest.made("shelf/a", "101", {"name": "luffy"})
    observed = Observed({"shelf/a": KINDS, "shelf/b": KINDS}, {t.key: t for t in (guest, base)})
    everything = Policy(frozenset(Act))
    owned = {
        base.key: OwnedRecord("old", ("pools", "base"), {}, everything),
        guest.key: OwnedRecord(
            "old", ("guests", "luffy"), {}, Policy(manage), needs=frozenset({base.key})
        ),
    }
    return plan_changes(lab(""), observed, owned, "beef")


def test_what_a_thing_stood_on_goes_after_it_though_it_is_on_another_device() -> None:
    waves = _standing_on_another_device(frozenset(Act)).waves
    assert [[str(op.key) for op in wave] for wave in waves] == [
        ["shelf/a guest 101"],
        ["shelf/b pool base"],
    ]


def test_what_a_thing_stands_on_stays_as_long_as_that_thing() -> None:
    plan = _standing_on_another_device(frozenset({Act.OBSERVE}))
    kept = {str(note.key): note.text for note in plan.notes}
    assert plan.empty
    assert kept["shelf/b pool base"] == "shelf/a guest 101 is there and needs it"
