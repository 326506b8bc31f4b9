"""TOML text to plain data and where it stands: what `lab.compose` is for YAML. Source: TOML 1.0.0.

    text -> scan: places, keys written twice, depth -> tomllib: grammar, data -> Document

tomllib keeps no places, stops at the first mistake, and recurses. So a scan goes before it that
knows only how keys and values are spelled; where it meets something strange it ends, and tomllib
says what that is. Leaves out: which tables may be opened again, and what is wrong inside a value;
those are tomllib's, one at a time.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from lab.compose import MAX_DEPTH, Document, Spot
from lab.errors import Problem
from lab.item import Path
from lab.messages import SENTENCES, Notation
from lab.printable import printable

LONGEST = 1000  # characters of a number or a date; Python itself refuses to read 4300 digits

_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(rf"""{_BARE.pattern}|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_VALUE = re.compile(
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'''
    r"""|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'"""
    r"""|[^\s,\]}#"'\[{=][^,\]}#\n]*+""",  # a number, a flag, a date with or without a space
    re.DOTALL,
)
_SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_HINTS: Mapping[str, str] = {  # by how tomllib's message begins
    "Invalid value": 'put a text in quotes: key = "value"; a flag is true or false',
    "Invalid initial character": "write a key of A-Z a-z 0-9 _ - or put it in quotes",
    "Expected '='": 'write key = value, or [table]; put a key with other signs in quotes: "a b"',
    "Expected newline": "one key on a line; put a text in quotes",
    "Cannot": "write each table once, with all of its keys below it",
    "Duplicate": "keep one of the two",
    "Unescaped": r"write \\ for a backslash, or use single quotes",
    "Unterminated": "close the quote",
    "Illegal character": "close the quote, or remove the character",
}


class Mark(NamedTuple):
    """0-based."""

    line: int
    column: int


def compose(file: str, content: bytes) -> Document:
    """Read one file. Never raises for what the author wrote: see `problems` of the result."""
    document = Document(file)
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        mark = Mark(before.count(b"\n"), len(before) - before.rfind(b"\n") - 1)
        document.give_up(mark, "this is not UTF-8 text", fix="save the file as UTF-8")
        return document
    try:
        _Scan(document, text).read()
    except _TooMuch as much:
        document.give_up(much.mark, much.what, fix=much.fix)
    except _Strange:
        pass  # tomllib says what it is
    document.whole = not document.problems
    if document.whole:
        _parse(document, text)
    return document


def _parse(document: Document, text: str) -> None:
    try:
        document.data = tomllib.loads(text)
        document.problems += _hidden(document, document.data, ())
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.fullmatch(str(error))
        assert found is not None, "tomllib says where"
        end = Mark(text.count("\n"), len(text) - text.rfind("\n") - 1)
        mark = Mark(int(found[2]) - 1, int(found[3]) - 1) if found[2] else end
        fix = next((hint for begin, hint in _HINTS.items() if found[1].startswith(begin)), "")
        what = f"this is not TOML: {found[1][:1].lower()}{found[1][1:]}"
        document.give_up(mark, what, fix=fix or "check the brackets and the quotes up to here")


def _hidden(document: Document, data: Any, path: Path) -> Iterator[Problem]:
    """A problem for each key and text that a log would not show as it is."""
    if isinstance(data, str) and printable(data) != data:
        what = f"{dotted(path)} holds a control character or a line break"
        yield Problem(document.nearest(path), what, fix="write it without")
    below: Iterable[tuple[object, Any]] = data.items() if isinstance(data, dict) else ()
    for step, value in enumerate(data) if isinstance(data, list) else below:
        yield from _hidden(document, str(step), (*path, str(step)))
        yield from _hidden(document, value, (*path, str(step)))


class _Strange(Exception):
    """Nothing that the scan knows; tomllib will say why."""


class _TooMuch(Exception):
    """The rest of the file is not read."""

    def __init__(self, mark: Mark, what: str, fix: str) -> None:
        super().__init__(what)
        self.mark, self.what, self.fix = mark, what, fix


class _Scan:
    """One pass over a text that fills the spots of a document. Raises _Strange and _TooMuch."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._text = text
        self._at = 0
        self._line, self._line_at = 0, 0
        self._opened: dict[int, Mark] = {}  # tables that have a header, by the id of their spots

    def read(self) -> None:
        """Statement by statement: headers of tables, and keys with values below the last one."""
        table = self._document.spots
        while True:
            self._match(_BLANK)
            if self._at == len(self._text):
                return
            if self._take("[["):
                table = self._item("]]")
            elif self._take("["):
                table = self._table("]")
            else:
                self._pair(table, 0)

    def _table(self, end: str) -> dict[str, Spot]:
        around, (name, mark) = self._header(end)
        below = around.setdefault(name, (mark, {}))[1]
        if not isinstance(below, dict):
            raise _Strange
        if (first := self._opened.setdefault(id(below), mark)) != mark:
            self._document.twice(name, first, mark)
            return {}  # what stands below the second one is not compared with the first
        return below

    def _item(self, end: str) -> dict[str, Spot]:
        around, (name, mark) = self._header(end)
        items = around.setdefault(name, (mark, []))[1]
        if not isinstance(items, list):
            raise _Strange
        below: dict[str, Spot] = {}
        items.append((mark, below))
        return below

    def _header(self, end: str) -> tuple[dict[str, Spot], tuple[str, Mark]]:
        """The spots around the table that a header names, and its last key."""
        *path, key = self._keys()
        if not self._take(end):
            raise _Strange
        return _inside(self._document.spots, path), key

    def _pair(self, table: dict[str, Spot], depth: int) -> None:
        *path, (name, mark) = self._keys()
        if not self._take("="):
            raise _Strange
        table = _inside(table, path)
        self._match(_SPACE)
        below = self._value(depth + 1)
        if name in table:
            self._document.twice(name, table[name][0], mark)
        else:
            table[name] = (mark, below)

    def _keys(self) -> list[tuple[str, Mark]]:
        """The parts of a dotted key."""
        found: list[tuple[str, Mark]] = []
        while not found or self._take("."):
            self._match(_SPACE)
            mark = self._mark()
            if len(found) == MAX_DEPTH:
                raise _TooMuch(mark, f"a key has more than {MAX_DEPTH} parts", "shorten it")
            found.append((_plain(self._match(_KEY)), mark))
            self._match(_SPACE)
        return found

    def _value(self, depth: int) -> Any:
        """The spots below the value that stands here; None for what holds nothing."""
        mark = self._mark()
        if depth > MAX_DEPTH:
            what = f"this is nested more than {MAX_DEPTH} deep"
            raise _TooMuch(mark, what, "no setting is that deep")
        if self._take("{"):
            table: dict[str, Spot] = {}
            while self._more("}"):
                self._pair(table, depth)
            return table
        if self._take("["):
            items: list[Spot] = []
            while self._more("]"):
                items.append((self._mark(), self._value(depth + 1)))
            return items
        if len(token := self._match(_VALUE)) > LONGEST and token[0] not in "\"'":
            what = f"a value of {len(token)} characters without quotes"
            raise _TooMuch(mark, what, 'put a text in quotes: key = "value"')
        return None

    def _more(self, end: str) -> bool:
        """Whether another item of a list or an inline table follows."""
        self._match(_BLANK)
        self._take(",")
        self._match(_BLANK)
        return not self._take(end)

    def _take(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _Strange
        self._at = found.end()
        return found[0]

    def _mark(self) -> Mark:
        """Where the scan is."""
        self._line += self._text.count("\n", self._line_at, self._at)
        self._line_at = self._at
        return Mark(self._line, self._at - self._text.rfind("\n", 0, self._at) - 1)


def _inside(spots: dict[str, Spot], path: list[tuple[str, Mark]]) -> dict[str, Spot]:
    """The spots of the table at a path; in a list of tables, of the last one."""
    for name, mark in path:
        below = spots.setdefault(name, (mark, {}))[1]
        if isinstance(below, list) and below:
            below = below[-1][1]
        if not isinstance(below, dict):
            raise _Strange
        spots = below
    return spots


def _plain(key: str) -> str:
    """A key without its quotes."""
    if key[0] != '"':
        return key.strip("'")
    try:
        return str(tomllib.loads(f"key = {key}")["key"])
    except tomllib.TOMLDecodeError as error:
        raise _Strange from error


def given(value: Any) -> str:
    """A value in the place of one of another type, by its type: it may be a secret."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return "a text"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "a date or a time"


def name(key: str) -> str:
    """A key as a dotted key or a header has it."""
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def dotted(path: Path) -> str:
    """A path as a dotted key."""
    return ".".join(map(name, path))


_TABLE = ("{at} is {given}, not a table", "write [{at}] on a line for itself, its keys below")
_LIST = ("{at} is {given}, not a list", "write {key} = [...]")
_WHOLE = ("{at} is {given}, not a whole number", "write digits without quotes")
_NUMBER = ("{at} is {given}, not a number", "write digits without quotes")
_TEXT = ("{at} is {given}, not a text", 'write {key} = "..."')

NOTATION = Notation(
    {
        **SENTENCES,
        **dict.fromkeys(("model_type", "dict_type"), _TABLE),
        "tuple_type": _LIST,
        **dict.fromkeys(("int_type", "int_from_float"), _WHOLE),
        "float_type": _NUMBER,
        **dict.fromkeys(("string_type", "path_type"), _TEXT),
    },
    given,
    name,
    "add {key} = ...",
    "add [{at}], its keys below",
)
