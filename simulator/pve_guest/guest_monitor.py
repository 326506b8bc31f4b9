"""Keys and commands for the QEMU of a guest. Source: PVE::API2::Qemu vm_sendkey, monitor.

What a guest that does not run answers is here. Leaves out: what a running one does with them (501),
as the twin has neither its QEMU nor a system inside.
"""

from __future__ import annotations

from typing import NoReturn

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, died
from simulator.pve_guest.guest_config import check_lock, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_guest.guest_power import skiplock

routes = Routes()


def _not_simulated(call: Call, method: str) -> NoReturn:
    raise ApiError(501, f"Method '{method} {call.path}' not implemented")


@routes.add(
    "PUT /nodes/{node}/qemu/{vmid}/sendkey",
    "/vms/{vmid} VM.Console",
    GUEST + "key string\nskiplock? boolean\n",
)
def send_key(call: Call) -> object:
    """Press keys."""
    vmid, skips = call.number("vmid"), skiplock(call)
    guest = find_guest(call, vmid)
    if not skips:
        check_lock(guest.current)
    if not call.world.running(vmid):
        raise died(f"VM {vmid} not running")
    _not_simulated(call, "PUT")


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/monitor",
    "/vms/{vmid} Sys.Audit|Sys.Modify",
    GUEST + "command string\n",
)
def monitor(call: Call) -> object:
    """Ask QEMU's monitor; that it is not there is part of the answer."""
    vmid = call.number("vmid")
    find_guest(call, vmid)
    if not call.text("command"):
        raise died("no command specified")
    if not call.world.running(vmid):
        return f"ERROR: VM {vmid} not running\n"
    _not_simulated(call, "POST")
