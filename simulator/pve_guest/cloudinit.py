"""What a cloud-init drive would hold, by the options of a guest.

Source: PVE::QemuServer::Cloudinit; cloud-init documentation, network configuration version 1.

The form is that of Linux guests (`nocloud`). Leaves out: the other forms (501), snippets of one's
own, whose text the twin does not have (501), and the line with the hash of the password.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import ip_interface
from urllib.parse import unquote

from simulator.pve.call import Call
from simulator.pve.documents import Entry, NodeFiles
from simulator.pve.parameters import parse
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, died
from simulator.pve_guest.guest_config import AUDIT, find_guest
from simulator.pve_guest.guest_options import GUEST

routes = Routes()


@routes.add(
    "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump", AUDIT, GUEST + "type enum(user,network,meta)\n"
)
def dump(call: Call) -> object:
    """One of the three parts, as text."""
    config = find_guest(call, call.number("vmid")).future
    windows = str(config.get("ostype") or "").startswith("w")
    form = config.get("citype") or ("configdrive2" if windows else "nocloud")
    if form != "nocloud" or config.get("cicustom"):
        raise ApiError(501, f"Method 'GET {call.path}' not implemented for this guest")
    match call.text("type"):
        case "user":
            return _user(call, config)
        case "network":
            return _network(call, config)
        case _:
            both = (_user(call, config) + _network(call, config)).encode()
            return f"instance-id: {hashlib.sha1(both, usedforsecurity=False).hexdigest()}\n"


def _dns(call: Call, config: Entry) -> tuple[list[str], list[str]]:
    """Domains and servers: the guest's own, else the node's."""
    known = call.documents.nodes.get(call.node, NodeFiles()).dns
    own = [str(known[key]) for key in ("dns1", "dns2", "dns3") if known.get(key)]
    servers = str(config.get("nameserver") or " ".join(own)).split()
    return str(config.get("searchdomain") or known.get("search") or "").split(), servers


def _user(call: Call, config: Entry) -> str:
    name = str(config.get("name") or f"VM{call.number('vmid')}")
    domains, _ = _dns(call, config)
    full = name if "." in name else f"{name}.{domains[0]}" if domains else ""
    lines = ["#cloud-config", f"hostname: {name.partition('.')[0]}", "manage_etc_hosts: true"]
    lines += [f"fqdn: {full}"] if full else []
    user = str(config.get("ciuser") or "")
    lines += [f"user: {user}"] if user else []
    lines += ["disable_root: False"] if user == "root" else []
    if keys := unquote(str(config.get("sshkeys") or "")):
        known = [key for key in keys.splitlines() if key.strip()]
        lines += ["ssh_authorized_keys:", *(f"  - {key}" for key in known)]
    lines += ["chpasswd:", "  expire: False"]
    lines += ["users:", "  - default"] if user != "root" else []
    lines += ["package_upgrade: true"] if config.get("ciupgrade", 1) else []
    return "\n".join(lines) + "\n"


def _network(call: Call, config: Entry) -> str:
    lines = ["version: 1", "config:"]
    for option in sorted(key for key in config if key.startswith("net") and key[3:].isdigit()):
        number = option.removeprefix("net")
        mac = str(parse("net", str(config[option])).get("macaddr", "")).lower()
        if not mac:
            raise died(f"network interface '{option}' has no mac address")
        lines += [
            "    - type: physical",
            f"      name: eth{number}",
            f"      mac_address: '{mac}'",
            "      subnets:",
        ]
        values = parse("ipconfig", str(config.get(f"ipconfig{number}") or ""))
        lines += [f"      {line}" for line in _subnets({k: str(v) for k, v in values.items()})]
    domains, servers = _dns(call, config)
    if domains or servers:
        lines.append("    - type: nameserver")
        for key, values_of in (("address", servers), ("search", domains)):
            lines += [f"      {key}:"] if values_of else []
            lines += [f"      - '{value}'" for value in values_of]
    return "\n".join(lines) + "\n"


def _subnets(values: dict[str, str]) -> Iterator[str]:
    """The addresses of one card."""
    words = {"ip": {"dhcp": "dhcp4"}, "ip6": {"dhcp": "dhcp6", "auto": "ipv6_slaac"}}
    for key, gateway, kind in (("ip", "gw", "static"), ("ip6", "gw6", "static6")):
        if not (text := values.get(key)):
            continue
        yield f"- type: {words[key].get(text, kind)}"
        if text not in words[key]:
            network = ip_interface(text)
            yield f"  address: '{network.ip if key == 'ip' else text}'"
            if key == "ip":
                yield f"  netmask: '{network.netmask}'"
            if gateway in values:
                yield f"  gateway: '{values[gateway]}'"
