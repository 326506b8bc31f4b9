"""The lab as a drawing needs it: boxes, cables, VLANs, who is where, what is broken.

From a `Lab` and what was observed to plain values, for `/api/v1/lab` and the page. Names of
everything are those of faults (`subject`: `node pve2`), so that what is drawn can be failed.
Leaves out positions, colours and everything else of the drawing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.answers import Answer, Fault
from lab.faults import FaultKind
from lab.item import Item
from lab.kinds.host import Bond, Host, Ilo, Nic
from lab.kinds.nas import Nas
from lab.kinds.node import Node
from lab.kinds.router import RouterPort
from lab.kinds.switch import Port
from lab.lab import Lab
from lab.units import format_size
from simulator.network.wiring import Vlans

GuestKey = tuple[str, int]
"""Cluster and vmid."""


@dataclass(frozen=True, slots=True)
class GuestPlace:
    """Where a guest was seen, and whether it ran; `running` None: it did not say."""

    node: str
    running: bool | None


class VlanDrawn(Answer):
    """A VLAN."""

    name: str
    id: int
    role: str
    mtu: int
    subnet: str | None


class FeedDrawn(Answer):
    """A power feed."""

    name: str
    subject: str
    comment: str


class SwitchDrawn(Answer):
    """A switch; `peer`: the other half of its MLAG pair."""

    name: str
    subject: str
    feeds: list[str]
    peer: str | None
    ports: int


class PortDrawn(Answer):
    """A port of a server or router; `card` and `bond` are of the same box."""

    name: str
    card: str | None = None
    bond: str | None = None
    management: bool = False  # of the management processor (iLO)


class BondDrawn(Answer):
    """A bond of a server."""

    name: str
    mode: str
    members: list[str]
    vlans: list[str]


class PartDrawn(Answer):
    """Something inside a box that can fail by itself: a card, a disk, an OSD, a portal."""

    kind: FaultKind
    name: str
    subject: str
    text: str


class HostDrawn(Answer):
    """A server or a router. `guest_memory_bytes` is what a node has for guests."""

    kind: FaultKind
    name: str
    subject: str
    cluster: str | None = None
    feeds: list[str]
    memory_bytes: int | None = None
    guest_memory_bytes: int | None = None
    ports: list[PortDrawn]
    bonds: list[BondDrawn] = []
    addresses: dict[str, str]
    parts: list[PartDrawn] = []
    roles: list[str] = []  # "monitor", "2 OSDs"


class EndDrawn(Answer):
    """One end of a cable; `subject` is the box."""

    subject: str
    port: str


class CableDrawn(Answer):
    """A cable. `vlans` pass through it; `peer_link`: it joins an MLAG pair."""

    name: str
    subject: str
    ends: list[EndDrawn]
    vlans: list[str]
    peer_link: bool
    colour: str
    label: str


class ClusterDrawn(Answer):
    """A cluster and its nodes."""

    name: str
    nodes: list[str]


class GuestDrawn(Answer):
    """A guest. `node` None: nobody said where it is; `wanted`: started or stopped."""

    name: str
    subject: str
    vmid: int
    cluster: str
    node: str | None
    running: bool | None
    wanted: str
    cores: int
    memory_bytes: int
    vlans: list[str]
    ha: bool


class ServiceDrawn(Answer):
    """A service, and the guests that offer it: any of them, or all."""

    name: str
    subject: str
    needs: str
    guests: list[str]


class Topology(Answer):
    """Everything that is drawn. `faults` are live ones, not those of a simulation."""

    commit: str | None
    vlans: list[VlanDrawn]
    feeds: list[FeedDrawn]
    switches: list[SwitchDrawn]
    hosts: list[HostDrawn]
    cables: list[CableDrawn]
    clusters: list[ClusterDrawn]
    guests: list[GuestDrawn]
    services: list[ServiceDrawn]
    faults: list[Fault]


def topology(
    lab: Lab,
    commit: str | None = None,
    places: Mapping[GuestKey, GuestPlace] | None = None,
    faults: Sequence[Fault] = (),
) -> Topology:
    """The drawing of `lab`: `places` of guests as observed, `faults` as known."""
    return Topology(
        commit=commit,
        vlans=[
            VlanDrawn(
                name=name,
                id=vlan.id,
                role=vlan.role,
                mtu=vlan.mtu,
                subnet=str(vlan.subnet) if vlan.subnet else None,
            )
            for name, vlan in lab.vlans.items()
        ],
        feeds=[
            FeedDrawn(name=name, subject=f"feed {name}", comment=feed.comment)
            for name, feed in lab.feeds.items()
        ],
        switches=[
            SwitchDrawn(
                name=name,
                subject=f"switch {name}",
                feeds=list(switch.feeds),
                peer=switch.peer,
                ports=len(switch.ports),
            )
            for name, switch in lab.switches.items()
        ],
        hosts=[*_routers(lab), *_hosts(lab)],
        cables=list(_cables(lab)),
        clusters=[ClusterDrawn(name=name, nodes=lab.members(name)) for name in lab.clusters],
        guests=list(_guests(lab, places or {})),
        services=[
            ServiceDrawn(
                name=name,
                subject=f"service {name}",
                needs="any" if service.any else "all",
                guests=list(service.any or service.all),
            )
            for name, service in lab.services.items()
        ],
        faults=list(faults),
    )


def _routers(lab: Lab) -> Iterator[HostDrawn]:
    for name, router in lab.routers.items():
        yield HostDrawn(
            kind=FaultKind.ROUTER,
            name=name,
            subject=f"router {name}",
            feeds=list(router.feeds),
            ports=[PortDrawn(name=port) for port in router.ports],
            addresses={vlan: str(address) for vlan, address in router.legs.items()},
        )


def _hosts(lab: Lab) -> Iterator[HostDrawn]:
    for kind, hosts in _hosts_by_kind(lab):
        for name, host in hosts.items():
            yield HostDrawn(
                kind=kind,
                name=name,
                subject=f"{kind} {name}",
                cluster=host.cluster if isinstance(host, Node) else None,
                feeds=list(host.feeds),
                memory_bytes=host.memory,
                guest_memory_bytes=host.guest_memory_bytes if isinstance(host, Node) else None,
                ports=list(_ports(host)),
                bonds=[
                    BondDrawn(
                        name=bond,
                        mode=made.mode,
                        members=list(made.members),
                        vlans=list(made.vlans),
                    )
                    for bond, made in host.bonds.items()
                ],
                addresses={vlan: str(address) for vlan, address in host.addresses.items()},
                parts=list(_parts(lab, name, host)),
                roles=list(_roles(lab, name, host)),
            )


def _hosts_by_kind(lab: Lab) -> Iterator[tuple[FaultKind, Mapping[str, Host]]]:
    nodes = dict(sorted(lab.nodes.items(), key=lambda item: item[1].cluster))
    yield FaultKind.NODE, nodes
    yield FaultKind.NAS, lab.nas
    yield FaultKind.BACKUP_SERVER, lab.backup_servers


def _ports(host: Host) -> Iterator[PortDrawn]:
    cards = {port: name for name, card in host.cards.items() for port in card.ports}
    bonds = {port: name for name, bond in host.bonds.items() for port in bond.members}
    for name in host.nics:
        yield PortDrawn(name=name, card=cards.get(name), bond=bonds.get(name))
    if host.ilo is not None:
        yield PortDrawn(name="ilo", management=True)


def _parts(lab: Lab, name: str, host: Host) -> Iterator[PartDrawn]:
    for card, made in host.cards.items():
        yield _part(FaultKind.CARD, f"{name}/{card}", f"ports {', '.join(made.ports)}")
    for disk, sized in host.disks.items():
        yield _part(FaultKind.DISK, f"{name}/{disk}", format_size(sized.size))
    for ceph, cluster in lab.ceph.items():
        for osd, made_of in cluster.osds.items():
            if made_of.node == name:
                yield _part(FaultKind.OSD, f"{ceph}/{osd}", f"on {made_of.disk}")
    if isinstance(host, Nas):
        for portal, offered in host.portals.items():
            text = f"{offered.address} in {offered.vlan}"
            yield _part(FaultKind.PORTAL, f"{name}/{portal}", text)


def _part(kind: FaultKind, name: str, text: str) -> PartDrawn:
    return PartDrawn(kind=kind, name=name, subject=f"{kind} {name}", text=text)


def _roles(lab: Lab, name: str, host: Host) -> Iterator[str]:
    """What the server does besides running guests."""
    for ceph in lab.ceph.values():
        if name in ceph.mons:
            yield "monitor"
        if osds := sum(osd.node == name for osd in ceph.osds.values()):
            yield f"{osds} OSD{'s' if osds > 1 else ''}"
    if isinstance(host, Nas):
        if host.targets:
            luns = sum(len(target.luns) for target in host.targets.values())
            yield f"{luns} LUN{'s' if luns > 1 else ''}"
        if host.shares:
            yield "NFS"
    if name in lab.backup_servers:
        yield "NFS, backups"


def _cables(lab: Lab) -> Iterator[CableDrawn]:
    boxes = _boxes(lab)
    for name, cable in lab.cables.items():
        ends, passes = [], []
        for end in cable.ends:
            box, port = end.split("/")
            ends.append(EndDrawn(subject=boxes.get(box, box), port=port))
            passes.append(_vlans(lab, box, port))
        first, second = (end.partition("/")[0] for end in cable.ends)
        switch = lab.switches.get(first)
        yield CableDrawn(
            name=name,
            subject=f"cable {name}",
            ends=ends,
            vlans=_in_order(lab, passes[0].common(passes[1])),
            peer_link=switch is not None and switch.peer == second,
            colour=cable.colour,
            label=cable.label,
        )


def _boxes(lab: Lab) -> dict[str, str]:
    """Name of everything with ports -> its subject."""
    boxes = {name: f"switch {name}" for name in lab.switches}
    boxes |= {name: f"router {name}" for name in lab.routers}
    return boxes | {name: f"{kind} {name}" for kind, hosts in _hosts_by_kind(lab) for name in hosts}


def _vlans(lab: Lab, box: str, port: str) -> Vlans:
    """What a port, or the bond that it is in, does with VLANs."""
    item: Item | None = None
    if box in lab.switches:
        item = lab.switches[box].ports.get(port)
    elif box in lab.routers:
        item = lab.routers[box].ports.get(port)
    elif (host := lab.hosts.get(box)) is not None:
        bonds = [bond for bond in host.bonds.values() if port in bond.members]
        item = bonds[0] if bonds else host.ilo if port == "ilo" else host.nics.get(port)
    untagged: set[str | None] = set()
    if isinstance(item, Port | Nic | RouterPort):
        untagged.add(item.access)
    if isinstance(item, Port):
        untagged.add(item.native)
    if isinstance(item, Ilo):
        untagged.add(item.vlan)
    known = frozenset(vlan for vlan in untagged if vlan is not None)
    tagged = item.vlans if isinstance(item, Port | Nic | RouterPort | Bond) else ()
    return Vlans(frozenset(tagged) - known, known)


def _in_order(lab: Lab, vlans: Iterable[str]) -> list[str]:
    return sorted(vlans, key=lambda name: lab.vlans[name].id)


def _guests(lab: Lab, places: Mapping[GuestKey, GuestPlace]) -> Iterator[GuestDrawn]:
    for name, guest in lab.guests.items():
        place = places.get((guest.cluster, guest.vmid))
        yield GuestDrawn(
            name=name,
            subject=f"guest {name}",
            vmid=guest.vmid,
            cluster=guest.cluster,
            node=place.node if place else None,
            running=place.running if place else None,
            wanted=guest.state,
            cores=guest.cores * guest.sockets,
            memory_bytes=guest.memory,
            vlans=_in_order(lab, {net.vlan for net in guest.nets.values()}),
            ha=guest.ha is not None,
        )
