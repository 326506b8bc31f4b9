"""Addresses that the built-in address manager has given out: sdn/pve-ipam-state.json.

    {"zones": {"z1": {"subnets": {"10.0.0.0/24": {"ips": {"10.0.0.1": {"gateway": 1}}}}}}}

Written when subnets come and go and by `sdn_addresses`; not staged, so a rollback leaves it. All
managers of type `pve` share it. Source: PVE::Network::SDN::Ipams::PVEPlugin, SubnetPlugin
on_update_hook. Leaves out: addresses for the cards of guests in zones with DHCP; that the file is
priv/ipam.db before 9.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simulator.pve.call import Call
from simulator.pve.documents import Documents, Entry
from simulator.pve.wire import died
from simulator.pve_datacenter import sdn_state

STATE_FILE = "sdn/pve-ipam-state.json"
LOCK = "sdn_pve-ipam-state_json"

Row = dict[str, object]
Subnets = dict[str, dict[str, dict[str, Row]]]
"""CIDR -> `ips` -> address -> what is known of who has it."""


def zones(documents: Documents) -> dict[str, dict[str, Subnets]]:
    """Zone -> `subnets` -> its subnets."""
    text = documents.files.get(STATE_FILE)
    found: dict[str, dict[str, Subnets]] = json.loads(text).get("zones", {}) if text else {}
    return found


@dataclass(frozen=True)
class Place:
    """A subnet in the state. `managed`: whether its zone has this address manager."""

    zone: str
    cidr: str
    managed: bool

    def add(self, call: Call, ip: str, row: Row) -> None:
        """Give out an address. Raises if somebody has it; a gateway may be told again."""
        known = self._ips(call)
        if ip in known and not ("gateway" in row and "gateway" in known[ip]):
            raise died(f"IP '{ip}' already exist")
        self._write(call, {**known, ip: row})

    def remove(self, call: Call, ip: str) -> None:
        """Take an address back."""
        known = self._ips(call)
        if ip not in known:
            raise died(f"IP '{ip}' does not exist in IPAM DB")
        self._write(call, {name: row for name, row in known.items() if name != ip})

    def has(self, call: Call, ip: str) -> bool:
        """Whether an address is given out."""
        return ip in self._ips(call)

    def open(self, call: Call) -> None:
        """Let there be the subnet."""
        subnets = zones(call.documents).get(self.zone, {}).get("subnets", {})
        self._write(call, subnets.get(self.cidr, {}).get("ips", {}))

    def close(self, call: Call) -> None:
        """Forget the subnet, unless others than a gateway have addresses."""
        known = zones(call.documents)
        subnets = known.get(self.zone, {}).get("subnets", {})
        gone = subnets.pop(self.cidr, {"ips": {}})
        if any("gateway" not in row for row in gone["ips"].values()):
            raise died(f"cannot delete subnet '{self.cidr}', not empty")
        _keep(call, known)

    def _ips(self, call: Call) -> dict[str, Row]:
        if (zone := zones(call.documents).get(self.zone)) is None:
            raise died(f"zone '{self.zone}' doesn't exist in IPAM DB")
        if (subnet := zone["subnets"].get(self.cidr)) is None:
            raise died(f"subnet '{self.cidr}' doesn't exist in IPAM DB")
        return subnet["ips"]

    def _write(self, call: Call, ips: dict[str, Row]) -> None:
        known = zones(call.documents)
        subnets = known.setdefault(self.zone, {"subnets": {}})["subnets"]
        subnets[self.cidr] = {"ips": ips}
        _keep(call, known)


def _keep(call: Call, known: Mapping[str, object]) -> None:
    with call.locked(LOCK):
        call.documents.files[STATE_FILE] = json.dumps({"zones": known}, sort_keys=True)


def place_of(documents: Documents, name: str, subnet: Entry) -> Place:
    """Where a staged subnet is in the state."""
    net = sdn_state.VNETS.entries(documents).get(str(subnet.get("vnet")), {})
    zone = str(net.get("zone"))
    manager = str(sdn_state.ZONES.entries(documents).get(zone, {}).get("ipam") or "")
    kind = sdn_state.IPAMS.entries(documents).get(manager, {}).get("type")
    cidr = str(sdn_state.subnet_shown(name, subnet, zone)["cidr"])
    return Place(zone, cidr, kind == "pve")


def follow(call: Call, name: str, old: Entry | None, new: Entry | None) -> None:
    """Keep up with a subnet that came, changed or went: its gateway has an address."""
    place = place_of(call.documents, name, new or old or {})
    if not place.managed:
        return
    if new is None:
        place.close(call)
        return
    place.open(call)
    if ipaddress.ip_interface(place.cidr).network.num_addresses == 1:
        return  # its gateway is not of it
    before, now = (old or {}).get("gateway"), new.get("gateway")
    if now and now != before:
        place.add(call, str(now), {"gateway": 1})
    if before and now != before and place.has(call, str(before)):
        place.remove(call, str(before))


def place_for(documents: Documents, vnet: str, ip: str) -> Place:
    """The subnet of a net that an address belongs to. Raises if there is none."""
    address = ipaddress.ip_address(ip)
    for name, subnet in sdn_state.subnets_of(documents, vnet).items():
        place = place_of(documents, name, subnet)
        if address in ipaddress.ip_interface(place.cidr).network:
            return place
    raise died(f"can't find any subnet for ip {ip}")


def held(documents: Documents) -> Iterator[tuple[str, str, str, Row]]:
    """Zone, CIDR and address of all that were given out, and what is known of who has it."""
    for zone, inside in sorted(zones(documents).items()):
        for cidr, subnet in sorted(inside["subnets"].items()):
            for ip in sorted(subnet["ips"], key=lambda text: ipaddress.ip_address(text).packed):
                yield zone, cidr, ip, subnet["ips"][ip]
