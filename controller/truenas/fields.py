"""A field of a thing on an array: the member of its row, and how the array says the value.

Rows are those of the newest release (`versions` says where older ones differ). ZFS properties are
objects `{value, rawvalue, parsed, source}`; what is inherited is not set, so it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller import fields
from controller.fields import PLAIN, Speech, same
from controller.managed import Cost, Mark, Value, Values
from controller.step import Json
from lab.errors import DeviceError
from lab.item import Path

Row = Mapping[str, Any]
SET_HERE = ("LOCAL", "RECEIVED")  # sources of a property that is set on the dataset itself


@dataclass(frozen=True)
class Codec:
    """How the array writes a value. `decode` gives None for what says nothing; `unset` is sent
    for a reset.
    """

    decode: Callable[[Any], Value | None]
    encode: Callable[[Any], Json]
    unset: Json = None


@dataclass(frozen=True, kw_only=True)
class Field(fields.Field):
    """A field; `api` is the member of the row."""

    api: str
    codec: Codec


def _as_it_is(value: Any) -> Any:
    return value


def _here(decode: Callable[[Any], Value | None]) -> Callable[[Any], Value | None]:
    """Of a property what is set on the dataset itself."""
    return lambda held: decode(held) if str(held.get("source", "")).upper() in SET_HERE else None


def block_text(size_bytes: int) -> str:
    """A block size as the array says it: 512, 16K."""
    return str(size_bytes) if size_bytes < 1024 else f"{size_bytes // 1024}K"


def _lower(held: Any) -> str | None:
    return str(held["value"]).lower() if held.get("value") else None


def _on(held: Any) -> bool:
    return str(held.get("value") or held.get("rawvalue")).upper() == "ON"


def _set(value: Any) -> tuple[str, ...]:
    return tuple(sorted({str(each) for each in value}))


TEXT = Codec(lambda value: str(value) or None, str, unset="")
NAME = Codec(lambda value: str(value) or None, str)
NUMBER = Codec(int, int)
FLAG = Codec(bool, bool)
SET = Codec(_set, list, unset=())
WORD = Codec(_here(_lower), lambda value: str(value).upper(), unset="INHERIT")
SWITCH = Codec(_here(_on), lambda value: "ON" if value else "OFF", unset="INHERIT")
SIZE = Codec(lambda held: held.get("parsed") or None, int)
BLOCKS = Codec(SIZE.decode, block_text)
BLOCKS_HERE = Codec(_here(SIZE.decode), block_text, unset="INHERIT")
NOTE = Codec(_here(lambda held: str(held.get("value") or "") or None), str, unset="")


def field(
    name: str,
    codec: Codec = TEXT,
    *,
    path: Path | None = None,
    api: str = "",
    speech: Speech = PLAIN,
    cost: Cost = Cost.NONE,
    default: Value | None = None,
) -> Field:
    """A field whose path and member have its own name unless said otherwise."""
    where = (name.replace("_", "-"),) if path is None else path
    return Field(name, where, speech, cost, default, api=api or name, codec=codec)


def read(fields: Iterable[Field], device: str, row: Row) -> dict[str, Value]:
    """Values of what a row says. Raises DeviceError for what can't be read."""
    values: dict[str, Value] = {}
    for known in fields:
        if (raw := row.get(known.api)) is None:
            continue
        try:
            value = known.codec.decode(raw)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            what = f"can't read {known.api} ({known.name}): {error!r}"
            raise DeviceError(device, what) from error
        if value is not None:
            values[known.name] = value
    return values


def changed(fields: Iterable[Field], new: Values, old: Values | None) -> dict[str, Json]:
    """Members to send so that `old` becomes `new`; None: of a thing that does not exist yet."""
    sent: dict[str, Json] = {}
    for known in fields:
        value = new.get(known.name)
        if value is None or (old is not None and same(known, value, old)):
            continue
        if value is not Mark.RESET:
            sent[known.api] = known.codec.encode(value)
        elif old is not None:
            sent[known.api] = known.codec.unset
    return sent
