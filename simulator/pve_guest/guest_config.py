"""A virtual machine's configuration as the API shows it, and the values that are rewritten on the
way in.

Source: PVE::API2::Qemu (vm_config, vm_pending), PVE::QemuServer write_vm_config and print_net;
reference of the Proxmox VE API, values the server rewrites.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from urllib.parse import unquote

from simulator.pve import propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Documents, Entry, GuestConfig
from simulator.pve.parameters import Value, parse
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.wire import ApiError, bad_parameters, denied, died
from simulator.pve_datacenter import sdn_state
from simulator.pve_guest.guest_options import DEVICES, GUEST, privilege_for
from simulator.pve_guest.guest_strings import drive_kind, is_drive

routes = Routes()
index(
    routes,
    "/nodes/{node}/qemu/{vmid}",
    "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata "
    "monitor agent snapshot spiceproxy sendkey firewall mtunnel remote_migrate",
    "subdir",
)

AUDIT = "/vms/{vmid} VM.Audit"


@dataclass(frozen=True)
class Kind:
    """What is called differently for virtual machines and containers."""

    name: str  # in paths: qemu, lxc
    folder: str  # of its configuration files
    word: str  # in messages
    task: str  # how types of tasks begin
    sid: str  # how HA's names begin


QEMU = Kind("qemu", "qemu-server", "VM", "qm", "vm")
LXC = Kind("lxc", "lxc", "CT", "vz", "ct")
KINDS = {kind.name: kind for kind in (QEMU, LXC)}
MAC_PREFIX = "BC:24:11"  # datacenter.cfg, default of mac_prefix
HIDDEN = "**********"


def find_guest(scene: Environment, vmid: int, kind: str = "qemu") -> GuestConfig:
    """A guest's file on the scene's node. Raises if it is not there."""
    guest = scene.documents.guests.get(vmid)
    state = scene.world.guest(vmid)
    if guest is None or guest.kind != kind or state is None or state.node != scene.node:
        folder = KINDS[kind].folder
        raise died(f"Configuration file 'nodes/{scene.node}/{folder}/{vmid}.conf' does not exist")
    return guest


def check_lock(config: Entry, word: str = "VM") -> None:
    """Raise if the guest is locked."""
    if lock := config.get("lock"):
        raise died(f"{word} is locked ({lock})")


def _shown(config: Entry) -> dict[str, Value]:
    shown = dict(config)
    if "cipassword" in shown:
        shown["cipassword"] = HIDDEN
    return shown


def config_of(call: Call) -> dict[str, Value]:
    """The configuration as GET shows it."""
    guest = find_guest(call, call.number("vmid"))
    config = guest.current if call.flag("current") else guest.future
    shown = _shown(config)
    if not call.api.release.memory_is_text and str(shown.get("memory", "")).isdecimal():
        shown["memory"] = int(str(shown["memory"]))
    return {**shown, "digest": guest.digest}


@routes.add(
    "GET /nodes/{node}/qemu/{vmid}/config",
    AUDIT,
    GUEST + "current? boolean\nsnapshot? pve-configid ..40",
)
def config(call: Call) -> object:
    """What a guest will run with; with `current` what it runs with."""
    if call.has("snapshot"):
        return shown_snapshot(call, find_guest(call, call.number("vmid")))
    return config_of(call)


def shown_snapshot(call: Call, guest: GuestConfig) -> dict[str, Value]:
    """A snapshot's options. Raises if there is none of that name, or both views are asked for."""
    if call.flag("current"):
        text = "cannot use 'snapshot' parameter with 'current'"
        raise bad_parameters(snapshot=text, current=text)
    snapshot = find_snapshot(guest, call.text("snapshot"))
    return {**_shown(snapshot), "digest": guest.digest}


def check_lines(options: Mapping[str, Value]) -> None:
    """Raise for a value that needs two lines in the guest's file. Source: check_type."""
    for option, value in options.items():
        if option != "description" and isinstance(value, str) and re.search(r"[\n\r]", value):
            raise died(f"unable to parse value of '{option}' - property contains a line feed")


