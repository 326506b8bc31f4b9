"""The servers of SDN's fabrics, with their addresses and interfaces in each. Source:
PVE::API2::Network::SDN::Fabrics, ::FabricNode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.routes import Routes
from simulator.pve.wire import died
from simulator.pve_datacenter import sdn_state
from simulator.pve_datacenter.fabric_file import FABRICS, NODE_KEYS, nodes_of
from simulator.pve_datacenter.fabrics import (
    BASE,
    COMMON,
    SEE,
    SEEN,
    add,
    changed,
    fabrics,
    need_fabric,
    shown,
    value_of,
    view,
    write,
)

routes = Routes()

_SEE_NODE = ("Sys.Audit", "Sys.Modify")
_FABRIC_ID = "...\nfabric_id pve-sdn-fabric-id 2..8\n"
_NODE_ID = _FABRIC_ID + "node_id pve-node\n"


def _visible_nodes(call: Call) -> list[dict[str, object]]:
    return [
        row
        for row in view(call, nodes_of)
        if call.may(f"/sdn/fabrics/{value_of(row, 'fabric_id')}", *SEE)
        and call.may(f"/nodes/{value_of(row, 'node_id')}", *_SEE_NODE)
    ]


@routes.add(f"GET {BASE}/node", takes=SEEN)
def nodes(call: Call) -> object:
    """Nodes of all fabrics, as far as the caller may see both."""
    return _visible_nodes(call)


@routes.add(f"GET {BASE}/all", takes=SEEN)
def everything(call: Call) -> object:
    """Both."""
    return {"fabrics": fabrics(call), "nodes": _visible_nodes(call)}


@routes.add(
    f"GET {BASE}/node/{{fabric_id}}", "/sdn/fabrics/{fabric_id} SDN.Audit", _FABRIC_ID + SEEN
)
def nodes_of_fabric(call: Call) -> object:
    """Nodes of one fabric."""
    fabric = call.text("fabric_id")
    return [row for row in _visible_nodes(call) if value_of(row, "fabric_id") == fabric]


def _need_node(entries: Mapping[str, Entry], fabric: str, node: str) -> Entry:
    need_fabric(entries, fabric)
    if (row := nodes_of(entries).get(f"{fabric}_{node}")) is None:
        raise died(f"node '{node}' does not exist in fabric '{fabric}'")
    return row


def _need_both(fabric: tuple[str, ...], node: tuple[str, ...]) -> Callable[[Call], None]:
    """Rights on the fabric and on the node."""

    def guard(call: Call) -> None:
        call.need(f"/sdn/fabrics/{call.text('fabric_id')}", *fabric)
        call.need(f"/nodes/{call.text('node_id')}", *node)

    return guard


_CHANGE_NODE = _need_both(("SDN.Allocate",), ("Sys.Modify",))


@routes.add(f"GET {BASE}/node/{{fabric_id}}/{{node_id}}", _need_both(SEE, _SEE_NODE), _NODE_ID)
def node(call: Call) -> object:
    """One node of a fabric, as it is staged."""
    entries = FABRICS.entries(call.documents)
    return shown(call, _need_node(entries, call.text("fabric_id"), call.text("node_id")))


@routes.add(f"POST {BASE}/node/{{fabric_id}}", _CHANGE_NODE, _NODE_ID + NODE_KEYS + COMMON)
def add_node(call: Call) -> object:
    """A server becomes part of a fabric."""
    name, member = call.text("fabric_id"), call.text("node_id")
    with sdn_state.locked(call, "adding node failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        if need_fabric(entries, name)["protocol"] != call.text("protocol"):
            raise died("node has a different protocol than the referenced fabric")
        if f"{name}_{member}" in entries:
            raise died(f"node '{member}' already exists in config for fabric {name}")
        add(call, f"{name}_{member}", "node", entries)
    return None


@routes.add(
    f"PUT {BASE}/node/{{fabric_id}}/{{node_id}}",
    _CHANGE_NODE,
    _NODE_ID + NODE_KEYS + COMMON + "delete? array\n",
)
def update_node(call: Call) -> object:
    """Change a server's part in a fabric."""
    name, member = call.text("fabric_id"), call.text("node_id")
    with sdn_state.locked(call, "updating node failed"):
        call.need_digest(FABRICS.digest(call.documents))
        entries = FABRICS.entries(call.documents)
        key = f"{name}_{member}"
        entries[key] = changed(call, _need_node(entries, name, member), entries[key])
        write(call, entries)
    return None


@routes.add(f"DELETE {BASE}/node/{{fabric_id}}/{{node_id}}", _CHANGE_NODE, _NODE_ID)
def delete_node(call: Call) -> object:
    """A server leaves a fabric."""
    name, member = call.text("fabric_id"), call.text("node_id")
    with sdn_state.locked(call, "deleting node failed"):
        entries = FABRICS.entries(call.documents)
        _need_node(entries, name, member)
        write(call, {key: row for key, row in entries.items() if key != f"{name}_{member}"})
    return None
