"""Starting and stopping virtual machines, and their state. Source: PVE::API2::Qemu, status/*.

A guest under HA is not started or stopped here: the call sets what HA wants and ends.
Suspending and resuming one: `guest_suspend`.
"""

from __future__ import annotations

from dataclasses import replace

from simulator import guests
from simulator.ha.part import ha_command
from simulator.pve import load
from simulator.pve.call import Call, Environment
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_datacenter import ha, resources, sdn_state
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_config import QEMU, Kind, check_lock, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_guest.guest_update import apply_pending
from simulator.pve_node.storage import enabled_on

routes = Routes()
index(
    routes,
    "/nodes/{node}/qemu/{vmid}/status",
    "current start stop reset shutdown suspend reboot",
    "subdir",
)

MAY = "/vms/{vmid} VM.PowerMgmt"
SHUTDOWN_TIMEOUT_S = 60  # PVE::QemuServer _do_vm_stop, default


@routes.add("GET /nodes/{node}/qemu/{vmid}/status/current", "/vms/{vmid} VM.Audit", GUEST)
def current(call: Call) -> object:
    """A guest's state, and whether HA has it."""
    vmid = call.number("vmid")
    find_guest(call, vmid)
    row = resources.guest_status(call, vmid)
    running = row["status"] == "running"
    power = "paused" if paused(call, vmid) else row["status"]
    answer = {**row, "qmpstatus": power, "ha": ha.guest_ha(call, f"vm:{vmid}")}
    return {**answer, "agent": 1} if running and _has_agent(call, vmid) else answer


def paused(scene: Environment, vmid: int) -> bool:
    """Whether a guest runs and stands still."""
    state = scene.world.guest(vmid)
    return state is not None and state.paused


def _has_agent(call: Call, vmid: int) -> bool:
    text = str(call.documents.guests[vmid].current.get("agent") or "0")
    return text.split(",")[0].removeprefix("enabled=") in ("1", "yes", "on", "true")


def in_ha(scene: Environment, vmid: int, sid: str = "vm") -> bool:
    """Whether HA decides over a guest."""
    return ha.managed(scene, f"{sid}:{vmid}")


def start_by_ha(call: Call, vmid: int, kind: Kind = QEMU) -> str:
    """Tell HA that a guest is to run. The task that says so ends at once."""
    return start_task(call, "hastart", str(vmid), {"sid": kind.sid, "guest": kind.word})


def stop_by_ha(call: Call, vmid: int, timeout_s: int = 0, kind: Kind = QEMU) -> str:
    """Ask HA's master to stop a guest, at once or within a time; it then wants it stopped, too."""
    work: dict[str, Value] = {"sid": kind.sid, "guest": kind.word, "timeout": timeout_s}
    return start_task(call, "hastop", str(vmid), work)


def _finish_ha_start(worker: Worker) -> None:
    vmid, sid = worker.task.id, f"{worker.text('sid')}:{worker.task.id}"
    worker.say(f"Requesting HA start for {worker.text('guest')} {vmid}")
    need_fit(worker, sid, f"set {sid} --state started")
    if (resource := worker.documents.ha_resources.get(sid)) is None:
        raise TaskError(f"no such resource '{sid}'")
    worker.documents.ha_resources[sid] = {**resource, "state": "started"}
    worker.api.sync(worker.twin)


def _finish_ha_stop(worker: Worker) -> None:
    vmid, sid = worker.task.id, f"{worker.text('sid')}:{worker.task.id}"
    worker.say(f"Requesting HA stop for {worker.text('guest')} {vmid}")
    command = f"stop {sid} {worker.number('timeout')}"
    need_fit(worker, sid, f"crm-command {command}")
    ha_command(worker.twin, worker.api.cluster, command)


def need_fit(worker: Worker, sid: str, words: str) -> None:
    """Raise TaskError where `ha-manager WORDS`, which the task runs, is refused."""
    if why := ha.unfit(worker, sid):
        worker.say(why)
        raise TaskError(f"command 'ha-manager {words}' failed: exit code 255")


FINISH["hastart"] = _finish_ha_start
FINISH["hastop"] = _finish_ha_stop


