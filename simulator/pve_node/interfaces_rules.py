"""What the writer of /etc/network/interfaces makes of the interfaces it is given, and refuses.

Called whenever a node's network is staged. Source: PVE::INotify, __write_etc_network_interfaces,
whose order of checks this follows. Leaves out: VXLAN and VLANs that come up with a bridge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from simulator.pve.documents import Entry
from simulator.pve.propertystring import items
from simulator.pve.wire import died
from simulator.pve_node.interfaces_file import Interfaces, with_defaults

MEMBERS = {
    "bridge": "bridge_ports",
    "bond": "slaves",
    "OVSBridge": "ovs_ports",
    "OVSBond": "ovs_bonds",
}
"""Where an interface of a type has what it is made of."""
OVS_PORTS = ("OVSPort", "OVSIntPort", "OVSBond")
_PHYSICAL = re.compile(r"(eth|nic)\d+|(en|ib)[^:.]+")
DEFAULT_MTU = 1500


def ports(entry: Entry, *keys: str) -> list[str]:
    """What an interface is made of, under some keys or all."""
    named = (entry.get(key) for key in keys or MEMBERS.values())
    return [port for text in named for port in items(str(text or ""))]


def ruled(known: Interfaces) -> dict[str, Entry]:
    """The interfaces as they are written: members start with their bond, ports know their switch.

    Raises for what can't be written.
    """
    made = _switched(known)
    for check in (_check_bonds, _check_vlans, _check_bridges):
        check(made)
    slaves = {port for kind in ("bond", "OVSBond") for _, port in _members(made, kind)}
    return {
        name: {**entry, "autostart": 1} if name in slaves else entry for name, entry in made.items()
    }


def _switched(known: Interfaces) -> dict[str, Entry]:
    """With the ports of Open vSwitch bridges, and without those that no bridge names."""
    made = dict(known)
    for name, entry in known.items():
        bridge = made.get(str(entry.get("ovs_bridge")), {})
        if entry["type"] not in OVS_PORTS or name in ports(bridge, "ovs_ports"):
            continue
        del made[name]
        if _PHYSICAL.fullmatch(name):
            made[name] = {"type": "eth", "method": "manual"}
    for name, port in _members(made, "OVSBridge"):
        entry = made.get(port, {})
        if not entry:
            raise died(f"OVS bridge '{name}' - unable to find port '{port}'")
        if entry["type"] not in ("eth", *OVS_PORTS):
            raise died(f"interface '{port}' is not defined as OVS port/bond")
        kind = "OVSPort" if entry["type"] == "eth" else entry["type"]
        rest = {key: value for key, value in entry.items() if key != "autostart"}
        made[port] = {**rest, "type": kind, "ovs_bridge": name}
        _check_mtu(made, port, name)
    return made


def _members(known: Interfaces, kind: str) -> Iterator[tuple[str, str]]:
    """Each interface of a type with each of its members."""
    for name, raw in list(known.items()):
        if raw["type"] == kind:
            yield from ((name, port) for port in ports(with_defaults(name, raw), MEMBERS[kind]))


def _check_mtu(known: Interfaces, below: str, above: str) -> None:
    """What carries an interface must take packets as large as the interface sends."""
    low, high = (int(str(known[name].get("mtu") or DEFAULT_MTU)) for name in (below, above))
    if low < high:
        raise died(f"interface '{below}' - mtu {low} is lower than '{above}' - mtu {high}")


def _check_bonds(known: Interfaces) -> None:
    for kind, word, fit in (("OVSBond", "OVS bond", ("eth",)), ("bond", "bond", ("eth", "bond"))):
        for name, port in _members(known, kind):
            found = str(known[port]["type"]) if port in known else ""
            if found not in fit:
                why = f"wrong interface type on slave '{port}' ('{found}' != '{' or '.join(fit)}')"
                raise died(f"{word} '{name}' - {why}")
            _check_mtu(known, port, name)


def _check_vlans(known: Interfaces) -> None:
    for name, raw in known.items():
        if raw["type"] != "vlan":
            continue
        entry = with_defaults(name, raw)
        if "vlan-raw-device" not in entry:
            line = "at /usr/share/perl5/PVE/Network/Interfaces.pm line 954."
            raise died(f"missing vlan-raw-device option {line}")
        parent, number = str(entry["vlan-raw-device"]), int(str(entry.get("vlan-id") or 0))
        if parent not in known:
            raise died(f"vlan '{name}' - unable to find parent '{parent}'")
        if number > 4094:
            raise died(f"vlan '{name}' - vlan-id {number} should be <= 4094")
        _check_mtu(known, parent, name)


def _check_bridges(known: Interfaces) -> None:
    for name, port in _members(known, "bridge"):
        if port not in known:
            raise died(f"bridge '{name}' - unable to find bridge port '{port}'")
        if known[port].get("method") == "static":
            why = f"ip address can't be set on interface if bridged in {name}"
            raise died(f"iface {port} - {why}")
        _check_mtu(known, port, name)
