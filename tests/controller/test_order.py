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


@dataclass(frozen=True)
class _Table(Pool):
    """A pool that claims what its values say: one thing has the head of the table."""

    @property
    def claims(self) -> Mapping[str, str]:
        return {name: str(value) for name, value in self.values.items()}


def _table(name: str, old: str, new: str, *needs: str) -> Operation:
    """From the head of one table to that of another; empty for not being there."""
    there, wanted = (
        _Table(_key(name), {f"the head of {at}": name}, frozenset(map(_key, needs))) if at else None
        for at in (old, new)
    )
    action = Action.UPDATE if there and wanted else Action.CREATE if wanted else Action.DELETE
    steps = (Rest("PUT", "/pool"),)
    return Operation(action, _key(name), (), (), steps, Cost.NONE, None, wanted, there)


def test_who_claims_comes_after_who_gives_it_up_and_what_goes_for_that_goes_early() -> None:
    assert _ordered(_table("a", "", "1"), _table("b", "1", ""), _operation("c")) == [
        ["b", "c"], ["a"],
    ]  # fmt: skip
    assert _ordered(_table("a", "", "1"), _table("z", "1", "2")) == [["z"], ["a"]]
    assert _ordered(_table("a", "1", "1"), _table("b", "2", "")) == [["a"], ["b"]]


def test_what_goes_early_goes_after_all_that_need_it() -> None:
    guest = _operation("guest", "b", action=Action.DELETE)
    assert _ordered(_table("a", "", "1"), _table("b", "1", ""), guest) == [["guest"], ["b"], ["a"]]


def test_two_that_take_from_each_other_are_a_circle() -> None:
    operations = [_table("a", "1", "2"), _table("b", "2", "1")]
    found, notes = waves({operation.key: operation for operation in operations})
    assert found == ()
    assert [note.kind for note in notes] == [NoteKind.CYCLE] * 2


def test_what_is_not_given_up_blocks_who_claims_it_alone() -> None:
    theirs = _Table(_key("theirs"), {"the head of 1": "theirs"})
    elsewhere = replace(theirs, key=replace(theirs.key, device="shelf/b"))
    operations = {op.key: op for op in (_table("a", "", "1"), _operation("free"))}
    found = blocked(operations, Observed(things={theirs.key: theirs}))
    assert {key.id: note.text for key, note in found.items()} == {
        "a": "it needs the head of 1, which shelf/a pool theirs has"
    }
    assert blocked(operations, Observed(things={elsewhere.key: elsewhere})) == {}
    given_up = operations | {theirs.key: _table("theirs", "1", "")}
    assert blocked(given_up, Observed(things={theirs.key: theirs})) == {}


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda e: e[0] > e[1])))
def test_no_order_puts_a_thing_before_or_beside_what_it_needs(edges: set[tuple[int, int]]) -> None:
    needs = {n: [str(low) for high, low in edges if high == n] for n in range(10)}
    found = _ordered(*(_operation(str(n), *needs[n]) for n in needs))
    wave_of = {name: number for number, wave in enumerate(found) for name in wave}
    assert len(wave_of) == 10
    assert all(wave_of[str(high)] > wave_of[str(low)] for high, low in edges)
