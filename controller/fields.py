"""One field of a thing, as the language writes it; each family adds how its devices keep it.

    language  <--speech-->  canonical value  <--codec, of the family-->  device

A kind lists its fields; wanting and declaring them is the same for all kinds of all families.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controller.managed import Cost, Mark, Value, Values
from lab.errors import Place
from lab.item import Item, Path
from lab.lab import Lab
from lab.units import format_size


@dataclass(frozen=True)
class Speech:
    """How the language writes a value, with the names of a lab at hand; None: it can't."""

    value: Callable[[Lab, Any], Value | None]
    said: Callable[[Lab, Any], Any]


@dataclass(frozen=True)
class Field:
    """One field. `path`: below the entry of the language, () for what it says by other means.

    `default`: what the device means when it says nothing. `cost`: of a change where it matters.
    """

    name: str
    path: Path
    speech: Speech
    cost: Cost = Cost.NONE
    default: Value | None = None


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


def plainly(_lab: Lab, value: Any) -> Any:
    """A value as the language has it: sets are lists."""
    return list(value) if isinstance(value, tuple) else value


def sized(_lab: Lab, value: Any) -> str:
    """A number of bytes as people write it."""
    return format_size(value)


PLAIN = Speech(lambda _lab, said: canonical(said), plainly)
SIZE = Speech(lambda _lab, said: int(said), sized)


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
