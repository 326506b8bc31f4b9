"""The hardware half of every server: cards, ports, bonds, bridges, disks, power.

Sources: IEEE 802.1AX and the Linux bonding manual for bonds; the Proxmox VE administration guide,
network configuration, for bridges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from ipaddress import IPv4Address

from pydantic import Field

from lab.item import Flaw, Item
from lab.names import FeedName, VlanName, nearest
from lab.units import Count, Duration, Mtu, Natural, Rate, Size


class Nic(Item):
    """A port of a host: alone (`access` untagged or `vlans` tagged) or a member of a bond."""

    speed: Rate = 10**9
    access: VlanName | None = None
    vlans: tuple[VlanName, ...] = ()
    mtu: Mtu = 1500


class Card(Item):
    """A network card: its ports fail together."""

    ports: tuple[str, ...]


class BondMode(StrEnum):
    """Linux bonding modes used in the lab."""

    LACP = "lacp"
    ACTIVE_BACKUP = "active-backup"


class LacpRate(StrEnum):
    """How often LACPDUs are asked for: slow 30 s, fast 1 s. Source: IEEE 802.1AX, 6.4."""

    SLOW = "slow"
    FAST = "fast"


class Driver(StrEnum):
    """Who runs a bond: the Linux bonding driver or Open vSwitch."""

    LINUX = "linux"
    OVS = "ovs"


class Bond(Item):
    """Several ports of a host used as one."""

    members: tuple[str, ...]
    mode: BondMode = BondMode.LACP
    rate: LacpRate = LacpRate.SLOW
    driver: Driver = Driver.LINUX
    vlans: tuple[VlanName, ...] = ()
    mtu: Mtu = 1500
    miimon_ms: Natural = 100


class Bridge(Item):
    """A bridge that guests attach to; `ports` are nics or bonds of the same node."""

    ports: tuple[str, ...]


class Ilo(Item):
    """A management processor with a port of its own, named `ilo` in cables."""

    address: IPv4Address
    vlan: VlanName


class Disk(Item):
    """A disk as the host sees it."""

    size: Size


class RaidLevel(StrEnum):
    """How disks are one volume. SINGLE: one that a RAID controller presents; RAID-Z is ZFS's."""

    SINGLE = "single"
    RAID1 = "raid1"
    RAID10 = "raid10"
    RAID5 = "raid5"
    RAID6 = "raid6"
    RAIDZ1 = "raidz1"
    RAIDZ2 = "raidz2"
    RAIDZ3 = "raidz3"


_PARITY = {
    RaidLevel.RAID5: 1,
    RaidLevel.RAID6: 2,
    RaidLevel.RAIDZ1: 1,
    RaidLevel.RAIDZ2: 2,
    RaidLevel.RAIDZ3: 3,
}


class Raid(Item):
    """Disks joined into one volume; `os` of a host is one."""

    level: RaidLevel
    disks: tuple[str, ...]

    def flaws(self) -> Iterator[Flaw]:
        count, parity = len(self.disks), self.parity
        match self.level:
            case RaidLevel.SINGLE:
                fits, needs = count == 1, "one disk"
            case RaidLevel.RAID1:
                fits, needs = count >= 2, "two disks or more"
            case RaidLevel.RAID10:
                fits, needs = count >= 4 and count % 2 == 0, "an even number of disks, four or more"
            case _:
                fits, needs = count >= parity + 2, f"{parity + 2} disks or more"
        if not fits:
            yield Flaw(("disks",), f"{self.level} needs {needs}, not {count}")

    @property
    def parity(self) -> int:
        """How many disks hold parity, and may be lost, whichever they are."""
        return _PARITY.get(self.level, 0)

    def usable(self, sizes: Mapping[str, int]) -> int:
        """What fits, of disks of these sizes, all in bytes."""
        each = [sizes[disk] for disk in self.disks]
        if self.level is RaidLevel.RAID10:
            return sum(map(min, zip(each[::2], each[1::2], strict=False)))
        return min(each, default=0) * (max(1, len(each) - self.parity) if self.parity else 1)

    def survives(self, lost: frozenset[str]) -> bool:
        """Whether the volume still serves; RAID 10 pairs its disks in the order written."""
        gone = [disk in lost for disk in self.disks]
        match self.level:
            case RaidLevel.SINGLE:
                return not any(gone)
            case RaidLevel.RAID1:
                return not all(gone)
            case RaidLevel.RAID10:
                return not any(a and b for a, b in zip(gone[::2], gone[1::2], strict=True))
            case _:
                return sum(gone) <= self.parity