def skiplock(call: Call) -> bool:
    """Whether locks are to be ignored. Raises for anybody but root."""
    if call.flag("skiplock") and call.user != "root@pam":
        raise bad_parameters(skiplock="Only root may use this option.")
    return call.flag("skiplock")


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/status/start",
    MAY,
    GUEST
    + """
    force-cpu?            string
    machine?              {machine}
    migratedfrom?         pve-node
    migration_network?    CIDR
    migration_type?       enum(secure,insecure)
    nets-host-mtu?        string
    skiplock?             boolean
    stateuri?             string ..128
    targetstorage?        storage-pair-list
    timeout?              integer 0..
    with-conntrack-state? boolean
    """,
)
def start(call: Call) -> object:
    """Power on: a task."""
    vmid = call.number("vmid")
    call.need_quorum()
    find_guest(call, vmid)
    skips = skiplock(call)
    if in_ha(call, vmid):
        return start_by_ha(call, vmid)
    return start_task(call, "qmstart", str(vmid), {"skiplock": int(skips)})


def start_guest(worker: Worker, vmid: int, *, from_memory: bool = False) -> None:
    """Apply what waits, look whether the guest can run here, and power it on, from memory if that
    was saved. Raises TaskError.
    """
    guest = find_guest(worker, vmid)
    if guest.current.get("template"):
        raise TaskError("you can't start a vm if it's a template")
    suspended = guest.current.get("lock") == "suspended"
    if not worker.number("skiplock") and not suspended:
        check_lock(guest.current)
    if worker.world.running(vmid):
        raise TaskError(f"VM {vmid} already running")
    if suspended:
        worker.say("Resuming suspended VM")
    if guest.pending or guest.removals:
        apply_pending(worker, vmid, worker.lines)
        worker.api.sync(worker.twin)
    if problem := worker.twin.state.unfit.get(worker.node):
        raise TaskError(problem)
    config = worker.documents.guests[vmid].current
    for name in sorted(guest_drives.storages_of(config)):
        _need_storage(worker, name)
    for bridge, _ in load.nets(config):
        own = worker.world.host(worker.node).bridges
        if bridge not in own and bridge not in sdn_state.running(worker.documents, "vnets"):
            worker.say(f"bridge '{bridge}' does not exist")
            raise TaskError("start failed: QEMU exited with code 1")
    left_s = 0.0 if suspended or from_memory else None
    guests.start(worker.twin, (worker.api.cluster, vmid), left_s)
    if suspended:
        worker.say("Resumed VM, removing state")
        _forget_memory(worker, vmid)


def _forget_memory(worker: Worker, vmid: int) -> None:
    """What was suspended to disk is in memory again."""
    guest = worker.documents.guests[vmid]
    guest_drives.free(worker, vmid, str(guest.current.get("vmstate")))
    current = {key: guest.current[key] for key in guest.current if key not in ("lock", "vmstate")}
    worker.documents.guests[vmid] = replace(guest, current=current)
    worker.api.sync(worker.twin)


def _need_storage(worker: Worker, name: str) -> None:
    entry = worker.documents.storages.get(name)
    if entry is None:
        raise TaskError(f"storage '{name}' does not exist")
    if not enabled_on(entry, worker.node):
        raise TaskError(f"storage '{name}' is not available on node '{worker.node}'")
    if problem := worker.world.problem(name, worker.node):
        raise TaskError(f"storage '{name}' is not online: {problem}")


def start_when_made(worker: Worker, vmid: int, sid: str, task: str) -> None:
    """Hand a new guest to HA if that was asked for, else start it if that was."""
    if worker.number("ha-managed"):
        worker.say("Add as HA resource")
        state = "started" if worker.number("start") else "stopped"
        worker.documents.ha_resources[f"{sid}:{vmid}"] = {"type": sid, "state": state}
    worker.api.sync(worker.twin)
    if worker.number("start") and not worker.number("ha-managed"):
        start_task(worker, task, str(vmid))


def _finish_start(worker: Worker) -> None:
    start_guest(worker, int(worker.task.id))


