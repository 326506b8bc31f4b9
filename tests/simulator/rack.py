"""A small lab for tests of the physics: three nodes with Ceph, an array, an MLAG pair, a router.

Every node has bond0 (management, production; eno1 to sw1, eno2 to sw2), bond1 for Ceph the same way
(eno3, eno4), single ports eno5 (iscsi1, sw1) and eno6 (iscsi2, sw2). Guests g1, g2, ... on Ceph,
one for each node, vmid 101 and up; b1, b2, ... on the array's LUN, vmid 201 and up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lab.faults import parse_faults
from lab.lab import Lab
from simulator.build import twin_of
from simulator.state import GuestPower, HostPower
from simulator.twin import Twin
from tests.labs import lab_of

Tree = dict[str, Any]


def rack(nodes: int = 3, change: Callable[[Tree], object] | None = None) -> Lab:
    """The lab, after `change` has had its way with its tree."""
    names = [f"pve{number}" for number in range(1, nodes + 1)]
    tree: Tree = {
        "feeds": {"f1": {}, "f2": {}},
        "vlans": {
            "mgmt": {"id": 99, "role": "management"},
            "prod": {"id": 10, "role": "guests"},
            "ceph": {"id": 253, "role": "ceph"},
            "iscsi1": {"id": 101, "role": "iscsi"},
            "iscsi2": {"id": 102, "role": "iscsi"},
            "nfs": {"id": 103, "role": "nfs"},
        },
        "switches": {
            "sw1": {"feeds": ["f1"], "peer": "sw2", "ports": {}},
            "sw2": {"feeds": ["f2"], "peer": "sw1", "ports": {}},
        },
        "cables": {},
        "routers": {
            "r1": {
                "feeds": ["f1"],
                "ports": {"lan": {"vlans": ["mgmt", "prod"]}},
                "legs": {"mgmt": "10.0.99.1", "prod": "10.0.10.1"},
            }
        },
        "clusters": {
            "a": {"version": "9.2", "corosync": {"links": ["mgmt"]}, "time-source": "10.0.99.1"}
        },
        "nodes": {name: _node(number) for number, name in enumerate(names, 1)},
        "ceph": {"a": _ceph(names)},
        "nas": {"nas1": _nas(names)},
        "storages": {
            "vm": {
                "type": "rbd",
                "clusters": ["a"],
                "content": ["images"],
                "ceph": "a",
                "pool": "vm",
            },
            "lun": {
                "type": "lvm",
                "clusters": ["a"],
                "content": ["images"],
                "vg": "lun",
                "nas": "nas1",
                "target": "t",
                "lun": "0",
            },
            "iso": {
                "type": "nfs",
                "clusters": ["a"],
                "content": ["iso"],
                "nas": "nas1",
                "share": "iso",
            },
        },
        "guests": {},
    }
    for number, name in enumerate(names, 1):
        tree["guests"][f"g{number}"] = _guest(100 + number, "vm", name)
        tree["guests"][f"b{number}"] = _guest(200 + number, "lun", name)
        _plug(tree, name, "eno1", "sw1", vlans=["mgmt", "prod", "nfs"], lag=f"{name}-0")
        _plug(tree, name, "eno2", "sw2", vlans=["mgmt", "prod", "nfs"], lag=f"{name}-0")
        _plug(tree, name, "eno3", "sw1", vlans=["ceph"], lag=f"{name}-1")
        _plug(tree, name, "eno4", "sw2", vlans=["ceph"], lag=f"{name}-1")
        _plug(tree, name, "eno5", "sw1", access="iscsi1")
        _plug(tree, name, "eno6", "sw2", access="iscsi2")
    _plug(tree, "nas1", "eno1", "sw1", access="iscsi1")
    _plug(tree, "nas1", "eno2", "sw2", access="iscsi2")
    _plug(tree, "nas1", "eno3", "sw1", vlans=["mgmt", "nfs"])
    _plug(tree, "r1", "lan", "sw1", vlans=["mgmt", "prod"])
    every = sorted(tree["vlans"])
    tree["switches"]["sw1"]["ports"]["peer"] = {"vlans": every, "lag": "peer"}
    tree["switches"]["sw2"]["ports"]["peer"] = {"vlans": every, "lag": "peer"}
    tree["cables"]["peer"] = {"ends": ["sw1/peer", "sw2/peer"]}
    if change is not None:
        change(tree)
    return lab_of(json.dumps(tree), rules=False)


def twin(nodes: int = 3, change: Callable[[Tree], object] | None = None, seed: int = 0) -> Twin:
    """The lab running, its guests placed."""
    return twin_of(rack(nodes, change), seed=seed)


def after(world: Twin, faults: str, until_s: float) -> Twin:
    """Let faults happen and time pass."""
    world.inject(parse_faults([faults]))
    world.run_until(until_s)
    return world


def when(world: Twin, kind: str, subject: str = "") -> float:
    """The instant of the first event of a kind; infinite if there is none."""
    return next(
        (
            event.at_s
            for event in world.trace
            if event.kind == kind and event.subject.endswith(subject)
        ),
        float("inf"),
    )


def power(world: Twin, host: str) -> HostPower:
    """Whether a server is on."""
    return world.state.hosts[host]


def runs(world: Twin, vmid: int) -> bool:
    """Whether a guest is on and has booted, as far as it is concerned."""
    return world.state.guests["a", vmid].power is GuestPower.RUNNING


def _plug(tree: Tree, host: str, port: str, switch: str, **config: object) -> None:
    """Cable `host-port` from a host to a new port of a switch, named after the host's."""
    tree["switches"][switch]["ports"][f"{host}-{port}"] = config
    tree["cables"][f"{host}-{port}"] = {"ends": [f"{host}/{port}", f"{switch}/{host}-{port}"]}


