"""A node's network configuration: staged, shown, activated. Source: PVE::API2::Network,
PVE::INotify.

Interfaces are kept in the order in which /etc/network/interfaces is written, which is also what
`priority` counts. Writing checks the whole file. Changes do not reach the physics: the twin's
wiring is the lab's. Leaves out: fabrics among the interfaces.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.documents import Documents, Entry, NodeFiles
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import bad_parameters
from simulator.pve_node.interfaces_file import (
    Interfaces,
    difference,
    in_order,
    with_defaults,
)
from simulator.pve_node.interfaces_rules import ports, ruled
from simulator.pve_node.nodes import NODE, files, keep
from simulator.pve_node.sdn_zones import local_nets

routes = Routes()
WRITE = "/nodes/{node} Sys.Modify"

SETTINGS = """
address?                ipv4 requires=netmask
address6?               ipv6 requires=netmask6
autostart?              boolean
bond-primary?           pve-iface
bond_mode?              enum(balance-rr,active-backup,balance-xor,broadcast,802.3ad,balance-tlb,
                             balance-alb,balance-slb,lacp-balance-slb,lacp-balance-tcp)
bond_xmit_hash_policy?  enum(layer2,layer2+3,layer3+4)
bridge_ports?           pve-iface-list
bridge_vids?            pve-vlan-id-or-range-list
bridge_vlan_aware?      boolean
cidr?                   CIDRv4
cidr6?                  CIDRv6
comments?               string
comments6?              string
gateway?                ipv4
gateway6?               ipv6
mtu?                    integer 1280..65520
netmask?                ipv4mask requires=address
netmask6?               integer 0..128 requires=address6
ovs_bonds?              pve-iface-list
ovs_bridge?             pve-iface
ovs_options?            string ..1024
ovs_ports?              pve-iface-list
ovs_tag?                integer 1..4094
slaves?                 pve-iface-list
vlan-id?                integer 1..4094
vlan-raw-device?        pve-iface
iface                   pve-iface 2..20
type                    enum(bridge,bond,eth,alias,vlan,fabric,OVSBridge,OVSBond,OVSPort,OVSIntPort,
                             vnet,unknown)
