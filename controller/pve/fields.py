"""One field of a thing: where the language writes it, where the API keeps it, how each says it.

A kind lists its fields; wanting, reading, changing and declaring them is the same for all kinds:

    language  <--speech-->  canonical value  <--codec-->  API
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controller.managed import Cost, Mark, Value, Values
from controller.pve import propertystring
from controller.step import Scalar
from lab.errors import DeviceError, Place
from lab.item import Item, Path
from lab.lab import Lab
from lab.units import format_size

MIB = 2**20
EXTENT_BYTES = (
    4 * MIB
)  # a volume of LVM is a multiple of it (vgcreate(8)); others can hold that too


@dataclass(frozen=True)
class Codec:
    """How the API writes a value. `decode` gives None for what says nothing."""

    decode: Callable[[Any], Value | None]
    encode: Callable[[Any], Scalar]


@dataclass(frozen=True)
class Speech:
    """How the language writes a value, with the names of a lab at hand; None: it can't."""

    value: Callable[[Lab, Any], Value | None]
    said: Callable[[Lab, Any], Any]


@dataclass(frozen=True)
class Field:
    """One field. `path`: below the entry of the language, () for what it says by other means.

    `api`: the parameter; `key`: the key inside it, if it is a property string. `default`: what the
    device means when it says nothing. `cost`: of a change where it matters, on a running guest.
    """

    name: str
    path: Path
    api: str
    codec: Codec
    speech: Speech
    key: str = ""
    cost: Cost = Cost.NONE
    default: Value | None = None


def text_set(value: object) -> tuple[str, ...]:
    """A set-like list of the API: comma, semicolon, space and NUL all part it."""
    given = value if isinstance(value, list) else re.split(r"[,; \0]+", str(value))
    return tuple(sorted({str(each) for each in given if each}))


def _lines(value: object) -> str:
    """Text as a configuration file keeps it: without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in str(value).split("\n")).rstrip()


def _lower(value: object) -> tuple[str, ...]:
    return tuple(sorted({each.lower() for each in text_set(value)}))


def _whole(value: int, step: int, *, up: bool) -> int:
    return (value + step - 1 if up else value) // step * step


TEXT = Codec(lambda value: str(value) or None, str)
LINES = Codec(lambda value: _lines(value) or None, str)
NUMBER = Codec(int, int)
FLAG = Codec(propertystring.truth, int)
INVERTED = Codec(lambda value: not propertystring.truth(value), lambda value: int(not value))
SET = Codec(text_set, ",".join)
TAGS = Codec(_lower, ";".join)


def canonical(value: Any) -> Value:
    """A value of the language without its types: names sorted, enumerations as text."""
    match value:
        case StrEnum():
            return value.value
        case frozenset() | tuple() | list():
            return tuple(sorted({str(canonical(each)) for each in value}))
        case bool() | int() | float():
            return value
        case _:
            return str(value)


def _plainly(_lab: Lab, value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _sized(_lab: Lab, value: Any) -> str:
    return format_size(value)


PLAIN = Speech(lambda _lab, said: canonical(said), _plainly)
PROSE = Speech(lambda _lab, said: _lines(said), _plainly)
LOWER = Speech(lambda _lab, said: _lower(list(said)), _plainly)
MEMORY = Speech(lambda _lab, said: _whole(said, MIB, up=False), _sized)
DISK = Speech(lambda _lab, said: _whole(said, EXTENT_BYTES, up=True), _sized)


def field(
    name: str,
    codec: Codec = TEXT,
    *,
    path: Path | None = None,
    api: str = "",
    key: str = "",
    speech: Speech = PLAIN,
    cost: Cost = Cost.NONE,
    default: Value | None = None,
) -> Field:
    """A field whose path and parameter have its own name unless said otherwise."""
    where = (name.replace("_", "-"),) if path is None else path
    return Field(name, where, api or name, codec, speech, key, cost, default)


def wanted(
    fields: Iterable[Field], lab: Lab, path: Path, item: Item
) -> tuple[dict[str, Value | Mark], dict[str, Place]]:
    """Values of what was written in the entry at `path`, RESET for null, and their places."""
    values: dict[str, Value | Mark] = {}
    origin: dict[str, Place] = {}
    for known in fields:
        value: Value | Mark | None = None
        if is_reset(lab, (*path, *known.path)):
            value = Mark.RESET
        elif known.path and (said := written(item, known.path)) is not None:
            value = known.speech.value(lab, said)
            value = Mark.RESET if value == "" else value
        if value is not None:
            values[known.name] = value
            if (place := lab.place(*path, *known.path)) is not None:
                origin[known.name] = place
    return values, origin


def written(item: Any, path: Path) -> Any:
    """What the author wrote there; None for nothing."""
    for step in path:
        if isinstance(item, Item):
            name = step.replace("-", "_")
            item = getattr(item, name) if name in item.written else None
        else:
            item = item.get(step)
        if item is None:
            return None
    return item


def is_reset(lab: Lab, path: Path) -> bool:
    """Whether null stands at the path, or at something around it below the entry."""
    return any(path[:length] in lab.resets for length in range(3, len(path) + 1))


def read(fields: Iterable[Field], device: str, document: Mapping[str, Any]) -> dict[str, Value]:
    """Values of what the device says. Raises DeviceError for what can't be read."""
    values: dict[str, Value] = {}
    parsed: dict[str, dict[str, str]] = {}
    for known in fields:
        raw = document.get(known.api)
        if raw is not None and known.key:
            if known.api not in parsed:
                parsed[known.api] = propertystring.parse(known.api, raw)
            raw = parsed[known.api].get(known.key)
        if raw is None:
            continue
        try:
            value = known.codec.decode(raw)
        except (ValueError, TypeError) as error:
            what = f"can't read {known.api} ({known.name}): {error}"
            raise DeviceError(device, what) from error
        if value is not None:
            values[known.name] = value
    return values


