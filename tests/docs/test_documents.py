"""Documents that show commands: each is run, in order, and shows what its reader will see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.stages import HERE, RUN, ports, result
from tests.docs.transcript import Said, Typed, differences, fenced, fits, typed


@pytest.mark.parametrize("document", RUN)
def test_a_document_shows_what_its_commands_say(document: str, tmp_path: Path) -> None:
    commands = typed((HERE / document).read_text())
    assert commands, "it shows no command"
    with ports() as taken:
        if taken and any("vlab lab up" in each.command for each in commands):
            pytest.skip(taken)
        said = result(document, tmp_path)
    assert not list(differences(commands, said)), "\n\n".join(differences(commands, said))


def test_every_document_with_console_blocks_is_run() -> None:
    shown = {
        str(path.relative_to(HERE))
        for path in [*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md")]
        if any(fenced(path.read_text(), "console"))
    }
    assert shown == set(RUN)


def test_a_shortened_output_fits_what_it_was_made_from_and_nothing_else() -> None:
    said = ("first", "second 12.5 s", "third")
    assert fits(("first", "...", "third"), said)
    assert fits(("first", "second ... s", "third"), said)
    assert not fits(("first", "second ... s"), said)
    assert not fits(("...", "fourth"), said)


def test_a_command_that_fails_must_say_so_in_the_document() -> None:
    commands = [Typed(1, "vlab check", ()), Typed(2, "echo $?", ("3",))]
    told = [Said((), 3), Said(("3",), 0)]
    assert not list(differences(commands, told))
    assert list(differences(commands[:1], told[:1]))


def test_a_command_that_does_not_end_is_told() -> None:
    (told,) = differences([Typed(1, "vlab serve", ())], [Said(("waits",), None)])
    assert "did not end in time" in told
