"""How a guest is named: `101`, `vm:101` by HA, and by its name in the language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from controller.managed import Fragment
from controller.pve.thing import cluster_of
from controller.step import Answers, Query
from lab.kinds.guest import Guest
from lab.lab import Lab

GUESTS = Query("/cluster/resources", {"type": "vm"})
HA_RESOURCES = Query("/cluster/ha/resources")
_SID = "vm:"


def sid(vmid: int | str) -> str:
    """A guest as HA names it."""
    return f"{_SID}{vmid}"


def vmid_of(sid: str) -> str:
    """`vm:101` -> `101`; empty for what is no virtual machine."""
    return sid.removeprefix(_SID) if sid.startswith(_SID) else ""


def guests_under_ha(answers: Answers) -> frozenset[str]:
    """Guests that are under HA, as far as the answers go."""
    listed = answers.get(HA_RESOURCES.text)
    sids = (row.get("sid") for row in (listed if isinstance(listed, list) else ()))
    return frozenset(vmid_of(str(sid)) for sid in sids)


def guests_of(lab: Lab, device: str) -> Iterator[tuple[str, Guest]]:
    """The declared guests of a cluster by name."""
    for name, guest in lab.guests.items():
        if guest.cluster == cluster_of(device):
            yield name, guest


def vmids(lab: Lab, names: Iterable[str]) -> tuple[str, ...]:
    """Identities of guests, sorted."""
    return tuple(sorted(str(lab.guests[name].vmid) for name in names))


def guest_name(lab: Lab, device: str, vmid: str) -> str:
    """The name that a lab has for a guest; empty if it has none."""
    known = (name for name, guest in guests_of(lab, device) if str(guest.vmid) == vmid)
    return next(known, "")


def names(lab: Lab, device: str, vmids: Iterable[str]) -> list[str] | None:
    """Names of guests; None if the lab does not know one of them."""
    found = [guest_name(lab, device, vmid) for vmid in vmids]
    return sorted(found) if all(found) else None


def guest_entry(lab: Lab, device: str, vmid: str, name: str, said: dict[str, Any]) -> Fragment:
    """A part of a guest's entry, with what identifies it."""
    known = name or guest_name(lab, device, vmid) or f"vm{vmid}"
    return {"guests": {known: {"vmid": int(vmid), "cluster": cluster_of(device)} | said}}
