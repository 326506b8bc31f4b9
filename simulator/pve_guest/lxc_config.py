"""A container's configuration: shown, changed, its volumes made, grown and let go.

Source: PVE::API2::LXC::Config, PVE::LXC::Config update_pct_config, PVE::LXC create_disks. A change
is applied at once where the container is off, or takes it; the rest waits as pending. Leaves out:
moving volumes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry, GuestConfig, Volume
from simulator.pve.parameters import Value, parse
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import bad_parameters, died
from simulator.pve_datacenter import sdn_state
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_config import check_lines, check_lock, find_guest, shown_snapshot
from simulator.pve_guest.lxc_options import (
    GUEST,
    MOUNTS,
    is_mount,
    join,
    mount_values,
    need_option_rights,
    option_kind,
    options,
    rewritten,
    update_table,
)
from simulator.pve_node import volumes

routes = Routes()
index(
    routes,
    "/nodes/{node}/lxc/{vmid}",
    "config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone template "
    "firewall snapshot resize interfaces",
    "subdir",
)

AUDIT = "/vms/{vmid} VM.Audit"
_RIGHTS = "|".join(f"VM.Config.{name}" for name in items("Disk CPU Memory Network Options"))
REQUIRED = ("memory", "rootfs")
_LIVE = frozenset(
    items(
        """
    cores cpulimit cpuunits description hookscript hostname lock memory nameserver onboot
    protection searchdomain startup swap tags template timezone
    """
    )
)
"""Options that a running container takes at once. Source: PVE::LXC::Config vmconfig_hotplug."""
NEW_VOLUME = re.compile(r"(?P<storage>[^:/]+):(?P<size_gib>\d+(\.\d+)?)")


def find_container(scene: Environment, vmid: int) -> GuestConfig:
    """A container's file on the scene's node. Raises if it is not there."""
    return find_guest(scene, vmid, "lxc")


@routes.add(
    "GET /nodes/{node}/lxc/{vmid}/config",
    AUDIT,
    GUEST + "current? boolean\nsnapshot? pve-configid ..40\n",
)
def config(call: Call) -> object:
    """What a container will run with; with `current` what it runs with."""
    guest = find_container(call, call.number("vmid"))
    if call.has("snapshot"):
        return shown_snapshot(call, guest)
    shown: dict[str, object] = dict(guest.current if call.flag("current") else guest.future)
    if isinstance(raw := shown.get("lxc"), tuple):
        shown["lxc"] = [str(line).split(": ", 1) for line in raw]
    return {**shown, "digest": guest.digest}


@routes.add("GET /nodes/{node}/lxc/{vmid}/pending", AUDIT, GUEST)
def pending(call: Call) -> object:
    """Each option with what it is, what it will be, and whether it will go."""
    guest = find_container(call, call.number("vmid"))
    rows: list[dict[str, object]] = [{"key": "digest", "value": guest.digest}]
    for key in {**guest.current, **guest.pending}:
        row: dict[str, object] = {"key": key}
        row |= {"value": guest.current[key]} if key in guest.current else {}
        row |= {"pending": guest.pending[key]} if key in guest.pending else {}
        row |= {"delete": guest.removals[key]} if key in guest.removals else {}
        rows.append(row)
    return rows


def _check_names(call: Call, sent: Mapping[str, Value]) -> None:
    """Raise for what is set and unset or reverted at once. Source: PVE::API2::LXC::Config."""
    reverted = call.words("revert")
    for name in ("revert", "delete"):
        for option in call.words(name):
            if option not in options().params:
                raise bad_parameters(**{name: f"unknown option '{option}'"})
            if option in sent:
                quoted = f"'-revert {option}'" if name == "revert" else f"-delete {option}'"
                text = f"you can't use '-{option}' and {quoted} at the same time"
                raise bad_parameters(**{name: text})
            if name == "delete" and option in reverted:
                text = f"you can't use '-delete {option}' and '-revert {option}' at the same time"
                raise bad_parameters(delete=text)


@routes.add("PUT /nodes/{node}/lxc/{vmid}/config", f"/vms/{{vmid}} {_RIGHTS}", update_table())
def update(call: Call) -> object:
    """Change a container and wait for it."""
    vmid = call.number("vmid")
    skipped = ("node", "vmid", "digest", "delete", "revert")
    sent = {k: v for k, v in call.values.items() if k not in skipped and call.has(k)}
    if not sent and not call.words("delete") and not call.words("revert"):
        raise died("no options specified")
    _check_names(call, sent)
    guest = find_container(call, vmid)
    removed = dict.fromkeys(call.words("delete"), "")
    need_option_rights(call, vmid, guest.current, {**removed, **sent})
    check_lock(guest.current, "CT")
    call.need_digest(guest.digest)
    if not call.world.quorate(call.node):
        path = f"/etc/pve/nodes/{call.node}/lxc/{vmid}.conf.tmp.{1000 + call.documents.serial}"
        raise died(f"unable to open file '{path}' - Permission denied")
    _change(call, vmid, sent, list(removed), call.words("revert"))
    words = (f"-{key} {value}" for key, value in sorted(sent.items()))
    call.log(f"update CT {vmid}: {' '.join(words)}")
    return None


def _change(
    call: Call, vmid: int, sent: Mapping[str, Value], removed: list[str], reverted: list[str]
) -> None:
    guest = find_container(call, vmid)
    running = call.world.running(vmid)
    config, later = dict(guest.current), dict(guest.pending)
    removals = dict(guest.removals)
    for option in reverted:
        later.pop(option, None)
        removals.pop(option, None)
    for option in removed:
        _check_removable(vmid, config, option)
        if running and not _applies_live(option):
            removals[option] = 1
        else:
            _remove(call, vmid, config, option)
        later.pop(option, None)
    if "unprivileged" in sent:
        raise died("unable to modify read-only option: 'unprivileged'")
    need_bridges(call, sent)
    kept = rewritten(call, {k: v for k, v in sent.items() if not is_mount(k)})
    check_lines(kept)
    for option, value in sent.items():
        if is_mount(option):
            _check_protected(vmid, config, option, "update")
            kept[option] = made_mount(call, vmid, option, str(value), [], [])
    for option, value in kept.items():
        removals.pop(option, None)
        if running and not _applies_live(option):
            later[option] = value
        else:
            _set(config, option, value)
            later.pop(option, None)
    call.documents.guests[vmid] = replace(guest, current=config, pending=later, removals=removals)
    call.api.sync(call.twin)


def apply_pending(scene: Environment, vmid: int) -> None:
    """Let what waits come true: the container is off."""
    guest = scene.documents.guests[vmid]
    config = dict(guest.current)
    for option in guest.removals:
        _remove(scene, vmid, config, option)
    for option, value in guest.pending.items():
        _set(config, option, value)
    changed = replace(guest, current=config, pending={}, removals={})
    scene.documents.guests[vmid] = changed
    scene.api.sync(scene.twin)


def _applies_live(option: str) -> bool:
    return option in _LIVE or option_kind(option) in ("net", "mp", "unused")


def _check_protected(vmid: int, config: Entry, option: str, verb: str) -> None:
    if config.get("protection") and option in config:
        text = f"can't {verb} CT {vmid} drive '{option}' - protection mode enabled"
        raise died(text)


def _check_removable(vmid: int, config: Entry, option: str) -> None:
    if option in REQUIRED:
        raise died(f"unable to delete required option '{option}'")
    if option == "unprivileged":
        raise died(f"unable to delete read-only option: '{option}'")
    if is_mount(option) or option_kind(option) == "unused":
        _check_protected(vmid, config, option, "remove")


def _set(config: dict[str, Value], option: str, value: Value) -> None:
    """Write an option; the volume that a mount point had becomes unused."""
    if is_mount(option):
        new = mount_values(option, str(value))["volume"]
        old = config.get(option)
        if old is not None and mount_values(option, str(old))["volume"] != new:
            _keep_unused(config, option)
        guest_drives.forget_unused(config, new)
    if value is None:
        config.pop(option, None)
    else:
        config[option] = value


def _remove(scene: Environment, vmid: int, config: dict[str, Value], option: str) -> None:
    value = config.get(option)
    if value is not None and option_kind(option) == "unused":
        guest_drives.free(scene, vmid, str(value))
    elif value is not None and is_mount(option):
        _keep_unused(config, option)
    config.pop(option, None)


def _keep_unused(config: dict[str, Value], option: str) -> None:
    volid = mount_values(option, str(config[option]))["volume"]
    used = any(
        other != option and is_mount(other) and mount_values(other, str(value))["volume"] == volid
        for other, value in config.items()
    )
    if ":" in volid and not volid.startswith("/") and not used:
        number = next(n for n in range(256) if f"unused{n}" not in config)
        config[f"unused{number}"] = volid


def need_bridges(call: Call, given: Mapping[str, Value]) -> None:
    """Raise for a bridge that is not on the node, or that the caller may not attach to."""
    for option, value in given.items():
        bridge = parse("ct-net", str(value)).get("bridge") if option_kind(option) == "net" else None
        if bridge is None:
            continue
        if bridge not in bridges(call):
            raise died(f"bridge '{bridge}' does not exist")
        call.need(sdn_state.bridge_path(call.documents, str(bridge)), "SDN.Use")


def bridges(scene: Environment) -> set[str]:
    """Bridges of the scene's node: its own, and the virtual nets that run."""
    files = scene.documents.nodes.get(scene.node)
    known = files.network if files else {}
    own = {name for name, entry in known.items() if "ridge" in str(entry.get("type"))}
    return own | set(sdn_state.running(scene.documents, "vnets"))


