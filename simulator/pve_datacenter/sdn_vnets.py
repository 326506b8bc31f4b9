"""Virtual nets and their subnets. Source: PVE::API2::Network::SDN::Vnets, ::Subnets, the zones'
vnet_update_hook, SubnetPlugin on_update_hook.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.formats import FORMATS
from simulator.pve.parameters import parse
from simulator.pve.routes import Routes
from simulator.pve.sections import check_new
from simulator.pve.wire import bad_parameters, died
from simulator.pve_datacenter import ipam_state, sdn_state
from simulator.pve_datacenter.firewall_scopes import VNET_ID
from simulator.pve_datacenter.sdn import CHANGES, LOCK_TOKEN, VIEW, changed, sent, view
from simulator.pve_datacenter.sdn_state import (
    SUBNET_KEYS,
    SUBNETS,
    VNET_KEYS,
    VNETS,
    ZONES,
    subnet_shown,
    subnets_of,
)

routes = Routes()

BASE = "/cluster/sdn/vnets"
AT = f"{BASE}/{{vnet}}"
LARGEST = {"vlan": 4096, "qinq": 4096, "vxlan": 16777216, "evpn": 16777216}
"""Tags of the types of zones that have them."""


def _need(*privileges: str) -> Callable[[Call], None]:
    """Who may do something with the net in the path, which must be there."""

    def guard(call: Call) -> None:
        call.need(f"/sdn/zones/{_find(call).get('zone')}/{call.text('vnet')}", *privileges)

    return guard


def _find(call: Call) -> Entry:
    """The net in the path. Raises if there is none."""
    name = call.text("vnet")
    net = VNETS.entries(call.documents).get(name)
    if net is None and (call.flag("running") or call.flag("pending")):
        net = sdn_state.running(call.documents, "vnets").get(name)
    if net is None:
        raise died(f"sdn vnet '{name}' does not exist")
    return net


_SEE, _CHANGE = _need("SDN.Audit", "SDN.Allocate"), _need("SDN.Allocate")


@routes.add(f"GET {BASE}", takes=VIEW)
def vnets(call: Call) -> object:
    """Virtual nets that the caller may see."""
    rows = []
    for name, row in view(call, "vnets", VNETS).items():
        later = row.get("pending")
        zone = row.get("zone") or (later.get("zone") if isinstance(later, Mapping) else "")
        if call.may(f"/sdn/zones/{zone}/{name}", "SDN.Audit", "SDN.Allocate"):
            rows.append({"vnet": name, **row})
    return rows


@routes.add(f"GET {AT}", _SEE, VNET_ID + VIEW)
def vnet(call: Call) -> object:
    """One net."""
    known, name = view(call, "vnets", VNETS), call.text("vnet")
    if name not in known:
        raise died(f"sdn vnet '{name}' does not exist")
    return {"vnet": name, **known[name]}


def _check_tag(call: Call, name: str, entries: Mapping[str, Entry]) -> None:
    """A tag is needed, refused or must be free, by the type of the zone."""
    net = entries[name]
    zones = ZONES.entries(call.documents)
    zone = zones.get(str(net.get("zone")))
    if zone is None:
        place = "/usr/share/perl5/PVE/API2/Network/SDN/Vnets.pm line 326."
        raise died(f"cannot lookup undefined type! at {place}")
    kind, tag = str(zone["type"]), net.get("tag")
    if kind not in LARGEST:
        if tag is not None:
            raise bad_parameters(tag=f"vlan tag is not allowed on {kind} zone")
        return
    word = "vlan" if kind in ("vlan", "qinq") else "vxlan"
    if tag is None:
        raise bad_parameters(tag=f"missing {word} tag")
    if int(str(tag)) > LARGEST[kind]:
        raise bad_parameters(tag=f"{word} tag max value is {LARGEST[kind]}")
    for other, entry in sorted(entries.items()):
        if other == name or entry.get("tag") != tag:
            continue
        there = zones.get(str(entry.get("zone")), {})
        everywhere = word == "vxlan" and there.get("type") in ("vxlan", "evpn")
        if everywhere or entry.get("zone") == net.get("zone"):
            raise bad_parameters(tag=f"tag {tag} already exist in vnet {other}")


def _check_net(call: Call, name: str, entries: Mapping[str, Entry]) -> None:
    _check_tag(call, name, entries)
    if entries[name].get("vlanaware") and subnets_of(call.documents, name):
        raise bad_parameters(vlanaware="vlanaware vnet is not compatible with subnets")


@routes.add(
    f"POST {BASE}",
    "/sdn/zones/{zone} SDN.Allocate",
    VNET_ID + VNET_KEYS + LOCK_TOKEN + "type? enum(vnet)\nzone string\n",
)
def create_vnet(call: Call) -> object:
    """A new net in a zone."""
    name, settings = call.text("vnet"), sent(call, "vnet")
    with sdn_state.locked(call, "create sdn vnet object failed"):
        check_new(VNETS.types["vnet"], settings)
        entries = VNETS.entries(call.documents)
        if name in entries:
            raise died(f"sdn vnet object ID '{name}' already defined")
        entries[name] = {"type": "vnet", **settings}
        _check_net(call, name, entries)
        VNETS.write(call.documents, entries)
    return None


@routes.add(f"PUT {AT}", _CHANGE, VNET_ID + VNET_KEYS + CHANGES + "zone? string\n")
def update_vnet(call: Call) -> object:
    """Change a net; with subnets it stays in its zone."""
    name, settings = call.text("vnet"), sent(call, "vnet")
    if call.has("zone"):
        call.need(f"/sdn/zones/{call.text('zone')}", "SDN.Allocate")
    with sdn_state.locked(call, "update sdn vnet object failed"):
        call.need_digest(VNETS.digest(call.documents))
        entries, old = VNETS.entries(call.documents), _find(call)
        if "zone" in call.words("delete"):
            raise bad_parameters(zone="cannot delete zone")
        entries[name] = changed(call, VNETS, old, settings)
        if entries[name]["zone"] != old["zone"] and subnets_of(call.documents, name):
            raise bad_parameters(zone="can't change zone if subnets exist")
        _check_net(call, name, entries)
        VNETS.write(call.documents, entries)
    return None


@routes.add(f"DELETE {AT}", _CHANGE, VNET_ID + LOCK_TOKEN)
def delete_vnet(call: Call) -> object:
    """Remove a net that has no subnets."""
    name = call.text("vnet")
    with sdn_state.locked(call, "delete sdn vnet object failed"):
        if subnets_of(call.documents, name):
            raise bad_parameters(vnet="Can't delete vnet if subnets exists")
        VNETS.put(call.documents, name, None)
    return None


_SUBNETS = f"{AT}/subnets"
_SUBNET = f"{_SUBNETS}/{{subnet}}"
_SUBNET_ID = VNET_ID + "subnet pve-sdn-subnet-id\n"


def _subnet_id(text: str) -> str:
    """A CIDR, or the id that it becomes: `zone-network-mask`."""
    given = text
    if "/" not in text and text.count("-") >= 2:
        head, _, mask = text.rpartition("-")
        given = f"{head.partition('-')[2]}/{mask}"
    try:
        ipaddress.ip_interface(given)
    except ValueError:
        given = ""
    return "" if "/" in given else "value does not look like a valid CIDR network\n"


FORMATS["pve-sdn-subnet-id"] = _subnet_id


@routes.add(f"GET {_SUBNETS}", _SEE, VNET_ID + VIEW)
def subnets(call: Call) -> object:
    """Subnets of a net."""
    name = call.text("vnet")
    return [
        subnet_shown(key, row)
        for key, row in view(call, "subnets", SUBNETS).items()
        if row.get("vnet") == name
    ]


@routes.add(f"GET {_SUBNET}", _SEE, _SUBNET_ID + VIEW)
def subnet(call: Call) -> object:
    """One subnet."""
    known, name = view(call, "subnets", SUBNETS), call.text("subnet")
    if name not in known:
        raise died(f"sdn subnet '{name}' does not exist")
    if known[name].get("vnet") != call.text("vnet"):
        raise bad_parameters(vnet="wrong vnet")
    return subnet_shown(name, known[name])


def _check_subnet(call: Call, name: str, entry: Entry) -> None:
    net_name = str(entry.get("vnet"))
    net = VNETS.entries(call.documents).get(net_name)
    if net is None:
        raise bad_parameters(vnet=f"{net_name} don't exist")
    if net.get("vlanaware"):
        raise bad_parameters(vnet="you can't add a subnet on a vlanaware vnet")
    cidr = str(subnet_shown(name, entry, str(net["zone"]))["cidr"])
    inside = ipaddress.ip_interface(cidr).network
    gateway = entry.get("gateway")
    if gateway and inside.num_addresses > 1 and ipaddress.ip_address(str(gateway)) not in inside:
        raise bad_parameters(gateway=f"{gateway} is not in subnet {cidr}")
    _check_ranges(entry, inside, cidr)


def _check_ranges(
    entry: Entry, inside: ipaddress.IPv4Network | ipaddress.IPv6Network, cidr: str
) -> None:
    taken: list[tuple[int, int]] = []
    ranges = entry.get("dhcp-range")
    for text in ranges if isinstance(ranges, tuple) else ():
        values = parse("sdn-dhcp-range", text)
        start = ipaddress.ip_address(str(values["start-address"]))
        end = ipaddress.ip_address(str(values["end-address"]))
        problem = ""
        if int(start) > int(end):
            problem = f"start-address {start} must be smaller than end-address {end}"
        elif start not in inside:
            problem = f"start-address {start} is not in subnet {cidr}"
        elif end not in inside:
            problem = f"end-address {end} is not in subnet {cidr}"
        elif any(int(start) <= high and low <= int(end) for low, high in taken):
            problem = "dhcp ranges must not overlap"
        if problem:
            raise bad_parameters(**{"dhcp-range": problem})
        taken.append((int(start), int(end)))


@routes.add(
    f"POST {_SUBNETS}",
    _CHANGE,
    SUBNET_KEYS + LOCK_TOKEN + "subnet pve-sdn-subnet-id\ntype enum(subnet)\nvnet string\n",
)
def create_subnet(call: Call) -> object:
    """A new subnet; its id is made of the zone and the network."""
    settings = sent(call, "subnet")
    with sdn_state.locked(call, "create sdn subnet object failed"):
        key = f"{_find(call)['zone']}-{call.text('subnet').replace('/', '-')}"
        if key in SUBNETS.entries(call.documents):
            raise died(f"sdn subnet object ID '{key}' already defined")
        entry: Entry = {"type": "subnet", **settings}
        _check_subnet(call, key, entry)
        ipam_state.follow(call, key, None, entry)
        SUBNETS.put(call.documents, key, entry)
    return None


@routes.add(
    f"PUT {_SUBNET}", _CHANGE, SUBNET_KEYS + CHANGES + "subnet pve-sdn-subnet-id\nvnet? string\n"
)
def update_subnet(call: Call) -> object:
    """Change a subnet."""
    name, settings = call.text("subnet"), sent(call, "subnet", "vnet")
    with sdn_state.locked(call, "update sdn subnet object failed"):
        call.need_digest(SUBNETS.digest(call.documents))
        old = _found(call, name)
        entry = changed(call, SUBNETS, old, settings)
        _check_subnet(call, name, entry)
        ipam_state.follow(call, name, old, entry)
        SUBNETS.put(call.documents, name, entry)
    return None


def _found(call: Call, name: str) -> Entry:
    if (entry := SUBNETS.entries(call.documents).get(name)) is None:
        raise died(f"sdn subnet '{name}' does not exist")
    return entry


@routes.add(f"DELETE {_SUBNET}", _CHANGE, _SUBNET_ID + LOCK_TOKEN)
def delete_subnet(call: Call) -> object:
    """Remove a subnet."""
    name = call.text("subnet")
    with sdn_state.locked(call, "delete sdn subnet object failed"):
        ipam_state.follow(call, name, _found(call, name), None)
        SUBNETS.put(call.documents, name, None)
    return None