def find_snapshot(guest: GuestConfig, name: str) -> Entry:
    """A snapshot. Raises if there is none."""
    if (snapshot := guest.snapshots.get(name)) is None:
        raise died(f"snapshot '{name}' does not exist")
    return snapshot


@routes.add("GET /nodes/{node}/qemu/{vmid}/pending", AUDIT, GUEST)
def pending(call: Call) -> object:
    """Each option with what it is, what it will be, and whether it will go."""
    guest = find_guest(call, call.number("vmid"))
    now, later = _shown(guest.current), _shown(guest.pending)
    rows: list[dict[str, object]] = [{"key": "digest", "value": guest.digest}]
    for key in {**now, **later}:
        row: dict[str, object] = {"key": key}
        row |= {"value": now[key]} if key in now else {}
        row |= {"pending": later[key]} if key in later else {}
        row |= {"delete": guest.removals[key]} if key in guest.removals else {}
        rows.append(row)
    return rows


CLOUD_INIT = ("ciuser", "cipassword", "sshkeys", "citype", "cicustom", "nameserver", "searchdomain")


@routes.add("GET /nodes/{node}/qemu/{vmid}/cloudinit", AUDIT, GUEST)
def cloudinit(call: Call) -> object:
    """Cloud-init options and what waits. ipconfig shows only where it changes."""
    guest = find_guest(call, call.number("vmid"))
    shown = _shown(guest.future)
    return [
        {"key": key, "value": shown[key]}
        for key in ("cipassword", "sshkeys", "ciuser")
        if key in shown
    ]


def mac_address(documents: Documents, chance: Random) -> str:
    """A new MAC address under the datacenter's prefix. Source: PVE::Tools random_ether_addr."""
    prefix = str(documents.options.get("mac_prefix") or MAC_PREFIX).rstrip(":")
    missing = 6 - len(prefix.split(":"))
    return ":".join([prefix, *(f"{chance.randrange(256):02X}" for _ in range(missing))])


def print_net(scene: Environment, text: str) -> str:
    """`model=virtio,bridge=vmbr0` as it is kept: model and MAC in front, the rest by name."""
    values = parse("net", text)
    mac = str(values.pop("macaddr", "")) or mac_address(scene.documents, scene.chance)
    head = f"{values.pop('model')}={mac}"
    rest = propertystring.join(values)
    return f"{head},{rest}" if rest else head


def print_tags(documents: Documents, text: str) -> str:
    """Tags without repetition, in small letters and sorted unless the datacenter says otherwise."""
    style = propertystring.split(str(documents.options.get("tag-style") or ""))
    tags = items(text)
    if propertystring.truth(style.get("case-sensitive", "0")) != 1:
        tags = [tag.lower() for tag in tags]
    tags = list(dict.fromkeys(tags))
    if style.get("ordering") != "config":
        tags.sort()
    return ";".join(tags) or " "


def rewritten(scene: Environment, sent: Mapping[str, Value]) -> dict[str, Value]:
    """Options as they are kept; None unsets. Drives are left to `guest_drives`."""
    kept: dict[str, Value] = {}
    for option, value in sent.items():
        text = "" if value is None else str(value)
        match drive_kind(option):
            case "net":
                kept[option] = print_net(scene, text)
            case "tags":
                kept[option] = print_tags(scene.documents, text)
            case "description":
                kept[option] = text.rstrip() or None
            case "cipassword":
                kept[option] = f"$5${hash_of(text)}" if text else None
            case "sshkeys":
                kept[option] = _ssh_keys(text)
            case "cpuunits":
                kept[option] = min(10000, int(text))
            case "hookscript":
                raise bad_parameters(hookscript=f"script '{text}' does not exist\n")
            case "cpulimit" | "migrate_downtime" if isinstance(value, float):
                kept[option] = int(value) if value.is_integer() else value
            case _:
                kept[option] = value if text else None
    return kept


def hash_of(password: str) -> str:
    """What is kept of a cloud-init password."""
    return sha256(password.encode()).hexdigest()


