"""What loading costs: files in memory to a judged `Lab`, every rule included."""

from __future__ import annotations

import time
import tracemalloc

from lab.load import load

Row = dict[str, str | int | float]
GUESTS_PER_NODE = 40


def rows(sizes: tuple[int, ...] = (10, 100, 1000), repeats: int = 5) -> list[Row]:
    """One row per number of guests: the best of `repeats` runs, and the peak of one more run."""
    return [_row(guests, repeats) for guests in sizes]


def _row(guests: int, repeats: int) -> Row:
    files = tree(guests, files=min(200, guests))
    taken_s = []
    for _ in range(repeats):
        start_s = time.perf_counter()
        load(files)
        taken_s.append(time.perf_counter() - start_s)
    tracemalloc.start()
    load(files)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "what": "load",
        "guests": guests,
        "files": len(files),
        "seconds": round(min(taken_s), 4),
        "mib": round(peak_bytes / 2**20, 1),
    }


def tree(guests: int, files: int) -> dict[str, bytes]:
    """A lab without flaw: two switches, a cluster of nodes with bonds, and guests in `files` files."""
    nodes = max(3, -(-guests // GUESTS_PER_NODE))
    contents = {"network.yaml": _network(nodes), "nodes.yaml": _nodes(nodes)}
    for number in range(files):
        mine = range(number, guests, files)
        contents[f"guests/{number}.yaml"] = "guests:\n" + "".join(_guest(each) for each in mine)
    return {name: text.encode() for name, text in contents.items()}


def _network(nodes: int) -> str:
    ports = "".join(
        f"      p{n}: {{vlans: [production, management], lag: pve{n}}}\n" for n in range(1, nodes + 1)
    )
    cables = "".join(
        f"  pve{n}-{leg}: {{ends: [pve{n}/eno{leg}, sw{leg}/p{n}]}}\n"
        for n in range(1, nodes + 1)
        for leg in (1, 2)
    )
    return (
        "feeds: {f1: {}, f2: {}}\n"
        "vlans:\n"
        "  production: {id: 10, role: guests, subnet: 10.0.0.0/16}\n"
        "  management: {id: 99, role: management, subnet: 192.168.0.0/16}\n"
        "clusters:\n"
        "  a: {version: '9.0', time-source: 10.0.0.1, corosync: {links: [management]}}\n"
        "storages:\n"
        "  local: {type: dir, path: /var/lib/vz, clusters: [a], content: [images]}\n"
        f"switches:\n  sw1:\n    feeds: [f1]\n    peer: sw2\n    ports:\n{ports}"
        f"  sw2:\n    feeds: [f2]\n    peer: sw1\n    ports:\n{ports}"
        f"cables:\n{cables}"
    )


def _nodes(nodes: int) -> str:
    return "nodes:\n" + "".join(
        f"""\
  pve{n}:
    cluster: a
    feeds: [f{1 + n % 2}]
    cores: 64
    memory: 512GiB
    nics: {{eno1: {{}}, eno2: {{}}}}
    bonds: {{bond0: {{members: [eno1, eno2], vlans: [production, management]}}}}
    bridges: {{vmbr0: {{ports: [bond0]}}}}
    addresses: {{management: 192.168.{n // 250}.{n % 250 + 1}}}
"""
        for n in range(1, nodes + 1)
    )


def _guest(number: int) -> str:
    return f"""\
  g{number}:
    vmid: {1000 + number}
    cluster: a
    cores: 2
    memory: 2GiB
    state: started
    onboot: true
    tags: [web, prod]
    disks:
      scsi0: {{storage: local, size: 50GiB, discard: true}}
    nets:
      net0: {{bridge: vmbr0, vlan: production, address: 10.0.{number // 250}.{number % 250 + 1}}}
    ha: {{restart: 1, relocate: 1}}
    placement: {{prefer: [pve{number % 3 + 1}]}}
"""
