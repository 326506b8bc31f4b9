"""Changing a virtual machine's configuration, and what waits for its next start.

A change is written as pending first and applied at once to a stopped guest; a running one takes
what can be hot-plugged. Source: PVE::API2::Qemu update_vm_api, PVE::QemuServer
vmconfig_apply_pending and vmconfig_hotplug_pending.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from simulator.pve import load, propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry, GuestConfig
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, finish, start_task, started
from simulator.pve.wire import TaskError, bad_parameters, died, wrong
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_config import (
    boot_devices,
    check_lines,
    check_lock,
    find_guest,
    need_bridges,
    need_option_rights,
    rewritten,
)
from simulator.pve_guest.guest_options import GUEST, applies_live, options, post_table, update_table
from simulator.pve_guest.guest_strings import DRIVES, drive_kind, is_drive
from simulator.pve_node import volumes

routes = Routes()

_CONFIG_RIGHTS = "|".join(
    f"VM.Config.{name}" for name in items("Disk CDROM CPU Memory Network HWType Options Cloudinit")
)
MAY = f"/vms/{{vmid}} {_CONFIG_RIGHTS}"
_OTHERS = frozenset(items("node vmid digest delete revert force skiplock background_delay"))


def _logged(call: Call) -> str:
    """The change as the cluster log tells it: `update VM 101: -memory 4096`."""
    skipped = ("node", "vmid", "digest", "background_delay")
    words = [
        f"-{key} {'<hidden>' if key == 'cipassword' else call.text(key)}"
        for key in sorted(call.values)
        if key not in skipped
    ]
    return f"update VM {call.number('vmid')}: {' '.join(words)}"


def _sent(call: Call) -> dict[str, Value]:
    return {key: value for key, value in call.values.items() if key not in _OTHERS}


def _check_removals(call: Call, sent: Mapping[str, Value]) -> None:
    """Raise for what is set and unset or reverted at once. Source: PVE::API2::Qemu update_vm."""
    known, reverted = options().params, call.words("revert")

    def need_known(name: str, option: str) -> None:
        if option not in known:
            raise bad_parameters(**{name: f"unknown option '{option}'"})

    for option in reverted:
        need_known("revert", option)
        if option in sent:
            text = f"you can't use '-{option}' and -revert {option}' at the same time"
            raise bad_parameters(delete=text)
    for option in call.words("delete"):
        if option in sent:
            text = f"you can't use '-{option}' and -delete {option}' at the same time"
            raise bad_parameters(delete=text)
        if option in reverted:
            text = f"you can't use '-delete {option}' and -revert {option}' at the same time"
            raise bad_parameters(revert=text)
        need_known("delete", option)


def _check_boot(config: Entry, sent: Mapping[str, Value]) -> None:
    for device in boot_devices(sent) or []:
        if device not in config and device not in sent:
            raise died(f"invalid bootorder: device '{device}' does not exist'")


def _check_memory(config: Entry, sent: Mapping[str, Value]) -> None:
    if not ("balloon" in sent or "memory" in sent):
        return
    future = {**config, **sent}
    if int(str(future.get("balloon") or 0)) > load.memory_mib(future):
        raise died("balloon value too large (must be smaller than assigned memory)")


def _check_disks(guest: GuestConfig, removed: list[str]) -> None:
    """Raise for disks that are protected, or that a snapshot has while they are unused."""
    config = guest.future
    for option in removed:
        if option not in config:
            continue
        volid = guest_drives.volid_of(config[option])
        unused = drive_kind(option) == "unused"
        what = f"unused disk '{volid}'" if unused else f"drive '{option}'"
        if config.get("protection") and (unused or is_drive(option)):
            raise died(f"can't remove {what} - protection mode enabled")
        if unused and guest_drives.in_use(guest, volid, option):
            raise died(f"unable to delete '{volid}' - volume is still in use (snapshot?)")


def _check_skiplock(call: Call) -> None:
    if call.flag("skiplock") and call.user != "root@pam":
        raise bad_parameters(skiplock="Only root may use this option.")


def _checked(call: Call) -> dict[str, Value]:
    """What was sent, if it may be done: the part of the call that comes before any worker."""
    vmid, sent = call.number("vmid"), _sent(call)
    _check_skiplock(call)
    removed = call.words("delete")
    if not sent and not removed and not call.words("revert"):
        raise died("no options specified")
    guest = find_guest(call, vmid)
    need_option_rights(call, vmid, {**dict.fromkeys(removed), **sent})
    need_bridges(call, sent)
    _check_removals(call, sent)
    guest_drives.check_drives(call, sent)
    if call.has("digest") and call.text("digest") != guest.digest:
        raise died("checksum mismatch (file change by other user?)")
    if not call.flag("skiplock"):
        check_lock(guest.current)
    if not call.world.quorate(call.node):
        path = (
            f"/etc/pve/nodes/{call.node}/qemu-server/{vmid}.conf.tmp.{1000 + call.documents.serial}"
        )
        raise died(f"unable to open file '{path}' - Permission denied")
    kept = rewritten(call, {key: value for key, value in sent.items() if not is_drive(key)})
    if kept.get("vmgenid") == "1":
        kept["vmgenid"] = str(uuid.UUID(int=call.chance.getrandbits(128), version=4))
    check_lines(kept)
    _check_boot(guest.future, sent)
    _check_memory(guest.future, sent)
    _check_disks(guest, removed)
    return {**kept, **{key: value for key, value in sent.items() if is_drive(key)}}


@routes.add("PUT /nodes/{node}/qemu/{vmid}/config", MAY, update_table())
def update_config(call: Call) -> object:
    """Change a configuration and wait for it."""
    kept = _checked(call)
    call.log(_logged(call))
    _change(
        call,
        call.number("vmid"),
        kept,
        call.words("delete"),
        call.words("revert"),
        call.flag("force"),
        [],
    )
    return None


@routes.add("POST /nodes/{node}/qemu/{vmid}/config", MAY, post_table())
def update_config_in_background(call: Call) -> object:
    """Change a configuration in a task; within `background_delay` seconds as PUT does."""
    kept = _checked(call)
    call.log(_logged(call))
    work: dict[str, Value] = {f"set {key}": value for key, value in kept.items()}
    work |= {"said": _logged(call), "delete": call.text("delete"), "revert": call.text("revert")}
    upid = start_task(call, "qmconfig", call.text("vmid"), {**work, "force": call.number("force")})
    if call.number("background_delay") < DURATIONS_S["qmconfig"]:
        return upid
    call.twin.cancel((call.api.name, "task", upid))
    finish(Worker(call.api, call.twin, call.node, call.user, call.documents.tasks[upid]))
    status = call.documents.tasks[upid].status
    if status != "OK":
        raise died(f"failed to update VM {call.number('vmid')}: {status}")
    return None


def _finish_config(worker: Worker) -> None:
    work = worker.task.work
    kept = {key[4:]: value for key, value in work.items() if key.startswith("set ")}
    worker.say(worker.text("said"))
    removed, reverted = items(worker.text("delete")), items(worker.text("revert"))
    force = bool(worker.number("force"))
    _change(worker, int(worker.task.id), kept, removed, reverted, force, worker.lines)


FINISH["qmconfig"] = _finish_config


def _change(
    scene: Environment,
    vmid: int,
    kept: Mapping[str, Value],
    removed: list[str],
    reverted: list[str],
    force: bool,
    said: list[str],
) -> None:
    """Write a change as pending, then apply what can be."""
    guest = find_guest(scene, vmid)
    drives = {key: value for key, value in kept.items() if is_drive(key)}
    made = guest_drives.make_drives(scene, vmid, drives, said, [])
    new = {**kept, **made}
    pending = {key: value for key, value in {**guest.pending, **new}.items() if key not in removed}
    removals = {key: value for key, value in guest.removals.items() if key not in new}
    for option in removed:
        removals[option] = 2 if force else 1
    for option, value in new.items():
        if value is None:
            removals[option] = 1
            del pending[option]
    for option in reverted:
        pending.pop(option, None)
        removals.pop(option, None)
    scene.documents.guests[vmid] = replace(guest, pending=pending, removals=removals)
    try:
        apply_pending(scene, vmid, said)
    finally:
        scene.api.sync(scene.twin)


def apply_pending(scene: Environment, vmid: int, said: list[str]) -> None:
    """Let what waits come true: all of it if the guest is off, else what a running one takes."""
    guest = scene.documents.guests[vmid]
    running = scene.world.running(vmid)
    hotplug = _hotplug(guest.current)
    numa = bool(guest.current.get("numa"))
    config = dict(guest.current)
    pending, removals = dict(guest.pending), dict(guest.removals)
    errors: dict[str, str] = {}
    for option, how in guest.removals.items():
        if running and not applies_live(option, hotplug, numa=numa):
            continue
        try:
            _remove(scene, vmid, config, option, force=how == 2)
            del removals[option]
        except TaskError as error:
            text = f"unable to apply pending change {option} : {error}"
            said.append(text.rstrip())
            errors[option] = text
    for option, value in guest.pending.items():
        if running and not applies_live(option, hotplug, numa=numa):
            continue
        _set(scene, config, option, value)
        del pending[option]
    scene.documents.guests[vmid] = replace(
        guest, current=config, pending=pending, removals=removals
    )
    if errors:
        raise wrong(errors)


def _hotplug(config: Entry) -> frozenset[str]:
    text = str(config.get("hotplug", "network,disk,usb"))
    if text == "0":
        return frozenset()
    return frozenset(items("network,disk,usb" if text == "1" else text))


def _remove(
    scene: Environment, vmid: int, config: dict[str, Value], option: str, *, force: bool
) -> None:
    if is_drive(option) or drive_kind(option) == "unused":
        guest_drives.detach(scene, vmid, config, option, force=force)
    else:
        config.pop(option, None)
    devices = boot_devices(config)
    if devices and option in devices:
        left = [device for device in devices if device != option]
        config["boot"] = f"order={';'.join(left)}" if left else " "


def _set(scene: Environment, config: dict[str, Value], option: str, value: Value) -> None:
    if is_drive(option):
        new_volid = guest_drives.volid_of(value)
        old = config.get(option)
        old_volid = guest_drives.volid_of(old) if old is not None else ""
        if old_volid and old_volid != new_volid and "media=cdrom" not in str(old):
            without = {key: kept for key, kept in config.items() if key != option}
            if not guest_drives.uses(without, old_volid):
                number = next(n for n in range(256) if f"unused{n}" not in config)
                config[f"unused{number}"] = old_volid
        guest_drives.forget_unused(config, new_volid)
        devices = boot_devices(config)
        if (
            old is None
            and devices is not None
            and "media=cdrom" in str(value)
            and option not in devices
        ):
            config["boot"] = f"order={';'.join([*devices, option])}"
    config[option] = value


@routes.add(
    "PUT /nodes/{node}/qemu/{vmid}/resize",
    "/vms/{vmid} VM.Config.Disk",
    GUEST
    + f"""
    disk       enum({",".join(DRIVES)})
    size       /\\+?\\d+(\\.\\d+)?[KMGT]?/
    digest?    string ..40
    skiplock?  boolean
    """,
)
def resize(call: Call) -> object:
    """Grow a disk: a task."""
    _check_skiplock(call)
    guest = find_guest(call, call.number("vmid"))
    if call.has("digest") and call.text("digest") != guest.digest:
        raise died("checksum mismatch (file change by other user?)")
    if not call.flag("skiplock"):
        check_lock(guest.current)
    work = {"disk": call.text("disk"), "size": call.text("size")}
    return started(call, "resize", call.text("vmid"), work)


def _finish_resize(worker: Worker) -> None:
    vmid, disk, text = int(worker.task.id), worker.text("disk"), worker.text("size")
    guest = find_guest(worker, vmid)
    if (value := guest.current.get(disk)) is None:
        raise TaskError(f"disk '{disk}' does not exist")
    if "media=cdrom" in str(value):
        raise TaskError("you can't resize a cdrom")
    volid = guest_drives.volid_of(value)
    volume = volumes.find(worker.documents, worker.node, volid)
    if volume is None:
        raise TaskError(f"volume '{volid}' does not exist")
    size_bytes = volumes.parse_size(text.removeprefix("+"))
    size_bytes += volume.size_bytes if text.startswith("+") else 0
    if size_bytes < volume.size_bytes:
        raise TaskError("shrinking disks is not supported")
    if size_bytes == volume.size_bytes:
        return
    volumes.resize(worker.documents, volume, size_bytes)
    drive = guest_drives.drives({disk: value})[disk]
    drive["size"] = volumes.format_size(size_bytes)
    changed = {**guest.current, disk: propertystring.join(drive, "file")}
    worker.documents.guests[vmid] = replace(guest, current=changed)
    worker.say("Image resized.")


FINISH["resize"] = _finish_resize


@routes.add("PUT /nodes/{node}/qemu/{vmid}/cloudinit", "/vms/{vmid} VM.Config.Cloudinit", GUEST)
def regenerate_cloudinit(call: Call) -> object:
    """Write the cloud-init drive anew: it has no content here, so only locks stand in the way."""
    check_lock(find_guest(call, call.number("vmid")).current)
    return None


@routes.add(
    "PUT /nodes/{node}/qemu/{vmid}/unlink",
    "/vms/{vmid} VM.Config.Disk",
    GUEST + "idlist pve-configid-list\nforce? boolean",
)
def unlink(call: Call) -> object:
    """Detach disks: as deleting their options."""
    guest = find_guest(call, call.number("vmid"))
    check_lock(guest.current)
    _check_disks(guest, call.words("idlist"))
    _change(call, call.number("vmid"), {}, call.words("idlist"), [], call.flag("force"), [])
    return None
