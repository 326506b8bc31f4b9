"""sdn/fabrics.cfg: fabrics and their nodes as sections of one file, and what must hold of all.

    openfabric_fabric: f1          ->  {"id": "f1", "protocol": "openfabric", "ip_prefix": ...}
    openfabric_node: f1_pve1       ->  {"fabric_id": "f1", "node_id": "pve1", "interfaces": [...]}

Staged with the rest of SDN by `sdn_state`, answered by `fabrics`. Source: proxmox-ve-config (Rust),
sdn/fabric, and its section_config. Leaves out: WireGuard and BGP, redistribution and filters of
routes, which came with 9.2.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from simulator.pve.formats import FORMATS
from simulator.pve.parameters import PROPERTY_STRINGS, Entry, parse, table
from simulator.pve.sections import SectionFile, section_type
from simulator.pve.wire import died

FORMATS["pve-sdn-fabric-id"] = lambda text: (
    ""
    if re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,6}[a-zA-Z0-9]", text)
    else f"SDN fabric ID '{text}' contains illegal characters\n"
)
_INTERFACE = "ip? CIDRv4\nname pve-iface\n"
PROPERTY_STRINGS |= {
    "openfabric-interface": table(f"{_INTERFACE}hello_multiplier? integer 2..100\nip6? CIDRv6\n"),
    "ospf-interface": table(
        f"{_INTERFACE}network_type? "
        "enum(broadcast,non-broadcast,point-to-multipoint,point-to-point)"
    ),
}
INTERFACE_KEYS = ("name", "network_type", "hello_multiplier", "ip", "ip6")
"""In the order in which they are printed."""
PROTOCOLS = ("openfabric", "ospf")
FABRIC_KEYS = """
area?            string
csnp_interval?   number 1..600
hello_interval?  number 1..600
ip6_prefix?      CIDR
ip_prefix?       CIDR
"""
NODE_KEYS = """
interfaces?  array
ip?          ipv4
ip6?         ipv6
"""
FABRICS = SectionFile(
    "sdn/fabrics.cfg",
    FABRIC_KEYS + NODE_KEYS,
    {
        "openfabric_fabric": section_type("csnp_interval hello_interval ip6_prefix ip_prefix"),
        "openfabric_node": section_type("interfaces ip ip6"),
        "ospf_fabric": section_type("area+ ip6_prefix ip_prefix"),
        "ospf_node": section_type("interfaces ip ip6"),
    },
    rust=True,
)
Fabrics = Mapping[str, Entry]
"""Rows as calls show them, by the ids of their sections."""


def fabrics_of(entries: Fabrics) -> dict[str, Entry]:
    """The fabrics among sections."""
    return {
        name: {"id": name, "protocol": protocol, **_rest(entry)}
        for name, entry in sorted(entries.items())
        for protocol, _, kind in [str(entry["type"]).partition("_")]
        if kind == "fabric"
    }


def nodes_of(entries: Fabrics) -> dict[str, Entry]:
    """The nodes of fabrics among sections."""
    return {
        name: {"fabric_id": fabric, "node_id": node, "protocol": protocol, **_rest(entry)}
        for name, entry in sorted(entries.items())
        for protocol, _, kind in [str(entry["type"]).partition("_")]
        for fabric, _, node in [name.partition("_")]
        if kind == "node"
    }


def _rest(entry: Entry) -> Entry:
    """Settings; the running copy of a real cluster names each section inside, too."""
    return {key: value for key, value in entry.items() if key not in ("type", "id")}


def in_order(entries: Fabrics) -> dict[str, Entry]:
    """Sections as they are written: each fabric, then its nodes."""
    return dict(sorted(entries.items(), key=lambda item: tuple(item[0].split("_"))))


def need_valid(entries: Fabrics) -> None:
    """Raise unless all fabrics can be together. Source: impl Validatable for FabricConfig."""
    fabrics, nodes = fabrics_of(entries), nodes_of(entries)
    for fabric, row in fabrics.items():
        if not (row.get("ip_prefix") or row.get("ip6_prefix")):
            raise died(f"fabric {fabric} does not have any IP prefix configured")
        members = [node for node in nodes.values() if node["fabric_id"] == fabric]
        for key, prefix in (("ip", "ip_prefix"), ("ip6", "ip6_prefix")):
            _need_addresses(
                fabric, row.get(prefix), [node for node in members if node.get(key)], key
            )
        for node in members:
            if not (node.get("ip") or node.get("ip6")):
                raise died(f"node '{node['node_id']}' does not have an IP configured")
    for key, number in (("ip_prefix", 4), ("ip6_prefix", 6)):
        _need_apart({name: row[key] for name, row in fabrics.items() if row.get(key)}, number)
    areas = [row["area"] for row in fabrics.values() if row["protocol"] == "ospf"]
    if len(set(areas)) < len(areas):
        raise died("multiple fabrics with the same OSPF area")
    _need_interfaces_once(nodes)


def _need_addresses(fabric: str, prefix: object, nodes: list[Entry], key: str) -> None:
    """Addresses of nodes are of the prefix, each once."""
    for node in nodes:
        address = str(node[key])
        if prefix is None:
            told = f"fabric '{fabric}' does not have an IP prefix configured for the node IP"
            raise died(f"{told} {address}")
        if ipaddress.ip_address(address) not in _network(prefix):
            raise died(f"node IP {address} is outside the IP prefix {prefix} of the fabric")
    if len({ipaddress.ip_address(str(node[key])) for node in nodes}) < len(nodes):
        raise died(f"fabric {fabric} contains nodes with duplicated IPs")


def _network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(str(text)).network


def _need_apart(prefixes: Mapping[str, object], number: int) -> None:
    """Prefixes are of IPv4 or of IPv6, and none is inside another."""
    seen: list[str] = []
    for fabric, prefix in prefixes.items():
        network = _network(prefix)
        if network.version != number:
            raise died("invalid IP address")
        for other in seen:
            if network.overlaps(_network(prefixes[other])):
                told = f"IPv{number} prefix {prefixes[other]} in fabric '{other}' overlaps with"
                raise died(f"{told} IPv{number} prefix {prefix} in fabric '{fabric}'")
        seen.append(fabric)


def interface_names(node: Entry) -> list[str]:
    """The interfaces of a node in a fabric."""
    known, items = f"{node['protocol']}-interface", node.get("interfaces")
    return [str(parse(known, item)["name"]) for item in (items if isinstance(items, tuple) else ())]


def _need_interfaces_once(nodes: Fabrics) -> None:
    seen = set[tuple[object, str]]()
    for node in nodes.values():
        for name in interface_names(node):
            if (node["node_id"], name) in seen:
                raise died("node has an interface that is used more than once in fabrics")
            seen.add((node["node_id"], name))
