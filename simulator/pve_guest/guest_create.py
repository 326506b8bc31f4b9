"""Making, listing and destroying virtual machines. Source: PVE::API2::Qemu create_vm, destroy_vm.

The id is taken at once, with lock `create`, as the real call writes an empty file before its worker
runs; from a backup: `guest_restore`.
"""

from __future__ import annotations

import uuid

from simulator import guests
from simulator.pve import load
from simulator.pve.call import Call
from simulator.pve.documents import GuestConfig, Volume
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, denied, died
from simulator.pve_datacenter import pools, replication, resources
from simulator.pve_guest import guest_clone, guest_drives, guest_restore
from simulator.pve_guest.guest_config import (
    check_lines,
    check_lock,
    default_boot,
    find_guest,
    need_bridges,
    need_option_rights,
    pool_error,
    rewritten,
)
from simulator.pve_guest.guest_options import GUEST, create_table
from simulator.pve_guest.guest_power import start_when_made
from simulator.pve_guest.guest_strings import is_drive
from simulator.pve_node import volumes

routes = Routes()

NOT_CONFIG = frozenset(
    items(
        """
    node vmid archive bwlimit force ha-managed import-working-storage live-restore pool start
    storage unique
    """
    )
)
SECONDS_FOR_A_DISK = 1.0  # assumed


@routes.add("GET /nodes/{node}/qemu", takes="node pve-node\nfull? boolean")
def list_guests(call: Call) -> object:
    """Virtual machines of one node that the caller may see."""
    rows = []
    for vmid, guest in call.documents.guests.items():
        state = call.world.guest(vmid)
        here = guest.kind == "qemu" and state is not None and state.node == call.node
        if here and call.may(f"/vms/{vmid}", "VM.Audit"):
            rows.append(resources.guest_status(call, vmid))
    return rows


def _check_rights(call: Call, vmid: int, pool: str | None) -> None:
    if pool is not None and pool not in call.documents.pools:
        raise pool_error(pool)
    restores = call.has("archive") and call.flag("force") and vmid in call.documents.guests
    if not (
        call.may(f"/vms/{vmid}", "VM.Allocate", *(["VM.Backup"] if restores else []))
        or (pool and call.may(f"/pool/{pool}", "VM.Allocate"))
    ):
        raise denied()


@routes.add("POST /nodes/{node}/qemu", "all", create_table())
def create(call: Call) -> object:
    """A new virtual machine: a task."""
    vmid, pool = call.number("vmid"), call.text("pool") or None
    sent = {key: value for key, value in call.values.items() if key not in NOT_CONFIG}
    call.need_quorum()
    _check_rights(call, vmid, pool)
    need_option_rights(call, vmid, sent, pool)
    if call.has("archive"):
        need_bridges(call, sent)
        kept = rewritten(call, {k: v for k, v in sent.items() if not is_drive(k)})
        check_lines(kept)
        given = {k: v for k, v in sent.items() if is_drive(k)}
        return guest_restore.start(call, vmid, pool or "", {**kept, **given})
    if (other := call.documents.guests.get(vmid)) is not None:
        state = call.world.guest(vmid)
        what = "VM" if other.kind == "qemu" else "CT"
        where = state.node if state else call.node
        raise died(f"unable to create VM {vmid} - {what} {vmid} already exists on node '{where}'")
    need_bridges(call, sent)
    guest_drives.check_drives(call, sent)
    kept = rewritten(call, {key: value for key, value in sent.items() if not is_drive(key)})
    check_lines(kept)
    drives = {key: value for key, value in sent.items() if is_drive(key)}
    _reserve(call, vmid, pool)
    work: dict[str, Value] = {f"set {key}": value for key, value in {**kept, **drives}.items()}
    work |= {key: call.values[key] for key in ("start", "ha-managed") if call.has(key)}
    took_s = DURATIONS_S["qmcreate"] + SECONDS_FOR_A_DISK * len(drives)
    return start_task(call, "qmcreate", str(vmid), work, took_s=took_s)


def _reserve(call: Call, vmid: int, pool: str | None) -> None:
    call.documents.guests[vmid] = GuestConfig("qemu", {"lock": "create"})
    if pool is not None:
        pools.add_guest(call.documents, pool, vmid)
    call.api.sync(call.twin)
    guests.place(call.twin, (call.api.cluster, vmid), call.node)


