"""What the things of a Proxmox VE cluster have in common: a table of fields, and their device.

A device is a cluster, `pve/a`. Managed: Proxmox VE 8 and 9 (nested pools, UPIDs of resizes); older
releases can be declared and simulated, and answer what they do not know with an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import quote

from controller.fields import declared, wanted
from controller.managed import Cost, Fragment, Key
from controller.pve.fields import Field
from controller.step import Answers, Query, Scalar
from controller.thing import Thing, policy_of
from lab.errors import DeviceError
from lab.item import Owned
from lab.lab import Lab

DEVICE = "pve/"


def cluster_of(device: str) -> str:
    """`pve/a` -> `a`, the name of the cluster in the language."""
    return device.removeprefix(DEVICE)


def is_on(clusters: Collection[str] | None, device: str) -> bool:
    """Whether something kept on `clusters` (None: on all) is kept on this one."""
    return clusters is None or cluster_of(device) in clusters


def rows(device: str, answers: Answers, query: Query) -> Iterator[Mapping[str, Any]]:
    """The rows of a list. Raises DeviceError if the answer is none."""
    answer = answers[query.text]
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise DeviceError(device, f"GET {query.text} answered no list: {str(answer)[:80]!r}")
    yield from answer


def emptied(params: Mapping[str, Scalar], **instead: Scalar) -> dict[str, Scalar]:
    """Parameters for a thing without `delete`: an empty text unsets, or what is sent `instead`."""
    gone = str(params.get("delete", "")).split(",")
    unset = {name: instead.get(name, "") for name in gone if name}
    return {name: value for name, value in params.items() if name != "delete"} | unset


def segment(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="@:!")


@dataclass(frozen=True)
class PveThing(Thing):
    """A thing that is an entry of one word of the language."""

    word: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    more_costs: ClassVar[Mapping[str, Cost]] = {}  # of what the language says by other means

    @classmethod
    def field_of(cls, name: str) -> Field | None:
        return next((each for each in cls.fields if each.name == name), None)

    @classmethod
    def from_entry(cls, lab: Lab, device: str, name: str, item: Owned, identity: str) -> Self:
        """The thing that an entry of the word says."""
        values, origin = wanted(cls.fields, lab, (cls.word, name), item)
        key = Key(device, cls.kind, identity)
        return cls(key, values, frozenset(), (cls.word, name), origin, policy_of(item))

    def entry(self, lab: Lab, **identity: object) -> Fragment:
        """The entry of the language: what identifies the thing, and its fields."""
        name = self.path[1] if self.path else self.id
        return {self.word: {name: identity | declared(self.fields, lab, self.values)}}
