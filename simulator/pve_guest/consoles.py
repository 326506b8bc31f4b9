"""Consoles of guests. Source: PVE::API2::Qemu, PVE::API2::LXC vncproxy, termproxy, spiceproxy,
vncwebsocket.

A guest that is off has VNC and terminals, too: what they show fails once somebody has come. Leaves
out: that somebody comes (`terminals`), the password that QEMU is told.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.documents import GuestConfig
from simulator.pve.parameters import parse
from simulator.pve.routes import Routes
from simulator.pve.wire import died
from simulator.pve_guest.guest_config import LXC, QEMU, Kind, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_node.terminals import (
    SPICE_PORTS,
    WEBSOCKET,
    open_spice,
    open_terminal,
    open_vnc,
    viewer_file,
    vncterm,
    websocket,
)

routes = Routes()

MAY = "/vms/{vmid} VM.Console"
SIZE = "height? integer 16..2160\nwidth? integer 16..4096\n"
PROXY = "proxy? address\n"
_CONSOLE: Mapping[str, str] = {
    "tty": "lxc-console -n {vmid} -e -1",
    "console": "lxc-console -n {vmid} -t 0 -e -1",
    "shell": "lxc-attach --clear-env -n {vmid}",
}
"""What a container's console runs. Source: PVE::LXC get_console_command."""


def _guest(call: Call, kind: Kind) -> tuple[int, GuestConfig]:
    """A guest on the node that the path names, which need not be the one that answers."""
    vmid = call.number("vmid")
    return vmid, find_guest(replace(call, node=call.text("node")), vmid, kind.name)


def _vga(guest: GuestConfig) -> str:
    text = guest.current.get("vga")
    return str(parse("vga", str(text)).get("type") or "std") if text else "std"


def _terminal(vmid: int, device: str) -> str:
    return f"/usr/sbin/qm terminal {vmid} -escape 0" + (f" -iface {device}" if device else "")


def _shell(vmid: int, guest: GuestConfig) -> str:
    command = _CONSOLE[str(guest.current.get("cmode") or "tty")].format(vmid=vmid)
    return f"/usr/bin/dtach -A /var/run/dtach/vzctlconsole{vmid} -r winch -z {command}"


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/vncproxy",
    MAY,
    GUEST + "generate-password? boolean\nwebsocket? boolean\n",
    here=True,
)
def vnc(call: Call) -> object:
    """A ticket and a port for a machine's screen."""
    vmid, guest = _guest(call, QEMU)
    path, device = f"/vms/{vmid}", _vga(guest)
    status = ""
    if device.startswith("serial"):
        terminal = f"/usr/sbin/qm terminal {vmid} -iface {device} -escape 0"
        status = vncterm(call, path, "Sys.Console", terminal)
    answer = open_vnc(call, "vncproxy", str(vmid), path, status)
    if call.flag("generate-password"):
        letters = string.ascii_letters + string.digits
        answer["password"] = "".join(call.chance.choices(letters, k=8))
    return answer


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/termproxy",
    MAY,
    GUEST + "serial? enum(serial0,serial1,serial2,serial3)\n",
    here=True,
)
def terminal(call: Call) -> object:
    """A ticket and a port for a machine's serial port."""
    vmid, guest = _guest(call, QEMU)
    device = call.text("serial") or _vga(guest)
    command = _terminal(vmid, device if device.startswith("serial") else "")
    return open_terminal(call, "vncproxy", str(vmid), f"/vms/{vmid}", "VM.Console", command)


@routes.add("POST /nodes/{node}/qemu/{vmid}/spiceproxy", MAY, GUEST + PROXY)
def spice(call: Call) -> object:
    """The file for remote-viewer, if the machine runs and has SPICE."""
    vmid, guest = _guest(call, QEMU)
    if not call.world.running(vmid):
        raise died(f"VM {vmid} not running")
    if not _has_spice(guest):
        raise died("no spice port")
    name = guest.current.get("name")
    title = f"VM {vmid} - {name}" if name else f"VM {vmid}"
    return viewer_file(call, str(vmid), title, SPICE_PORTS[_earlier(call, vmid)])


def _has_spice(guest: GuestConfig) -> bool:
    """Source: PVE::QemuServer config_to_command."""
    return _vga(guest).startswith(("qxl", "virtio"))


def _earlier(call: Call, vmid: int) -> int:
    """How many machines of the node have taken a port for SPICE before."""
    others = (other for other in call.documents.guests if other < vmid)
    return sum(
        call.world.running(other)
        and (state := call.world.guest(other)) is not None
        and state.node == call.node
        and call.documents.guests[other].kind == QEMU.name
        and _has_spice(call.documents.guests[other])
        for other in others
    )


@routes.add(
    "POST /nodes/{node}/lxc/{vmid}/vncproxy", MAY, GUEST + SIZE + "websocket? boolean\n", here=True
)
def container_vnc(call: Call) -> object:
    """A ticket and a port for a container's terminal, drawn."""
    vmid, guest = _guest(call, LXC)
    path = f"/vms/{vmid}"
    status = vncterm(call, path, "VM.Console", _shell(vmid, guest))
    return open_vnc(call, "vncproxy", str(vmid), path, status)


@routes.add("POST /nodes/{node}/lxc/{vmid}/termproxy", MAY, GUEST, here=True)
def container_terminal(call: Call) -> object:
    """A ticket and a port for a container's terminal."""
    vmid, guest = _guest(call, LXC)
    command = _shell(vmid, guest)
    return open_terminal(call, "vncproxy", str(vmid), f"/vms/{vmid}", "VM.Console", command)


@routes.add("POST /nodes/{node}/lxc/{vmid}/spiceproxy", MAY, GUEST + PROXY)
def container_spice(call: Call) -> object:
    """The file for remote-viewer, if the container runs."""
    vmid, guest = _guest(call, LXC)
    if not call.world.running(vmid):
        raise died(f"CT {vmid} not running")
    name = guest.current.get("hostname")
    title = f"CT {vmid} - {name}" if name else f"CT {vmid}"
    shell = _shell(vmid, guest)
    return open_spice(call, "spiceproxy", str(vmid), f"/vms/{vmid}", "VM.Console", title, shell)


@routes.add("GET /nodes/{node}/qemu/{vmid}/vncwebsocket", MAY, GUEST + WEBSOCKET, here=True)
def opened(call: Call) -> object:
    """What the ticket of a machine's console opens: only its port is told."""
    answer = websocket(call, f"/vms/{call.number('vmid')}")
    _guest(call, QEMU)
    return answer


@routes.add("GET /nodes/{node}/lxc/{vmid}/vncwebsocket", MAY, GUEST + WEBSOCKET, here=True)
def container_opened(call: Call) -> object:
    """The same of a container; that there is one is not looked at."""
    return websocket(call, f"/vms/{call.number('vmid')}")
