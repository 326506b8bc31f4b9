"""A cluster of Proxmox VE with Ceph on its nodes, for tests that ask its API."""

from __future__ import annotations

from simulator.build import twin_of
from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from simulator.pve.install import installed
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster
from tests.simulator.rack import Tree, rack


def _change(tree: Tree) -> None:
    """Placement groups soon worked out, addresses for Ceph, and a disk that nothing is on."""
    tree["vlans"]["ceph"]["subnet"] = "10.0.253.0/24"
    tree["ceph"]["a"]["pools"]["vm"]["pgs"] = 16
    for number, node in enumerate(tree["nodes"].values(), 1):
        node["addresses"]["ceph"] = f"10.0.253.{number}"
        node["disks"]["sde"] = {"size": "100GB"}


def with_ceph(*, loaded: bool = False) -> Cluster:
    """Three nodes with two OSDs each and a pool `vm`; `loaded`: with storages and guests."""
    twin = twin_of(rack(change=_change), empty=not loaded)
    api = PveApi("a", (declared if loaded else installed)(twin, "a"))
    api.add_token(ROOT, SECRET)
    api.set_password("root@pam", SECRET)
    twin.attach(api)
    api.sync(twin)
    twin.settle()
    return Cluster(twin, api)