def _ssh_keys(text: str) -> str:
    keys = [line for line in unquote(text).splitlines() if line.strip()]
    if not all(line.split()[0].startswith(("ssh-", "ecdsa-", "sk-")) for line in keys):
        raise died("SSH public key validation error")
    return text


def boot_devices(config: Entry) -> list[str] | None:
    """The devices of `order=`; None if the boot option is of another kind or absent."""
    text = str(config.get("boot") or "")
    order = propertystring.split(text, "legacy").get("order") if text.strip() else None
    return None if order is None else [device for device in order.split(";") if device]


def default_boot(config: Entry) -> str:
    """First disk, first CD-ROM, first network card. Source: get_default_bootdevices."""
    drives = [key for key in sorted(config) if drive_kind(key) in ("ide", "scsi", "virtio", "sata")]
    is_cdrom = {key: "media=cdrom" in str(config[key]) for key in drives}
    devices = [key for key in drives if not is_cdrom[key]][:1]
    devices += [key for key in drives if is_cdrom[key]][:1]
    devices += sorted(key for key in config if drive_kind(key) == "net" and key != "net")[:1]
    return f"order={';'.join(devices)}" if devices else " "


def need_option_rights(
    call: Call, vmid: int, options: Mapping[str, Value], pool: str | None = None
) -> None:
    """Raise unless the caller may set these options of a guest, or of one made in `pool`.

    An option that is removed has None. Source: PVE::API2::Qemu check_vm_modify_config_perm.
    """

    if call.user == "root@pam":
        return
    guest = call.documents.guests.get(vmid)
    config = guest.future if guest else {}

    def need(*privileges: str) -> None:
        if not (pool and call.may(f"/pool/{pool}", *privileges)):
            call.need(f"/vms/{vmid}", *privileges)

    for option, value in options.items():
        old = config.get(option)
        privilege = privilege_for(option, str((old if value is None else value) or ""))
        if privilege == "root":
            raise died(f"only root can set '{option}' config")
        if drive_kind(option) in DEVICES:
            _need_device(call, option, value, old)
        if is_drive(option) and old is not None:
            need(privilege_for(option, str(old)))
        if privilege == "VM.Config.Cloudinit":
            need(privilege, "VM.Config.Network")
        else:
            need(privilege)
        if option == "startup":  # it changes how the node behaves
            call.need("/", "Sys.Modify")


def _need_device(call: Call, option: str, new: Value, old: Value) -> None:
    """Raise for a device of the node itself, present or to come; a mapped one has its own right."""
    if drive_kind(option) == "serial":
        if {str(value) for value in (new, old) if value is not None} - {"socket"}:
            verb = "delete" if new is None else "set" if call.path.endswith("/qemu") else "modify"
            raise died(f"only root can {verb} '{option}' config for real devices")
        return
    place, known, real = (
        ("usb", "usb", "real")
        if option.startswith("usb")
        else ("pci", "pve-qm-hostpci", "non-mapped")
    )
    for value in (old, new):
        device = parse(known, str(value)) if value is not None else {"host": "spice"}
        host = str(device.get("host") or "")
        if host and host.lower() != "spice":
            raise died(f"only root can set '{option}' config for {real} devices")
        if "mapping" in device:
            call.need(f"/mapping/{place}/{device['mapping']}", "Mapping.Use")
        elif not host:
            raise died("either 'host' or 'mapping' must be set.")


def need_bridges(call: Call, options: Mapping[str, Value]) -> None:
    """Raise unless the caller may attach to the bridges of these network cards."""
    if not call.api.release.attaching_needs_sdn:
        return
    for option, value in options.items():
        if drive_kind(option) != "net" or option == "net" or value is None:
            continue
        values = parse("net", str(value))
        if "bridge" in values:
            tag = f"/{values['tag']}" if "tag" in values else ""
            path = sdn_state.bridge_path(call.documents, str(values["bridge"]))
            call.need(f"{path}{tag}", "SDN.Use")


def pool_error(pool: str) -> ApiError:
    """A pool that is not there."""
    return denied(f"pool '{pool}' does not exist")
