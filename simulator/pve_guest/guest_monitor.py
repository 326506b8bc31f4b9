"""Keys and commands for the QEMU of a guest. Source: PVE::API2::Qemu vm_sendkey, monitor.

Keys are pressed, and nobody looks. Leaves out: which keys there are, and what the monitor of a
running guest answers to more than keys and whether it runs (501), as the twin has neither its QEMU
nor a system inside. That 9 looks at the right to change things on `/`, as 8 does, is assumed.
"""

from __future__ import annotations

import re

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.wire import ApiError, died
from simulator.pve_guest.guest_config import check_lock, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_guest.guest_power import paused, skiplock

routes = Routes()

_READS = re.compile(r"info( .*)?|help")


@routes.add(
    "PUT /nodes/{node}/qemu/{vmid}/sendkey",
    "/vms/{vmid} VM.Console",
    GUEST + "key string\nskiplock? boolean\n",
)
def send_key(call: Call) -> None:
    """Press keys."""
    vmid, skips = call.number("vmid"), skiplock(call)
    guest = find_guest(call, vmid)
    if not skips:
        check_lock(guest.current)
    if not call.world.running(vmid):
        raise died(f"VM {vmid} not running")


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/monitor",
    "/vms/{vmid} Sys.Audit|Sys.Modify",
    GUEST + "command string\n",
)
def monitor(call: Call) -> object:
    """Ask QEMU's monitor; that it is not there is part of the answer."""
    vmid, command = call.number("vmid"), " ".join(call.text("command").split())
    if not _READS.fullmatch(command):
        call.need("/", "Sys.Modify")
    find_guest(call, vmid)
    if not command:
        raise died("no command specified")
    if not call.world.running(vmid):
        return f"ERROR: VM {vmid} not running\n"
    if command == "info status":
        return f"VM status: {'paused' if paused(call, vmid) else 'running'}\r\n"
    if command.startswith("sendkey "):
        return ""
    raise ApiError(501, f"Method 'POST {call.path}' not implemented")
