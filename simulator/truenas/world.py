"""An array as its middleware sees it in the twin: disks, interfaces, and the hosts that log in.

The only module of this package that knows how the twin is built; the rest asks here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lab.kinds.nas import Nas
from simulator.model import initiator_of
from simulator.storage.iscsi import offers
from simulator.twin import Twin


@dataclass(frozen=True, slots=True)
class Login:
    """A host's session with the array: who, from where, over which portal."""

    node: str
    initiator: str
    address: str
    portal: str  # the array's address


@dataclass(frozen=True)
class World:
    """One array, now."""

    twin: Twin
    nas: str

    @property
    def host(self) -> Nas:
        """The array as declared."""
        return self.twin.model.lab.nas[self.nas]

    def disk_works(self, disk: str) -> bool:
        """Whether a disk answers; one that the lab does not know does."""
        vertex = f"disk {self.nas}/{disk}"
        return vertex not in self.twin.model.bits or self.twin.facts.works(vertex)

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """Address -> VLAN of every address that the array has."""
        portals = self.host.portals.values()
        return {
            **{str(address): vlan for vlan, address in self.host.addresses.items()},
            **{str(portal.address): portal.vlan for portal in portals},
        }

    def prefix(self, vlan: str) -> int:
        """Length of a VLAN's network prefix; 24 where none is declared."""
        subnet = self.twin.model.lab.vlans[vlan].subnet
        return subnet.prefixlen if subnet is not None else 24

    def logged_in(self, login: Login, target: str) -> bool:
        """Whether the host of a login has it at this target; one that does not tell has all."""
        known = self.twin.state.linux.get(login.node)
        return known is None or (self.nas, login.portal, target) in known.logins

    def logins(self) -> Iterator[tuple[Login, frozenset[str]]]:
        """Every session that lives, with the volumes it sees."""
        facts = self.twin.facts
        for (node, nas, portal), volumes in offers(facts).items():
            if nas != self.nas or not self.twin.state.paths.get(f"{node}/{nas}/{portal}", False):
                continue
            declared = self.host.portals[portal]
            own = self.twin.model.lab.nodes[node].addresses.get(declared.vlan, "")
            name = initiator_of(self.twin.model.lab, node)
            yield Login(node, name, str(own), str(declared.address)), volumes
