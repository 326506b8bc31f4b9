"""Where keys of a TOML file stand, beside tomllib: any document that it takes, and any other."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.toml import compose
from lab.compose import Document
from lab.item import Path

seeds = st.integers(0, 2**32).map(random.Random)
KEYS = (
    "a",
    "b-1",
    "c_2",
    "3",
    "no",
    "with space",
    "dots.in.it",
    "[x]",
    "# x",
    "'",
    '"',
    "",
    "é",
    "=",
)
SCALARS = (
    *("1", "0x1f", "1_000", "+3.5e-2", "inf", "true"),
    *("1979-05-27", "07:32:00", "1979-05-27 07:32:00Z", "1979-05-27T07:32:00.5-07:00"),
    *('"# no [comment] = 1"', "'C:\\no\\escape'", r'"\"] , } = \\"', '""', "''", '""""""'),
    '"""\n[x]\na = 1 # text\n"""',
    '"""one " two "" three\\""" four"""',
    '"""ends in two"""""',
    "'''\n'' [y]\n'''''",
)


def spelled(chance: random.Random, key: str) -> str:
    ways = [f'"{key}"' if '"' not in key else '"\\u0022"']
    ways += [key] * 3 if re.fullmatch(r"[\w-]+", key, re.ASCII) else []
    ways += [f"'{key}'"] if "'" not in key else []
    return chance.choice(ways)


def space(chance: random.Random) -> str:
    return chance.choice(("", "", " ", "\t", "  "))


def dotted(chance: random.Random, path: Path) -> str:
    between = f"{space(chance)}.{space(chance)}"
    return space(chance) + between.join(spelled(chance, key) for key in path) + space(chance)


def value(chance: random.Random, depth: int) -> str:
    match chance.randrange(6) if depth else 5:
        case 0:
            items = [value(chance, depth - 1) for _ in range(chance.randrange(4))]
            gap = chance.choice((" ", "\n", "\n# ] a remark\n", "\t"))
            last = "," if items and chance.random() < 0.5 else ""
            return f"[{gap}{f',{gap}'.join(items)}{last}{gap}]"
        case 1:
            keys = chance.sample(KEYS, chance.randrange(4))
            return f"{{{','.join(pair(chance, (key,), depth - 1) for key in keys)}}}"
        case _:
            return chance.choice(SCALARS)


def pair(chance: random.Random, path: Path, depth: int) -> str:
    return f"{dotted(chance, path)}={space(chance)}{value(chance, depth)}{space(chance)}"


def statements(chance: random.Random, around: Path, depth: int) -> Iterator[str]:
    """The body of a table, and the tables below it."""
    keys = chance.sample(KEYS, chance.randrange(len(KEYS)))
    while keys and chance.random() < 0.8:
        key = keys.pop()
        below = chance.sample(KEYS, chance.randrange(3)) if chance.random() < 0.3 else []
        yield from (pair(chance, (key, each), 2) for each in below)
        if not below:
            yield pair(chance, (key,), 3)
        yield from chance.choice(((), ("# a = 1",), ("",), ("  # [a]",)))
    while keys and depth:
        path = (*around, keys.pop())
        if chance.random() < 0.4:
            for _ in range(chance.randrange(1, 3)):
                yield f"{space(chance)}[[{dotted(chance, path)}]]{space(chance)}# ]"
                yield from statements(chance, path, depth - 1)
        else:
            yield f"{space(chance)}[{dotted(chance, path)}]"
            yield from statements(chance, path, depth - 1)


def document_of(chance: random.Random) -> str:
    end = chance.choice(("\n", "\r\n"))
    return "\n".join(statements(chance, (), 2)).replace("\n", end) + chance.choice(("", end))


def paths(data: Any, at: Path = ()) -> Iterator[Path]:
    """The path of every key and every item."""
    below = data.items() if isinstance(data, dict) else ()
    for step, inner in enumerate(data) if isinstance(data, list) else below:
        yield (*at, str(step))
        yield from paths(inner, (*at, str(step)))


def written_at(document: Document, text: str, path: Path) -> str:
    place = document.find(path)
    assert place is not None, path
    return "\n".join(text.replace("\r\n", "\n").split("\n")[place.line - 1 :])[place.column - 1 :]


def keyed(data: Any, path: Path) -> bool:
    for step in path[:-1]:
        data = data[int(step)] if isinstance(data, list) else data[step]
    return isinstance(data, dict)


