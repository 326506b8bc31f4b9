"""Ports as the rules see them: what each end of a cable sends and accepts, whatever device it
belongs to.

A bond's members carry what the bond says. Cables whose ends do not exist are left out: `cables`
reports those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lab.item import Path
from lab.kinds.host import Host
from lab.kinds.vlan import Role
from lab.lab import Lab

End = tuple[str, str]
"""A port as cables name it: device and port."""


@dataclass(frozen=True, slots=True)
class Port:
    """One port. `path` is where its VLANs are written; `group` the bond or LAG it belongs to."""

    end: End
    path: Path
    title: str
    tagged: frozenset[str]
    untagged: str | None
    mtu: int | None  # None: it can't be declared
    group: str | None = None
    is_switch: bool = False

    @property
    def carried(self) -> frozenset[str]:
        """VLANs that pass, tagged or not."""
        return _vlans(self.tagged, self.untagged)


@dataclass(frozen=True, slots=True)
class Link:
    """A cable whose both ends exist."""

    cable: str
    a: Port
    b: Port

    @property
    def directions(self) -> tuple[tuple[Port, Port], tuple[Port, Port]]:
        """Both ways to look at it."""
        return (self.a, self.b), (self.b, self.a)


def hosts(lab: Lab) -> Iterator[tuple[str, str, Host]]:
    """Every server: its word, its name, itself."""
    yield from (("nodes", name, node) for name, node in lab.nodes.items())
    yield from (("nas", name, nas) for name, nas in lab.nas.items())
    yield from (("backup-servers", name, server) for name, server in lab.backup_servers.items())


def carriers(host: Host) -> dict[str, frozenset[str]]:
    """VLANs by the bond, or the port outside of bonds, that carries them."""
    bonded = {member for bond in host.bonds.values() for member in bond.members}
    lone = {name: nic for name, nic in host.nics.items() if name not in bonded}
    return {
        **{name: frozenset(bond.vlans) for name, bond in host.bonds.items()},
        **{name: _vlans(nic.vlans, nic.access) for name, nic in lone.items()},
    }


def _vlans(tagged: Iterable[str], untagged: str | None) -> frozenset[str]:
    return frozenset(tagged) | ({untagged} if untagged is not None else frozenset())


def carried(host: Host) -> frozenset[str]:
    """Every VLAN that reaches the host."""
    return frozenset().union(*carriers(host).values())


class Wiring:
    """Ports and links of a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @cached_property
    def ports(self) -> Mapping[End, Port]:
        """Every port that a cable can name. Of devices with one name, the first wins."""
        found: dict[End, Port] = {}
        for port in (*self._hosts(), *self._switches(), *self._routers()):
            found.setdefault(port.end, port)
        return found

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Cables in the order of the files."""
        found = []
        for name, cable in self.lab.cables.items():
            a, b = (self.ports.get(split(end)) for end in cable.ends)
            if a is not None and b is not None:
                found.append(Link(name, a, b))
        return tuple(found)

    @cached_property
    def opposite(self) -> Mapping[End, Port]:
        """The port at the other end of the cable."""
        return {here.end: there for link in self.links for here, there in link.directions}

    def of(self, device: str) -> list[Port]:
        """Ports of one device."""
        return [port for (owner, _key), port in self.ports.items() if owner == device]

    def beyond(self, port: Port) -> str | None:
        """The device at the other end of the port's cable."""
        there = self.opposite.get(port.end)
        return there.end[0] if there is not None else None

    def paired(self, one: str, other: str) -> bool:
        """Whether two switches are an MLAG pair, or the same."""
        if one == other:
            return True
        a, b = self.lab.switches.get(one), self.lab.switches.get(other)
        return a is not None and b is not None and a.peer == other and b.peer == one

    def role(self, vlan: str) -> Role | None:
        """What a VLAN is for; None for one that is not declared."""
        known = self.lab.vlans.get(vlan)
        return known.role if known is not None else None

    def _hosts(self) -> Iterator[Port]:
        for word, name, host in hosts(self.lab):
            bond_of = {nic: bond for bond, each in host.bonds.items() for nic in each.members}
            for nic, port in host.nics.items():
                end: End = (name, nic)
                if (group := bond_of.get(nic)) is not None:
                    path: Path = (word, name, "bonds", group)
                    tagged, mtu = frozenset(host.bonds[group].vlans), host.bonds[group].mtu
                    yield Port(end, path, f"{name} {group}", tagged, None, mtu, group)
                else:
                    path, tagged = (word, name, "nics", nic), frozenset(port.vlans)
                    yield Port(end, path, f"{name} {nic}", tagged, port.access, port.mtu)
            if host.ilo is not None:
                path, end, none = (word, name, "ilo"), (name, "ilo"), frozenset[str]()
                yield Port(end, path, f"{name} ilo", none, host.ilo.vlan, None)

    def _switches(self) -> Iterator[Port]:
        for name, switch in self.lab.switches.items():
            for key, port in switch.ports.items():
                yield Port(
                    (name, key),
                    ("switches", name, "ports", key),
                    f"{name} {key}",
                    frozenset(port.vlans),
                    port.access or port.native,
                    port.mtu,
                    port.lag,
                    is_switch=True,
                )

    def _routers(self) -> Iterator[Port]:
        for name, router in self.lab.routers.items():
            for key, port in router.ports.items():
                path, tagged = ("routers", name, "ports", key), frozenset(port.vlans)
                yield Port((name, key), path, f"{name} {key}", tagged, port.access, None)


def split(end: str) -> End:
    """`pve1/eno1` -> device and port."""
    device, _, port = end.partition("/")
    return device, port
