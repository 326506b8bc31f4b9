"""The QEMU guest agent's calls. Source: PVE::API2::Qemu::Agent.

The twin has no system inside its guests, so a running guest's agent never answers.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.propertystring import items, truth
from simulator.pve.routes import Routes, index
from simulator.pve.wire import died
from simulator.pve_guest.guest_config import find_guest

routes = Routes()

_GET = items(
    "get-fsinfo get-host-name get-memory-block-info get-memory-blocks get-osinfo get-time "
    "get-timezone get-users get-vcpus info network-get-interfaces"
)
_POST = items(
    "fsfreeze-freeze fsfreeze-status fsfreeze-thaw fstrim ping shutdown suspend-disk "
    "suspend-hybrid suspend-ram"
)
_OTHERS = {
    "POST exec": ("Unrestricted", "command array\ninput-data? string ..65536\n"),
    "GET exec-status": ("Unrestricted", "pid integer\n"),
    "GET file-read": (
        "FileRead",
        "count? integer 1..16777216\ndecode? boolean\nfile string\noffset? integer 0..\n",
    ),
    "POST file-write": ("FileWrite", "content string ..61440\nencode? boolean\nfile string\n"),
    "POST set-user-password": (
        "Unrestricted",
        "crypted? boolean\npassword string 5..1024\nusername string\n",
    ),
}
"""Who may besides those who may all, and what they take more than a command's name."""
COMMANDS = sorted([*_GET, *_POST])
_BASE = "/nodes/{node}/qemu/{vmid}/agent"
_GUEST = "node pve-node\nvmid integer:pve-vmid 100..999999999\n"
_MAY = {
    "fsfreeze-freeze": "VM.GuestAgent.FileSystemMgmt",
    "fsfreeze-status": "VM.GuestAgent.FileSystemMgmt|VM.GuestAgent.Audit",
    "fsfreeze-thaw": "VM.GuestAgent.FileSystemMgmt",
    "fstrim": "VM.GuestAgent.FileSystemMgmt",
    "shutdown": "VM.PowerMgmt",
    "suspend-disk": "VM.PowerMgmt",
    "suspend-hybrid": "VM.PowerMgmt",
    "suspend-ram": "VM.PowerMgmt",
}
_INDEX = " ".join(sorted([*COMMANDS, *(call.split()[1] for call in _OTHERS)]))
index(routes, _BASE, _INDEX, takes="...")


def _ask(call: Call) -> object:
    """Raise as the real call does, at the latest because nobody answers."""
    vmid = call.number("vmid")
    guest = find_guest(call, vmid)
    if not call.world.running(vmid):
        raise died(f"VM {vmid} is not running")
    text = str(guest.current.get("agent") or "0").split(",")[0].removeprefix("enabled=")
    if truth(text) != 1:
        raise died("No QEMU guest agent configured")
    raise died("QEMU guest agent is not running")


routes.add(
    f"POST {_BASE}",
    "/vms/{vmid} VM.GuestAgent.Unrestricted",
    _GUEST + f"command enum({','.join(COMMANDS)})\n",
)(_ask)
for _name in COMMANDS:
    _method = "GET" if _name in _GET else "POST"
    _privileges = _MAY.get(_name, "VM.GuestAgent.Audit")
    routes.add(
        f"{_method} {_BASE}/{_name}",
        f"/vms/{{vmid}} {_privileges}|VM.GuestAgent.Unrestricted",
        _GUEST,
    )(_ask)
for _call, (_privilege, _takes) in _OTHERS.items():
    _method, _, _name = _call.partition(" ")
    _may = "|".join(dict.fromkeys((f"VM.GuestAgent.{_privilege}", "VM.GuestAgent.Unrestricted")))
    routes.add(f"{_method} {_BASE}/{_name}", f"/vms/{{vmid}} {_may}", _GUEST + _takes)(_ask)