def parameters(fields: Iterable[Field], new: Values, old: Values | None) -> dict[str, Scalar]:
    """What to send so that `old` becomes `new`; `delete` names parameters to unset.

    `old` None: for a thing that does not exist yet. Of property strings, what is there stays.
    """
    sent: dict[str, Scalar] = {}
    strings: dict[str, dict[str, str]] = {}
    gone: list[str] = []
    for known in fields:
        value = new.get(known.name)
        if value is None or (old is not None and same(known, value, old)):
            continue
        unset = value is Mark.RESET
        if known.key:
            encoded = "" if unset else str(known.codec.encode(value))
            strings.setdefault(known.api, {})[known.key] = encoded
        elif not unset:
            sent[known.api] = known.codec.encode(value)
        elif old is not None:
            gone.append(known.api)
    for name, keys in strings.items():
        if old is not None:
            sent[name] = propertystring.change(name, keys)
        elif any(keys.values()):
            sent[name] = propertystring.apply(name, propertystring.change(name, keys), None)
    return sent | ({"delete": ",".join(gone)} if gone else {})


def same(known: Field, value: Value | Mark, old: Values) -> bool:
    """Whether what is there already is what is wanted."""
    return old.get(known.name, known.default) == (known.default if value is Mark.RESET else value)


def declared(fields: Iterable[Field], lab: Lab, values: Values) -> dict[str, Any]:
    """The entry of the language that says these values, nested as it is written."""
    entry: dict[str, Any] = {}
    for known in fields:
        value = values.get(known.name)
        if not known.path or value is None or value is Mark.RESET:
            continue
        if (said := known.speech.said(lab, value)) is None:
            continue
        inside = entry
        for step in known.path[:-1]:
            inside = inside.setdefault(step, {})
        inside[known.path[-1]] = said
    return entry