def _node(number: int) -> Tree:
    front = {"members": ["eno1", "eno2"], "rate": "fast", "vlans": ["mgmt", "prod", "nfs"]}
    return {
        "cluster": "a",
        "feeds": ["f1" if number % 2 else "f2"],
        "cards": {"card1": {"ports": ["eno1", "eno3"]}, "card2": {"ports": ["eno2", "eno4"]}},
        "nics": {
            **{f"eno{port}": {} for port in range(1, 5)},
            "eno5": {"access": "iscsi1"},
            "eno6": {"access": "iscsi2"},
        },
        "bonds": {
            "bond0": front,
            "bond1": {"members": ["eno3", "eno4"], "rate": "fast", "vlans": ["ceph"]},
        },
        "bridges": {"vmbr0": {"ports": ["bond0"]}},
        "addresses": {"mgmt": f"10.0.99.{10 + number}"},
        "disks": {name: {"size": "100GB"} for name in ("sda", "sdb", "sdc", "sdd")},
        "raids": {"os": {"level": "raid1", "disks": ["sda", "sdb"]}},
        "memory": "16GiB",
        "reserved": "4GiB",
        "boot": "180s",
    }


def _ceph(names: list[str]) -> Tree:
    disks = [(name, disk) for name in names for disk in ("sdc", "sdd")]
    return {
        "cluster": "a",
        "version": "19.2",
        "public": "ceph",
        "mons": names,
        "osds": {
            str(number): {"node": node, "disk": disk} for number, (node, disk) in enumerate(disks)
        },
        "pools": {"vm": {"size": 3, "min-size": 2}},
    }


def _nas(names: list[str]) -> Tree:
    return {
        "version": "25.10",
        "feeds": ["f2"],
        "iqn": "iqn.2005-10.org.freenas.ctl",
        "nics": {
            "eno1": {"access": "iscsi1"},
            "eno2": {"access": "iscsi2"},
            "eno3": {"vlans": ["mgmt", "nfs"]},
        },
        "addresses": {"nfs": "10.0.103.21"},
        "disks": {f"sd{letter}": {"size": "1TB"} for letter in "abcdefg"},
        "raids": {"os": {"level": "raid1", "disks": ["sda", "sdb"]}},
        "pools": {
            "tank": {"level": "raid10", "disks": ["sdc", "sdd", "sde", "sdf"]},
            "images": {"level": "single", "disks": ["sdg"]},
        },
        "zvols": {"z": {"pool": "tank", "size": "100GiB"}},
        "portals": {
            "p1": {"vlan": "iscsi1", "address": "10.0.101.21"},
            "p2": {"vlan": "iscsi2", "address": "10.0.102.21"},
        },
        "targets": {"t": {"portals": ["p1", "p2"], "luns": {"0": "z"}, "initiators": names}},
        "shares": {"iso": {"pool": "images", "path": "/mnt/iso", "vlan": "nfs"}},
    }


def _guest(vmid: int, storage: str, node: str) -> Tree:
    return {
        "vmid": vmid,
        "cluster": "a",
        "memory": "2GiB",
        "disks": {"scsi0": {"storage": storage, "size": "10GiB"}},
        "nets": {"net0": {"vlan": "prod"}},
        "placement": {"prefer": [node]},
        "onboot": True,
        "boot": "60s",
    }
