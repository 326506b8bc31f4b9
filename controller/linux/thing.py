"""What the things of a Linux host have in common.

A device is a host, `linux/pve4`: a node or a backup server of the lab. Debian and what is made of
it (Proxmox VE) are managed; other distributions keep packages and node records elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from controller.fields import Field, declared, wanted
from controller.managed import Fragment, Key, Policy
from controller.thing import Thing
from lab.item import Item, Owned, Part, Path
from lab.kinds.system import System
from lab.lab import Lab

DEVICE = "linux/"


def host_of(device: str) -> str:
    """`linux/pve4` -> `pve4`, the name of the host in the language."""
    return device.removeprefix(DEVICE)


def key_of(host: str, kind: str, identity: str) -> Key:
    """A thing of a host, as other devices' things need it."""
    return Key(f"{DEVICE}{host}", kind, identity)


def systems(lab: Lab) -> dict[str, System]:
    """Every host of the lab that runs Linux."""
    return {**lab.nodes, **lab.backup_servers}


def entry_of(lab: Lab, host: str) -> Path:
    """Where a host is written: `("nodes", "pve4")`."""
    return ("nodes" if host in lab.nodes else "backup-servers", host)


def policy_of(item: Item, part: Part | None = None) -> Policy:
    """What the author allows: of a part what it says itself, else what the item around it says."""
    around = item if isinstance(item, Owned) else Owned()
    said: Mapping[str, Any] = {} if part is None else part.model_dump(exclude_none=True)
    manage, protect, drift = (
        said.get(name, getattr(around, name)) for name in ("manage", "protect", "drift")
    )
    return Policy(frozenset(manage), protect, drift)


@dataclass(frozen=True)
class HostThing(Thing):
    """A thing of a host. `section`: of the host's entry, in which the language says such things."""

    words: ClassVar[tuple[str, ...]] = ("nodes", "backup-servers")
    section: ClassVar[str] = ""
    fields: ClassVar[tuple[Field, ...]] = ()

    @classmethod
    def said(
        cls, lab: Lab, device: str, identity: str, path: Path, item: Item, part: Part | None = None
    ) -> Self:
        """The thing that `item` says, at `path` below the host's entry."""
        at = (*entry_of(lab, host_of(device)), *path)
        values, origin = wanted(cls.fields, lab, at, item)
        policy = policy_of(systems(lab)[host_of(device)], part)
        return cls(Key(device, cls.kind, identity), values, frozenset(), at, origin, policy)

    @classmethod
    def follows(
        cls, lab: Lab, device: str, identity: str, values: Mapping[str, Any], at: Path
    ) -> Self:
        """A thing that follows from what is written at `at`: of the host, or of a storage."""
        storage = lab.storages.get(at[1]) if at[0] == "storages" else None
        policy = policy_of(storage or systems(lab)[host_of(device)])
        place = lab.place(*at)
        origin = dict.fromkeys(values, place) if place is not None else {}
        return cls(Key(device, cls.kind, identity), values, frozenset(), at, origin, policy)

    @classmethod
    def parts(cls, lab: Lab, device: str) -> Iterator[tuple[str, Any]]:
        """Names and items of this kind's section of the host's entry."""
        system = systems(lab).get(host_of(device))
        if system is not None:
            yield from getattr(system, cls.section).items()

    @property
    def host(self) -> str:
        """The host's name in the language."""
        return host_of(self.key.device)

    def declare(self, lab: Lab) -> Fragment:
        if not self.section or self.host not in systems(lab):
            return {}
        return self.entry(lab, {self.section: {self.id: declared(self.fields, lab, self.values)}})

    def entry(self, lab: Lab, says: Mapping[str, Any]) -> Fragment:
        """A part of the host's entry."""
        word, name = entry_of(lab, self.host)
        return {word: {name: dict(says)}}
