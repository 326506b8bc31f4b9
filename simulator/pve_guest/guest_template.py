"""Templates, and what a guest can do for its copies. Source: PVE::API2::Qemu and ::LXC template,
vm_feature; PVE::AbstractConfig has_feature.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.pve import load
from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, died
from simulator.pve_guest.guest_config import KINDS, Kind, check_lock, find_guest, find_snapshot
from simulator.pve_guest.guest_snapshots import GUEST, can_snapshot
from simulator.pve_guest.guest_strings import DRIVES
from simulator.pve_node import volumes
from simulator.pve_node.storage import shared

routes = Routes()

LINKABLE = frozenset({"dir", "nfs", "cifs", "btrfs", "lvmthin", "zfspool", "zfs", "rbd"})
"""Storages where a copy may stand on a template's volume. Source: volume_has_feature, clone."""


def calls(kind: Kind) -> None:
    """Register the calls for one kind of guest."""
    base = f"/nodes/{{node}}/{kind.name}/{{vmid}}"
    disk = f"disk? enum({','.join(DRIVES)})\n" if kind.name == "qemu" else ""

    @routes.add(f"POST {base}/template", "/vms/{vmid} VM.Allocate", GUEST + disk)
    def template(call: Call) -> object:
        vmid = call.number("vmid")
        guest = find_guest(call, vmid, kind.name)
        check_lock(guest.current, kind.word)
        if guest.snapshots:
            text = f"unable to create template, because {kind.word} contains snapshots"
            raise died(text)
        if guest.current.get("template") and not call.has("disk"):
            raise died("you can't convert a template to a template")
        if call.world.running(vmid):
            subject = "VM" if kind.word == "VM" else "the CT"
            text = f"you can't convert a {kind.word} to template if {subject} is running"
            raise died(text)
        upid = start_task(call, f"{kind.task}template", str(vmid), {"disk": call.text("disk")})
        return upid if kind.name == "qemu" else None

    @routes.add(
        f"GET {base}/feature",
        "/vms/{vmid} VM.Audit",
        GUEST + "feature enum(snapshot,clone,copy)\nsnapname? pve-configid ..40\n",
    )
    def feature(call: Call) -> object:
        return _feature(call, kind)

    FINISH[f"{kind.task}template"] = lambda worker: _finish_template(worker, kind)


def own_volumes(config: Entry, *, cloud_init: bool) -> tuple[tuple[str, str], ...]:
    """Option and volume id of those that a copy gets its own of; media are only referred to."""
    found = []
    for option, volid in load.volumes(config):
        cdrom = "media=cdrom" in str(config[option])
        if not cdrom or (cloud_init and "cloudinit" in volid):
            found.append((option, volid))
    return tuple(found)


def _feature(call: Call, kind: Kind) -> object:
    vmid, name = call.number("vmid"), call.text("feature")
    if kind.name == "qemu":
        need_file(call, vmid, kind)
    guest = find_guest(call, vmid, kind.name)
    config = guest.current
    if call.has("snapname"):
        config = find_snapshot(guest, call.text("snapname"))
    entries = [
        call.documents.storages.get(volumes.storage_of(volid), {})
        for _, volid in load.volumes(config)
    ]
    has = {
        "snapshot": can_snapshot(call, config),
        "clone": bool(config.get("template")) and all(e.get("type") in LINKABLE for e in entries),
        "copy": all(entries),
    }[name]
    if kind.name == "lxc":
        return {"hasFeature": int(has)}
    everywhere = all(shared(entry) for entry in entries if entry)
    nodes = list(call.world.nodes) if everywhere else [call.node]
    return {"hasFeature": int(has), "nodes": nodes}


def need_file(call: Call, vmid: int, kind: Kind) -> None:
    """Raise as PVE::QemuServer check_running does, where that is asked first."""
    guest, state = call.documents.guests.get(vmid), call.world.guest(vmid)
    if guest is None or guest.kind != kind.name or state is None or state.node != call.node:
        text = f"unable to find configuration file for {kind.word} {vmid} on node '{call.node}'"
        raise died(text)


def _finish_template(worker: Worker, kind: Kind) -> None:
    make_template(worker, kind, int(worker.task.id), worker.text("disk"))


def make_template(worker: Worker, kind: Kind, vmid: int, only: str = "") -> None:
    """Turn a guest into a template, its volumes, or only that of one option, into bases."""
    guest = find_guest(worker, vmid, kind.name)
    config = {**guest.current, "template": 1}
    for option, volid in own_volumes(guest.current, cloud_init=False):
        if only and option != only:
            continue
        entry = worker.documents.storages.get(volumes.storage_of(volid), {})
        if entry.get("type") not in LINKABLE:
            raise TaskError(f"Template feature is not available for '{volid}'")
        if (volume := volumes.find(worker.documents, worker.node, volid)) is None:
            raise volumes.not_found(volid)
        based = replace(volume, name=_base_name(volume.name, vmid))
        del worker.documents.volumes[volume.key]
        worker.documents.volumes[based.key] = based
        config[option] = str(config[option]).replace(volid, based.volid)
    worker.documents.guests[vmid] = replace(guest, current=config)
    worker.api.sync(worker.twin)


def _base_name(name: str, vmid: int) -> str:
    """`vm-100-disk-0` becomes `base-100-disk-0`, `subvol-` becomes `basevol-`."""
    return name.replace(f"subvol-{vmid}-", f"basevol-{vmid}-").replace(
        f"vm-{vmid}-", f"base-{vmid}-"
    )


for _kind in KINDS.values():
    calls(_kind)
