"""What the things of a Ceph cluster have in common: where they are written, what the monitors say.

A device is a cluster, `ceph/a`. Managed: Ceph 16 (Pacific) to 19 (Squid).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from controller.fields import Field, declared, wanted
from controller.managed import Fragment, Key, Mark, Values
from controller.step import Answers, Query
from controller.thing import Thing, policy_of
from lab.errors import DeviceError
from lab.item import Item, Part, Path
from lab.kinds.ceph import NAME, Ceph
from lab.lab import Lab

DEVICE = "ceph/"
WORD = "ceph"

Row = Mapping[str, Any]


def ceph_of(device: str) -> str:
    """`ceph/a` -> `a`, the name of the cluster in the language."""
    return device.removeprefix(DEVICE)


def cluster(lab: Lab, device: str) -> Ceph | None:
    """The cluster as declared."""
    return lab.ceph.get(ceph_of(device))


def rows(device: str, answers: Answers, query: Query, *path: str) -> Iterator[Row]:
    """The rows of a list, below these members of the answer. Raises DeviceError if it is none."""
    found = answers[query.text]
    for member in path:
        found = found.get(member) if isinstance(found, dict) else None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DeviceError(device, f"{query.text} answered no list: {str(found)[:80]!r}")
    yield from found


@dataclass(frozen=True)
class CephThing(Thing):
    """A thing that monitors keep, written in the entry of its cluster."""

    words = (WORD,)
    section: ClassVar[str]  # of the entry: `pools`
    fields: ClassVar[tuple[Field, ...]] = ()

    @classmethod
    def from_part(cls, lab: Lab, device: str, path: Path, item: Item, identity: str) -> Self:
        """The thing that a part of the entry says; `path` below it."""
        ceph = lab.ceph[ceph_of(device)]
        whole = (WORD, ceph_of(device), *path)
        values, origin = wanted(cls.fields, lab, whole, item)
        part = item if isinstance(item, Part) else None
        key = Key(device, cls.kind, identity)
        return cls(key, values, frozenset(), whole, origin, policy_of(ceph, part))

    def fragment(self, lab: Lab, name: str, **identity: object) -> Fragment:
        """The part of the entry: what identifies the thing, and its fields.

        Empty for a name that the language does not take.
        """
        if not NAME.fullmatch(name):
            return {}
        said = identity | declared(self.fields, lab, self.values)
        return {WORD: {ceph_of(self.key.device): {self.section: {name: said}}}}

    def changes(self, old: Self | None) -> Values:
        """Values that are not as wanted; those to be reset among them."""
        if old is None:
            return {name: value for name, value in self.values.items() if value is not Mark.RESET}
        return {
            name: value
            for name, value in self.values.items()
            if old.values.get(name, self.default(name))
            != (self.default(name) if value is Mark.RESET else value)
        }
