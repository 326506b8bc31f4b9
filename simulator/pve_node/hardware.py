"""PCI and USB devices of a node. Source: PVE::API2::Hardware.

The lab declares none that a guest could be given, so there are none, which is also what the checks
of mappings say; a device that is not there has no mediated devices, nor has a mapping to it.
Leaves out: devices of the system itself (a real node has a list of them).
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


_PCI = "/nodes/{node}/hardware/pci/{pci-id-or-mapping}"
_ID = (
    "node pve-node\n"
    r"pci-id-or-mapping /(?:(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-9a-fA-F])"
    r"|([a-zA-Z][a-zA-Z0-9_-]+)/"
    "\n"
)


@routes.add(f"GET {_PCI}", takes=_ID)
def device_index(call: Call) -> object:
    """What there is of a device."""
    del call
    return [{"method": "mdev"}]


routes.add(f"GET {_PCI}/mdev", "/ Sys.Audit|Sys.Modify", _ID)(devices)
