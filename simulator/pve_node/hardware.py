"""PCI and USB devices of a node. Source: PVE::API2::Hardware.

The lab declares none that a guest could be given, so there are none, which is also what the checks
of mappings say. Leaves out: devices of the system itself (a real node has a list of them), and
those of one PCI device.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.routes import Routes, index

routes = Routes()
index(routes, "/nodes/{node}/hardware", "pci usb", "type")


@routes.add(
    "GET /nodes/{node}/hardware/pci",
    "/ Sys.Audit|Sys.Modify",
    "node pve-node\npci-class-blacklist? string-list\nverbose? boolean\n",
)
@routes.add("GET /nodes/{node}/hardware/usb", "/ Sys.Modify", "node pve-node\n")
def devices(call: Call) -> object:
    """None."""
    del call
    return []
