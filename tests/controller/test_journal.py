"""What the journal keeps, what a crash can do to it, and what its records come to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller import journal as record
from controller.journal import FileJournal, Journal, Record, doubts, ownership
from controller.managed import Cost, Key, Mark, Policy, Values
from controller.owned import OwnedRecord
from controller.plan import Action, Operation
from controller.step import Rest, Step
from lab.errors import Refused
from lab.item import Act, Drift
from tests.controller.shelf import Pool

KEY = Key("shelf/a", "pool", "mugiwara")
POST = Rest("POST", "/pool", {"id": "mugiwara", "password": "secret://env/POOL"})
POLICY = Policy(frozenset({Act.CREATE, Act.DELETE}), protect=True, drift=Drift.REPORT)
BEFORE = OwnedRecord("old", ("pools", "mugiwara"), {"disks.scsi1.size_bytes": 1}, POLICY)


def _operation(
    action: Action = Action.CREATE, values: Values | None = None, *steps: Step
) -> Operation:
    values = values if values is not None else {"comment": "ours"}
    wanted = None if action is Action.DELETE else Pool(KEY, values, policy=POLICY)
    path = ("pools", "mugiwara")
    return Operation(
        action, KEY, path, (), steps, Cost.NONE, None, wanted, None, owns=values
    )  # fmt: skip


def _begun(operation: Operation, at_s: float = 5.0) -> Record:
    return record.begun(operation, "new", POST, at_s)


def _all() -> list[Record]:
    operation = _operation()
    return [
        _begun(operation),
        record.looked(KEY, 6.0, there=False),
        _begun(operation, 7.0),
        record.done(operation, 8.0),
        record.proved(operation, "new", 9.0),
        record.failed(operation, "because", 10.0, ours=True),
    ]


def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = FileJournal(tmp_path / "new" / "journal")
    for each in _all():
        first.write(each)
    first.close()
    assert FileJournal(tmp_path / "new" / "journal").records == _all()


def test_a_record_is_on_the_disk_before_it_counts_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _file: synced.append(path.stat().st_size))
    seen: list[int] = []
    journal = FileJournal(path, after_record=lambda _record: seen.append(synced[-1]))
    journal.write(_all()[0])
    assert seen == [path.stat().st_size] != [0]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    FileJournal(tmp_path / "journal")
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


def test_a_torn_last_line_was_never_acted_on_and_is_dropped(tmp_path: Path) -> None:
    first = FileJournal(tmp_path / "journal")
    for each in _all()[:2]:
        first.write(each)
    whole = (tmp_path / "journal").read_bytes()
    for cut in range(1, len(whole.splitlines()[-1])):
        (tmp_path / "journal").write_bytes(whole[:-cut])
        again = FileJournal(tmp_path / "journal")
        assert len(again.records) == 1
        again.write(_all()[1])
        assert (tmp_path / "journal").read_bytes() == whole


@pytest.mark.parametrize("line", ["scribble", '{"event": "sang"}', "[]"])
def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    journal = FileJournal(tmp_path / "journal")
    journal.write(_all()[0])
    with (tmp_path / "journal").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(Refused, match=r"journal:2 is no line of a journal"):
        FileJournal(tmp_path / "journal")


def test_a_cleared_journal_is_empty_for_the_next_process_too(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal")
    journal.write(_all()[0])
    journal.clear()
    assert journal.records == FileJournal(tmp_path / "journal").records == []


def test_a_reference_to_a_secret_is_kept_for_looking_and_not_printed() -> None:
    begun = _begun(_operation())
    assert begun["printed"] == "POST /pool id=mugiwara password=***"
    assert doubts([begun])[0].step == POST


def test_an_operation_is_in_doubt_until_it_is_proved_looked_at_or_given_up() -> None:
    records = _all()
    assert [bool(doubts(records[:length])) for length in range(1, 7)] == [
        True, False, True, True, False, False,
    ]  # fmt: skip
    assert doubts(records[:3])[0].begun_s == 7.0
    assert [doubts(records[:length])[0].answered for length in (3, 4)] == [False, True]


def test_what_is_begun_is_ours_but_not_proved() -> None:
    found = ownership({}, [_begun(_operation())])
    assert found == {
        KEY: OwnedRecord("new", ("pools", "mugiwara"), {"comment": "ours"}, POLICY, proved=False)
    }


def test_what_is_begun_keeps_what_was_ours_of_it_before() -> None:
    found = ownership({KEY: BEFORE}, [_begun(_operation(Action.UPDATE))])[KEY]
    assert found is not None
    assert found.values == {"disks.scsi1.size_bytes": 1, "comment": "ours"}
    records = [_begun(_operation(Action.UPDATE)), record.proved(_operation(), "new", 6.0)]
    proved = ownership({KEY: BEFORE}, records)[KEY]
    assert proved is not None
    assert (proved.values, proved.proved) == ({"comment": "ours"}, True)


def test_a_create_that_left_nothing_there_is_not_ours() -> None:
    assert ownership({}, [_begun(_operation()), record.looked(KEY, 6.0, there=False)]) == {
        KEY: None
    }
    there = ownership({}, [_begun(_operation()), record.looked(KEY, 6.0, there=True)])
    assert there[KEY] is not None


def test_a_refused_operation_leaves_things_as_they_were() -> None:
    begun = _begun(_operation(Action.UPDATE))
    refused = record.failed(_operation(), "no", 6.0, ours=False)
    assert ownership({KEY: BEFORE}, [begun, refused]) == {KEY: BEFORE}
    half = record.failed(_operation(), "no", 6.0, ours=True)
    found = ownership({KEY: BEFORE}, [begun, half])[KEY]
    assert found is not None
    assert not found.proved


def test_a_delete_ends_ownership_only_when_proved() -> None:
    delete = _operation(Action.DELETE)
    assert ownership({KEY: BEFORE}, [_begun(delete)]) == {}
    assert ownership({KEY: BEFORE}, [_begun(delete), record.proved(delete, "new", 6.0)]) == {
        KEY: None
    }


def test_every_value_comes_back_as_it_was() -> None:
    values: Values = {
        "a": True,
        "b": 1,
        "c": 1.5,
        "d": "x",
        "e": ("x", ("y",)),
        "f": Mark.RESET,
        "g": (),
    }
    journal = Journal()
    journal.write(_begun(_operation(values=values)))
    found = ownership({}, journal.records)[KEY]
    assert found is not None
    assert found.values == values
    assert found.values["f"] is Mark.RESET


def test_taking_it_over_twice_changes_nothing_more() -> None:
    records = _all()
    for length in range(len(records) + 1):
        for before in ({}, {KEY: BEFORE}):
            once = ownership(before, records[:length])
            after = {key: kept for key, kept in {**before, **once}.items() if kept}
            again = ownership(after, records[:length])
            assert {key: kept for key, kept in {**after, **again}.items() if kept} == after
