"""Addresses of virtual nets: given out, changed and taken back by hand. Source:
PVE::API2::Network::SDN::Ips, ::Ipams; PVE::Network::SDN::Vnets.

Done at once, not staged. A net whose zone has no address manager takes any address of its subnets
and remembers none.
"""

from __future__ import annotations

import ipaddress

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, died
from simulator.pve_datacenter import ipam_state, sdn_state
from simulator.pve_datacenter.firewall_scopes import VNET_ID
from simulator.pve_datacenter.sdn import IPAM_ID, ZONE_ID

routes = Routes()

AT = "/cluster/sdn/vnets/{vnet}/ips"
MAY = "/sdn/zones/{zone}/{vnet} SDN.Allocate"
ADDRESS = VNET_ID + ZONE_ID + "ip ip\nmac? mac-addr\n"


def _place(call: Call) -> tuple[ipam_state.Place, str]:
    """The subnet in question, and the address as it is kept."""
    ip = str(ipaddress.ip_address(call.text("ip")))
    return ipam_state.place_for(call.documents, call.text("vnet"), ip), ip


def _row(call: Call) -> ipam_state.Row:
    """What is kept of who has an address; the guest as text, as it is part of a path there."""
    return {key: call.text(key) for key in ("mac", "vmid") if call.has(key)}


@routes.add(f"POST {AT}", MAY, ADDRESS)
def give(call: Call) -> object:
    """Give out an address."""
    place, ip = _place(call)
    if place.managed:
        place.add(call, ip, _row(call))
    return None


@routes.add(f"PUT {AT}", MAY, ADDRESS + "vmid? integer:pve-vmid 100..999999999\n")
def change(call: Call) -> object:
    """Another address for a card that may have one of its kind; if that is taken, the old one
    stays.
    """
    place, ip = _place(call)
    if not place.managed:
        return None
    before = call.documents.files.get(ipam_state.STATE_FILE, "")
    for zone, cidr, known, row in list(ipam_state.held(call.documents)):
        same_kind = (":" in known) == (":" in ip)
        if (
            zone == place.zone
            and same_kind
            and call.has("mac")
            and row.get("mac") == call.text("mac")
        ):
            ipam_state.Place(zone, cidr, managed=True).remove(call, known)
    try:
        place.add(call, ip, _row(call))
    except ApiError:
        call.documents.files[ipam_state.STATE_FILE] = before
        raise
    return None


@routes.add(f"DELETE {AT}", MAY, ADDRESS)
def take(call: Call) -> object:
    """Take an address back."""
    place, ip = _place(call)
    if place.managed:
        place.remove(call, ip)
    return None


@routes.add("GET /cluster/sdn/ipams/{ipam}/status", takes=IPAM_ID)
def status(call: Call) -> object:
    """Addresses that the address manager has given out in nets that the caller may see."""
    name, known = call.text("ipam"), sdn_state.IPAMS.entries(call.documents)
    if name not in known:
        raise died(f"sdn '{name}' does not exist")
    if known[name]["type"] != "pve":
        raise died("Currently only PVE IPAM is supported!")
    nets = {
        (place.zone, place.cidr): str(subnet["vnet"])
        for key, subnet in sdn_state.SUBNETS.entries(call.documents).items()
        for place in [ipam_state.place_of(call.documents, key, subnet)]
    }
    return [
        {"zone": zone, "vnet": nets[zone, cidr], "subnet": cidr, "ip": ip, **row}
        for zone, cidr, ip, row in ipam_state.held(call.documents)
        if (zone, cidr) in nets
        and call.may(f"/sdn/zones/{zone}/{nets[zone, cidr]}", "SDN.Audit", "SDN.Allocate")
    ]
