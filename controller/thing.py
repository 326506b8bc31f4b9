"""A thing whose values are a table of fields: what the kinds of every family have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from controller.fields import Field
from controller.managed import Context, Cost, Key, Managed, Policy, Value, Values
from lab.item import Owned, Part


def policy_of(item: Owned, part: Part | None = None) -> Policy:
    """What the author allows; of a part what it says itself, else what the item around it says."""
    said: Mapping[str, Any] = {} if part is None else part.model_dump(exclude_none=True)
    manage, protect, drift = (
        said.get(name, getattr(item, name)) for name in ("manage", "protect", "drift")
    )
    return Policy(frozenset(manage), protect, drift)


@dataclass(frozen=True)
class Thing(Managed):
    """A thing with a table of fields."""

    fields: ClassVar[Sequence[Field]]

    @classmethod
    def default(cls, field_name: str) -> Value | None:
        known = cls.field_of(field_name)
        return known.default if known else None

    @classmethod
    def field_of(cls, name: str) -> Field | None:
        """The field of a value."""
        return next((each for each in cls.fields if each.name == name), None)

    @classmethod
    def there(cls, device: str, identity: str, values: Values) -> Self:
        """A thing that the device has."""
        return cls(Key(device, cls.kind, identity), values)

    @property
    def id(self) -> str:
        """Its identity on the device."""
        return self.key.id

    def held(self, field_name: str) -> tuple[str, ...]:
        """The members of a set; none if nothing is said of it."""
        value = self.values.get(field_name)
        return value if isinstance(value, tuple) else ()

    def refers(self, kind: str, *ids: str) -> frozenset[Key]:
        """Things of the same device."""
        return frozenset(Key(self.key.device, kind, each) for each in ids)

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        known = self.field_of(field_name)
        return known.cost if known else Cost.NONE