def made_mount(
    scene: Environment, vmid: int, option: str, text: str, said: list[str], taken: list[Volume]
) -> str:
    """A mount point as it is kept, its new volume allocated (and put into `taken`)."""
    kind = option_kind(option)
    values = dict(parse(kind, text))
    source = str(values["volume"])
    if match := NEW_VOLUME.fullmatch(source):
        storage = match["storage"]
        if (entry := scene.documents.storages.get(storage)) is None:
            raise died(f"storage '{storage}' does not exist")
        need_rootdir(storage, entry)
        size_bytes = int(float(match["size_gib"]) * 2**30)
        format_name = "raw" if entry["type"] != "zfspool" else "subvol"
        name = ""
        if format_name == "subvol":
            name = _subvolume_name(scene, storage, vmid)
        volume = volumes.allocate(scene, storage, vmid, size_bytes, format_name, name)
        taken.append(volume)
        said += _formatting(entry, volume)
        values |= {"volume": volume.volid, "size": volumes.format_size(size_bytes)}
    elif ":" in source and not source.startswith("/"):
        if volumes.storage_of(source) not in scene.documents.storages:
            raise died(f"storage '{volumes.storage_of(source)}' does not exist")
        if (found := volumes.find(scene.documents, scene.node, source)) is not None:
            values["size"] = volumes.format_size(found.size_bytes)
    return join(kind, values)


