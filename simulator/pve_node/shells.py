"""Shells of nodes. Source: PVE::API2::Nodes vncshell, termproxy, spiceshell, vncwebsocket.

Leaves out: that somebody comes (`terminals`).
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import denied, died
from simulator.pve_node.terminals import (
    WEBSOCKET,
    open_spice,
    open_terminal,
    open_vnc,
    vncterm,
    websocket,
)

routes = Routes()

MAY = "/nodes/{node} Sys.Console"
SHELL = """
node       pve-node
cmd?       enum(ceph_install,login,upgrade)
cmd-opts?  string requires=cmd
"""
_COMMANDS = {
    "login": "/bin/login -f root",
    "upgrade": "/usr/bin/pveupgrade --shell",
    "ceph_install": "/usr/bin/pveceph install",
}


def _command(call: Call) -> str:
    """What the shell runs. Raises for tokens, which are no user's name, and for what root alone
    may.
    """
    if "!" in call.user:
        raise died(f"value '{call.user}' does not look like a valid user name")
    name = call.text("cmd", "login")
    if call.user != "root@pam":
        if name != "login":
            raise denied("user != root@pam")
        return "/bin/login"
    more = call.text("cmd-opts").split("\0") if name == "ceph_install" else []
    return " ".join([_COMMANDS[name], *filter(None, more)])


def _path(call: Call) -> str:
    """Where the ticket is good. Raises for a node that the cluster does not have."""
    node = call.text("node")
    if node not in (*call.world.nodes, "localhost"):
        why = f"failed to get address info for: {node}: Name or service not known"
        raise died(f"hostname lookup '{node}' failed - {why}")
    return f"/nodes/{node}"


@routes.add(
    "POST /nodes/{node}/vncshell",
    MAY,
    SHELL + "height? integer 16..2160\nwebsocket? boolean\nwidth? integer 16..4096\n",
    here=True,
)
def vnc(call: Call) -> object:
    """A ticket and a port for a shell, drawn."""
    command, path = _command(call), _path(call)
    return open_vnc(call, "vncshell", "", path, vncterm(call, path, "Sys.Console", command))


@routes.add("POST /nodes/{node}/termproxy", MAY, SHELL, here=True)
def terminal(call: Call) -> object:
    """A ticket and a port for a shell."""
    command, path = _command(call), _path(call)
    return open_terminal(call, "vncshell", "", path, "Sys.Console", command)


@routes.add("POST /nodes/{node}/spiceshell", MAY, SHELL + "proxy? address\n")
def spice(call: Call) -> object:
    """The file for remote-viewer to a shell."""
    command, path = _command(call), _path(call)
    title = f"Shell on '{call.text('node')}'"
    return open_spice(call, "spiceshell", "", path, "Sys.Console", title, command)


@routes.add("GET /nodes/{node}/vncwebsocket", MAY, "node pve-node\n" + WEBSOCKET, here=True)
def opened(call: Call) -> object:
    """What the ticket of a shell opens: only its port is told."""
    return websocket(call, f"/nodes/{call.text('node')}")