"""
IFACE = NODE + "iface pve-iface 2..20\n"
BRIDGES = ("bridge", "OVSBridge")
FIRST_PRIORITY = 3  # recorded: `auto lo` and `iface lo` come before


def shown(name: str, entry: Entry, priority: int) -> dict[str, object]:
    """One interface as GET shows it."""
    row: dict[str, object] = {**with_defaults(name, entry), "priority": priority}
    row["method"] = entry.get("method", "manual")
    row["method6"] = entry.get("method6", "manual")
    only6 = row["method6"] != "manual" and row["method"] == "manual"
    both = row["method6"] != "manual" and row["method"] != "manual"
    row["families"] = ["inet", "inet6"] if both else ["inet6"] if only6 else ["inet"]
    if entry["type"] == "vlan":
        row["exists"] = None
    return row


def _visible(call: Call, name: str, entry: Entry) -> bool:
    """Bridges are hidden from who may neither audit nor use them."""
    if entry["type"] not in BRIDGES:
        return True
    return call.may(f"/sdn/zones/localnetwork/{name}", "SDN.Audit", "SDN.Use")


def _fits(wanted: str, kind: str) -> bool:
    if wanted in ("any_bridge", "any_local_bridge"):
        return kind in BRIDGES
    return wanted in ("", "include_sdn", kind)


@routes.add(
    "GET /nodes/{node}/network",
    takes=NODE
    + "type? enum(bridge,bond,eth,alias,vlan,fabric,OVSBridge,OVSBond,OVSPort,OVSIntPort,vnet,"
    "any_bridge,any_local_bridge,include_sdn)",
)
def interfaces(call: Call) -> object:
    """The staged interfaces, or the active ones where nothing is staged; `changes` is the
    difference.
    """
    kept = files(call)
    known = kept.network if kept.staged is None else kept.staged
    if kept.staged is not None:
        call.members["changes"] = difference(kept.network, kept.staged)
    rows = []
    for priority, (name, entry) in enumerate(in_order(known).items(), FIRST_PRIORITY):
        if _fits(call.text("type"), str(entry["type"])) and _visible(call, name, entry):
            rows.append({"iface": name, **shown(name, entry, priority)})
    if call.text("type") in ("any_bridge", "include_sdn", "vnet"):
        rows += [{"iface": name, **net} for name, net in local_nets(call).items()]
    return rows


def _staged(call: Call) -> dict[str, Entry]:
    kept = files(call)
    return dict(kept.network if kept.staged is None else kept.staged)


@routes.add("GET /nodes/{node}/network/{iface}", "/nodes/{node} Sys.Audit", IFACE)
def interface(call: Call) -> object:
    """One interface."""
    name = call.text("iface")
    known = in_order(_staged(call))
    if name not in known:
        raise bad_parameters(iface="interface does not exist")
    return shown(name, known[name], FIRST_PRIORITY + list(known).index(name))


def _sent(call: Call) -> dict[str, Value]:
    """The settings as the file keeps them: addresses in both notations, lists with spaces."""
    skipped = ("node", "iface", "delete")
    sent = {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}
    for key in ("bridge_ports", "slaves", "ovs_ports", "ovs_bonds", "bridge_vids"):
        if key in sent:
            sent[key] = " ".join(items(str(sent[key])))
    for key in ("comments", "comments6"):
        if key in sent:
            sent[key] = str(sent[key]).rstrip("\n") + "\n"
    for suffix in ("", "6"):
        if f"cidr{suffix}" in sent:
            address, _, prefix = str(sent[f"cidr{suffix}"]).partition("/")
            sent |= {f"address{suffix}": address, f"netmask{suffix}": prefix}
        elif f"address{suffix}" in sent:
            whole = ipaddress.ip_interface(f"{sent[f'address{suffix}']}/{sent[f'netmask{suffix}']}")
            sent[f"cidr{suffix}"] = whole.with_prefixlen
    for key in ("mtu", "vlan-id"):
        if key in sent:
            sent[key] = str(sent[key])
    for key in ("autostart", "bridge_vlan_aware"):
        if sent.get(key) == 0:
            del sent[key]
    return sent


def _methods(sent: Mapping[str, Value]) -> dict[str, Value]:
    """Static where an address was sent in this very call; else manual."""
    return {
        "method": "static" if "address" in sent else "manual",
        "method6": "static" if "address6" in sent else "manual",
    }


def _check_gateway(known: Interfaces, name: str, sent: Mapping[str, Value]) -> None:
    for key, word in (("gateway", "gateway"), ("gateway6", "gateway6")):
        if key in sent:
            for other, entry in known.items():
                if other != name and entry.get(key):
                    text = f"Default gateway already exists on interface '{other}'."
                    raise bad_parameters(**{word: text})


def _check_ports(known: Interfaces, name: str, sent: Mapping[str, Value]) -> None:
    for key in ("bridge_ports", "slaves"):
        for port in items(str(sent.get(key) or "")):
            for other, entry in known.items():
                if other != name and port in ports(entry):
                    raise bad_parameters(**{key: f"{port} is already used on interface '{other}'."})


def _check_addresses(call: Call) -> None:
    """Raise for an address that is told twice, or that no host can have."""
    for suffix in ("", "6"):
        for key in ("address", "netmask"):
            if call.has(f"cidr{suffix}") and call.has(key + suffix):
                text = f"{key}{suffix} conflicts with cidr{suffix}"
                raise bad_parameters(**{key + suffix: text})
    text = call.text("address6") or call.text("cidr6").partition("/")[0]
    if not text:
        return
    address = ipaddress.IPv6Address(text)
    kinds = {
        "MULTICAST": address.is_multicast,
        "LOOPBACK": address.is_loopback,
        "UNSPECIFIED": address.is_unspecified,
    }
    if kind := next((kind for kind, fits in kinds.items() if fits), None):
        why = f"{text} with type '{kind}', cannot be used as host IPv6 address."
        raise bad_parameters(address=why)


def _check_vids(call: Call) -> None:
    if call.text("bridge_vids") and not call.words("bridge_vids"):
        raise bad_parameters(bridge_vids="VLAN list items are empty")


def _joined(call: Call, known: dict[str, Entry]) -> dict[str, Entry]:
    """With a new port of an Open vSwitch bridge among that bridge's."""
    if call.text("type") not in ("OVSIntPort", "OVSBond"):
        return known
    if not (bridge := call.text("ovs_bridge")):
        raise bad_parameters(ovs_bridge="parameter is required")
    if bridge not in known:
        raise bad_parameters(ovs_bridge=f"bridge '{bridge}' does not exist")
    if known[bridge]["type"] != "OVSBridge":
        raise bad_parameters(ovs_bridge=f"interface '{bridge}' is no OVS bridge")
    named = dict.fromkeys([*ports(known[bridge], "ovs_ports"), call.text("iface")])
    return {**known, bridge: {**known[bridge], "ovs_ports": " ".join(named)}}


