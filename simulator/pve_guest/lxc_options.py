"""Every option of a container: its kind, who may set it, and the values that are rewritten.

Data for the calls that create and change containers. Names, types and limits are those of the
official API schema of Proxmox VE 9; the privilege of an option is that of PVE::LXC
check_ct_modify_config_perm. Leaves out: options of OCI images beyond their shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from zoneinfo import available_timezones

from simulator.pve import propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry
from simulator.pve.formats import FORMATS, check_format
from simulator.pve.parameters import PROPERTY_STRINGS, Table, Value, parse, table
from simulator.pve.propertystring import items
from simulator.pve.wire import bad_parameters, denied
from simulator.pve_guest.guest_config import mac_address, print_tags

MOUNTS = ("rootfs", *(f"mp{number}" for number in range(256)))


def _mount_problem(text: str) -> str:
    bad = re.search(r"/\.\.?(/|$)", text)
    return f"{text} contains illegal character sequences\n" if bad else ""


def _addresses(text: str) -> str:
    """Addresses of name servers; a link-local one may name its interface; `host`: the node's."""
    for part in items(text):
        if part != "host" and (problem := check_format("ip", part.partition("%")[0])):
            return problem
    return ""


FORMATS |= {
    "pve-lxc-mp-string": _mount_problem,
    "pve-lxc-dev-string": lambda text: (
        ""
        if re.fullmatch(r"/dev/[^\s]+", text) and not _mount_problem(text)
        else f"{text} must start with /dev/\n"
    ),
    "pve-ct-timezone": lambda text: (
        "" if text == "host" or text in available_timezones() else f"invalid time zone '{text}'\n"
    ),
    "lxc-ip-with-ll-iface": _addresses,
}
_MOUNT_OPTION = "(discard|lazytime|noatime|nodev|noexec|nosuid)"
_ROOT = f"""
acl?           boolean
mountoptions?  /{_MOUNT_OPTION}(;{_MOUNT_OPTION})*/
quota?         boolean
replicate?     boolean
ro?            boolean
shared?        boolean
size?          disk-size
volume*        pve-lxc-mp-string
"""
PROPERTY_STRINGS |= {
    "rootfs": table(_ROOT),
    "mp": table(_ROOT + "backup? boolean\nkeepattrs? boolean\nmp pve-lxc-mp-string\n"),
    "dev": table(
        """
        deny-write?  boolean
        gid?         integer 0..
        mode?        /0[0-7]{3}/
        path?*       pve-lxc-dev-string
        uid?         integer 0..
        """
    ),
    "features": table(
        """
        force_rw_sys?  boolean
        fuse?          boolean
        keyctl?        boolean
        mknod?         boolean
        mount?         /[a-zA-Z0-9_; ]+/
        nesting?       boolean
        """
    ),
    "ct-net": table(
        r"""
        bridge?        /[-_.\w\d]+/
        firewall?      boolean
        gw?            ipv4
        gw6?           ipv6
        host-managed?  boolean
        hwaddr?        mac-addr
        ip?            pve-ipv4-config
        ip6?           pve-ipv6-config
        link_down?     boolean
        mtu?           integer 64..65535
        name           /[-_.\w\d]+/
        rate?          number
        tag?           integer 1..4094
        trunks?        /\d+(?:;\d+)*/
        type?          enum(veth)
        """
    ),
    "ct-unused": table("volume* pve-volume-id"),
}
OPTIONS = r"""
arch?          enum(amd64,i386,arm64,armhf,riscv32,riscv64)
cmode?         enum(shell,console,tty)
console?       boolean
cores?         integer 1..8192
cpulimit?      number 0..8192
cpuunits?      integer 0..500000
debug?         boolean
description?   string ..8192
dev[256]?      {dev}
entrypoint?    /[^\x00-\x08\x10-\x1F\x7F]+/
env?           /(?:\w+=[^\x00-\x08\x10-\x1F\x7F]*)(?:\0\w+=[^\x00-\x08\x10-\x1F\x7F]*)*/
features?      {features}
hookscript?    pve-volume-id
hostname?      dns-name ..255
lock?          enum(backup,create,destroyed,disk,fstrim,migrate,mounted,rollback,snapshot,
                    snapshot-delete)
memory?        integer 16..
mp[256]?       {mp}
nameserver?    lxc-ip-with-ll-iface-list
net[32]?       {ct-net}
onboot?        boolean
ostype?        enum(debian,devuan,ubuntu,centos,fedora,opensuse,archlinux,alpine,gentoo,nixos,
                    unmanaged)
protection?    boolean
rootfs?        {rootfs}
searchdomain?  dns-name-list
startup?       pve-startup-order
swap?          integer 0..
tags?          pve-tag-list
template?      boolean
timezone?      pve-ct-timezone
tty?           integer 0..6
unprivileged?  boolean
unused[256]?   {ct-unused}
"""
GUEST = "node pve-node\nvmid integer:pve-vmid 100..999999999\n"
DEFAULTS: Mapping[str, Value] = {"arch": "amd64", "memory": 512, "swap": 512}
"""What a new container gets where nothing is said. Source: PVE::API2::LXC create_vm."""


