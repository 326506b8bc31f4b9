"""What pydantic finds wrong with one entry, said plainly: where, what, why, how to fix.

Used by `lab.load`, for scenarios, and for the controller's settings, which have a notation of their
own. A new kind of constraint that has no sentence here is still reported, in pydantic's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from lab.errors import Place, Problem
from lab.item import Flawed, Path
from lab.names import nearest
from lab.shape import model_at, tags

SHOWN = 60  # characters of a value that a message repeats

_MAP = ("{at} is {said}, not a map of keys", "write {key}: {{key: value, ...}}")
_LIST = ("{at} is {said}, not a list", "write {key}: [{said}]")
_NUMBER = ("{at} is {said}, not a whole number", "write digits only")

SENTENCES: Mapping[str, tuple[str, str]] = {
    "int_parsing": _NUMBER,
    "int_type": _NUMBER,
    "int_from_float": _NUMBER,
    "int_parsing_size": _NUMBER,
    "float_parsing": ("{at} is {said}, not a number", "write digits only"),
    "finite_number": ("{at} is {said}, not a finite number", "write digits only"),
    "string_type": ("{at} is {said}, not a text", "write one value"),
    "model_type": _MAP,
    "model_attributes_type": _MAP,
    "dict_type": _MAP,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "frozen_set_type": _LIST,
    "set_type": _LIST,
    "too_short": ("{at} has {actual_length} items, less than {min_length}", "write more of them"),
    "too_long": ("{at} has {actual_length} items, not {max_length}", "remove the others"),
    "string_too_short": ("{at} is {said}", "write {min_length} or more characters"),
    "string_too_long": ("{at} is too long", "write {max_length} characters or less"),
    "string_pattern_mismatch": ("{at} is {said}, in a wrong form", "write what matches {pattern}"),
    "greater_than": ("{at} is {said}, not more than {gt}", "write more than {gt}"),
    "greater_than_equal": ("{at} is {said}, less than {ge}", "write {ge} or more"),
    "less_than": ("{at} is {said}, not less than {lt}", "write less than {lt}"),
    "less_than_equal": ("{at} is {said}, more than {le}", "write {le} or less"),
    "value_error": ("{at}: {error}", ""),
    "ip_v4_address": ("{at} is {said}, no IPv4 address", "write one such as 192.168.99.1"),
    "ip_v4_address_type": ("{at} is {said}, no IPv4 address", "write one such as 192.168.99.1"),
    "ip_v4_network": ("{at} is {said}, no IPv4 network", "write one such as 192.168.99.0/24"),
    "ip_v4_network_type": ("{at} is {said}, no IPv4 network", "write one such as 192.168.99.0/24"),
}


def shown(value: Any) -> str:
    """What was written, as far as a message repeats it."""
    match value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case _:
            text = str(value)
            return f"{text[:SHOWN]}..." if len(text) > SHOWN else text or "empty"


class Notation(NamedTuple):
    """How a file says what a message repeats or advises."""

    sentences: Mapping[str, tuple[str, str]] = SENTENCES
    given: Callable[[Any], str] = shown  # a value in the place of one of another type
    name: Callable[[str], str] = str  # a key
    add: str = "add {key}: ..."
    add_map: str = "add {key}: ..."


YAML = Notation()


def problems_of(
    error: ValidationError,
    who: str,
    model: Any,
    at: Path,
    data: Any,
    place: Callable[[Path], Place | None],
    notation: Notation = YAML,
) -> list[Problem]:
    """The problems of one item of the type `model` that stands at a path. `data`: what was written
    for it; `who`: what the item is called, "" for the whole file.
    """
    return told(error.errors(include_url=False), who, model, at, data, place, notation)


def told(
    details: Iterable[Mapping[str, Any]],
    who: str,
    model: Any,
    at: Path,
    data: Any,
    place: Callable[[Path], Place | None],
    notation: Notation = YAML,
) -> list[Problem]:
    """The same from pydantic's details themselves."""
    found = []
    head, name = f"{who}: " if who else "", at[-1] if at else who or "the top of the file"
    for detail in details:
        path = _path(detail["loc"], data)
        cause = detail.get("ctx", {}).get("error")
        for flaw in cause.flaws if isinstance(cause, Flawed) else ():
            below = (*path, *flaw.path)
            what = f"{head}{_dotted(below, notation)}: {flaw.what}"
            found.append(Problem(place((*at, *below)), what, flaw.why, flaw.fix))
        if not isinstance(cause, Flawed):
            what, fix = _said(name, model, path, data, detail, notation)
            found.append(Problem(place((*at, *path)), f"{head}{what}", fix=fix))
    return found


def _dotted(path: Path, notation: Notation) -> str:
    return ".".join(map(notation.name, path))


def _path(loc: tuple[int | str, ...], data: Any) -> Path:
    """The path as written: without the tag of a union and the mark of a key, which stand in
    pydantic's.
    """
    path: list[str] = []
    for step in loc:
        tagged = isinstance(data, dict) and step not in data and data.get("type") == step
        if tagged or step == "[key]":
            continue
        path.append(str(step))
        if isinstance(data, dict):
            data = data.get(str(step))
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step] if step < len(data) else None
    return tuple(path)


def _said(
    name: str, model: Any, path: Path, data: Any, detail: Any, notation: Notation
) -> tuple[str, str]:
    """What is wrong, and the fix."""
    kind, context = detail["type"], detail.get("ctx", {})
    at, key = _dotted(path, notation), notation.name(path[-1]) if path else name
    inside = f" in {_dotted(path[:-1], notation)}" if path[:-1] else ""
    match kind:
        case "missing" if key.isdecimal():
            return f"{'.'.join(path[:-1])} has too few items", f"write at least {int(key) + 1}"
        case "missing":
            add = notation.add if model_at(model, data, path) is None else notation.add_map
            return f"{key} is missing{inside}", add.format(key=key, at=at)
        case "extra_forbidden":
            return f"there is no key {key}{inside}", _elsewhere(name, model, path, data, notation)
        case "enum" | "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            said = detail["input"]
            text = said if isinstance(said, str) else notation.given(said)
            return f"{at} is {shown(text)}, which is none of its values", nearest(text, known)
        case "union_tag_not_found":
            return "type is missing", f"add type: one of {', '.join(tags(model))}"
        case "union_tag_invalid":
            said = str(context["tag"])
            return f"type is {shown(said)}, which is unknown", nearest(said, tags(model))
    what, fix = notation.sentences.get(kind, ("{at}: {msg}", ""))
    cause, _, advice = str(context.get("error", "")).partition("; ")  # a validator brings its fix
    words = {known: _short(bound) for known, bound in context.items()}
    words |= {"error": cause, "msg": detail["msg"], "said": shown(detail["input"])}
    words |= {"given": notation.given(detail["input"]), "at": at or "the entry", "key": key}
    return what.format(**words), advice or fix.format(**words)


def _elsewhere(name: str, model: Any, path: Path, data: Any, notation: Notation) -> str:
    """How to mend a key that is unknown where it stands."""
    for around in (path[:length] for length in reversed(range(len(path) - 1))):
        if path[-1] in _keys(model, around, data):
            return f"it is a key of {_dotted(around, notation) or name}: move it there"
    known = _keys(model, path[:-1], data)
    return nearest(path[-1], known) if known else "take it out"


def _short(bound: Any) -> Any:
    """A bound as people write it: 0, not 0.0."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _keys(model: Any, path: Path, data: Any) -> list[str]:
    found = model_at(model, data, path)
    return [] if found is None else [f.alias or name for name, f in found.model_fields.items()]
