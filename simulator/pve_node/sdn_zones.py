"""What of SDN runs on a node: zones, their virtual nets, and the bridges with what is plugged in.

Source: PVE::API2::Network::SDN::Nodes::Zones, ::Zone; the zones' generate_sdn_config for the names
of uplinks, PVE::Network tap_plug for those of guests' ports. Leaves out: Open vSwitch, whose ports
are in no Linux bridge; VRFs, as nothing is routed.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.parameters import parse
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve_datacenter import sdn_state
from simulator.pve_datacenter.firewall_scopes import VNET_ID
from simulator.pve_datacenter.resources import LOCAL_ZONE
from simulator.pve_datacenter.sdn import ZONE_ID
from simulator.pve_guest.lxc_options import option_kind
from simulator.pve_node.nodes import NODE, files

routes = Routes()

AT = "/nodes/{node}/sdn/zones/{zone}"
AUDIT = "/sdn/zones/{zone} SDN.Audit"
ALL_VLANS = ["1", "2-4094"]  # what a port without a tag carries on a bridge that knows VLANs
index(routes, AT, "content bridges ip-vrf", "subdir", AUDIT, ZONE_ID)
index(routes, "/nodes/{node}/sdn/vnets/{vnet}", "mac-vrf", "subdir", takes=VNET_ID)


def _here(call: Call, zone: Entry) -> bool:
    nodes = items(str(zone.get("nodes") or ""))
    return not nodes or call.node in nodes


@routes.add("GET /nodes/{node}/sdn/zones", takes="node pve-node")
def zones(call: Call) -> object:
    """Zones that run on a node."""
    return [
        {"zone": name, "status": "available"}
        for name, zone in sorted(sdn_state.running(call.documents, "zones").items())
        if call.may(f"/sdn/zones/{name}", "SDN.Audit", "SDN.Allocate") and _here(call, zone)
    ]


def _nets(call: Call) -> list[tuple[str, Entry]]:
    """Virtual nets that run of the zone in the path."""
    nets = sdn_state.running(call.documents, "vnets")
    return [(name, net) for name, net in sorted(nets.items()) if net["zone"] == call.text("zone")]


def local_nets(call: Call) -> dict[str, dict[str, object]]:
    """Virtual nets that run on a node and that the caller may use, as interfaces. Source:
    PVE::Network::SDN get_local_vnets.
    """
    zones = sdn_state.running(call.documents, "zones")
    found = {}
    for name, net in sorted(sdn_state.running(call.documents, "vnets").items()):
        zone = zones.get(str(net.get("zone")), {})
        path = f"/sdn/zones/{net.get('zone')}/{name}"
        if _here(call, zone) and call.may(path, "SDN.Audit", "SDN.Use"):
            found[name] = {
                "type": "vnet",
                "active": "1",
                "ipam": int(bool(zone.get("ipam"))),
                "vlanaware": int(bool(net.get("vlanaware"))),
                "comments": net.get("alias"),
            }
    return found


@routes.add(f"GET {AT}/content", AUDIT, NODE + ZONE_ID)
def content(call: Call) -> object:
    """Virtual nets of a zone that runs."""
    return [
        {"vnet": name, "status": "available", **({"alias": net["alias"]} if "alias" in net else {})}
        for name, net in _nets(call)
    ]


@routes.add(f"GET {AT}/bridges", AUDIT, NODE + "zone string\n")
def bridges(call: Call) -> object:
    """Bridges of a zone on this node, or the node's own ones, each with its ports."""
    name, network = call.text("zone"), files(call).network
    if name == LOCAL_ZONE:
        own = {key: entry for key, entry in network.items() if entry["type"] == "bridge"}
        return [
            _row(call, key, items(str(entry.get("bridge_ports") or "")),
                 aware=bool(entry.get("bridge_vlan_aware")))
            for key, entry in sorted(own.items())
        ]  # fmt: skip
    zone = sdn_state.running(call.documents, "zones").get(name)
    if zone is None or not _here(call, zone):
        return []
    below = network.get(str(zone.get("bridge")), {})
    aware = below.get("type") == "bridge" and bool(below.get("bridge_vlan_aware"))
    return [
        _row(call, net, _uplinks(name, zone, net, entry, aware=aware),
             aware=bool(entry.get("vlanaware")))
        for net, entry in _nets(call)
    ]  # fmt: skip


def _uplinks(name: str, zone: Entry, net: str, entry: Entry, *, aware: bool) -> list[str]:
    """By what a virtual net leaves its node. `aware`: the bridge below knows VLANs."""
    match zone["type"]:
        case "vlan":
            return [f"{zone['bridge']}.{entry['tag']}" if aware else f"ln_{net}"]
        case "qinq":
            return [f"z_{name}.{entry['tag']}"]
        case "vxlan" | "evpn":
            return [f"vxlan_{net}"]
    return []


def _row(call: Call, bridge: str, uplinks: list[str], *, aware: bool) -> dict[str, object]:
    carried: Entry = {}
    plugged = [{"name": name, **_carries(carried, aware=aware)} for name in uplinks]
    plugged += [
        {**port, **_carries(values, aware=aware)}
        for port, values in _guest_ports(call, bridge)
        if aware or not values.get("tag")  # else it is on a bridge of that VLAN alone
    ]
    return {"name": bridge, "vlan_filtering": str(int(aware)), "ports": plugged}


def _carries(values: Entry, *, aware: bool) -> dict[str, object]:
    """VLANs of a port, as far as its bridge knows them."""
    if not aware:
        return {}
    more = str(values.get("trunks") or "").split(";") if values.get("trunks") else []
    if not (tag := values.get("tag")):
        return {"primary_vlan": 1, "vlans": ["1", *more] if more else ALL_VLANS}
    return {"primary_vlan": int(str(tag)), "vlans": [str(tag), *more]}


def _guest_ports(call: Call, bridge: str) -> Iterator[tuple[dict[str, object], Entry]]:
    """Ports of the guests that run on this node, each with the values of its card."""
    for vmid, guest in sorted(call.documents.guests.items()):
        place = call.world.guest(vmid)
        if place is None or place.node != call.node or not call.world.running(vmid):
            continue
        kind, prefix = ("net", "tap") if guest.kind == "qemu" else ("ct-net", "veth")
        for option, text in sorted(guest.current.items()):
            if option_kind(option) != "net":
                continue
            values = parse(kind, str(text))
            number = option.removeprefix("net")
            if values.get("bridge") == bridge:
                walled = values.get("firewall")
                name = f"fwpr{vmid}p{number}" if walled else f"{prefix}{vmid}i{number}"
                yield {"name": name, "vmid": vmid, "index": number}, values
