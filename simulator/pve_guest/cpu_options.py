"""What an option `cpu` of a virtual machine holds. Source: PVE::QemuServer::CPUConfig.

Custom models are taken as they are named: which there are, a format can't know.
"""

from __future__ import annotations

from simulator.pve.formats import CPU_TYPES, FORMATS
from simulator.pve.parameters import PROPERTY_STRINGS, Entry, table
from simulator.pve.propertystring import items

FLAGS = items(
    """
    nested-virt md-clear pcid spec-ctrl ssbd ibpb virt-ssbd amd-ssbd amd-no-ssb pdpe1gb
    hv-tlbflush hv-evmcs aes
    """
)
"""Flags that may be switched for one guest."""


def _cpu_problem(cpu: Entry) -> str:
    """What PVE::QemuServer::CPUConfig validate_vm_cpu_conf says."""
    if not (name := str(cpu.get("cputype") or "")):
        return "CPU is missing cputype\n"
    if name not in CPU_TYPES and not name.startswith("custom-"):
        return f"Built-in cputype '{name}' is not defined (missing 'custom-' prefix?)\n"
    if any(flag[1:] not in FLAGS for flag in items(str(cpu.get("flags") or ""))):
        return f"VM-specific CPU flags must be a subset of: {', '.join(FLAGS)}\n"
    if cpu.get("reported-model") is not None:
        return "Property 'reported-model' not allowed in VM-specific CPU config.\n"
    return ""


def _address_bits(text: str) -> str:
    fits = text == "host" or (text.isdecimal() and 8 <= int(text) <= 64)
    return "" if fits else "value must be an integer between 8 and 64 or 'host'\n"


FORMATS["pve-phys-bits"] = _address_bits
PROPERTY_STRINGS["pve-vm-cpu-conf"] = table(
    r"""
    cputype?*        string
    flags?           /[+-][a-zA-Z0-9\-_.]+(;[+-][a-zA-Z0-9\-_.]+)*/
    guest-phys-bits? integer 32..64
    hidden?          boolean
    hv-vendor-id?    /[a-zA-Z0-9]{1,12}/
    phys-bits?       pve-phys-bits
    reported-model?  string
    """,
    problem=_cpu_problem,
)
