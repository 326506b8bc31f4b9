"""Containers out of backups. Source: PVE::API2::LXC create_vm with `restore`,
PVE::LXC::Create recover_config and restore_configuration.

All volumes are made anew on one storage, or as they were sent; those that the container had before
go. Leaves out: bind mounts and devices as mount points, raw `lxc` lines for others than root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simulator import guests
from simulator.pve import load
from simulator.pve.call import Call
from simulator.pve.documents import Entry, GuestConfig, Volume
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, denied, died
from simulator.pve_datacenter import pools
from simulator.pve_guest import archives, guest_clone, guest_drives, guest_template
from simulator.pve_guest.guest_config import LXC
from simulator.pve_guest.guest_power import start_when_made
from simulator.pve_guest.guest_restore import duration_s, hold, release
from simulator.pve_guest.lxc_config import made_mount
from simulator.pve_guest.lxc_options import (
    DEFAULTS,
    in_order,
    is_mount,
    join,
    mount_values,
    option_kind,
)
from simulator.pve_node import volumes
from simulator.pve_node.storage import need_enabled

_NOT_MERGED = re.compile(r"digest|lock|parent|rootfs|unprivileged|mp\d+|unused\d+")
_ACTS = ("force", "start", "ha-managed", "unique")


def start(call: Call, vmid: int, pool: str, kept: Mapping[str, Value]) -> str:
    """Restore `vmid` from the call's backup, with the options that were sent over it: a task."""
    if call.text("ostemplate") == "-":
        raise died("pipe requires cli environment")
    volid = archives.need_access(call, call.text("ostemplate"), vmid)
    if not any(is_mount(option) for option in kept):
        _need_default(call, call.text("storage", "local"))
    known = call.documents.guests.get(vmid)
    same = known is not None and known.kind == "lxc" and _here(call, vmid)
    if known is not None and same and call.flag("force"):
        if call.world.running(vmid):
            raise died("can't overwrite running container")
        if known.current.get("protection"):
            raise died(f"unable to restore CT {vmid} - protection mode enabled")
        privileged = known.current.get("unprivileged") and kept.get("unprivileged") == 0
        if privileged and not call.may(f"/vms/{vmid}", "VM.Allocate"):
            raise denied("cannot change from unprivileged to privileged without VM.Allocate")
    hold(call, LXC, vmid)
    work: dict[str, Value] = {f"set {key}": value for key, value in kept.items()}
    work |= {"archive": volid, "pool": pool, "storage": call.text("storage", "local")}
    work |= {"made": int(known is None)}
    work |= {key: call.values[key] for key in _ACTS if call.has(key)}
    return start_task(call, "vzrestore", str(vmid), work, took_s=duration_s(call, volid))


def _here(call: Call, vmid: int) -> bool:
    state = call.world.guest(vmid)
    return state is not None and state.node == call.node


def _need_default(call: Call, storage: str) -> None:
    """Raise unless the storage for all volumes may have them."""
    entry = need_enabled(call, storage)
    if "rootdir" not in items(str(entry["content"])):
        raise bad_parameters(storage=f"storage '{storage}' does not support container directories")
    call.need(f"/storage/{storage}", "Datastore.AllocateSpace")


def _finish(worker: Worker) -> None:
    vmid = int(worker.task.id)
    taken: list[Volume] = []
    try:
        config = _restored(worker, vmid, taken)
    except (ApiError, TaskError) as error:
        for volume in taken:
            worker.documents.volumes.pop(volume.key, None)
        if worker.number("made"):
            del worker.documents.guests[vmid]
            worker.api.sync(worker.twin)
            guests.remove(worker.twin, (worker.api.cluster, vmid))
        else:
            release(worker, vmid)
        text = error.spoken if isinstance(error, ApiError) else str(error)
        raise TaskError(f"unable to restore CT {vmid} - {text}") from error
    _free_old(worker, vmid, {volume.volid for volume in taken})
    worker.documents.guests[vmid] = GuestConfig("lxc", config)
    if config.get("template"):
        guest_template.make_template(worker, LXC, vmid)
    if pool := worker.text("pool"):
        pools.add_guest(worker.documents, pool, vmid)
    start_when_made(worker, vmid, "ct", "vzstart")


FINISH["vzrestore"] = _finish


def _restored(worker: Worker, vmid: int, taken: list[Volume]) -> Entry:
    """The options of the restored container, its volumes made (and put into `taken`)."""
    if worker.world.running(vmid):
        raise TaskError("can't overwrite running container\n")
    volid = worker.text("archive")
    backup = archives.find_backup(worker, volid)
    worker.say(f"recovering backed-up configuration from '{volid}'")
    saved = archives.saved_guest(backup, "lxc").current
    sent = {k[4:]: v for k, v in worker.task.work.items() if k.startswith("set ")}
    mounts = {option: value for option, value in sent.items() if is_mount(option)}
    mounts = mounts or _recovered_mounts(saved, worker.text("storage"))
    made: dict[str, Value] = {
        option: made_mount(worker, vmid, option, str(mounts[option]), worker.lines, taken)
        for option in in_order(mounts)
    }
    worker.say(f"restoring '{volid}' now..")
    worker.say("merging backed-up and given configuration..")
    config = _merged(worker, saved)
    config |= {"unprivileged": saved["unprivileged"]} if "unprivileged" in saved else {}
    config |= {key: value for key, value in {**sent, **made}.items() if value is not None}
    if backup.firewall and worker.permissions.any(f"/vms/{vmid}", ["VM.Config.Network"]):
        worker.documents.files[f"firewall/{vmid}.fw"] = backup.firewall
    return {"hostname": f"CT{vmid}", **DEFAULTS, **config}


def _recovered_mounts(saved: Entry, storage: str) -> dict[str, Value]:
    """The saved mount points, to be made anew on one storage."""
    found: dict[str, Value] = {}
    for option, text in saved.items():
        if not is_mount(option):
            continue
        values = mount_values(option, str(text))
        if values["volume"].startswith("/"):
            raise TaskError(f"restoring '{option}' to bind mount is only possible for root\n")
        if "size" not in values:
            raise TaskError(f"unable to detect disk size - please specify {option} (size)\n")
        size_gib = volumes.parse_size(values.pop("size")) / 2**30
        found[option] = join(option_kind(option), {**values, "volume": f"{storage}:{size_gib}"})
    if "rootfs" not in found:
        text = "rootfs configuration could not be recovered, please check and specify manually!\n"
        raise TaskError(text)
    return found


def _merged(worker: Worker, saved: Entry) -> dict[str, Value]:
    """The saved options but for volumes; cards with addresses of their own if `unique` is set."""
    unique = worker.number("unique")
    return {
        option: guest_clone.fresh_mac(worker, str(value))
        if unique and option_kind(option) == "net"
        else value
        for option, value in saved.items()
        if not _NOT_MERGED.fullmatch(option) and (option != "lxc" or worker.user == "root@pam")
    }


def _free_old(worker: Worker, vmid: int, new: set[str]) -> None:
    """Delete the volumes that the container had before."""
    old = worker.documents.guests[vmid]
    configs = (old.current, old.pending, *old.snapshots.values())
    volids = {volid for config in configs for _, volid in load.volumes(config)}
    volids |= {str(value) for key, value in old.current.items() if key.startswith("unused")}
    for volid in sorted(volids - new):
        guest_drives.free(worker, vmid, volid)