def _finish_create(worker: Worker) -> None:
    vmid, work = int(worker.task.id), worker.task.work
    sent = {key[4:]: value for key, value in work.items() if key.startswith("set ")}
    taken: list[Volume] = []
    try:
        made = guest_drives.make_drives(worker, vmid, sent, worker.lines, taken)
    except (ApiError, TaskError) as error:
        for volume in taken:
            worker.documents.volumes.pop(volume.key, None)
        guest_clone.forget(worker, vmid)
        raise TaskError(f"unable to create VM {vmid} - {error}") from error
    config = {key: value for key, value in {**sent, **made}.items() if value is not None}
    chance = worker.chance
    config.setdefault("boot", default_boot(config))
    if str(config.get("vmgenid", "1")) == "1":
        config["vmgenid"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    config.setdefault("smbios1", f"uuid={uuid.UUID(int=chance.getrandbits(128), version=4)}")
    config["meta"] = f"creation-qemu={worker.api.release.qemu},ctime={worker.now_s}"
    worker.documents.guests[vmid] = GuestConfig("qemu", config)
    start_when_made(worker, vmid, "vm", "qmstart")


FINISH["qmcreate"] = _finish_create


def _check_destroy(call: Call, vmid: int) -> None:
    guest = find_guest(call, vmid)
    if guest.current.get("protection"):
        raise died(f"can't remove VM {vmid} - protection mode enabled")
    if f"vm:{vmid}" in call.documents.ha_resources and not call.flag("purge"):
        raise died(
            f"unable to remove VM {vmid} - used in HA resources and purge parameter not set."
        )
    if not call.flag("purge"):
        replication.need_no_jobs(call, vmid)
    if call.world.running(vmid):
        raise died(f"VM {vmid} is running - destroy failed")


@routes.add(
    "DELETE /nodes/{node}/qemu/{vmid}",
    "/vms/{vmid} VM.Allocate",
    GUEST + "destroy-unreferenced-disks? boolean\npurge? boolean\nskiplock? boolean",
)
def destroy(call: Call) -> object:
    """Remove a virtual machine with its volumes: a task."""
    vmid = call.number("vmid")
    if call.flag("skiplock") and call.user != "root@pam":
        raise bad_parameters(skiplock="Only root may use this option.")
    _check_destroy(call, vmid)
    call.need_quorum()
    flags = {key: call.number(key) for key in ("destroy-unreferenced-disks", "purge", "skiplock")}
    return start_task(call, "qmdestroy", str(vmid), flags)


def _finish_destroy(worker: Worker) -> None:
    vmid = int(worker.task.id)
    guest = find_guest(worker, vmid)
    if worker.world.running(vmid):
        raise TaskError(f"VM {vmid} is running - destroy failed")
    if not worker.number("skiplock") and guest.current.get("lock") != "suspended":
        check_lock(guest.current)
    _need_no_clones(worker, vmid)
    free_volumes(worker, vmid)
    if worker.number("purge"):
        purge(worker, vmid)
    guest_clone.forget(worker, vmid)


FINISH["qmdestroy"] = _finish_destroy


def _need_no_clones(worker: Worker, vmid: int) -> None:
    """Raise if linked clones need a volume of a template."""
    for _, volid in load.volumes(worker.documents.guests[vmid].current):
        volume = volumes.find(worker.documents, worker.node, volid)
        if volume is not None and volumes.based_on(worker.documents, volume):
            raise TaskError(f"base volume '{volid}' is still in use by linked cloned")


def free_volumes(worker: Worker, vmid: int) -> None:
    """Delete a guest's own volumes; with `destroy-unreferenced-disks` all that bear its id."""
    guest = worker.documents.guests[vmid]
    volids = {
        volid
        for config in (guest.current, guest.pending, *guest.snapshots.values())
        for _, volid in load.volumes(config)
    }
    volids |= {str(value) for key, value in guest.current.items() if key.startswith("unused")}
    kept = (guest.current, *guest.snapshots.values())
    volids |= {str(config["vmstate"]) for config in kept if config.get("vmstate")}
    if worker.number("destroy-unreferenced-disks"):
        volids |= {v.volid for v in worker.documents.volumes.values() if v.vmid == vmid}
    for volid in sorted(volids):
        volume = volumes.find(worker.documents, worker.node, volid)
        if volume is not None and volume.vmid == vmid:
            volumes.need_no_clones(worker.documents, volume)
            del worker.documents.volumes[volume.key]


def purge(worker: Worker, vmid: int, word: str = "VM", sid: str = "vm") -> None:
    """Take a guest out of backup jobs and HA. Source: administration guide, qm destroy --purge."""
    documents = worker.documents
    worker.say(f"purging {word} {vmid} from related configurations..")
    for name, job in list(documents.jobs.items()):
        listed = str(job.get("vmid") or "").split(",")
        if str(vmid) in listed:
            left = ",".join(known for known in listed if known != str(vmid))
            if left:
                documents.jobs[name] = {**job, "vmid": left}
            else:
                del documents.jobs[name]
    for name in replication.jobs_of(worker, vmid):
        replication.JOBS.put(documents, name, None)
    if documents.ha_resources.pop(f"{sid}:{vmid}", None) is not None:
        worker.say(f"NOTE: removed {word} {vmid} from HA resource configuration.")
