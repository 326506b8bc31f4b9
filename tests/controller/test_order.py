"""Waves: after what is needed, before what is needed no more; circles are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from controller.managed import Cost, Key
from controller.observed import Observed
from controller.order import blocked, waves
from controller.plan import Action, NoteKind, Operation
from controller.step import Rest
from tests.controller.shelf import Pool


def _key(name: str) -> Key:
    return Key("shelf/a", "pool", name)


def _operation(name: str, *needs: str, action: Action = Action.CREATE) -> Operation:
    thing = Pool(_key(name), {}, frozenset(map(_key, needs)))
    goes = action is Action.DELETE
    return Operation(
        action, thing.key, (), (), (Rest("POST", "/pool"),), Cost.NONE, None,
        None if goes else thing, thing if goes else None,
    )  # fmt: skip


def _ordered(*operations: Operation) -> list[list[str]]:
    found, _ = waves({operation.key: operation for operation in operations})
    return [[operation.key.id for operation in wave] for wave in found]


def test_what_is_needed_comes_first_and_equals_come_together() -> None:
    assert _ordered(
        _operation("c", "b"), _operation("b", "a"), _operation("a"), _operation("d", "a")
    ) == [["a"], ["b", "d"], ["c"]]  # fmt: skip


def test_what_needs_goes_before_what_it_needs_and_after_everything_that_comes() -> None:
    going = [
        _operation(n, *needs, action=Action.DELETE) for n, *needs in (["a", "b"], ["b"], ["c", "b"])
    ]
    assert _ordered(*going, _operation("z")) == [["z"], ["a", "c"], ["b"]]


def test_needing_what_is_not_in_the_plan_or_itself_is_no_obstacle() -> None:
    assert _ordered(_operation("a", "there", "a")) == [["a"]]


@dataclass(frozen=True)
class _Seat(Pool):
    """Has the seat that it names, shares a language, and waits for those who leave a room."""

    @property
    def claims(self) -> Mapping[str, str]:
        seat, tongue = self.values.get("seat"), self.values.get("tongue")
        alone = self.alone(f"seat {seat}") if seat else {}
        return {**alone, **({"the language": str(tongue)} if tongue else {})}

    @property
    def awaits(self) -> frozenset[Key]:
        return frozenset({_key(str(self.values["room"]))}) if "room" in self.values else frozenset()


def _seated(name: str, was: str = "", then: str = "", what: str = "seat", **more: str) -> Operation:
    """Somebody who changes seats; without one before, who comes, and without one then, who goes."""
    old = _Seat(_key(name), {what: was}) if was else None
    new = _Seat(_key(name), {what: then, **more}) if then else None
    action = Action.UPDATE if old and new else Action.CREATE if new else Action.DELETE
    steps = (Rest("POST", "/pool"),)
    return Operation(action, _key(name), (), (), steps, Cost.NONE, None, new, old)


def _blocked(there: _Seat, *operations: Operation) -> dict[str, str]:
    observed = Observed(kinds={"shelf/a": (_Seat,)}, things={there.key: there})
    found = blocked({operation.key: operation for operation in operations}, observed)
    return {key.id: note.text for key, note in found.items()}


def test_who_gives_up_a_seat_does_so_before_another_takes_it() -> None:
    going = _operation("g", "old", action=Action.DELETE)
    assert _ordered(
        going, _seated("old", was="1"), _seated("new", then="1"), _seated("late", was="9")
    ) == [["g"], ["old"], ["new"], ["late"]]
    assert _ordered(_seated("b", "1", "2"), _seated("a", "2", "3")) == [["a"], ["b"]]
    assert _ordered(_seated("a", "1", "1"), _seated("b", "2")) == [["a"], ["b"]]


def test_who_leaves_a_room_goes_before_the_one_who_waits_for_that() -> None:
    leaves = _operation("leaves", "room", action=Action.DELETE)
    assert _ordered(leaves, _seated("new", then="1", room="room")) == [["leaves"], ["new"]]
    assert _ordered(_operation("x", action=Action.DELETE), _seated("new", then="1")) == [
        ["new"], ["x"],
    ]  # fmt: skip


def test_two_who_want_each_others_seat_are_a_circle() -> None:
    swap = {op.key: op for op in (_seated("a", "1", "2"), _seated("b", "2", "1"))}
    found, notes = waves(swap)
    assert found == ()
    assert [note.kind for note in notes] == [NoteKind.CYCLE] * 2


def test_a_seat_that_somebody_keeps_blocks_who_wants_it_alone() -> None:
    keeper, comes = _Seat(_key("keeper"), {"seat": "1"}), _seated("new", then="1")
    kept = {"new": "it needs seat 1 (which shelf/a pool keeper has)"}
    assert _blocked(keeper, comes, _operation("free")) == kept
    assert _blocked(keeper, comes, _seated("keeper", "1", "2")) == {}
    assert _blocked(replace(keeper, key=replace(keeper.key, device="shelf/b")), comes) == {}


def test_what_a_change_does_not_speak_of_is_kept() -> None:
    keeper, comes = _Seat(_key("keeper"), {"seat": "1"}), _seated("new", then="1")
    learns = replace(_seated("keeper", "1", "1"), wanted=_Seat(keeper.key, {"tongue": "Dutch"}))
    assert "new" in _blocked(keeper, comes, learns)


def test_what_is_claimed_alike_is_no_rival() -> None:
    there = _Seat(_key("there"), {"tongue": "French"})
    assert _blocked(there, _seated("new", then="French", what="tongue")) == {}
    assert "new" in _blocked(there, _seated("new", then="Dutch", what="tongue"))
    learns = _seated("there", "French", "Dutch", "tongue")
    assert _ordered(learns, _seated("new", then="Dutch", what="tongue")) == [["there"], ["new"]]


def test_what_newly_needs_a_thing_that_can_not_become_as_declared_waits() -> None:
    there = Pool(_key("there"), {})
    observed = Observed(kinds={"shelf/a": (Pool,)}, things={there.key: there})
    comes = _operation("new", "there")
    assert blocked({comes.key: comes}, observed) == {}
    notes = blocked({comes.key: comes}, observed, {there.key})
    assert "there (which can't become as declared)" in notes[comes.key].text


def test_a_circle_is_told_and_stops_only_what_is_in_it_or_behind_it() -> None:
    operations = [
        _operation("a", "b"), _operation("b", "a"), _operation("behind", "a"), _operation("free"),
    ]  # fmt: skip
    found, notes = waves({operation.key: operation for operation in operations})
    assert [[operation.key.id for operation in wave] for wave in found] == [["free"]]
    assert [note.kind for note in notes] == [NoteKind.CYCLE] * 3
    assert [note.text for note in notes] == [
        "shelf/a pool a needs shelf/a pool b needs shelf/a pool a",
        "shelf/a pool b needs shelf/a pool a needs shelf/a pool b",
        "waits for a circle: shelf/a pool a needs shelf/a pool b needs shelf/a pool a",
    ]


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda e: e[0] > e[1])))
def test_no_order_puts_a_thing_before_or_beside_what_it_needs(edges: set[tuple[int, int]]) -> None:
    needs = {n: [str(low) for high, low in edges if high == n] for n in range(10)}
    found = _ordered(*(_operation(str(n), *needs[n]) for n in needs))
    wave_of = {name: number for number, wave in enumerate(found) for name in wave}
    assert len(wave_of) == 10
    assert all(wave_of[str(high)] > wave_of[str(low)] for high, low in edges)
