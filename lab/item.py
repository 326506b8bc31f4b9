"""The base of every word of the language: frozen values, kebab-case keys, unknown keys refused.

A key that was not written is unset: `item.written` has only what was. Defaults stand in the fields
for the twin and for creating things; the diff looks at `written` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lab.units import Flag

Path = tuple[str, ...]
"""Where a value stands in the desired state: ("guests", "luffy", "disks", "scsi0", "size")."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Marks a string as the name of an entry of a top-level map (`vlans`)."""

    map: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": f"The name of an entry of {self.map}."}


@dataclass(frozen=True, slots=True)
class After:
    """Marks a field that people read after another one, though a base class declares that one."""

    field: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """A rule that one item breaks by itself; the reader turns it into a Problem with its place."""

    path: Path  # below the item
    what: str
    why: str = ""
    fix: str = ""


class Flawed(ValueError):
    """What a validator raises for rules that a value breaks: the same, from inside pydantic."""

    def __init__(self, *flaws: Flaw) -> None:
        super().__init__("; ".join(flaw.what for flaw in flaws))
        self.flaws = flaws


def kebab(name: str) -> str:
    """`min_size` -> `min-size`."""
    return name.replace("_", "-")


class Item(BaseModel):
    """A word of the language, or a part of one."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True
    )

    @property
    def written(self) -> set[str]:
        """Names of the fields that the author wrote."""
        return self.model_fields_set

    def flaws(self) -> Iterator[Flaw]:
        """Rules that concern this item alone."""
        yield from ()


class Act(StrEnum):
    """What vlab may do with a thing on its device."""

    OBSERVE = "observe"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Drift(StrEnum):
    """What to do when somebody else changed a thing."""

    CORRECT = "correct"
    REPORT = "report"


class Owned(Item):
    """A word that becomes things on devices: who may change them, and how."""

    manage: tuple[Act, ...] = (Act.OBSERVE, Act.CREATE, Act.UPDATE)
    protect: Flag = False
    drift: Drift = Drift.CORRECT


class Part(Item):
    """A part of an owned item that is a thing of its own on the device.

    What is not written holds as the item around it says.
    """

    manage: tuple[Act, ...] | None = None
    protect: Flag | None = None
    drift: Drift | None = None
