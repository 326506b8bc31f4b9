"""What the QEMU of a node can do: CPU models, flags, machine types, migration. Source:
PVE::API2::Capabilities, PVE::QemuServer::CPUConfig, ::Machine.

Leaves out: CPU models of one's own, machines of other processors, machine types before QEMU 6, on
which nodes a flag works, and the texts that explain flags and changes.
"""

from __future__ import annotations

from simulator.pve.call import Call
from simulator.pve.formats import CPU_TYPES
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.wire import ApiError
from simulator.pve_guest.cpu_options import FLAGS

routes = Routes()
index(routes, "/nodes/{node}/capabilities", "qemu")
index(routes, "/nodes/{node}/capabilities/qemu", "cpu cpu-flags machines migration")

_BASE = "/nodes/{node}/capabilities/qemu"
_ARCH = "node pve-node\narch? enum(x86_64,aarch64)\n"
AMD = ("athlon", "EPYC", "Opteron", "phenom")
ANY = ("host", "kvm", "max", "qemu", "x86-64-v")
"""How the names of models begin that are AMD's, and of those that are nobody's."""
MACHINES = items("10.1 10.0 9.2 9.1 9.0 8.2 8.1 8.0 7.2 7.1 7.0 6.2 6.1 6.0")
TYPES = {"i440fx": "pc-i440fx", "q35": "pc-q35"}


def _need_x86(call: Call) -> None:
    """Raise for processors that the lab's nodes have not."""
    if call.text("arch", "x86_64") != "x86_64":
        raise ApiError(501, f"Method 'GET {call.path}' not implemented for {call.text('arch')}")


def _vendor(model: str) -> str:
    if model.startswith(ANY):
        return "default"
    return "AuthenticAMD" if model.startswith(AMD) else "GenuineIntel"


@routes.add(f"GET {_BASE}/cpu", takes=_ARCH)
def cpus(call: Call) -> object:
    """CPU models that a guest can have."""
    _need_x86(call)
    return [
        {"name": name, "vendor": _vendor(name), "custom": 0}
        for name in sorted(CPU_TYPES, key=str.lower)
    ]


@routes.add(f"GET {_BASE}/cpu-flags", takes=_ARCH + "accel? enum(kvm,tcg)\n")
def cpu_flags(call: Call) -> object:
    """Flags that may be switched for a guest."""
    _need_x86(call)
    return [{"name": name} for name in FLAGS]


@routes.add(f"GET {_BASE}/machines", takes=_ARCH)
def machines(call: Call) -> object:
    """Machine types of the release's QEMU, newest first."""
    _need_x86(call)
    newest = _number(call.api.release.qemu)
    known = [version for version in MACHINES if _number(version) <= newest]
    return [
        {"id": f"{name}-{version}", "type": kind, "version": version}
        for kind, name in TYPES.items()
        for version in known
    ]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


@routes.add(f"GET {_BASE}/migration", "/nodes/{node} Sys.Audit", "node pve-node\n")
def migration(call: Call) -> object:
    """Whether the state of connections can move along with a guest."""
    del call
    return {"has-dbus-vmstate": 1}
