"""Starting, stopping and moving containers, and their state. Source: PVE::API2::LXC::Status,
PVE::API2::LXC migrate_vm, PVE::LXC::Migrate.

A running container can't move: with `restart` it is shut down, moved and started. Suspending needs
CRIU, which Proxmox VE does not install: the tasks fail as they do without it; what lxc-checkpoint
prints is assumed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn

from simulator import guests
from simulator.pve.call import Call
from simulator.pve.load import nets
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_datacenter import ha, resources, sdn_state
from simulator.pve_guest import lxc_config
from simulator.pve_guest.guest_config import LXC, check_lock
from simulator.pve_guest.guest_power import in_ha, skiplock, start_by_ha, stop_by_ha
from simulator.pve_guest.lxc_config import find_container
from simulator.pve_guest.lxc_options import GUEST, is_mount, mount_values
from simulator.pve_node import storage, volumes

routes = Routes()

MAY = "/vms/{vmid} VM.PowerMgmt"
_STATUS = "/nodes/{node}/lxc/{vmid}/status"
SHUTDOWN_TIMEOUT_S = 60  # PVE::API2::LXC::Status, default
index(routes, _STATUS, "current start stop shutdown migrate", "subdir")


@routes.add(f"GET {_STATUS}/current", "/vms/{vmid} VM.Audit", GUEST)
def current(call: Call) -> object:
    """A container's state, and whether HA has it."""
    vmid = call.number("vmid")
    find_container(call, vmid)
    return {**resources.guest_status(call, vmid), "ha": ha.guest_ha(call, f"ct:{vmid}")}


def _need_running(call: Call, word: str = "CT") -> int:
    vmid = call.number("vmid")
    find_container(call, vmid)
    if not call.world.running(vmid):
        raise died(f"{word} {vmid} not running")
    return vmid


@routes.add(f"POST {_STATUS}/start", MAY, GUEST + "debug? boolean\nskiplock? boolean\n")
def start(call: Call) -> object:
    """Power on: a task."""
    vmid = call.number("vmid")
    call.need_quorum()
    skips = skiplock(call)
    find_container(call, vmid)
    if call.world.running(vmid):
        raise died(f"CT {vmid} already running")
    if in_ha(call, vmid, "ct"):
        return start_by_ha(call, vmid, LXC)
    return start_task(call, "vzstart", str(vmid), {"skiplock": int(skips)})


def start_container(worker: Worker, vmid: int) -> None:
    """Apply what waits, look whether the container can run here, and start it. Raises TaskError."""
    guest = find_container(worker, vmid)
    if guest.current.get("template"):
        raise TaskError("you can't start a CT if it's a template")
    if not worker.number("skiplock"):
        check_lock(guest.current, "CT")
    if guest.pending or guest.removals:
        lxc_config.apply_pending(worker, vmid)
    config = worker.documents.guests[vmid].current
    for option, value in config.items():
        source = mount_values(option, str(value))["volume"] if is_mount(option) else "/"
        if source.startswith("/"):
            continue
        name = volumes.storage_of(source)
        entry = storage.find_storage(worker.documents, name)
        if not storage.enabled_on(entry, worker.node):
            raise TaskError(f"storage '{name}' is not available on node '{worker.node}'")
        if problem := worker.world.problem(name, worker.node):
            raise TaskError(f"storage '{name}' is not online: {problem}")
    known = {*worker.world.host(worker.node).bridges, *sdn_state.running(worker.documents, "vnets")}
    for bridge, _ in nets(config):
        if bridge not in known:
            worker.say(f"bridge '{bridge}' does not exist")
            raise TaskError(f"startup for container '{vmid}' failed")
    guests.start(worker.twin, (worker.api.cluster, vmid))


FINISH["vzstart"] = lambda worker: start_container(worker, int(worker.task.id))


@routes.add(f"POST {_STATUS}/stop", MAY, GUEST + "overrule-shutdown? boolean\nskiplock? boolean\n")
def stop(call: Call) -> object:
    """Cut a container's life: a task."""
    skips, vmid = skiplock(call), _need_running(call)
    if in_ha(call, vmid, "ct"):
        if call.flag("overrule-shutdown"):
            text = "Not applicable for HA resources."
            raise bad_parameters(**{"overrule-shutdown": text})
        return stop_by_ha(call, vmid, kind=LXC)
    return start_task(call, "vzstop", str(vmid), {"skiplock": int(skips)})


def _finish_stop(worker: Worker) -> None:
    vmid = int(worker.task.id)
    guest = find_container(worker, vmid)
    if not worker.number("skiplock"):
        check_lock(guest.current, "CT")
    guests.stop(worker.twin, (worker.api.cluster, vmid))


FINISH["vzstop"] = _finish_stop


@routes.add(f"POST {_STATUS}/shutdown", MAY, GUEST + "forceStop? boolean\ntimeout? integer 0..\n")
def shutdown(call: Call) -> object:
    """Ask a container's init to end: a task."""
    vmid = _need_running(call)
    timeout_s = call.number("timeout", SHUTDOWN_TIMEOUT_S)
    if in_ha(call, vmid, "ct"):
        return stop_by_ha(call, vmid, timeout_s, LXC)
    state = call.world.guest(vmid)
    stalled = state is not None and state.stalled
    took_s = float(timeout_s) if stalled else min(DURATIONS_S["vzshutdown"], timeout_s)
    work: dict[str, Value] = {"late": int(took_s >= timeout_s), "force": call.number("forceStop")}
    return start_task(call, "vzshutdown", str(vmid), work, took_s=took_s)


