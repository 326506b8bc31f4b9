"""The files of a case: JSON and section files, read together with all that is wrong in them.

Python's own reader of JSON forgets on which line a value stood; messages need it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
_Keys = tuple[str | int, ...]  # the keys and positions that lead to a value

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Files:
    """The files of a case's folder, and what is wrong with those that were read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        """A file that must be there; None if it can't be read."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._wrong(name, f"can't be read: {error}")
            return None

    def json(self, name: str, shape: TypeAdapter[T], default: T, *, needed: bool = False) -> T:
        """A file of JSON; the default without it, which is wrong where it is `needed`."""
        if not needed and not (self.folder / name).exists():
            return default
        if (text := self.text(name)) is not None:
            try:
                return shape.validate_json(text)
            except ValidationError as error:
                for flaw in error.errors():
                    self._wrong(name, _flaw(text, flaw["loc"], flaw["msg"]))
        return default

    def sections(self, name: str, parse: Callable[[str], dict[str, T]]) -> dict[str, T]:
        """A section file, nothing without it."""
        if not (self.folder / name).exists():
            return {}
        try:
            return parse(self.text(name) or "")
        except ValueError as error:
            for line in str(error).splitlines():
                self._wrong(name, line)
            return {}

    def _wrong(self, name: str, what: str) -> None:
        self.problems.append(f"{self.folder / name}: {what}")


def _flaw(text: str, path: _Keys, what: str) -> str:
    """What is wrong, after the line and the keys that lead to it; bad JSON names its own line."""
    lines = _json_lines(text) if path else {}
    near = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in lines), ())
    where = f"line {lines[near]}: {'.'.join(map(str, path))}" if near else "the file"
    return f"{where}: {what}"


def _json_lines(text: str) -> dict[_Keys, int]:
    """The line, from 1, of every value of a well-formed text, by the keys and positions to it."""
    lines: dict[_Keys, int] = {}
    tokens = _TOKEN.finditer(text)
    _note(next(tokens), (), tokens, lines)
    return lines


def _note(
    token: re.Match[str], path: _Keys, tokens: Iterator[re.Match[str]], lines: dict[_Keys, int]
) -> None:
    """Note a value that begins with this token, and all in it."""
    lines[path] = token.string.count("\n", 0, token.start()) + 1
    if token[0] not in "{[":
        return
    position = 0
    for item in tokens:
        if item[0] in "}]":
            return
        if item[0] == ",":
            position += 1
        elif token[0] == "[":
            _note(item, (*path, position), tokens, lines)
        else:
            next(tokens)  # the colon
            _note(next(tokens), (*path, json.loads(item[0])), tokens, lines)
