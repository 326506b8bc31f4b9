"""A guest fits on a node.

Sources: qemu-server refuses more virtual CPUs than a node has threads; memory it lets start, and
the node swaps or kills. Whether all guests fit together is for the twin to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lab.errors import Problem
from lab.lab import Lab, title
from lab.rules.placement import Homes
from lab.units import format_size


def guests_fit_a_node(lab: Lab) -> Iterator[Problem]:
    """Some node where the guest may be has its memory and cores."""
    homes = Homes(lab)

    @cache
    def largest(nodes: tuple[str, ...]) -> tuple[int, int]:
        return (
            max(lab.nodes[node].guest_memory_bytes for node in nodes),
            max(lab.nodes[node].cores for node in nodes),
        )

    for name, guest in lab.guests.items():
        if not (nodes := homes.of(name)):
            continue
        memory, cores = largest(nodes)
        memory += lab.clusters[guest.cluster].overcommit
        if guest.memory > memory:
            what = (
                f"{title('guests', name)} wants {format_size(guest.memory)}, and the largest node"
            )
            what += f" where it may be has {format_size(memory)} for guests"
            why = "the node swaps, or kills guests for want of memory"
            place = lab.place("guests", name, "memory")
            yield Problem(place, what, why, f"write {format_size(memory)} or less")
        if guest.cores * guest.sockets > cores:
            wanted = guest.cores * guest.sockets
            what = f"{title('guests', name)} wants {wanted} cores, and no node where it may be"
            what += f" has more than {cores}"
            place = lab.place("guests", name, "cores")
            yield Problem(place, what, "Proxmox VE refuses to start it", f"write {cores} or less")


def guests_have_a_home(lab: Lab) -> Iterator[Problem]:
    """Pins and strict rules leave a guest at least one node."""
    homes = Homes(lab)
    for name, guest in lab.guests.items():
        if not homes.of(name) and lab.members(guest.cluster):
            what = f"{title('guests', name)} may be on no node of cluster {guest.cluster}"
            why = "its pins and the strict node-affinity rules over it exclude all of them"
            yield Problem(lab.place("guests", name, "placement"), what, why, "widen one of them")


RULES = (guests_fit_a_node, guests_have_a_home)
