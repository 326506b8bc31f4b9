"""Addresses, VLAN ids and VMIDs stand for one thing each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from lab.errors import Problem
from lab.item import Path
from lab.lab import Lab
from lab.rules.wiring import hosts


@dataclass(frozen=True, slots=True)
class Address:
    """An address in a VLAN, whose it is, and where it was written."""

    address: IPv4Address
    vlan: str
    owner: str
    path: Path


def addresses(lab: Lab) -> Iterator[Address]:
    """Every address of the lab. A portal on its array's own address is not listed again."""
    for word, name, host in hosts(lab):
        for vlan, address in host.addresses.items():
            yield Address(address, vlan, name, (word, name, "addresses", vlan))
        if host.ilo is not None:
            ilo, owner = host.ilo, f"the ilo of {name}"
            yield Address(ilo.address, ilo.vlan, owner, (word, name, "ilo", "address"))
    for name, nas in lab.nas.items():
        for key, portal in nas.portals.items():
            if nas.addresses.get(portal.vlan) != portal.address:
                path: Path = ("nas", name, "portals", key, "address")
                yield Address(portal.address, portal.vlan, f"portal {key} of {name}", path)
    for name, router in lab.routers.items():
        for vlan, address in router.legs.items():
            yield Address(address, vlan, name, ("routers", name, "legs", vlan))
    for name, guest in lab.guests.items():
        for slot, net in guest.nets.items():
            if net.address is not None:
                path = ("guests", name, "nets", slot, "address")
                yield Address(net.address, net.vlan, f"{name} {slot}", path)


def addresses_are_used_once(lab: Lab) -> Iterator[Problem]:
    """No address twice in a VLAN."""
    first: dict[tuple[str, IPv4Address], Address] = {}
    for each in addresses(lab):
        other = first.setdefault((each.vlan, each.address), each)
        if other is not each:
            what = f"{each.address} in {each.vlan} belongs to {other.owner} and to {each.owner}"
            why = "traffic for the one reaches the other, by turns"
            yield Problem(lab.place(*each.path), what, why, f"see {lab.place(*other.path)}")


def addresses_are_in_the_subnet(lab: Lab) -> Iterator[Problem]:
    """An address is a host's address of its VLAN's subnet."""
    for each in addresses(lab):
        vlan = lab.vlans.get(each.vlan)
        if vlan is None or (subnet := vlan.subnet) is None:
            continue
        edges = (subnet.network_address, subnet.broadcast_address) if subnet.prefixlen < 31 else ()
        if each.address not in subnet:
            what = f"{each.address} of {each.owner} is outside of {each.vlan}, {subnet}"
        elif each.address in edges:
            what = f"{each.address} of {each.owner} is no host's address in {subnet}"
        else:
            continue
        why = "nothing else in the VLAN can reach it"
        fix = f"write an address from {subnet}, or correct the VLAN"
        yield Problem(lab.place(*each.path), what, why, fix)


def vlan_ids_are_used_once(lab: Lab) -> Iterator[Problem]:
    """Two names for one 802.1Q id would be one broadcast domain."""
    first: dict[int, str] = {}
    for name, vlan in lab.vlans.items():
        other = first.setdefault(vlan.id, name)
        if other != name:
            what = f"VLAN id {vlan.id} belongs to {other} and to {name}"
            why = "on the wire they are one network"
            yield Problem(lab.place("vlans", name, "id"), what, why, "write another id")


def vmids_are_used_once(lab: Lab) -> Iterator[Problem]:
    """No VMID twice in a cluster; twice in the lab is allowed, and stands in the way of moving
    guests.
    """
    first: dict[int, str] = {}
    in_cluster: dict[tuple[str, int], str] = {}
    for name, guest in lab.guests.items():
        other = first.setdefault(guest.vmid, name)
        twin = in_cluster.setdefault((guest.cluster, guest.vmid), name)
        if twin != name:
            place = lab.place("guests", name, "vmid")
            what = f"VMID {guest.vmid} belongs to {twin} and to {name} of cluster {guest.cluster}"
            yield Problem(place, what, "a cluster knows its guests by VMID", "write another vmid")
        elif other != name:
            place = lab.place("guests", name, "vmid")
            what = (
                f"VMID {guest.vmid} is also that of {other} in cluster {lab.guests[other].cluster}"
            )
            why = "backups of the two share names, and neither can move to the other's cluster"
            yield Problem(place, what, why, "write a vmid that is unique in the lab", "warning")


RULES = (
    addresses_are_used_once,
    addresses_are_in_the_subnet,
    vlan_ids_are_used_once,
    vmids_are_used_once,
)
