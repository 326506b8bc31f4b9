"""A small lab for tests: three nodes on one switch, with guests under HA."""

from __future__ import annotations

from lab.faults import parse_faults
from lab.lab import Lab
from simulator.build import twin_of
from simulator.cluster.state import Cluster
from simulator.ha.part import documents_of
from simulator.twin import Event, Twin
from tests.labs import lab_of

NODES = ("pve1", "pve2", "pve3")


def hardware() -> str:
    """Nodes with 11 GiB for guests and one port each, on sw1; cables are named as the nodes."""
    text = """
vlans:
  management: {id: 99, role: management}
  production: {id: 10, role: guests}
clusters:
  a: {version: "9.2", corosync: {links: [management]}, time-source: 192.168.99.1}
"""
    ports, hosts, cables = "", "", ""
    for number, node in enumerate(NODES, 1):
        ports += f"      p{number}: {{vlans: [management, production]}}\n"
        hosts += f"""  {node}:
    cluster: a
    feeds: []
    memory: 12GiB
    reserved: 1GiB
    boot: 40s
    nics: {{eno1: {{vlans: [management, production]}}}}
    bridges: {{vmbr0: {{ports: [eno1]}}}}
    addresses: {{management: 192.168.99.{number}}}
"""
        cables += f"  {node}: {{ends: [{node}/eno1, sw1/p{number}]}}\n"
    switch = f"switches:\n  sw1:\n    feeds: []\n    ports:\n{ports}"
    return f"{text}{switch}nodes:\n{hosts}cables:\n{cables}"


def guest(name: str, vmid: int, *, on: str = "", memory: str = "2GiB", more: str = "") -> str:
    """A guest under HA that serves in production 30 s after its start; `on` is where it begins."""
    wish = f"    placement: {{prefer: [{on}]}}\n" if on else ""
    return f"""  {name}:
    vmid: {vmid}
    cluster: a
    memory: {memory}
    nets: {{net0: {{vlan: production}}}}
    ha: {{}}
    boot: 30s
{wish}{more}"""


def apart(*guests: str) -> str:
    """A rule that keeps guests on different nodes."""
    return _rule("resource-affinity", "affinity: negative", guests)


def together(*guests: str) -> str:
    """A rule that keeps guests on one node."""
    return _rule("resource-affinity", "affinity: positive", guests)


def bound(name: str, *, strict: bool = False, **nodes: int) -> str:
    """A rule that binds a guest to nodes by their priority."""
    at = ", ".join(f"{node}: {priority}" for node, priority in nodes.items())
    return _rule("node-affinity", f"strict: {str(strict).lower()}, nodes: {{{at}}}", (name,))


def local_storage(*nodes: str) -> str:
    """A storage `local` on these nodes only."""
    return f"""storages:
  local: {{type: dir, path: /d, clusters: [a], content: [images], nodes: [{", ".join(nodes)}]}}
"""


def _rule(kind: str, how: str, guests: tuple[str, ...]) -> str:
    members = ", ".join(guests)
    return f"ha-rules: {{r: {{cluster: a, type: {kind}, guests: [{members}], {how}}}}}"


def three_nodes(*guests: str, more: str = "", rules: bool = True) -> Lab:
    """The lab with these guests, and whatever else is written."""
    texts = [hardware(), "guests:\n" + "".join(guests) if guests else "", more]
    return lab_of(*(text for text in texts if text), rules=rules)


def twin_with_master(lab: Lab, master: str) -> Twin:
    """A twin whose HA master is on this node; the seed decides, so one is looked for."""
    twins = (twin_of(lab, seed=seed) for seed in range(50))
    return next(twin for twin in twins if ha_of(twin).status.master_node == master)


def after(twin: Twin, faults: str, until_s: float) -> Twin:
    """The twin some time after these faults."""
    twin.inject(parse_faults([faults]))
    twin.run_until(until_s)
    return twin


def ha_of(twin: Twin) -> Cluster:
    """What the HA daemons of the cluster know, and have written."""
    return documents_of(twin, "a")


def service(twin: Twin, vmid: int) -> tuple[str, str]:
    """State and node of a service, as the manager has it."""
    found = ha_of(twin).status.services[f"vm:{vmid}"]
    return found.state, found.node


def where(twin: Twin, vmid: int) -> tuple[str, str]:
    """Node and power of a guest."""
    found = twin.state.guests["a", vmid]
    return found.node, found.power.value


def lines(twin: Twin, subject: str = "", kind: str = "") -> list[Event]:
    """Lines of the trace about a subject, of a kind."""
    return [
        event for event in twin.trace if subject in ("", event.subject) and kind in ("", event.kind)
    ]
