"""What the things of an array have in common: rows of a namespace, found by what identifies them.

A device is an array, `nas/nas1`. The array numbers its rows; these numbers are never kept. A step
names what it means (`{portal 192.168.101.21}`), and the port puts the number in as it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from controller.fields import declared, wanted
from controller.managed import Context, Fragment, Key, Policy
from controller.step import Answers, Json, JsonRpc, Query
from controller.thing import Thing
from controller.truenas import versions
from controller.truenas.fields import Field, Row, changed, read
from controller.truenas.versions import VERSION
from lab.errors import DeviceError, Refused
from lab.item import Item, Part, Path
from lab.kinds.nas import Nas
from lab.lab import Lab

DEVICE = "nas/"


def nas_of(device: str) -> str:
    """`nas/nas1` -> `nas1`, the name of the array in the language."""
    return device.removeprefix(DEVICE)


def array(lab: Lab, device: str) -> Nas | None:
    """The array as declared."""
    return lab.nas.get(nas_of(device))


def policy_of(nas: Nas, part: Part | None = None) -> Policy:
    """What the author allows: of a part what it says itself, else what the array says."""
    said: Mapping[str, Any] = {} if part is None else part.model_dump(exclude_none=True)
    manage, protect, drift = (
        said.get(name, getattr(nas, name)) for name in ("manage", "protect", "drift")
    )
    return Policy(frozenset(manage), protect, drift)


def rows(device: str, answers: Answers, namespace: str) -> list[Row]:
    """All rows of a namespace, as the newest release says them. Raises DeviceError."""
    method = f"{namespace}.query"
    answer = answers[method]
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise DeviceError(device, f"{method} answered no list: {str(answer)[:80]!r}")
    release = versions.release_in(device, answers)
    return [versions.row(release, namespace, each) for each in answer]


def writable(context: Context) -> None:
    """Raises Refused for an array that is only read."""
    if release := context.around.get("only_read"):
        raise Refused(f"{release} is only read", "update the array, or change it by hand")


def reference(kind: str, identity: str) -> str:
    """Stands in a step for the number that the array gave to a thing."""
    return f"{{{kind} {identity}}}"


@dataclass(frozen=True)
class NasThing(Thing):
    """A thing that is a row of a namespace."""

    namespace: ClassVar[str]  # "iscsi.portal"
    asks: ClassVar[tuple[str, ...]] = ()  # other namespaces that its rows refer to
    fields: ClassVar[tuple[Field, ...]]
    sections: ClassVar[Mapping[str, tuple[Field, ...]]] = {}  # of the language, for costs

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield VERSION
        for namespace in (cls.namespace, *cls.asks):
            yield Query(f"{namespace}.query")

    @classmethod
    def found(cls, device: str, answers: Answers) -> Iterator[tuple[str, Row]]:
        """Identity and row of everything of this kind."""
        for row in rows(device, answers, cls.namespace):
            yield cls.identity(row), row

    @classmethod
    def identity(cls, row: Row) -> str:
        """What a row is known by."""
        return str(row["name"])

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        for identity, row in cls.found(device, answers):
            thing = cls.there(device, identity, read(cls.fields, device, row))
            yield thing.complete(device, row, answers)

    def complete(self, device: str, row: Row, answers: Answers) -> Self:
        """The same with what its row says by other means, and with what it needs."""
        return self

    @classmethod
    def said(
        cls, lab: Lab, device: str, identity: str, path: Path, item: Item | None, part: Part | None
    ) -> Self:
        """The thing that `item` says, at `path` below the array's entry.

        `part`: whose policy it has. No item: the thing is there, and nothing is said of it.
        """
        at = ("nas", nas_of(device), *path)
        values, origin = wanted(cls.fields, lab, at, item) if item is not None else ({}, {})
        policy = policy_of(lab.nas[nas_of(device)], part)
        return cls(Key(device, cls.kind, identity), values, frozenset(), at, origin, policy)

    @property
    def number(self) -> str:
        """Stands for the array's own number of this thing."""
        return reference(self.kind, self.id)

    def changed(self, old: Self | None) -> dict[str, Json]:
        """Members to send."""
        return changed(self.fields, self.values, old.values if old else None)

    def steps(self, old: Self | None, context: Context) -> Iterator[JsonRpc]:
        writable(context)
        members = self.changed(old)
        if old is None:
            yield JsonRpc(f"{self.namespace}.create", ({**self.identified(), **members},))
        elif members:
            yield JsonRpc(f"{self.namespace}.update", (self.number, members))

    def identified(self) -> dict[str, Json]:
        """Members that identify a new one."""
        return {"name": self.id}

    def remove(self, context: Context) -> Iterator[JsonRpc]:
        yield JsonRpc(f"{self.namespace}.delete", (self.number,))

    def part(self, lab: Lab, section: str, name: str, **more: object) -> Fragment:
        """What the language says of it, in a section of the array's entry."""
        entry = more | declared(self.fields, lab, self.values)
        return {"nas": {nas_of(self.key.device): {section: {name: entry}}}}

    def keep(self, old: Self, field_name: str, why: str) -> None:
        """Raises Refused if a field that can't change is to change."""
        goal = self.values.get(field_name)
        held = old.values.get(field_name, old.default(field_name))
        if goal is not None and goal != held:
            raise Refused(f"{field_name} is {held}, and can't become {goal}: {why}")
