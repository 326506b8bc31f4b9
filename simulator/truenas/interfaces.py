"""Network interfaces as the lab wires them; read only. Leaves out: changing them."""

from __future__ import annotations

from collections.abc import Iterator

from lab.kinds.host import Bond, Nic
from simulator.truenas.call import Call, Entry, serves
from simulator.truenas.errors import no_such


def _interfaces(call: Call) -> Iterator[Entry]:
    """Ports, bonds, and a VLAN interface for each tagged VLAN that the array has an address in."""
    host, world = call.world.host, call.world
    by_vlan: dict[str, list[str]] = {}
    for address, vlan in world.addresses.items():
        by_vlan.setdefault(vlan, []).append(address)

    def aliases(vlan: str | None) -> list[Entry]:
        return [
            {"type": "INET", "address": address, "netmask": world.prefix(vlan)}
            for address in by_vlan.get(vlan or "", ())
            if vlan is not None
        ]

    for name, nic in host.nics.items():
        yield _entry(name, "PHYSICAL", nic.mtu, aliases(nic.access))
    for name, bond in host.bonds.items():
        entry = _entry(name, "LINK_AGGREGATION", bond.mtu, [])
        lag = {"lag_protocol": "LACP" if bond.mode == "lacp" else "FAILOVER"}
        yield {**entry, **lag, "lag_ports": list(bond.members)}
    trunks: dict[str, Nic | Bond] = {**host.nics, **host.bonds}
    for parent, port in trunks.items():
        for vlan in port.vlans:
            tag = call.twin.model.lab.vlans[vlan].id
            entry = _entry(f"vlan{tag}", "VLAN", port.mtu, aliases(vlan))
            yield {**entry, "vlan_parent_interface": parent, "vlan_tag": tag, "vlan_pcp": None}


def _entry(name: str, kind: str, mtu: int, aliases: list[Entry]) -> Entry:
    state: Entry = {
        "name": name,
        "orig_name": name,
        "description": "",
        "mtu": mtu,
        "cloned": kind != "PHYSICAL",
        "flags": ["UP", "BROADCAST", "RUNNING", "MULTICAST"],
        "nd6_flags": [],
        "capabilities": [],
        "link_state": "LINK_STATE_UP",
        "media_type": "",
        "media_subtype": "",
        "active_media_type": "Ethernet",
        "active_media_subtype": "1000baseT",
        "supported_media": [],
        "media_options": None,
        "link_address": "",
        "permanent_link_address": None,
        "hardware_link_address": "",
        "aliases": aliases,
    }
    return {
        "id": name,
        "name": name,
        "fake": False,
        "type": kind,
        "state": state,
        "aliases": aliases,
        "ipv4_dhcp": False,
        "ipv6_auto": False,
        "description": "",
        "mtu": mtu,
    }


@serves("interface.query")
def query(call: Call) -> object:
    """Interfaces."""
    return call.selected(list(_interfaces(call)))


@serves("interface.get_instance")
def get_instance(call: Call) -> object:
    """One of them."""
    for entry in _interfaces(call):
        if entry["id"] == call.args["id"]:
            return entry
    raise no_such("Interface", call.args["id"])


@serves("interface.has_pending_changes")
def has_pending_changes(call: Call) -> object:
    """Nobody can make any here."""
    del call
    return False


@serves("interface.checkin_waiting")
def checkin_waiting(call: Call) -> None:
    """Nor commit them."""
    del call
