"""A lab that is nothing but a cluster's nodes on one switch, for what is known by its API alone.

For recordings and for a copied /etc/pve: neither says how the servers are wired. Every bridge has a
network card of its own; only the first is cabled, and carries management.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.lab import Lab
from lab.load import load

SWITCH = "sw1"
CARDS = 4
VERSION = "9.2"


def plain_lab(
    cluster: str,
    addresses: Mapping[str, str],
    bridges: Sequence[str] = ("vmbr0",),
    vlans: Sequence[int] = (),
) -> Lab:
    """A cluster of these nodes with their management addresses; guests use the VLANs. Raises
    LabInvalid for names that no lab can have.
    """
    return loaded(declaration(cluster, addresses, bridges, vlans))


def loaded(declared: Mapping[str, Any]) -> Lab:
    """The lab of a declaration. Raises LabInvalid."""
    return load({"lab.yaml": json.dumps(declared).encode()}, rules=False)


def declaration(
    cluster: str,
    addresses: Mapping[str, str],
    bridges: Sequence[str],
    vlans: Sequence[int],
) -> dict[str, dict[str, Any]]:
    """The same in the language: word -> name -> entry."""
    names = [f"eno{number}" for number in range(1, max(CARDS, len(bridges)) + 1)]
    wired = dict(zip(bridges, names, strict=False))
    tagged = {f"vlan{tag}": {"id": tag, "role": "guests"} for tag in sorted(set(vlans) - {1})}
    card = {"vlans": ["management", *tagged]} if tagged else {"access": "management"}
    ports = {f"p{number}": card for number in range(1, len(addresses) + 1)}
    return {
        "vlans": {"management": {"id": 1, "role": "management"}, **tagged},
        "clusters": {cluster: {"version": VERSION, "corosync": {"links": ["management"]}}},
        "switches": {SWITCH: {"feeds": [], "ports": ports}},
        "nodes": {
            node: {
                "cluster": cluster,
                "feeds": [],
                "cores": 2,
                "nics": dict.fromkeys(names, card),
                "bridges": {bridge: {"ports": [port]} for bridge, port in wired.items()},
                "addresses": {"management": address},
            }
            for node, address in addresses.items()
        },
        "cables": {
            node: {"ends": [f"{node}/{names[0]}", f"{SWITCH}/p{number}"]}
            for number, node in enumerate(addresses, 1)
        },
    }