@settings(max_examples=80)
@given(seeds)
def test_every_key_and_item_is_found_where_it_stands(chance: random.Random) -> None:
    text = document_of(chance)
    document = compose("vlab.toml", text.encode())
    assert all("line break" in problem.what for problem in document.problems)
    assert document.data == tomllib.loads(text)
    for path in paths(document.data):
        found = written_at(document, text, path)
        if keyed(document.data, path):
            key = re.match(r"""[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*'""", found, re.ASCII)
            assert key is not None
            assert list(tomllib.loads(f"{key[0]} = 1")) == [path[-1]]


def test_items_of_lists_are_found_too() -> None:
    text = 'a = [10, [20, 21],\n  {b = 30}]\n[[c]]\n[[ c ]]\nd = "x"\n'
    document = compose("vlab.toml", text.encode())
    at = {(".".join(path)): str(document.find(path)) for path in paths(document.data)}
    assert at == {
        "a": "vlab.toml:1:1",
        "a.0": "vlab.toml:1:6",
        "a.1": "vlab.toml:1:10",
        "a.1.0": "vlab.toml:1:11",
        "a.1.1": "vlab.toml:1:15",
        "a.2": "vlab.toml:2:3",
        "a.2.b": "vlab.toml:2:4",
        "c": "vlab.toml:3:3",
        "c.0": "vlab.toml:3:3",
        "c.1": "vlab.toml:4:4",
        "c.1.d": "vlab.toml:5:1",
    }


def mangled(chance: random.Random) -> str:
    text = document_of(chance)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        junk = chance.choice(
            (
                '"',
                "'",
                '"""',
                "[",
                "]",
                "[[",
                "{",
                "}",
                "=",
                ".",
                ",",
                "#",
                "\n",
                "\\",
                "\0",
                "a = 1\n",
            )
        )
        text = text[:at] + junk + text[at + chance.randrange(3) :]
    return text


@settings(max_examples=150)
@given(st.one_of(seeds.map(mangled), st.text(st.sampled_from("a1.\"'[]{}=,#\n\\ \t"), max_size=40)))
@example("a = " + "[" * 10_000)
@example("a = " + "{a = " * 10_000)
@example("a = " + "9" * 5_000)
@example('a = """' + '"' * 10_000 + "x")
def test_what_tomllib_refuses_is_a_problem_and_nothing_else_is(text: str) -> None:
    found = compose("vlab.toml", text.encode())
    assert all(problem.place is not None and problem.fix for problem in found.problems)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        assert found.problems
    else:
        hidden = [problem for problem in found.problems if "control character" in problem.what]
        assert found.problems == hidden
        assert found.data == data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a = 1\na = 2\n\nb.c = 1\nb = {}\n",
            (
                "2:1: a is written twice; the first is at vlab.toml:1:1",
                "5:1: b is written twice; the first is at vlab.toml:4:1",
            ),
        ),
        ("[a]\nb = 1\n[a]\nb = 1\n", ("3:2: a is written twice; the first is at vlab.toml:1:2",)),
        ("a = {b = 1, b = 2}", ("1:13: b is written twice; the first is at vlab.toml:1:6",)),
        ("[a.b]\n[a]\n[[c]]\n[c.d]\n[[c]]\n[c.d]\n", ()),
        ("a = " + "[" * 20, ("1:21: this is nested more than 16 deep",)),
        ("[" + "a." * 99 + "a]", ("1:34: a key has more than 16 parts",)),
        ("a = " + "9" * 5_000, ("1:5: a value of 5000 characters without quotes",)),
        ('a = "x\n', ("1:7: this is not TOML: illegal character '\\n'",)),
        ("\n[a", ("2:3: this is not TOML: expected ']' at the end of a table declaration",)),
        ("a = /srv\n", ("1:5: this is not TOML: invalid value",)),
        ("\ufeffa = 1\n", ()),
        ('a = "\\u0007"\n', ("1:1: a holds a control character or a line break",)),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, said: tuple[str, ...]) -> None:
    found = compose("vlab.toml", text.encode()).problems
    assert tuple(f"{problem.place}: {problem.what}" for problem in found) == tuple(
        f"vlab.toml:{each}" for each in said
    )


def test_bytes_that_are_no_text_are_found() -> None:
    (problem,) = compose("vlab.toml", b"a = 1\nb = '\xff'").problems
    assert str(problem) == "vlab.toml:2:6: this is not UTF-8 text\n  fix: save the file as UTF-8"
