"""What people and devices wrote, where a terminal shows it."""

from __future__ import annotations

import json

import pytest

from lab.errors import Place, Problem
from lab.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\u001b[31mred"),
        ("\x9b31m", r"\u009b31m"),
        ("\a\x7f", r"\u0007\u007f"),
        ("a\nb\rc", r"a\u000ab\u000dc"),
        ("a\u2028b", r"a\u2028b"),
        ("left\u202eright", r"left\u202eright"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_by_its_number(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["Zoë", "лаб", "مختبر", "\U0001f600", "a\tb", "no-break\xa0space"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_lines_stay_lines_where_there_may_be_several() -> None:
    assert printable_lines("a\n\x1bb\n") == "a\n\\u001bb\n"


def test_json_stays_the_same_value() -> None:
    value = {"a": "\x9b\u202e\x1b"}
    assert json.loads(printable_lines(json.dumps(value, ensure_ascii=False))) == value


def test_a_problem_can_not_forge_the_next_line() -> None:
    problem = Problem(Place("a\nb.yaml", 1, 1), "os is x\ny", fix="\x1b[2J")
    assert str(problem) == "a\\u000ab.yaml:1:1: os is x\\u000ay\n  fix: \\u001b[2J"
