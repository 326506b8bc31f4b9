"""A small lab with every word that a Proxmox VE cluster holds, and answers of such a cluster.

The answers are written by the facts of the API, not by our own code: they are what `read` must
understand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.managed import Key, Managed, Mark
from controller.step import Answers, Rest, Step
from lab.lab import Lab
from tests.labs import lab_of

DEVICE = "pve/a"

HARDWARE = """
vlans:
  mgmt: {id: 99, role: management, subnet: 192.168.99.0/24}
  prod: {id: 10, role: guests}
  nfs: {id: 103, role: nfs}
  back: {id: 254, role: backup}
  iscsi: {id: 101, role: iscsi}
feeds: {f1: {}}
nodes:
  pve1: {cluster: a, feeds: [f1], nics: {eno1: {}}}
  pve2: {cluster: a, feeds: [f1], nics: {eno1: {}}}
  pve3: {cluster: a, feeds: [f1], nics: {eno1: {}}}
ceph:
  a:
    cluster: a
    version: squid
    public: mgmt
    mons: [pve1, pve2, pve3]
    osds: {0: {node: pve1, disk: sdb}}
    pools: {vm: {}}
nas:
  nas1:
    feeds: [f1]
    version: "25.10"
    nics: {eno1: {}}
    addresses: {nfs: 192.168.103.21}
    disks: {sda: {size: 1TB}}
    iqn: iqn.2005-10.org.example
    pools: {tank: {level: single, disks: [sda]}}
    zvols: {lun0: {pool: tank, size: 100GiB}}
    portals: {p1: {vlan: iscsi, address: 192.168.101.21}}
    targets: {t1: {portals: [p1], luns: {0: lun0}, initiators: [pve1]}}
    shares: {iso: {pool: tank, path: /mnt/tank/iso, vlan: nfs}}
backup-servers:
  bak1:
    feeds: [f1]
    nics: {eno1: {}}
    addresses: {back: 192.168.254.31}
    disks: {sdb: {size: 1TB}}
    disk: sdb
    mount: /backup
    exports: {a: {path: /backup/a, vlan: back}}
"""

CLUSTER = """
clusters:
  a:
    version: "9.2"
    corosync: {links: [mgmt]}
"""


def hardware_and(*texts: str, cluster: str = CLUSTER) -> Lab:
    """The lab's hardware with what these texts declare; only the shape of entries is judged."""
    return lab_of(HARDWARE, cluster, *texts, rules=False)


def one(kind: type[Managed], lab: Lab, device: str = DEVICE) -> Managed:
    """The one thing of a kind that a lab declares."""
    (thing,) = kind.wanted(lab, device)
    return thing


def read_one(kind: type[Managed], answers: Answers, device: str = DEVICE) -> Managed:
    """The one thing of a kind in some answers."""
    (thing,) = kind.read(device, answers)
    return thing


def disagreeing(wanted: Managed, there: Managed) -> dict[str, Any]:
    """Fields that are not as wanted: {name: (there, wanted)}; what is unsaid has its default."""
    found = {}
    for name, goal in wanted.values.items():
        held = there.values.get(name, there.default(name))
        expected = there.default(name) if goal is Mark.RESET else goal
        if held != expected:
            found[name] = (held, expected)
    return found


def needs_here(thing: Managed) -> frozenset[Key]:
    """What it needs of its own device; what stands on another one can't be seen on this."""
    return frozenset(need for need in thing.needs if need.device == thing.key.device)


def key(kind: str, identity: str, device: str = DEVICE) -> Key:
    """The key of a thing of cluster a."""
    return Key(device, kind, identity)


def rests(steps: Iterable[Step]) -> list[Rest]:
    """Steps on a cluster, which are all calls over REST."""
    found = list(steps)
    assert all(isinstance(step, Rest) for step in found)
    return [step for step in found if isinstance(step, Rest)]