def _stage(call: Call, known: dict[str, Entry]) -> None:
    """Write interfaces.new."""
    keep(call, replace(files(call), staged=in_order(ruled(known))))


@routes.add("POST /nodes/{node}/network", WRITE, NODE + SETTINGS)
def create(call: Call) -> object:
    """Stage a new interface."""
    name, known = call.text("iface"), _staged(call)
    if name in known:
        raise bad_parameters(iface="interface already exists")
    sent = _sent(call)
    _check_gateway(known, name, sent)
    _check_ports(known, name, sent)
    _check_addresses(call)
    known = _joined(call, known)
    _check_vids(call)
    _stage(call, {**known, name: {**sent, **_methods(sent)}})
    return None


@routes.add(
    "PUT /nodes/{node}/network/{iface}", WRITE, NODE + SETTINGS + "delete? pve-configid-list"
)
def update(call: Call) -> object:
    """Stage a change. An address that is not sent again leaves the interface `manual`, though it
    stays.
    """
    name, known = call.text("iface"), _staged(call)
    if name not in known:
        raise bad_parameters(iface="interface does not exist")
    sent = _sent(call)
    _check_gateway(known, name, sent)
    _check_ports(known, name, sent)
    _check_addresses(call)
    _check_vids(call)
    new = {**known[name], **sent, **_methods(sent)}
    off = ["autostart"] if call.has("autostart") and not call.flag("autostart") else []
    for key in (*off, *call.words("delete")):
        gone = {"cidr": ("cidr", "address", "netmask"), "cidr6": ("cidr6", "address6", "netmask6")}
        for word in gone.get(key, (key,)):
            new.pop(word, None)
    new["type"] = sent["type"]
    _stage(call, {**known, name: new})
    return None


@routes.add("DELETE /nodes/{node}/network/{iface}", WRITE, IFACE)
def delete(call: Call) -> object:
    """Stage the removal of an interface."""
    name, known = call.text("iface"), _staged(call)
    if name not in known:
        raise bad_parameters(iface="interface does not exist")
    _stage(call, {key: entry for key, entry in known.items() if key != name})
    return None


@routes.add("DELETE /nodes/{node}/network", WRITE, NODE)
def revert(call: Call) -> object:
    """Drop all that is staged, whoever staged it."""
    keep(call, replace(files(call), staged=None))
    return None


@routes.add("PUT /nodes/{node}/network", WRITE, NODE + "regenerate-frr? boolean")
def reload(call: Call) -> object:
    """Activate what is staged: a task."""
    return start_task(call, "srvreload", "networking")


def activate(documents: Documents, node: str) -> None:
    """Make a node's staged interfaces the ones it has."""
    kept = documents.nodes.get(node, NodeFiles())
    if kept.staged is not None:
        documents.nodes[node] = replace(kept, network=activated(kept.staged), staged=None)


def _finish_reload(worker: Worker) -> None:
    activate(worker.documents, worker.node)


FINISH["srvreload"] = _finish_reload


def activated(known: Interfaces) -> dict[str, Entry]:
    """Interfaces after ifreload: those that start by themselves, and what those are made of, are
    up.
    """
    up = {name for name, entry in known.items() if entry.get("autostart") or entry.get("active")}
    up |= {port for name in up for port in ports(known[name])}
    return {name: {**entry, "active": 1} if name in up else entry for name, entry in known.items()}
