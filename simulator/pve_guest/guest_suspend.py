"""Virtual machines that stand still: paused in memory, or suspended to disk. Source:
PVE::API2::Qemu vm_suspend, vm_resume; PVE::QemuServer vm_suspend.

To disk the memory is a volume and the guest is off with the lock `suspended` until it is started
or resumed, and then goes on where it was; a boot that was under way has then ended. Leaves out: the
machine version that was running, how long writing the memory takes on what storage.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from simulator import guests
from simulator.pve.call import Call
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_guest.guest_config import check_lock, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_guest.guest_power import MAY, in_ha, need_running, skiplock, start_guest
from simulator.pve_guest.guest_snapshots import memory_storage, save_memory

routes = Routes()

WRITE_BPS = 100 * 2**20  # assumed: a storage of one disk


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/status/suspend",
    MAY,
    GUEST + "skiplock? boolean\nstatestorage? pve-storage-id requires=todisk\ntodisk? boolean",
)
def suspend(call: Call) -> object:
    """Pause a guest, or write its memory to disk and power it off: a task."""
    skips, vmid = skiplock(call), need_running(call)
    work: dict[str, Value] = {"skiplock": int(skips)}
    if not call.flag("todisk"):
        return start_task(call, "qmpause", str(vmid), work)
    if in_ha(call, vmid):
        raise died("Cannot suspend HA managed VM to disk")
    call.need(f"/vms/{vmid}", "VM.Config.Disk")
    guest = find_guest(call, vmid)
    storage = call.text("statestorage") or memory_storage(guest)
    call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    took_s = 1.0 + call.twin.facts.spec((call.api.cluster, vmid)).memory_bytes / WRITE_BPS
    return start_task(call, "qmsuspend", str(vmid), {**work, "storage": storage}, took_s=took_s)


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/dbus-vmstate",
    "/vms/{vmid} VM.Migrate",
    GUEST + "action enum(start,stop)\n",
    here=True,
)
def dbus_vmstate(call: Call) -> object:
    """Start or stop what carries a machine's connections along when it moves: nobody sees it."""
    if call.text("node") not in (call.node, "localhost"):
        why = f"node needs to be 'localhost' or local hostname '{call.node}'"
        raise bad_parameters(node=why)
    vmid, state = call.number("vmid"), call.world.guest(call.number("vmid"))
    if state is None or state.node != call.node or not call.world.running(vmid):
        raise bad_parameters(node=f"VM {vmid} not running locally on node '{call.node}'")
    return None


def _unlocked(worker: Worker, vmid: int) -> None:
    """Raise TaskError for a guest that is locked, unless by a backup."""
    config = find_guest(worker, vmid).current
    if not worker.number("skiplock") and config.get("lock") != "backup":
        check_lock(config)
    if not worker.world.running(vmid):
        raise TaskError(f"VM {vmid} not running")


def _finish_pause(worker: Worker) -> None:
    vmid = int(worker.task.id)
    _unlocked(worker, vmid)
    guests.pause(worker.twin, (worker.api.cluster, vmid))


def _finish_suspend(worker: Worker) -> None:
    vmid = int(worker.task.id)
    _unlocked(worker, vmid)
    guest = find_guest(worker, vmid)
    if guest.current.get("lock") == "backup":
        raise TaskError("cannot suspend to disk during backup")
    name = f"suspend-{datetime.fromtimestamp(worker.now_s, UTC):%Y-%m-%d}"
    volid = save_memory(worker, vmid, guest, name, worker.text("storage"))
    current = {**guest.current, "lock": "suspended", "vmstate": volid}
    worker.documents.guests[vmid] = replace(guest, current=current)
    guests.stop(worker.twin, (worker.api.cluster, vmid))
    worker.api.sync(worker.twin)


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/status/resume",
    MAY,
    GUEST + "nocheck? boolean\nskiplock? boolean",
)
def resume(call: Call) -> object:
    """Let a guest go on, or start one that is suspended to disk: a task."""
    vmid, skips = call.number("vmid"), skiplock(call)
    if find_guest(call, vmid).current.get("lock") != "suspended":
        need_running(call)
    return start_task(call, "qmresume", str(vmid), {"skiplock": int(skips)})


def _finish_resume(worker: Worker) -> None:
    vmid = int(worker.task.id)
    if find_guest(worker, vmid).current.get("lock") == "suspended":
        start_guest(worker, vmid)
        return
    _unlocked(worker, vmid)
    guests.pause(worker.twin, (worker.api.cluster, vmid), paused=False)


FINISH |= {"qmpause": _finish_pause, "qmsuspend": _finish_suspend, "qmresume": _finish_resume}
