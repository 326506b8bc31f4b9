"""Steps as values: printed without secrets, kept in a journal, the same when they come back."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from controller.managed import Key, Values
from controller.secrets import SecretMissing, Vault, rehearsed
from controller.step import (
    Command,
    Json,
    JsonRpc,
    MonCommand,
    Rest,
    Step,
    WriteFile,
    step_data,
    step_of,
)
from tests.controller.shelf import Pool

SECRET = "twelve-chars"
REFERENCE = "secret://env/CHAP"
STEPS: tuple[Step, ...] = (
    Rest("POST", "/storage", {"storage": "vm", "password": REFERENCE}),
    JsonRpc("iscsi.auth.create", ({"tag": 1, "user": "pve", "secret": REFERENCE},)),
    MonCommand("osd pool create", {"pool": "vm", "pg_num": 32}),
    Command(
        ("iscsiadm", "-m", "node", "-T", "iqn.2005-10.org:a b"), (0, 15), (("lsblk", "/dev/sdb"),)
    ),
    WriteFile("/etc/exports", f"a\npassword = {{{REFERENCE}}}\n", 0o600, check=("exportfs", "{}")),
)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_step_comes_back_from_the_journal_as_it_was(step: Step) -> None:
    again = step_of(json.loads(json.dumps(step_data(step))))

    assert type(again) is type(step)
    assert step_data(again) == step_data(step)
    assert str(again) == str(step)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_printed_step_says_neither_the_secret_nor_where_it_is(step: Step) -> None:
    assert "CHAP" not in str(step)


def test_a_command_prints_as_it_would_be_typed() -> None:
    assert str(STEPS[3]) == (
        "iscsiadm -m node -T 'iqn.2005-10.org:a b', if lsblk /dev/sdb finds nothing"
    )


def vault() -> Vault:
    def resolve(reference: str) -> SecretStr:
        if reference != REFERENCE:
            raise SecretMissing(f"{reference}: is not there")
        return SecretStr(SECRET)

    made = Vault(resolve)
    wanted: Values = {
        "secret": REFERENCE,
        "text": "password = {secret://env/OTHER}",
        "size_bytes": 1,
    }
    made.learn([Pool(Key("nas/nas1", "auth", "1"), wanted)])
    return made


def test_what_is_sent_has_the_secret_and_what_is_kept_the_reference() -> None:
    told: Json = {"users": [{"secret": REFERENCE, "text": f"password = {{{REFERENCE}}}"}]}

    sent = vault().reveal(told)

    assert sent == {"users": [{"secret": SECRET, "text": f"password = {SECRET}"}]}
    assert vault().hide(sent) == told


def test_a_secret_that_is_missing_is_told_when_it_is_sent_and_hinders_no_reading() -> None:
    assert vault().hide(["anything", 1, None]) == ["anything", 1, None]
    with pytest.raises(SecretMissing, match="OTHER"):
        vault().reveal("{secret://env/OTHER}")


def test_a_secret_that_goes_while_an_answer_is_read_hinders_no_reading() -> None:
    values = iter([SecretStr(SECRET)])

    def resolve(reference: str) -> SecretStr:
        if (value := next(values, None)) is None:
            raise SecretMissing(f"{reference}: is not there")
        return value

    going = Vault(resolve)
    going.learn([Pool(Key("nas/nas1", "auth", "1"), {"secret": REFERENCE})])

    assert going.hide([SECRET]) == [REFERENCE]
    assert going.hide([1]) == [1]


def test_a_rehearsal_has_a_stand_in_for_each_secret_that_is_always_the_same() -> None:
    one, other = rehearsed(REFERENCE), rehearsed("secret://env/OTHER")

    assert one == rehearsed(REFERENCE) != other
    assert len(one.get_secret_value()) == 16