@cache
def options() -> Table:
    """All options."""
    return table(OPTIONS)


@cache
def update_table() -> Table:
    """What changing takes."""
    more = "delete? pve-configid-list\ndigest? string ..40\nrevert? pve-configid-list\n"
    return options() | table(GUEST + more)


@cache
def create_table() -> Table:
    """What creating takes."""
    return options() | table(
        GUEST
        + """
        bwlimit?               number 0..
        force?                 boolean
        ha-managed?            boolean
        ignore-unpack-errors?  boolean
        ostemplate             string ..255
        password?              string 5..
        pool?                  pve-poolid
        restore?               boolean
        ssh-public-keys?       string
        start?                 boolean
        storage?               pve-storage-id
        unique?                boolean requires=restore
        """
    )


def option_kind(option: str) -> str:
    """`net` of net0, `mp` of mp12; other names as they are."""
    match = re.fullmatch(r"(net|mp|dev|unused)\d+", option)
    return match[1] if match else option


def is_mount(option: str) -> bool:
    """Whether an option is the root or a mount point."""
    return option_kind(option) in ("rootfs", "mp")


def in_order(mounts: Iterable[str]) -> list[str]:
    """The root, then mount points by number, as volumes of them are made and named. Source:
    PVE::LXC::Config valid_volume_keys.
    """
    return sorted(mounts, key=lambda option: -1 if option == "rootfs" else int(option[2:]))


_GROUPS = {
    "VM.Config.CPU": "cores cpulimit cpuunits",
    "VM.Config.Disk": "rootfs mp unused",
    "VM.Config.Memory": "memory swap",
    "VM.Config.Network": "net nameserver searchdomain hostname",
}
_PRIVILEGE = {option: name for name, group in _GROUPS.items() for option in group.split()}
_ROOT_ONLY = {
    "dev": "configuring device passthrough is only allowed for root@pam",
    "hookscript": "changing the hookscript is only allowed for root@pam",
}


def need_option_rights(
    call: Call, vmid: int, config: Entry, given: Mapping[str, Value], pool: str = ""
) -> None:
    """Raise unless the caller may set or remove these options of a container."""
    if call.user == "root@pam":
        return
    for option, value in given.items():
        kind, text = option_kind(option), str(value or "")
        if kind in _ROOT_ONLY:
            raise denied(_ROOT_ONLY[kind])
        if is_mount(option) and text.startswith("/"):
            mount = "device" if text.startswith("/dev/") else "bind"
            raise denied(f"mount point type {mount} is only allowed for root@pam")
        if kind == "features":
            _need_features(config, given, text)
        privilege = _PRIVILEGE.get(kind, "VM.Config.Options")
        if not (pool and call.may(f"/pool/{pool}", privilege)):
            call.need(f"/vms/{vmid}", privilege)


def _need_features(config: Entry, given: Mapping[str, Value], text: str) -> None:
    if not given.get("unprivileged", config.get("unprivileged")):
        text = "changing feature flags for privileged container is only allowed for root@pam"
        raise denied(text)
    if set(parse("features", text)) - {"nesting"}:
        raise denied("changing feature flags (except nesting) is only allowed for root@pam")


def typed(option: str, text: str) -> str | int:
    """A value read from a file: integers and booleans are numbers, the rest is text."""
    param = options().params.get(option)
    is_number = param is not None and param.type in ("integer", "boolean")
    return int(text) if is_number and re.fullmatch(r"-?\d+", text) else text


def join(kind: str, values: Mapping[str, object]) -> str:
    """A property string as it is kept: the nameless value, what is required, then the rest."""
    known = PROPERTY_STRINGS[kind]
    first = known.default_key or ""
    required = sorted(k for k, param in known.params.items() if not param.optional and k != first)
    rest = sorted(key for key in values if key != first and key not in required)
    head = [str(values[first])] if first in values else []
    return ",".join([*head, *(f"{k}={values[k]}" for k in [*required, *rest] if k in values)])


def rewritten(scene: Environment, sent: Mapping[str, Value]) -> dict[str, Value]:
    """Options as they are kept; None unsets. Mount points are left to `lxc_config`."""
    kept: dict[str, Value] = {}
    for option, value in sent.items():
        text = "" if value is None else str(value)
        match option_kind(option):
            case "net":
                values = parse("ct-net", text)
                values.setdefault("hwaddr", mac_address(scene.documents, scene.chance))
                values.setdefault("type", "veth")
                kept[option] = join("ct-net", values)
            case "tags":
                kept[option] = print_tags(scene.documents, text)
            case "description":
                kept[option] = text.rstrip("\n") + "\n" if text else None
            case "cpuunits":
                kept[option] = min(10000, int(text))
            case "cpulimit" if isinstance(value, float):
                kept[option] = str(int(value) if value.is_integer() else value)
            case "nameserver" | "searchdomain":
                kept[option] = " ".join(items(text)) or None
            case "hookscript":
                raise bad_parameters(hookscript=f"script '{text}' does not exist\n")
            case _:
                kept[option] = value if text else None
    return kept


def mount_values(option: str, text: str) -> dict[str, str]:
    """Values of the root or a mount point, by name."""
    return propertystring.split(text, "volume")
