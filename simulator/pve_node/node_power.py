"""A node's power: down in order, and awake again over the network. Source: PVE::API2::Nodes.

Leaves out: whether the packet that wakes a node passes the network, and whose address it names.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.documents import NodeFiles
from simulator.pve.parameters import parse
from simulator.pve.routes import Routes
from simulator.pve.wire import died

routes = Routes()
MAY = "/nodes/{node} Sys.PowerMgmt"


@routes.add("POST /nodes/{node}/status", MAY, "node pve-node\ncommand enum(reboot,shutdown)\n")
def power(call: Call) -> object:
    """Let a node go down, and come back or stay off: its guests stop or move first, as the
    shutdown policy says.
    """
    call.twin.state.orders[call.node] = call.text("command")
    call.twin.changed()
    return None


@routes.add("POST /nodes/{node}/wakeonlan", MAY, "node pve-node\n", here=True)
def wake(call: Call) -> object:
    """Wake a node that was shut down: its address. One whose power failed comes by itself."""
    node = call.text("node")
    if node == call.node:
        raise died(f"'{node}' is local node, cannot wake my self!")
    config = call.documents.nodes.get(node, NodeFiles()).config
    if not (text := str(config.get("wakeonlan") or "")):
        raise died(f"No wake on LAN MAC address defined for '{node}'!")
    if node in call.twin.state.halted:
        call.twin.state.orders[node] = "start"
        call.twin.changed()
    return str(parse("wakeonlan", text)["mac"])
