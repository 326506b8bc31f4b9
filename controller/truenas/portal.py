"""Portal groups: addresses on which targets are offered. Source: RFC 7143, 2.1, portal groups.

Known by the set of its addresses; the array renumbers `tag` and forgets it. Leaves out ports (the
array has one, or 3260) and the login for discovery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from controller.managed import Fragment
from controller.step import Json
from controller.truenas.fields import Row, field
from controller.truenas.thing import NasThing, array, nas_of
from lab.kinds.nas import Nas
from lab.lab import Lab

COMMENT = field("comment")


def portal_id(addresses: Iterable[object]) -> str:
    """The identity of a portal group."""
    return ",".join(sorted({str(address) for address in addresses}))


def portal_ids(nas: Nas) -> dict[str, str]:
    """Name of each declared portal -> identity of its group."""
    return {
        name: portal_id(nas.portals[each].address for each in names)
        for names in nas.portal_groups().values()
        for name in names
    }


@dataclass(frozen=True)
class Portal(NasThing):
    """A portal group."""

    kind = "portal"
    words = ("nas",)
    namespace = "iscsi.portal"
    fields = (COMMENT,)
    sections = {"portals": fields}

    @classmethod
    def identity(cls, row: Row) -> str:
        return portal_id(listen["ip"] for listen in row["listen"])

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        if (nas := array(lab, device)) is None:
            return
        for names in nas.portal_groups().values():
            said = next((name for name in names if nas.portals[name].comment), names[0])
            identity = portal_id(nas.portals[name].address for name in names)
            part = nas.portals[said]
            yield cls.said(lab, device, identity, ("portals", said), part, part)

    @property
    def claims(self) -> Mapping[str, str]:
        return self.alone(*(f"address {each}" for each in self.id.split(",")))

    def identified(self) -> dict[str, Json]:
        return {"listen": [{"ip": address} for address in self.id.split(",")]}

    def declare(self, lab: Lab) -> Fragment:
        """A portal is named by the VLAN that its address is in."""
        nas = array(lab, self.key.device)
        addresses = self.id.split(",")
        vlans = {} if nas is None else {str(ip): vlan for vlan, ip in nas.addresses.items()}
        if not all(address in vlans for address in addresses):
            return {}
        names = {vlans[address]: address for address in addresses}
        group = {"group": "-".join(names)} if len(names) > 1 else {}
        portals: dict[str, dict[str, Any]] = {
            vlan: {"vlan": vlan, "address": address, **group} for vlan, address in names.items()
        }
        if COMMENT.name in self.values:
            portals[min(portals)]["comment"] = self.values[COMMENT.name]
        return {"nas": {nas_of(self.key.device): {"portals": portals}}}