def _subvolume_name(scene: Environment, storage: str, vmid: int) -> str:
    taken = {v.name for v in scene.documents.volumes.values() if v.storage == storage}
    return next(n for i in range(1000) if (n := f"subvol-{vmid}-disk-{i}") not in taken)


def need_rootdir(storage: str, entry: Entry) -> None:
    """Raise unless a storage may hold containers' volumes."""
    if "rootdir" not in items(str(entry["content"])):
        raise died(f"storage '{storage}' does not allow content type 'rootdir' (Container)")


_GROUP_BLOCKS = 32768  # ext4: blocks of 4 KiB in a group
_INODE_BYTES = 16384  # mke2fs.conf, inode_ratio


def _formatting(entry: Entry, volume: Volume) -> list[str]:
    """What making the volume and its file system prints; a ZFS file system is silent."""
    if volume.format == "subvol":
        return []
    blocks = volume.size_bytes // 4096
    lines = []
    if entry["type"] in volumes.FILE_TYPES:
        path = volumes.path_of(entry, volume)
        lines.append(f"Formatting '{path}', fmt=raw size={volume.size_bytes} preallocation=off")
    inodes = volume.size_bytes // _INODE_BYTES
    lines += [
        f"Creating filesystem with {blocks} 4k blocks and {inodes} inodes",
        "Filesystem UUID: 00000000-0000-4000-8000-000000000000",
        "Superblock backups stored on blocks: ",
    ]
    groups = {1} | {base**n for base in (3, 5, 7) for n in range(1, 32)}
    backups = [str(g * _GROUP_BLOCKS) for g in sorted(groups) if g * _GROUP_BLOCKS < blocks]
    return [*lines, "\t" + ", ".join(backups)]


@routes.add(
    "PUT /nodes/{node}/lxc/{vmid}/resize",
    "/vms/{vmid} VM.Config.Disk",
    GUEST + f"digest? string ..40\ndisk enum({','.join(MOUNTS)})\n"
    r"size /\+?\d+(\.\d+)?[KMGT]?/",
)
def resize(call: Call) -> object:
    """Grow a volume: a task."""
    guest = find_container(call, call.number("vmid"))
    check_lock(guest.current, "CT")
    call.need_digest(guest.digest)
    disk, text = call.text("disk"), call.text("size")
    if disk not in guest.current:
        raise died(f"can't resize mount point {disk}: it does not exist")
    volid = mount_values(disk, str(guest.current[disk]))["volume"]
    call.need(f"/storage/{volumes.storage_of(volid)}", "Datastore.AllocateSpace")
    if (volume := volumes.find(call.documents, call.node, volid)) is None:
        raise died(f"Could not determine current size of volume '{volid}'")
    size_bytes = volumes.parse_size(text.lstrip("+"))
    size_bytes += volume.size_bytes if text.startswith("+") else 0
    if size_bytes < volume.size_bytes:
        raise died("unable to shrink disk size")
    if size_bytes == volume.size_bytes:
        raise died("disk is already at specified size")
    work: dict[str, Value] = {"disk": disk, "bytes": size_bytes, "finish": "resize CT"}
    return start_task(call, "resize", call.text("vmid"), work)


def _finish_resize(worker: Worker) -> None:
    vmid, disk = int(worker.task.id), worker.text("disk")
    guest = find_container(worker, vmid)
    values: dict[str, object] = dict(mount_values(disk, str(guest.current[disk])))
    volume = volumes.find(worker.documents, worker.node, str(values["volume"]))
    if volume is None:
        raise volumes.not_found(str(values["volume"]))
    size_bytes = worker.number("bytes")
    volumes.resize(worker.documents, volume, size_bytes)
    values["size"] = volumes.format_size(size_bytes)
    changed = {**guest.current, disk: join(option_kind(disk), values)}
    worker.documents.guests[vmid] = replace(guest, current=changed)
    worker.say("Image resized.")


FINISH["resize CT"] = _finish_resize


@routes.add("GET /nodes/{node}/lxc/{vmid}/interfaces", AUDIT, GUEST)
def interfaces(call: Call) -> object:
    """Interfaces inside a running container: the twin looks into none."""
    find_container(call, call.number("vmid"))
    return []