def _finish_shutdown(worker: Worker) -> None:
    running = worker.world.running(int(worker.task.id))
    if running and worker.number("late") and not worker.number("force"):
        raise TaskError("container did not stop")
    _finish_stop(worker)


FINISH["vzshutdown"] = _finish_shutdown


@routes.add(f"POST {_STATUS}/reboot", MAY, GUEST + "timeout? integer 0..\n")
def reboot(call: Call) -> object:
    """Shut a container down and start it again, with what was pending: a task."""
    return start_task(call, "vzreboot", str(_need_running(call, "VM")))


def _finish_reboot(worker: Worker) -> None:
    _finish_stop(worker)
    start_container(worker, int(worker.task.id))


FINISH["vzreboot"] = _finish_reboot


@routes.add(f"POST {_STATUS}/suspend", MAY, GUEST)
def suspend(call: Call) -> object:
    """Write a container's memory to disk: a task."""
    return start_task(call, "vzsuspend", str(_need_running(call)))


def _finish_suspend(worker: Worker) -> None:
    check_lock(find_container(worker, int(worker.task.id)).current, "CT")
    worker.say(f"Checkpointing {worker.task.id} failed")
    _checkpoint_failed(worker, "-s -D /var/lib/vz/dump")


@routes.add(f"POST {_STATUS}/resume", MAY, GUEST)
def resume(call: Call) -> object:
    """Start a container from what was written: a task."""
    vmid = call.number("vmid")
    find_container(call, vmid)
    if call.world.running(vmid):
        raise died(f"CT {vmid} already running")
    return start_task(call, "vzresume", str(vmid))


def _finish_resume(worker: Worker) -> None:
    worker.say(f"Restoring {worker.task.id} failed")
    _checkpoint_failed(worker, "-r --foreground -D /var/lib/vz/dump")


def _checkpoint_failed(worker: Worker, options: str) -> NoReturn:
    command = f"lxc-checkpoint -n {worker.task.id} {options}"
    raise TaskError(f"command '{command}' failed: exit code 1")


FINISH |= {"vzsuspend": _finish_suspend, "vzresume": _finish_resume}


_MIGRATE = "/nodes/{node}/lxc/{vmid}/migrate"


@routes.add(f"GET {_MIGRATE}", "/vms/{vmid} VM.Migrate", GUEST + "target? pve-node\n")
def precondition(call: Call) -> object:
    """What would stand in the way of moving."""
    vmid = call.number("vmid")
    guest = find_container(call, vmid)
    check_lock(guest.current, "CT")
    others = [n for n in call.world.nodes if n != call.node and call.world.online(n, call.node)]
    return {"running": int(call.world.running(vmid)), "allowed-nodes": others,
            "not-allowed-nodes": {}}  # fmt: skip


@routes.add(
    f"POST {_MIGRATE}",
    "/vms/{vmid} VM.Migrate",
    GUEST
    + """
    bwlimit?         number 0..
    online?          boolean
    restart?         boolean
    target           pve-node
    target-storage?  storage-pair-list
    timeout?         integer
    """,
)
def migrate(call: Call) -> object:
    """Move a container: a task; HA moves those it has."""
    vmid, target = call.number("vmid"), call.text("target")
    if target == call.node:
        raise bad_parameters(target="target is local node.")
    if target not in call.world.nodes:
        raise died(f"no such cluster node '{target}'")
    call.need_quorum()
    guest = find_container(call, vmid)
    running = call.world.running(vmid)
    if running and not (call.flag("online") or call.flag("restart")):
        raise died("can't migrate running container without --online or --restart")
    if in_ha(call, vmid, "ct"):
        work: dict[str, Value] = {"target": target, "sid": f"ct:{vmid}"}
        return start_task(call, "hamigrate", str(vmid), work)
    check_lock(guest.current, "CT")
    work = {"target": target, "restart": call.number("restart")}
    took_s = DURATIONS_S["vzmigrate"] + (DURATIONS_S["vzshutdown"] if running else 0.0)
    return start_task(call, "vzmigrate", str(vmid), work, took_s=took_s)


def _finish_migrate(worker: Worker) -> None:
    vmid, target = int(worker.task.id), worker.text("target")
    find_container(worker, vmid)
    key, running = (worker.api.cluster, vmid), worker.world.running(vmid)
    took_s = worker.now_s - worker.task.start_s
    duration = f"(duration {took_s // 3600:02}:{took_s // 60 % 60:02}:{took_s % 60:02})"
    address = worker.world.address(target)
    _say(worker, f"starting migration of CT {vmid} to node '{target}' ({address})", -took_s)
    if not worker.world.reaches(worker.node, target):
        why = "Can't connect to destination address using public key"
        _say(worker, f"ERROR: migration aborted {duration}: {why}")
        raise TaskError("migration aborted")
    if running and not worker.number("restart"):
        text = "lxc live migration is currently not implemented"
        _say(worker, f"ERROR: migration aborted {duration}: {text}")
        raise TaskError("migration aborted")
    if running:
        guests.stop(worker.twin, key)
    for volid in volumes.move_local(worker.documents, vmid, worker.node, target):
        _say(worker, f"found local volume '{volid}' (in current VM config)")
    guests.migrate(worker.twin, key, target)
    _say(worker, "start final cleanup")
    if running:
        _say(worker, "start container on target node")
        guests.start(worker.twin, key)
    _say(worker, f"migration finished successfully {duration}")


FINISH["vzmigrate"] = _finish_migrate


def _say(worker: Worker, text: str, after_s: int = 0) -> None:
    moment = datetime.fromtimestamp(worker.now_s + after_s, UTC)
    worker.say(f"{moment:%Y-%m-%d %H:%M:%S} {text}")
