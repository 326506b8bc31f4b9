"""What pydantic finds wrong with one entry, said plainly: where, what, how to fix.

Used by `lab.load`, and for scenarios. A new kind of constraint that has no sentence here is still
reported, in pydantic's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from lab.errors import Place, Problem
from lab.item import Path, kebab
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
    "string_type": ("{at} is {said}, not a text", "write one value"),
    "model_type": _MAP,
    "model_attributes_type": _MAP,
    "dict_type": _MAP,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "frozen_set_type": _LIST,
    "set_type": _LIST,
    "too_long": ("{at} has {actual_length} items, not {max_length}", "remove the others"),
    "greater_than_equal": ("{at} is {said}, less than {ge}", "write {ge} or more"),
    "less_than_equal": ("{at} is {said}, more than {le}", "write {le} or less"),
    "value_error": ("{at}: {error}", ""),
    "ip_v4_address": ("{at} is {said}, no IPv4 address", "write one such as 192.168.99.1"),
    "ip_v4_address_type": ("{at} is {said}, no IPv4 address", "write one such as 192.168.99.1"),
    "ip_v4_network": ("{at} is {said}, no IPv4 network", "write one such as 192.168.99.0/24"),
    "ip_v4_network_type": ("{at} is {said}, no IPv4 network", "write one such as 192.168.99.0/24"),
}


def problems_of(
    error: ValidationError,
    who: str,
    model: Any,
    at: Path,
    data: Any,
    place: Callable[[Path], Place | None],
) -> list[Problem]:
    """The problems of one item of the type `model` that stands at a path. `data`: what was written
    for it.
    """
    found = []
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], data)
        what, fix = _said(at[-1] if at else who, model, path, data, detail)
        found.append(Problem(place((*at, *path)), f"{who}: {what}", fix=fix))
    return found


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


def _said(name: str, model: Any, path: Path, data: Any, detail: Any) -> tuple[str, str]:
    """What is wrong, and the fix."""
    kind, context = detail["type"], detail.get("ctx", {})
    at, key = ".".join(path), path[-1] if path else name
    match kind:
        case "missing" if key.isdecimal():
            return f"{'.'.join(path[:-1])} has too few items", f"write at least {int(key) + 1}"
        case "missing":
            inside = f" in {'.'.join(path[:-1])}" if path[:-1] else ""
            return f"{key} is missing{inside}", f"add {key}: ..."
        case "extra_forbidden":
            inside = f" in {'.'.join(path[:-1])}" if path[:-1] else ""
            return f"there is no key {key}{inside}", nearest(key, _keys(model, path[:-1], data))
        case "enum" | "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            said = detail["input"]
            return f"{at} is {_shown(said)}, which is none of its values", nearest(str(said), known)
        case "union_tag_not_found":
            return "type is missing", f"add type: one of {', '.join(tags(model))}"
        case "union_tag_invalid":
            said = str(context["tag"])
            return f"type is {_shown(said)}, which is unknown", nearest(said, tags(model))
    what, fix = SENTENCES.get(kind, ("{at}: {msg}", ""))
    words = {**context, "msg": detail["msg"], "said": _shown(detail["input"])}
    words |= {"at": at or "the entry", "key": key}
    what, _, advice = what.format(**words).partition("; ")  # a validator's own text brings its fix
    return what, advice or fix.format(**words)


def _shown(value: Any) -> str:
    match value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case _:
            text = str(value)
            return f"{text[:SHOWN]}..." if len(text) > SHOWN else text or "empty"


def _keys(model: Any, path: Path, data: Any) -> list[str]:
    found = model_at(model, data, path)
    return [] if found is None else [kebab(name) for name in found.model_fields]