FINISH["qmstart"] = _finish_start


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/status/stop",
    MAY,
    GUEST
    + """
    keepActive?          boolean
    migratedfrom?        pve-node
    overrule-shutdown?   boolean
    skiplock?            boolean
    timeout?             integer 0..
    """,
)
def stop(call: Call) -> object:
    """Cut a guest's power: a task."""
    vmid = call.number("vmid")
    find_guest(call, vmid)
    skips = skiplock(call)
    if in_ha(call, vmid):
        if call.flag("overrule-shutdown"):
            raise bad_parameters(
                **{"overrule-shutdown": "cannot overrule shutdown of HA-managed guest"}
            )
        return stop_by_ha(call, vmid)
    if call.flag("overrule-shutdown"):
        _stop_shutdowns(call, vmid)
    return start_task(call, "qmstop", str(vmid), {"skiplock": int(skips)})


def _stop_shutdowns(call: Call, vmid: int) -> None:
    for task in list(call.documents.tasks.values()):
        if task.running and (task.type, task.id) == ("qmshutdown", str(vmid)):
            call.twin.cancel((call.api.name, "task", task.upid))
            done = replace(task, end_s=call.now_s, status="interrupted by signal", work={})
            call.documents.tasks[task.upid] = done


def _finish_stop(worker: Worker) -> None:
    vmid = int(worker.task.id)
    guest = find_guest(worker, vmid)
    if worker.world.running(vmid) and not worker.number("skiplock"):
        check_lock(guest.current)
    guests.stop(worker.twin, (worker.api.cluster, vmid))


FINISH["qmstop"] = _finish_stop


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/status/shutdown",
    MAY,
    GUEST + "forceStop? boolean\nkeepActive? boolean\nskiplock? boolean\ntimeout? integer 0..",
)
def shutdown(call: Call) -> object:
    """Ask a guest to power itself off: a task that takes as long as the guest does."""
    vmid = call.number("vmid")
    find_guest(call, vmid)
    skips = skiplock(call)
    timeout_s = call.number("timeout", SHUTDOWN_TIMEOUT_S)
    if in_ha(call, vmid):
        return stop_by_ha(call, vmid, timeout_s)
    if paused(call, vmid) and not call.flag("forceStop"):
        raise died("VM is paused - cannot shutdown")
    work: dict[str, Value] = {"skiplock": int(skips), "force": call.number("forceStop")}
    took_s = _shutdown_s(call, vmid, timeout_s)
    return start_task(
        call, "qmshutdown", str(vmid), work | {"late": int(took_s >= timeout_s)}, took_s=took_s
    )


def _shutdown_s(call: Call, vmid: int, timeout_s: int) -> float:
    """A guest that hangs on its storage never answers, one that is paused is not asked."""
    state = call.world.guest(vmid)
    if state is None or state.paused or not call.world.running(vmid):
        return 1.0
    return float(timeout_s) if state.stalled else min(DURATIONS_S["qmshutdown"], timeout_s)


def _finish_shutdown(worker: Worker) -> None:
    if worker.world.running(int(worker.task.id)) and worker.number("late"):
        if not worker.number("force"):
            raise TaskError("VM quit/powerdown failed - got timeout")
        worker.say("VM quit/powerdown failed - terminating now with SIGTERM")
    _finish_stop(worker)


FINISH["qmshutdown"] = _finish_shutdown


def need_running(call: Call) -> int:
    """The id of a guest that runs. Raises for another."""
    vmid = call.number("vmid")
    find_guest(call, vmid)
    if not call.world.running(vmid):
        raise died(f"VM {vmid} not running")
    return vmid


@routes.add("POST /nodes/{node}/qemu/{vmid}/status/reboot", MAY, GUEST + "timeout? integer 0..")
def reboot(call: Call) -> object:
    """Shut a guest down and start it again, with what was pending: a task."""
    vmid = need_running(call)
    if paused(call, vmid):
        raise died("VM is paused - cannot shutdown")
    return start_task(call, "qmreboot", str(vmid))


def _finish_reboot(worker: Worker) -> None:
    vmid = int(worker.task.id)
    _finish_stop(worker)
    start_guest(worker, vmid)


FINISH["qmreboot"] = _finish_reboot


@routes.add("POST /nodes/{node}/qemu/{vmid}/status/reset", MAY, GUEST + "skiplock? boolean")
def reset(call: Call) -> object:
    """Reset a guest: it boots anew, with the hardware it has."""
    return start_task(call, "qmreset", str(need_running(call)))


def _finish_reset(worker: Worker) -> None:
    key = (worker.api.cluster, int(worker.task.id))
    guests.stop(worker.twin, key)
    guests.start(worker.twin, key)


FINISH["qmreset"] = _finish_reset
