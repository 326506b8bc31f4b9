"""The physical half of a lab as a networkx graph: what is there, and what hangs on what.

The graph is the public face of the model (`Model.graph`), and all that the twin evaluates is
compiled from it. A vertex is named `kind name` as in faults and events (`switch sw1`, `port
sw1/p1`, `card pve1/card1`); its attributes are `kind`, `name`, `item` (the declared value, or
None) and `device` (the vertex of the box it is part of). An edge has a `relation`: feeds, holds
(a part of a box), carries (card to port), plugs (port to cable), bonds, bridges, stores (disk to
what lives on it), serves.

Leaves out: guests and storages, which are load and not hardware.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

from lab.item import Item
from lab.kinds.host import Host
from lab.kinds.switch import Switch
from lab.lab import Lab


def vertex(kind: str, *names: str) -> str:
    """`vertex("card", "pve1", "card1")` -> `card pve1/card1`."""
    return f"{kind} {'/'.join(names)}"


def topology(lab: Lab) -> nx.Graph[str]:
    """The graph of everything physical in `lab`."""
    graph: nx.Graph[str] = nx.Graph()
    for name, feed in lab.feeds.items():
        _add(graph, "feed", name, feed)
    for name, switch in lab.switches.items():
        _box(graph, "switch", name, switch, switch.feeds)
        _parts(graph, vertex("switch", name), "port", switch.ports)
    for name, router in lab.routers.items():
        _box(graph, "router", name, router, router.feeds)
        _parts(graph, vertex("router", name), "port", router.ports)
    for kind, hosts in hosts_by_kind(lab).items():
        for name, host in hosts.items():
            _box(graph, kind, name, host, host.feeds)
            _inside(graph, vertex(kind, name), host)
    for name, switch in lab.switches.items():
        if switch.peer is not None:
            _join(graph, vertex("switch", name), vertex("switch", switch.peer), "pairs")
    _cables(graph, lab)
    _services(graph, lab)
    return graph


def hosts_by_kind(lab: Lab) -> Mapping[str, Mapping[str, Host]]:
    """Every server by the word that faults use for it."""
    return {"node": lab.nodes, "nas": lab.nas, "backup-server": lab.backup_servers}


def _add(
    graph: nx.Graph[str], kind: str, name: str, item: Item | None = None, device: str = ""
) -> str:
    known = vertex(kind, name)
    graph.add_node(known, kind=kind, name=name, item=item, device=device or known)
    return known


def _join(graph: nx.Graph[str], one: str, other: str, relation: str) -> None:
    """Join two vertices.

    What was declared wrong has no vertex and is left to the rules of the lab.
    """
    if one in graph and other in graph:
        graph.add_edge(one, other, relation=relation)


def _box(
    graph: nx.Graph[str], kind: str, name: str, item: Switch | Item, feeds: Iterable[str]
) -> None:
    box = _add(graph, kind, name, item)
    for feed in feeds:
        _join(graph, vertex("feed", feed), box, "feeds")


def _parts(
    graph: nx.Graph[str], device: str, kind: str, parts: Mapping[str, Item], relation: str = "holds"
) -> None:
    owner = graph.nodes[device]["name"]
    for name, item in parts.items():
        _join(graph, device, _add(graph, kind, f"{owner}/{name}", item, device), relation)


def _inside(graph: nx.Graph[str], device: str, host: Host) -> None:
    """Ports, cards, bonds, bridges and disks of a server."""
    owner: str = graph.nodes[device]["name"]
    _parts(graph, device, "port", host.nics)
    for kind, things in (
        ("card", host.cards),
        ("bond", host.bonds),
        ("bridge", host.bridges),
        ("disk", host.disks),
        ("raid", host.raids),
    ):
        _parts(graph, device, kind, things)
    if host.ilo is not None:
        _parts(graph, device, "port", {"ilo": host.ilo})
    for name, card in host.cards.items():
        for port in card.ports:
            _join(graph, vertex("card", owner, name), vertex("port", owner, port), "carries")
    for name, bond in host.bonds.items():
        for port in bond.members:
            _join(graph, vertex("port", owner, port), vertex("bond", owner, name), "bonds")
    for name, bridge in host.bridges.items():
        for port in bridge.ports:
            lower = "bond" if port in host.bonds else "port"
            _join(graph, vertex(lower, owner, port), vertex("bridge", owner, name), "bridges")
    for name, raid in host.raids.items():
        for disk in raid.disks:
            _join(graph, vertex("disk", owner, disk), vertex("raid", owner, name), "stores")


def _cables(graph: nx.Graph[str], lab: Lab) -> None:
    for name, cable in lab.cables.items():
        known = _add(graph, "cable", name, cable)
        for end in cable.ends:
            _join(graph, vertex("port", end), known, "plugs")


def _services(graph: nx.Graph[str], lab: Lab) -> None:
    """What lives on disks and behind ports: OSDs, pools of arrays, portals."""
    for ceph, cluster in lab.ceph.items():
        for name, osd in cluster.osds.items():
            known = _add(graph, "osd", f"{ceph}/{name}", osd, vertex("node", osd.node))
            _join(graph, vertex("node", osd.node), known, "holds")
            for kind in ("disk", "raid"):
                _join(graph, vertex(kind, osd.node, osd.disk), known, "stores")
    for name, nas in lab.nas.items():
        device = vertex("nas", name)
        _parts(graph, device, "portal", nas.portals, "serves")
        _parts(graph, device, "volume", nas.pools)
        for pool, declared in nas.pools.items():
            for disk in declared.disks:
                _join(graph, vertex("disk", name, disk), vertex("volume", name, pool), "stores")
