"""Named formats of parameters, and what Proxmox VE says when a value is not in one.

Called by `parameters.py`. A format is a regular expression with a sentence, or a function. `X-list`
is made of X: items separated by comma, semicolon, space or NUL; `X-opt` may be empty.
Sources: PVE::JSONSchema and the register_format calls of pve-access-control, pve-storage,
qemu-server, pve-ha-manager, pve-common; wording from recorded answers. A format that has never been
seen refusing anything is only checked for its shape, and one that is not here takes any text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from simulator.pve.calendar import calendar_problem
from simulator.pve.propertystring import items

Format = Callable[[str], str]
"""What is wrong with a text; "" if nothing is."""

CONFIG_ID = r"[A-Za-z][A-Za-z0-9_\-]+"
NODE = r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?"
DNS_NAME = (
    r"(([a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?)\.)*([A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?)"
)
USER_ID = r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+"
WORD = r"[A-Za-z0-9.\-_]+"
VOLUME_ID = r"[A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9]:.+"
MAC = r"(?i:[a-f0-9][02468ace])(?i::[a-f0-9]{2}){5}"
VM_ID = r"[1-9][0-9]{2,8}"
TAG = r"(?i:[a-z0-9_][a-z0-9_\-+.]*)"

PRIVILEGES = frozenset(
    items(
        """
    Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit
    Group.Allocate Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate
    Pool.Audit Realm.Allocate Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use
    Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog
    User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU
    VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network
    VM.Config.Options VM.Console VM.GuestAgent.Audit VM.GuestAgent.FileRead
    VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate
    VM.PowerMgmt VM.Replicate VM.Snapshot VM.Snapshot.Rollback
    """
    )
)
"""Proxmox VE 9.2, as the built-in role Administrator lists them."""

CONTENT = frozenset(items("images rootdir vztmpl iso backup snippets none import"))
CPU_TYPES = frozenset(
    items(
        """
    486 athlon Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS Cascadelake-Server
    Cascadelake-Server-noTSX Cascadelake-Server-v2 Cascadelake-Server-v4 Cascadelake-Server-v5
    Conroe Cooperlake Cooperlake-v2 core2duo coreduo EPYC EPYC-Genoa EPYC-IBPB EPYC-Milan
    EPYC-Milan-v2 EPYC-Rome EPYC-Rome-v2 EPYC-Rome-v3 EPYC-Rome-v4 EPYC-v3 EPYC-v4 GraniteRapids
    Haswell Haswell-IBRS Haswell-noTSX Haswell-noTSX-IBRS host Icelake-Client
    Icelake-Client-noTSX Icelake-Server Icelake-Server-noTSX Icelake-Server-v3 Icelake-Server-v4
    Icelake-Server-v5 Icelake-Server-v6 IvyBridge IvyBridge-IBRS KnightsMill kvm32 kvm64 max
    Nehalem Nehalem-IBRS Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 Penryn pentium
    pentium2 pentium3 phenom qemu32 qemu64 SandyBridge SandyBridge-IBRS SapphireRapids
    SapphireRapids-v2 Skylake-Client Skylake-Client-IBRS Skylake-Client-noTSX-IBRS
    Skylake-Client-v4 Skylake-Server Skylake-Server-IBRS Skylake-Server-noTSX-IBRS
    Skylake-Server-v4 Skylake-Server-v5 Westmere Westmere-IBRS x86-64-v2 x86-64-v2-AES x86-64-v3
    x86-64-v4
    """
    )
)
"""Built-in CPU models. Source: PVE::QemuServer::CPUConfig."""


def _shaped(pattern: str, sentence: str) -> Format:
    compiled = re.compile(pattern)
    return lambda text: "" if compiled.fullmatch(text) else sentence.format(text) + "\n"


def one_of(known: frozenset[str], sentence: str) -> Format:
    """A format that takes a few words. `sentence` has the place of a wrong one as `{}`."""
    return lambda text: "" if text in known else sentence.format(text) + "\n"


def _pool_id(text: str) -> str:
    if text.count("/") > 2:
        return f"pool name '{text}' nested too deeply (max levels = 3)\n"
    fits = re.fullmatch(rf"{WORD}(/{WORD})*", text)
    return "" if fits else f"pool name '{text}' contains invalid characters\n"


def _storage_id(text: str) -> str:
    if len(text) < 2:
        return f"storage ID '{text}' cannot be shorter than 2 characters\n"
    fits = re.fullmatch(r"[A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9]", text)
    return "" if fits else f"storage ID '{text}' contains illegal characters\n"


def _address(text: str, version: int | None = None) -> bool:
    try:
        return version in (None, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def _network(text: str, version: int | None = None) -> bool:
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isdecimal() or not _address(address, version):
        return False
    return int(prefix) <= (32 if _address(address, 4) else 128)


def _ip(version: int | None, what: str) -> Format:
    return lambda t: "" if _address(t, version) else f"value does not look like a valid {what}\n"


def _cidr(version: int | None, what: str) -> Format:
    return lambda t: (
        "" if _network(t, version) else f"value does not look like a valid {what} network\n"
    )


def _ip_config(text: str, version: int, words: frozenset[str]) -> str:
    fits = text in words or _network(text, version)
    return "" if fits else f"value does not look like a valid ipv{version} network configuration\n"


def _server(text: str) -> str:
    fits = _address(text.strip("[]")) or re.fullmatch(DNS_NAME, text)
    return "" if fits else "value does not look like a valid server name or IP address\n"


def _portal(text: str) -> str:
    """A server, and the port that it listens on."""
    fits = _server(re.sub(r":\d+$", "", text)) == "" or _server(text) == ""
    return "" if fits else "value does not look like a valid portal address\n"


def _prune(text: str) -> str:
    keys = {part.partition("=")[0] for part in text.split(",")}
    if "keep-all" in keys and len(keys) > 1 and "keep-all=1" in text.split(","):
        return "keep-all cannot be set together with other options.\n"
    return ""


def _boot(text: str) -> str:
    values = dict(part.partition("=")[::2] for part in text.split(","))
    legacy = next((key for key, value in values.items() if not value), values.get("legacy"))
    if legacy and not re.fullmatch(r"[acdn]{1,4}", legacy):
        return "format error\nboot.legacy: value does not match the regex pattern\n"
    return ""


def _cpu(text: str) -> str:
    head = text.split(",", 1)[0]
    name = head.removeprefix("cputype=")
    if name in CPU_TYPES or name.startswith("custom-"):
        return ""
    return f"Built-in cputype '{name}' is not defined (missing 'custom-' prefix?)\n"


def _startup(text: str) -> str:
    for part in text.split(","):
        if not re.fullmatch(r"(order=)?\d+|(up|down)=\d+", part):
            return "unable to parse startup options\n"
    return ""


def _hotplug(text: str) -> str:
    if text in ("0", "1"):
        return ""
    known = frozenset({"network", "disk", "cpu", "memory", "usb", "cloudinit"})
    unknown = [part for part in re.split(r"[,;\s]+", text) if part not in known]
    return f"invalid hotplug feature '{unknown[0]}'\n" if unknown else ""


def _smbios(text: str) -> str:
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key == "uuid" and not re.fullmatch(
            r"[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}", value
        ):
            return "format error\nsmbios1.uuid: value does not match the regex pattern\n"
    return ""


def _urlencoded(text: str) -> str:
    fits = re.fullmatch(r"([A-Za-z0-9\-_.~!*'()+/@:=]|%[0-9A-Fa-f]{2})*", text)
    return "" if fits else f"invalid urlencoded string: {text}\n"


def _file(text: str) -> str:
    """A volume, a path, `none`, `cdrom`, or STORAGE:SIZE for a new volume."""
    fits = text in ("none", "cdrom") or text.startswith("/") or re.fullmatch(VOLUME_ID, text)
    return "" if fits else f"unable to parse volume ID '{text}'\n"


FORMATS: dict[str, Format] = {
    "address": lambda t: (
        "" if _server(t) == "" else f"value does not look like a valid address: {t}\n"
    ),
    "backup-performance": _shaped(r"[\w\-=,]+", "format error"),
    "CIDR": _cidr(None, "CIDR"),
    "CIDRv4": _cidr(4, "IPv4 CIDR"),
    "CIDRv6": _cidr(6, "IPv6 CIDR"),
    "disk-size": _shaped(r"\d+(\.\d+)?[KMGT]?", "failed to parse disk size '{}'"),
    "dns-name": _shaped(DNS_NAME, "value does not look like a valid DNS name"),
    "email": _shaped(
        r"[\w+\-~.]+@[a-zA-Z0-9.\-]+", "value does not look like a valid email address"
    ),
    "ip": _ip(None, "IP address"),
    "ipv4": _ip(4, "IPv4 address"),
    "ipv6": _ip(6, "IPv6 address"),
    "pve-ipv4-config": lambda t: _ip_config(t, 4, frozenset({"dhcp", "manual"})),
    "pve-ipv6-config": lambda t: _ip_config(t, 6, frozenset({"dhcp", "auto", "manual"})),
    "mac-addr": _shaped(MAC, "value does not look like a valid unicast MAC address"),
    "mac-prefix": _shaped(
        r"(?i:[a-f0-9][02468ace])(?i::[a-f0-9]{2}){0,2}:?",
        "value is not a valid unicast MAC address prefix",
    ),
    "prune-backups": _prune,
    "pve-bridge-id": _shaped(r"[-_.\w]+", "invalid bridge ID '{}'"),
    "pve-calendar-event": calendar_problem,
    "pve-configid": _shaped(CONFIG_ID, "invalid configuration ID '{}'"),
    "pve-cpuset": _shaped(r"\d+(-\d+)?(,\d+(-\d+)?)*", "unable to parse cpuset option"),
    "pve-groupid": _shaped(WORD, "group name '{}' contains invalid characters"),
    "pve-ha-resource-id": _shaped(
        r"[^:\s]+:[^:\s]+", "value does not look like a valid ha resource id"
    ),
    "pve-ha-resource-or-vm-id": _shaped(
        r"[^:\s]+:[^:\s]+|[1-9][0-9]{2,8}", "value does not look like a valid ha resource id"
    ),
    "pve-ha-node": _shaped(rf"{NODE}(:\d+)?", "value does not look like a valid ha node ID"),
    "pve-hotplug-features": _hotplug,
    "pve-iface": _shaped(
        r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:.]\d+)?", "invalid network interface name '{}'"
    ),
    "pve-node": _shaped(NODE, "value does not look like a valid node name"),
    "pve-poolid": _pool_id,
    "pve-priv": one_of(PRIVILEGES, "invalid privilege '{}'"),
    "pve-qm-boot": _boot,
    "pve-realm": _shaped(r"[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid realm"),
    "pve-roleid": _shaped(WORD, "role name '{}' contains invalid characters"),
    "pve-qm-smbios1": _smbios,
    "pve-startup-order": _startup,
    "pve-storage-content": one_of(CONTENT, "invalid content type '{}'"),
    "pve-storage-id": _storage_id,
    "pve-storage-path": _shaped(r"/.*", "value does not look like a valid absolute path"),
    "pve-storage-portal-dns": _portal,
    "pve-storage-server": _server,
    "pve-storage-vgname": _shaped(
        r"(?i:[a-z0-9][a-z0-9\-_.]*[a-z0-9])", "lvm name '{}' contains illegal characters"
    ),
    "pve-tag": _shaped(TAG, "invalid characters in tag"),
    "pve-tokenid": _shaped(
        rf"{USER_ID}![A-Za-z][A-Za-z0-9.\-_]+", "value '{}' does not look like a valid token ID"
    ),
    "pve-userid": _shaped(USER_ID, "value '{}' does not look like a valid user name"),
    "pve-vlan-id-or-range": _shaped(r"\d+(-\d+)?", "invalid VLAN configuration '{}'"),
    "pve-vm-cpu-conf": _cpu,
    "pve-vmid": _shaped(VM_ID, "value does not look like a valid VM ID"),
    "pve-volume-id": _shaped(VOLUME_ID, "unable to parse volume ID '{}'"),
    "pve-volume-id-or-qm-path": _file,
    "urlencoded": _urlencoded,
}


def check_format(name: str, text: str) -> str:
    """What is wrong with `text` as the format `name`; "" if nothing is, or if the format is not
    known.
    """
    if (check := FORMATS.get(name)) is not None:
        return check(text)
    if name.endswith("-opt"):
        return check_format(name.removesuffix("-opt"), text) if text else ""
    if name.endswith("-list"):
        item = name.removesuffix("-list")
        return next((problem for part in items(text) if (problem := check_format(item, part))), "")
    return ""
