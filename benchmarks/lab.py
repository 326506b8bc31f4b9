"""Labs of any size for benchmarks: without flaw, the same for the same size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lab.lab import Lab
from lab.load import load, load_tree

GUESTS_PER_NODE = 40
FILES = 200  # of guests, at most
FIRST_VMID = 1000
DESIRED = Path(__file__).resolve().parents[1] / "desired-state"


@cache
def lab_of(guests: int) -> Lab:
    """The lab of this many guests; of none: that of desired-state/."""
    return load(tree(guests)) if guests else load_tree(DESIRED)


def tree(guests: int, *, only: int | None = None) -> dict[str, bytes]:
    """Files: two switches, a cluster with bonds, and guests in up to `FILES` of them.

    `only`: the first so many of the guests, on hardware for all.
    """
    files = min(FILES, guests)
    nodes = max(3, -(-guests // GUESTS_PER_NODE))
    contents = {"network.yaml": _network(nodes), "nodes.yaml": _nodes(nodes)}
    for number in range(files):
        mine = range(number, guests if only is None else only, files)
        contents[f"guests/{number}.yaml"] = (
            "guests: {}\n" if not mine else "guests:\n" + "".join(map(_guest, mine))
        )
    return {name: text.encode() for name, text in contents.items()}


_BASE = """\
feeds: {f1: {}, f2: {}}
vlans:
  production: {id: 10, role: guests, subnet: 10.0.0.0/16}
  images: {id: 103, role: nfs, subnet: 10.1.0.0/16}
  management: {id: 99, role: management, subnet: 192.168.0.0/16}
clusters:
  a: {version: '9.0', time-source: 10.0.0.1, corosync: {links: [management]}}
storages:
  shared: {type: nfs, nas: nas1, share: vm, clusters: [a], content: [images]}
nas:
  nas1:
    version: '25.10'
    iqn: iqn.2005-10.org.example
    feeds: [f1]
    nics: {eno1: {vlans: [images, management]}}
    addresses: {images: 10.1.255.1, management: 192.168.255.1}
    disks: {sda: {size: 1TB}}
    pools: {tank: {level: single, disks: [sda]}}
    shares: {vm: {pool: tank, path: /mnt/tank/vm, vlan: images}}
cables:
  peer: {ends: [sw1/peer, sw2/peer]}
  nas: {ends: [nas1/eno1, sw1/nas]}
"""


def _network(nodes: int) -> str:
    names, legs = range(1, nodes + 1), ("1", "2")
    text = _BASE
    for n in names:
        for leg in legs:
            text += f"  pve{n}-{leg}: {{ends: [pve{n}/eno{leg}, sw{leg}/p{n}]}}\n"
    text += "switches:\n"
    trunk = "vlans: [production, management, images]"
    for leg, peer in zip(legs, reversed(legs), strict=True):
        text += f"  sw{leg}:\n    feeds: [f{leg}]\n    peer: sw{peer}\n    ports:\n"
        text += f"      peer: {{{trunk}}}\n"
        text += "      nas: {vlans: [images, management]}\n" if leg == "1" else ""
        text += "".join(f"      p{n}: {{{trunk}, lag: pve{n}}}\n" for n in names)
    return text


def _nodes(nodes: int) -> str:
    return "nodes:\n" + "".join(
        f"""\
  pve{n}:
    cluster: a
    feeds: [f{1 + n % 2}]
    cores: 64
    memory: 512GiB
    nics: {{eno1: {{}}, eno2: {{}}}}
    bonds:
      bond0: {{members: [eno1, eno2], vlans: [production, management, images]}}
    bridges: {{vmbr0: {{ports: [bond0]}}}}
    addresses:
      management: 192.168.{n // 250}.{n % 250 + 1}
      images: 10.1.{n // 250}.{n % 250 + 1}
"""
        for n in range(1, nodes + 1)
    )


def _guest(number: int) -> str:
    return f"""\
  g{number}:
    vmid: {FIRST_VMID + number}
    cluster: a
    cores: 2
    memory: 2GiB
    state: started
    onboot: true
    tags: [web, prod]
    disks:
      scsi0: {{storage: shared, size: 50GiB, discard: true}}
    nets:
      net0: {{bridge: vmbr0, vlan: production, address: 10.0.{number // 250}.{number % 250 + 1}}}
    ha: {{restart: 1, relocate: 1}}
    placement: {{prefer: [pve{number % 3 + 1}]}}
"""
