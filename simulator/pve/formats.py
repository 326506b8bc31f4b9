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
MAIL_USER = r"(?a:[\w+\-~]+(\.[\w+\-~]+)*)"
MAIL_DOMAIN = r"[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)*"
NETMASKS = frozenset(str(ipaddress.ip_network(f"0.0.0.0/{n}").netmask) for n in range(33))
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
        return "%" not in text and version in (None, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def _network(text: str, version: int | None = None) -> bool:
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isdecimal() or not _address(address, version):
        return False
    return 8 <= int(prefix) <= (32 if _address(address, 4) else 128)


def _ip(version: int | None, what: str) -> Format:
    return lambda t: "" if _address(t, version) else f"value does not look like a valid {what}\n"


def _cidr(version: int | None, what: str) -> Format:
    return lambda t: (
        "" if _network(t, version) else f"value does not look like a valid {what} network\n"
    )


def _ip_config(text: str, version: int, words: frozenset[str]) -> str:
    fits = text in words or _network(text, version)
    return "" if fits else f"value does not look like a valid ipv{version} network configuration\n"


def _server(sentence: str) -> Format:
    return lambda text: (
        "" if _address(text) or re.fullmatch(DNS_NAME, text) else sentence.format(text) + "\n"
    )


def _portal(text: str) -> str:
    """A server, and the port that it listens on. Source: PVE::Tools parse_host_and_port."""
    named = re.fullmatch(r"[A-Za-z0-9\-.]+(:\d+)?|\[[A-Za-z0-9\-.]+\](:\d+)?", text)
    six = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([^.]+)(?:\.\d+)?", text)
    fits = named or (six and _address(six[1] or six[2], 6))
    return "" if fits else "value does not look like a valid portal address\n"


def _user_id(text: str) -> str:
    if len(text) < 3:
        return f"user name '{text}' is too short\n"
    if len(text) > 64:
        return f"user name '{text}' is too long ({len(text)} > 64)\n"
    fits = re.fullmatch(USER_ID, text)
    return "" if fits else f"value '{text}' does not look like a valid user name\n"


def _vlan(text: str) -> str:
    """A VLAN, or the first and the last of some."""
    if not re.fullmatch(r"\d+(-\d+)?", text):
        return f"invalid VLAN configuration '{text}'\n"
    tags = text.split("-")
    if odd := next((tag for tag in tags if not 2 <= int(tag) <= 4094), None):
        return f"invalid VLAN tag '{odd}'\n"
    if int(tags[0]) >= int(tags[-1]) and len(tags) > 1:
        return f"VLAN range must go from lower to higher tag '{text}'\n"
    return ""


def _folder(text: str) -> str:
    """A kind of content, and the folder that holds it. Source: verify_dir_override."""
    kind, equals, _ = text.partition("=")
    if equals and kind not in CONTENT:
        return f"invalid content type '{kind}'\n"
    return "" if equals else f"invalid override '{text}'\n"


def _pairs(item: Format) -> Format:
    """Where what goes: `1` for the same name, a target for the rest, or `source:target` each.

    Source: PVE::JSONSchema parse_idmap, of each item of a list by itself.
    """

    def check(text: str) -> str:
        ends = text.split(":") if re.fullmatch("[^:]+:[^:]+", text) else [text]
        problem = next(filter(None, map(item, ends)), "") if text != "1" else ""
        return f"entry '{text}' contains invalid ID - {problem}\n\n" if problem else ""

    return check


def _startup(text: str) -> str:
    if text in ("", "0"):
        return "unable to parse startup options\n"
    for part in filter(str.strip, text.split(",")):
        if not re.fullmatch(r"(order=)?\d+|(up|down)=\d+", part):
            return "unable to parse startup options\n"
    return ""


def _hotplug(text: str) -> str:
    if text in ("0", "1"):
        return ""
    known = frozenset({"network", "disk", "cpu", "memory", "usb", "cloudinit"})
    unknown = [part for part in items(text) if part not in known]
    return f"invalid hotplug feature '{unknown[0]}'\n" if unknown else ""


_volume = _shaped(VOLUME_ID, "unable to parse volume ID '{}'")


def _file(text: str) -> str:
    """A volume or a path."""
    return "" if text.startswith("/") else _volume(text)


FORMATS: dict[str, Format] = {
    "address": _server("value does not look like a valid address: {}"),
    "CIDR": _cidr(None, "CIDR"),
    "CIDRv4": _cidr(4, "IPv4 CIDR"),
    "CIDRv6": _cidr(6, "IPv6 CIDR"),
    "disk-size": _shaped(r"\d+(\.\d+)?[KMGT]?", "value does not look like a valid disk size: {}"),
    "dns-name": _shaped(DNS_NAME, "value does not look like a valid DNS name"),
    "email": _shaped(
        rf"{MAIL_USER}@{MAIL_DOMAIN}", "value does not look like a valid email address"
    ),
    "email-or-username": _shaped(
        rf"{MAIL_USER}(@{MAIL_DOMAIN})?",
        "value does not look like a valid email address or user name",
    ),
    "ip": _ip(None, "IP address"),
    "ipv4": _ip(4, "IPv4 address"),
    "ipv6": _ip(6, "IPv6 address"),
    "ipv4mask": one_of(NETMASKS, "value does not look like a valid IP netmask"),
    "ldap-simple-attr": _shaped(
        r"[a-zA-Z0-9]+", "value '{}' does not look like a simple ldap attribute name"
    ),
    "pve-ipv4-config": lambda t: _ip_config(t, 4, frozenset({"dhcp", "manual"})),
    "pve-ipv6-config": lambda t: _ip_config(t, 6, frozenset({"dhcp", "auto", "manual"})),
    "mac-addr": _shaped(MAC, "value does not look like a valid unicast MAC address"),
    "mac-prefix": _shaped(
        r"(?i:[a-f0-9][02468ace])(?i::[a-f0-9]{2}){0,2}:?",
        "value is not a valid unicast MAC address prefix",
    ),
    "pve-bridge-id": _shaped(r"[-_.A-Za-z0-9]+", "invalid bridge ID '{}'"),
    "pve-calendar-event": calendar_problem,
    "pve-configid": _shaped(CONFIG_ID, "invalid configuration ID '{}'"),
    "pve-day-of-week": _shaped(r"mon|tue|wed|thu|fri|sat|sun", "invalid day '{}'"),
    "pve-dir-override": _folder,
    "pve-cpuset": _shaped(r"\d+(-\d+)?(,\d+(-\d+)?)*", "unable to parse cpuset option"),
    "pve-groupid": _shaped(WORD, "group name '{}' contains invalid characters"),
    "pve-ha-resource-id": _shaped(r"[a-z]+:\S+", "value does not look like a valid ha resource id"),
    "pve-ha-resource-or-vm-id": _shaped(
        r"[a-z]+:\S+|\d+", "value does not look like a valid ha resource id"
    ),
    "pve-ha-node": _shaped(rf"{NODE}(:\d+)?", "value does not look like a valid ha node ID"),
    "pve-hotplug-features": _hotplug,
    "pve-iface": _shaped(
        r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:.]\d+)?", "invalid network interface name '{}'"
    ),
    "pve-node": _shaped(NODE, "value does not look like a valid node name"),
    "pve-poolid": _pool_id,
    "pve-priv": one_of(PRIVILEGES, "invalid privilege '{}'"),
    "pve-realm": _shaped(r"[A-Za-z][A-Za-z0-9.\-_]+", "value does not look like a valid realm"),
    "pve-roleid": _shaped(WORD, "role name '{}' contains invalid characters"),
    "pve-startup-order": _startup,
    "pve-storage-content": one_of(CONTENT, "invalid content type '{}'"),
    "pve-storage-id": _storage_id,
    "pve-storage-path": _shaped(
        r"(?s)/[^;()]+.*", "value does not look like a valid absolute path"
    ),
    "pve-storage-portal-dns": _portal,
    "pve-storage-server": _server("value does not look like a valid server name or IP address"),
    "pve-storage-vgname": _shaped(
        r"(?i:[a-z0-9][a-z0-9\-_.]*[a-z0-9])", "lvm name '{}' contains illegal characters"
    ),
    "pve-tag": _shaped(TAG, "invalid characters in tag"),
    "pve-tokenid": _shaped(
        rf"{USER_ID}![A-Za-z][A-Za-z0-9.\-_]+", "value '{}' does not look like a valid token ID"
    ),
    "pve-userid": _user_id,
    "pve-vlan-id-or-range": _vlan,
    "pve-vmid": _shaped(VM_ID, "value does not look like a valid VM ID"),
    "pve-task-status-type": _shaped(r"(?i:ok|error|warning|unknown)", "invalid status '{}'"),
    "pve-volume-id": _volume,
    "pve-volume-id-or-absolute-path": _file,
    "pve-volume-id-or-qm-path": lambda t: "" if t in ("none", "cdrom") else _file(t),
    "storage-pair": _pairs(_storage_id),
    "urlencoded": _shaped(r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string: {}"),
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
