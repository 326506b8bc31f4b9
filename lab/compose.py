"""YAML text to plain data: what was written, where it stands, what was reset.

First stage of loading. Every scalar stays the text that was written (`8GiB`, `9.10`, `true`); the
field of the word that it lands in decides what it means, so nothing is guessed twice. `null` at a
key is a reset: the key leaves the data and its path goes to `resets`. A file can't grow while it is
read: anchors, aliases, tags and merge keys are refused, depth and size are bounded. Comments are
left out here; `lab.format` keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # an import there, no __all__
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from lab.errors import Place, Problem
from lab.item import Path
from lab.printable import printable

MAX_FILE_BYTES = 4 * 2**20
MAX_DEPTH = 16  # the language itself needs 7 levels
MAX_NAME = 255  # characters; a file name on Linux has no more
NULLS = frozenset({"null", "~", "Null", "NULL"})  # YAML 1.2.2, 10.3.2 core schema

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# YAML 1.2.2, 5.1: c-printable

Mark = Any  # ruamel's position: 0-based `line` and `column`
Spot = tuple[Mark, Any]
"""Where a key or list item stands, and the spots below it: a mapping by key, a list by index, or
None.
"""


@dataclass(slots=True)
class Document:
    """One file. `whole` is false when the reader gave up, so names may be missing from `data`."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    spots: dict[str, Spot] = field(default_factory=dict)
    resets: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    whole: bool = True

    def place(self, mark: Mark) -> Place:
        return Place(self.file, mark.line + 1, mark.column + 1)

    def give_up(self, mark: Mark, what: str, why: str = "", fix: str = "") -> None:
        """Report what ends the reading of the file."""
        place = self.place(mark) if mark is not None else Place(self.file, 1, 1)
        self.problems.append(Problem(place, what, why, fix))
        self.whole = False

    def twice(self, key: str, first: Mark, again: Mark) -> None:
        """Report a key that is written twice in one mapping; the first one holds."""
        what = f"{key} is written twice; the first is at {self.place(first)}"
        why, fix = "only one of the two can hold", "keep one, or rename the other"
        self.problems.append(Problem(self.place(again), what, why, fix))

    def find(self, path: Path) -> Place | None:
        """Where the key or list item at `path` was written."""
        below: Any = self.spots
        mark: Mark = None
        for step in path:
            spot = _below(below, step)
            if spot is None:
                return None
            mark, below = spot
        return self.place(mark) if mark is not None else None

    def nearest(self, path: Path) -> Place:
        """Where this path, or what is around it, was written; else the begin of the file."""
        found = (self.find(path[:length]) for length in range(len(path), 0, -1))
        return next((at for at in found if at is not None), Place(self.file, 1, 1))


def _below(spots: Mapping[str, Spot] | list[Spot] | None, step: str) -> Spot | None:
    if isinstance(spots, list):
        return spots[int(step)] if step.isdecimal() and int(step) < len(spots) else None
    return spots.get(step) if spots is not None else None


def compose(file: str, content: bytes) -> Document:
    """Read one file. Never raises for what the author wrote: see `problems` of the result."""
    document = Document(file)
    try:
        _read(document, _text(content))
    except _GaveUp as gave_up:
        document.give_up(gave_up.mark, gave_up.what, gave_up.why, gave_up.fix)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.give_up(mark, f"this is not YAML: {_syntax(error)}", fix=_hint(error))
    except YAMLError as error:  # the reader's, without a place
        document.give_up(None, f"this is not YAML: {str(error).splitlines()[0]}")
    return document


