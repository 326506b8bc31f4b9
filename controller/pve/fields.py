"""A field of a thing on a cluster: where the API keeps it and how it says it.

A kind lists its fields; reading and changing them is the same for all kinds. How the language says
a field is the same for all families (`controller.fields`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller import fields
from controller.fields import PLAIN, Speech, plainly, same, sized
from controller.managed import Cost, Mark, Value, Values
from controller.pve import propertystring
from controller.step import Scalar
from lab.errors import DeviceError
from lab.item import Path

MIB = 2**20
EXTENT_BYTES = (
    4 * MIB
)  # a volume of LVM is a multiple of it (vgcreate(8)); others can hold that too


@dataclass(frozen=True)
class Codec:
    """How the API writes a value. `decode` gives None for what says nothing."""

    decode: Callable[[Any], Value | None]
    encode: Callable[[Any], Scalar]


@dataclass(frozen=True, kw_only=True)
class Field(fields.Field):
    """A field of a cluster. `api`: the parameter; `key`: the key inside it, if it is a property
    string. Costs are those on a running guest.
    """

    api: str
    codec: Codec
    key: str = ""


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


PROSE = Speech(lambda _lab, said: _lines(said), plainly)
LOWER = Speech(lambda _lab, said: _lower(list(said)), plainly)
MEMORY = Speech(lambda _lab, said: _whole(said, MIB, up=False), sized)
DISK = Speech(lambda _lab, said: _whole(said, EXTENT_BYTES, up=True), sized)


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
    return Field(name, where, speech, cost, default, api=api or name, codec=codec, key=key)


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