class Host(Item):
    """A server. `addresses` maps a VLAN to this host's own address in it."""

    feeds: tuple[FeedName, ...]
    cores: Count = 16
    memory: Size = 16 * 2**30
    cards: dict[str, Card] = Field(default_factory=dict)
    nics: dict[str, Nic]
    bonds: dict[str, Bond] = Field(default_factory=dict)
    bridges: dict[str, Bridge] = Field(default_factory=dict)
    addresses: dict[VlanName, IPv4Address] = Field(default_factory=dict)
    ilo: Ilo | None = None
    disks: dict[str, Disk] = Field(default_factory=dict)
    raids: dict[str, Raid] = Field(default_factory=dict)
    boot: Duration = 180.0

    def flaws(self) -> Iterator[Flaw]:
        yield from self._port_flaws()
        yield from self._disk_flaws()

    def _port_flaws(self) -> Iterator[Flaw]:
        cards = {name: card.ports for name, card in self.cards.items()}
        bonds = {name: bond.members for name, bond in self.bonds.items()}
        bridges = {name: bridge.ports for name, bridge in self.bridges.items()}
        yield from _port_users("cards", "ports", cards, self.nics)
        yield from _port_users("bonds", "members", bonds, self.nics)
        yield from _port_users("bridges", "ports", bridges, {**self.bonds, **self.nics})
        for bond, each in self.bonds.items():
            for member in each.members:
                nic = self.nics.get(member)
                if nic is not None and (nic.vlans or nic.access is not None):
                    what = f"{member} carries VLANs of its own and is in {bond}"
                    fix = f"move them to {bond}"
                    yield Flaw(("nics", member), what, "a member carries what its bond does", fix)

    @property
    def volumes(self) -> dict[tuple[str, str], Raid]:
        """What is made of the host's disks, by section and name."""
        return {("raids", name): raid for name, raid in self.raids.items()}

    def _disk_flaws(self) -> Iterator[Flaw]:
        taken: dict[str, str] = {}
        for (section, name), volume in self.volumes.items():
            for position, disk in enumerate(volume.disks):
                path = (section, name, "disks", str(position))
                if disk not in self.disks:
                    what = f"{name} has {disk}, which is no disk here"
                    yield Flaw(path, what, fix=nearest(disk, self.disks))
                elif disk in taken:
                    what = f"{disk} is in {taken[disk]} and in {name}"
                    yield Flaw(path, what, "what is written to one destroys the other")
                taken.setdefault(disk, name)


def _port_users(
    section: str, key: str, users: Mapping[str, tuple[str, ...]], known: Mapping[str, object]
) -> Iterator[Flaw]:
    """Ports that are not there, or are in two cards, bonds or bridges."""
    taken: dict[str, str] = {}
    for name, ports in users.items():
        for position, port in enumerate(ports):
            path = (section, name, key, str(position))
            if port not in known:
                what = f"{name} has {port}, which is no port here"
                why = "without it there is one way out less than declared"
                yield Flaw(path, what, why, nearest(port, known))
            elif port in taken:
                yield Flaw(path, f"{port} is in {taken[port]} and in {name}", fix="keep it in one")
            taken.setdefault(port, name)
