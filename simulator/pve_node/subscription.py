"""A node's subscription key. Source: PVE::API2::Subscription.

A key is kept in a file of the node. Only the vendor's shop can say whether one is good, and is not
reached from the lab: a key stays `new`. Assumed: how that failure is worded.
"""

from __future__ import annotations

import re
from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.outside import unreached
from simulator.pve.routes import Routes
from simulator.pve.wire import died
from simulator.pve_datacenter import resources
from simulator.pve_node.nodes import NODE, SOCKETS, files, keep

routes = Routes()
_PATH, _MODIFY = "/nodes/{node}/subscription", "/nodes/{node} Sys.Modify"
_KEY = r"pve([1248])([cbsp])-[0-9a-f]{10}"
_SHOP = "https://shop.proxmox.com/modules/servers/licensing/verify.php"
_PRICES = "https://www.proxmox.com/en/proxmox-virtual-environment/pricing"


@routes.add(f"GET {_PATH}", takes=NODE)
def subscription(call: Call) -> object:
    """The key with what is known of it; to who may not audit the node only its state."""
    known, server = files(call).subscription, resources.made_up(call.node)[:16].hex().upper()
    audits = call.may(f"/nodes/{call.node}", "Sys.Audit")
    identity = {"serverid": server} if audits else {}
    if not known:
        none = {"status": "notfound", "message": "There is no subscription key", "url": _PRICES}
        return {**none, **identity}
    if not audits:
        return {"status": known["status"]}
    return {**known, **identity, "sockets": SOCKETS, "url": _PRICES}


def _check(key: str) -> None:
    """Raise for a key that is none, or is for fewer sockets than the node has."""
    match = re.fullmatch(_KEY, key)
    if match is None:
        raise died("Wrong subscription key format")
    if int(match[1]) < SOCKETS:
        raise died(f"wrong number of sockets ({match[1]} < {SOCKETS})")


@routes.add(f"PUT {_PATH}", _MODIFY, NODE + rf"key /\s*{_KEY}\s*/ ..32" "\n")
def set_key(call: Call) -> object:
    """Keep a key, and ask the shop about it."""
    key = call.text("key").strip()
    _check(key)
    kept: Entry = {"status": "new", "key": key, "checktime": call.now_s}
    keep(call, replace(files(call), subscription=kept))
    raise died(f"subscription check failed: {unreached(_SHOP)}")


@routes.add(f"POST {_PATH}", _MODIFY, NODE + "force? boolean\n")
def check_key(call: Call) -> object:
    """Ask the shop about the key, if there is one."""
    if known := files(call).subscription:
        _check(str(known["key"]))
        raise died(f"subscription check failed: {unreached(_SHOP)}")
    return None


@routes.add(f"DELETE {_PATH}", _MODIFY, NODE)
def forget_key(call: Call) -> object:
    """Forget the key."""
    keep(call, replace(files(call), subscription={}))
    return None