class _GaveUp(Exception):
    """The rest of the file is not read."""

    def __init__(self, mark: Mark, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.mark, self.what, self.why, self.fix = mark, what, why, fix


def _text(content: bytes) -> str:
    if len(content) > MAX_FILE_BYTES:
        what = f"the file has {len(content)} bytes, more than {MAX_FILE_BYTES}"
        raise _GaveUp(None, what, fix="split it: files of the tree are merged")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is not UTF-8 text"
        fix = "save the file as UTF-8, or move it out of the tree"
        raise _GaveUp(None, what, fix=fix) from error
    if "\0" in text:
        fix = "move it out of the tree, or give it another ending than .yaml"
        raise _GaveUp(None, "the file is binary, not text", fix=fix)
    if (found := _FORBIDDEN.search(text)) is not None:
        before = text[: found.start()]
        column = len(before) - (before.rfind("\n") + 1)
        mark = SimpleNamespace(line=before.count("\n"), column=column)
        what = f"this is not YAML: {printable(found[0])} is a control character"
        raise _GaveUp(mark, what, fix="remove it")
    return text


_Frame = tuple[Any, Any, bool, str | None, Mark]
"""A container around the one being read: data, spots, whether it has keys, the key that waits for
its value, its mark.
"""


def _read(document: Document, text: str) -> None:
    """One pass over the parse events, without recursion. Raises _GaveUp and what the parser raises.

    A thousand guests are sixty thousand events: the innermost container is in locals, frequent
    kinds stand first.
    """
    next_event = CParser(text).get_event
    around: list[_Frame] = []
    data: Any = []
    spots: Any = []
    keyed, key, mark = False, None, None
    while True:
        event = next_event()
        kind = type(event)
        if kind is ScalarEvent:
            if event.anchor is not None or event.ctag is not None:
                _refuse(event)
            value, below = event.value, None
            if keyed and key is None:
                key, mark = _key(event), event.start_mark
                continue
            if not keyed:
                mark = event.start_mark
            if event.implicit[0] and (not value or value in NULLS):
                value = _nothing(document, around, key, mark, value)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            _check_container(event, around, keyed and key is None)
            around.append((data, spots, keyed, key, mark if keyed else event.start_mark))
            keyed, key = kind is MappingStartEvent, None
            data, spots = ({}, {}) if keyed else ([], [])
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            value, below = data, spots
            data, spots, keyed, key, mark = around.pop()
        elif kind is StreamEndEvent:
            break
        else:
            _between(event, data)
            continue
        if not keyed:
            data.append(value)
            spots.append((mark, below))
        elif key in spots:
            document.twice(str(key), spots[key][0], mark)
        else:
            spots[key] = (mark, below)
            if value is not None:
                data[key] = value
        key = None
    if data:
        _accept(document, data[0], spots[0])


def _refuse(event: Any) -> None:
    if event.anchor is not None:
        raise _alias(event.start_mark, f"&{event.anchor}")
    what = f"the tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not allowed"
    why = "a tag changes what a value means, and the word decides that already"
    raise _GaveUp(event.start_mark, what, why, "remove the tag")


def _key(event: Any) -> str:
    name = str(event.value)
    if name == "<<":
        raise _alias(event.start_mark, "<<")
    if len(name) > MAX_NAME:
        what = f"a name of {len(name)} characters, more than {MAX_NAME}"
        raise _GaveUp(event.start_mark, what, fix="shorten it, or look for a missing colon")
    if (shown := printable(name)) != name:
        why = "whoever reads a plan or a log could not see what it says"
        fix = "write it with characters that can be seen"
        raise _GaveUp(event.start_mark, f"the name {shown} holds control characters", why, fix)
    return name


def _check_container(event: Any, around: list[_Frame], wants_key: bool) -> None:
    """Refuse a mapping or list that may not stand here."""
    mark = event.start_mark
    if event.anchor is not None or event.ctag is not None:
        _refuse(event)
    if len(around) >= MAX_DEPTH:
        fix = "no word of the language is that deep"
        raise _GaveUp(mark, f"this is nested more than {MAX_DEPTH} deep", fix=fix)
    if wants_key:
        raise _GaveUp(mark, "a key is a list or a mapping", fix="write a name before the colon")


def _between(event: Any, root: Any) -> None:
    """Events beside values: what begins and ends a document, and aliases."""
    if isinstance(event, AliasEvent):
        raise _alias(event.start_mark, f"*{event.anchor}")
    if isinstance(event, DocumentStartEvent) and root:
        fix = "remove the second ---, or split the file in two"
        raise _GaveUp(event.start_mark, "the file holds several documents", fix=fix)


def _nothing(
    document: Document, around: list[_Frame], key: str | None, mark: Mark, written: str
) -> Any:
    """What an empty or null value stands for; None leaves the key out of the data."""
    value: Any = None
    problem: tuple[str, str] | None = None
    if not around:
        return None
    if key is None:
        value, problem = "", ("a list item is empty", "write a value, or remove the item")
    elif len(around) == 1:
        value = {}
    elif len(around) == 2:
        problem = (f"{key} is empty", f"write {key}: {{}}, or remove it")
    elif not written:
        fix = f"write {key}: null to reset it on the device, or remove the key"
        problem = (f"{key} has no value", fix)
    elif all(keyed for _data, _spots, keyed, _key, _mark in around[1:]):
        document.resets.add((*(str(frame[3]) for frame in around[1:]), key))
    else:
        problem = (f"{key} can't be reset inside a list", f"remove {key}")
    if problem is not None:
        document.problems.append(Problem(document.place(mark), problem[0], "", problem[1]))
    return value


def _accept(document: Document, root: Any, spot: Spot) -> None:
    """Take the only value of the file, if it is a mapping, or nothing but comments."""
    mark, spots = spot
    if isinstance(root, dict):
        document.data, document.spots = root, spots
    elif root is not None:
        what = "list" if isinstance(root, list) else "single value"
        fix = "start with a word, such as guests:"
        raise _GaveUp(mark, f"the file is a {what}, not a mapping", fix=fix)


def _alias(mark: Mark, written: str) -> _GaveUp:
    why = "what a name stands for is written elsewhere, and can grow without bound"
    what = f"{written}: anchors, aliases and merge keys are not allowed"
    return _GaveUp(mark, what, why, "write the value out where it is used")


def _syntax(error: MarkedYAMLError) -> str:
    context = f" ({error.context})" if error.context else ""
    return f"{error.problem}{context}"


def _hint(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "unexpected ':'" in problem:
        return "put the value in quotes: between braces or brackets a colon needs them"
    if "mapping values" in problem:
        return "put the value in quotes if it holds ': ', or check the indent"
    if "cannot start any token" in problem:
        return "indent with spaces, not tabs, and quote values that start with @, ` or %"
    if "end of stream" in problem:
        return "close the quote"
    return "check the brackets, the quotes and the indent up to here"
