"""Filters and options of `query`: which rows, in which order, which of their members.

Source: reference of the TrueNAS API, query; middlewared.utils filter_list.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from simulator.truenas.errors import CallError, Invalid

Entry = dict[str, Any]

MISSING = object()
IGNORING_CASE = "C"  # before an operator
_NULLS = re.compile(r"(nulls_(?P<place>first|last):)?(?P<falling>-?)(?P<path>.*)")
_DOT = re.compile(r"(?<!\\)\.")  # one that is part of a name has a backslash before it


def _text_of(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def check(value: Any, wanted: Any) -> bool:
        return isinstance(value, str) and compare(value, str(wanted))

    return check


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Values that can't be compared never match."""

    def check(value: Any, wanted: Any) -> bool:
        try:
            return compare(value, wanted)
        except TypeError:
            return False

    return check


def _in(value: Any, wanted: Any) -> bool:
    return value in wanted


def _inside(value: Any, wanted: Any) -> bool:
    return isinstance(value, list | tuple | str | dict) and wanted in value


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    ">": _ordered(lambda value, wanted: value > wanted),
    ">=": _ordered(lambda value, wanted: value >= wanted),
    "<": _ordered(lambda value, wanted: value < wanted),
    "<=": _ordered(lambda value, wanted: value <= wanted),
    "~": _text_of(lambda value, wanted: bool(re.match(wanted, value))),
    "in": _ordered(_in),
    "nin": _ordered(lambda value, wanted: value not in wanted),
    "rin": _ordered(_inside),
    "rnin": _ordered(lambda value, wanted: value is not None and not _inside(value, wanted)),
    "^": _text_of(str.startswith),
    "!^": _text_of(lambda value, wanted: not value.startswith(wanted)),
    "$": _text_of(str.endswith),
    "!$": _text_of(lambda value, wanted: not value.endswith(wanted)),
}


def selected(
    entries: Iterable[Entry], filters: Sequence[object], options: Mapping[str, Any]
) -> list[Entry] | Entry | int:
    """What a query answers: a list, with `get` the first, with `count` how many.

    Raises Invalid for filters that make no sense, CallError ENOENT if `get` finds nothing.
    """
    checks = [_check(item) for item in filters]
    found = [entry for entry in entries if all(check(entry) for check in checks)]
    if options.get("count"):
        return len(found)
    for name in reversed(options.get("order_by") or []):
        found = _ordered_by(found, str(name))
    found = found[int(options.get("offset") or 0) :]
    if limit := int(options.get("limit") or 0):
        found = found[:limit]
    if options.get("select"):
        found = [_members(entry, options["select"]) for entry in found]
    if not options.get("get"):
        return found
    if not found:
        raise CallError("No match found", errno.ENOENT)
    return found[0]


def _wrong(text: str) -> Invalid:
    return Invalid([("query-filters", text, errno.EINVAL)])


def _check(item: object) -> Callable[[Entry], bool]:
    if not isinstance(item, list | tuple) or len(item) not in (2, 3):
        raise _wrong(f"Invalid filter {item}")
    if item[0] == "OR" and len(item) == 2 and isinstance(item[1], list):
        branches = [_branch(branch) for branch in item[1]]
        return lambda entry: any(branch(entry) for branch in branches)
    if len(item) != 3 or not isinstance(item[0], str):
        raise _wrong(f"Invalid filter {item}")
    name, word, wanted = item
    plain = str(word).removeprefix(IGNORING_CASE)
    operator = OPERATORS.get(plain) if isinstance(word, str) else None
    if operator is None:
        raise _wrong(f"Invalid operation: {word}")
    fold = _folded if plain != word else _as_it_is
    wanted = fold(wanted)
    if plain == "~":
        try:
            re.compile(str(wanted))
        except re.error as error:
            raise _wrong(f"{wanted}: {error}") from error

    def matches(entry: Entry) -> bool:
        return any(operator(fold(value), wanted) for value in values_at(entry, name))

    return matches


def _as_it_is(value: Any) -> Any:
    return value


def _folded(value: Any) -> Any:
    if isinstance(value, list):
        return [_folded(each) for each in value]
    return value.casefold() if isinstance(value, str) else value


def _branch(branch: object) -> Callable[[Entry], bool]:
    """One side of an OR: a filter, or a list of them that all must match."""
    if isinstance(branch, list) and branch and all(isinstance(item, list) for item in branch):
        checks = [_check(item) for item in branch]
        return lambda entry: all(check(entry) for check in checks)
    return _check(branch)


def value_at(entry: object, path: str) -> Any:
    """The value at a dotted path; MISSING if there is none."""
    value = entry
    for part in _parts(path):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def values_at(entry: object, path: str) -> list[Any]:
    """The values at a dotted path, in which `*` is every element of a list."""
    found = [entry]
    for part in _parts(path):
        if part == "*":
            found = [each for value in found if isinstance(value, list) for each in value]
        else:
            found = [value_at(value, part.replace(".", "\\.")) for value in found]
    return [value for value in found if value is not MISSING]


def _parts(path: str) -> list[str]:
    return [part.replace("\\.", ".") for part in _DOT.split(path)]


def _ordered_by(entries: list[Entry], name: str) -> list[Entry]:
    """Sorted, what is null last unless said otherwise; equal ones keep their order."""
    match = _NULLS.fullmatch(name)
    assert match is not None, "it fits every name"
    falling, path = bool(match["falling"]), match["path"]

    def key(entry: Entry) -> tuple[int, Any]:
        value = value_at(entry, path)
        if isinstance(value, bool | int | float):
            return 0, value
        return (1, value) if isinstance(value, str) else (2, 0)

    ranks = (2, 0, 1) if match["place"] == "first" else (0, 1, 2)
    groups = [[entry for entry in entries if key(entry)[0] == rank] for rank in ranks]
    return [entry for group in groups for entry in sorted(group, key=key, reverse=falling)]


def _members(entry: Entry, select: Sequence[object]) -> Entry:
    """Only what was asked for; [path, name] gives it another name."""
    found: Entry = {}
    for item in select:
        path, alias = item if isinstance(item, list) and len(item) == 2 else (item, item)
        value = value_at(entry, str(path))
        if value is not MISSING:
            _put(found, str(alias).split("."), value)
    return found


def _put(found: Entry, parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        inner = found.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        found = inner
    found[parts[-1]] = value
