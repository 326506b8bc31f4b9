"""The worker that starts, shuts down, suspends or moves many guests in one task.

It makes the same calls as a client would, one guest after another or several at once, and
looks each second what has become of them. The order is that of the guests' `startup`: upwards to
start, downwards to stop, each order waits for the one before. The calls that ask for it are in
`bulk_calls`. Source: PVE::API2::Nodes startall, stopall, suspendall, migrateall; administration
guide, qm, automatic start and shutdown. Leaves out: taking locks of backups away before a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from simulator.pve import propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import GuestConfig
from simulator.pve.parameters import Value
from simulator.pve.routes import Handler
from simulator.pve.tasks import ROUNDS, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, died
from simulator.pve_guest import guest_migrate, guest_power, guest_suspend, lxc_power
from simulator.pve_guest.guest_config import KINDS
from simulator.pve_guest.guest_migrate import local_volumes

ROUND_S = 1.0  # the real worker sleeps as long
START_DELAY_S = {"qemu": 3, "lxc": 0}  # PVE::API2::Nodes startall, without `up`
LAST_ORDER = 2**63 - 1  # of guests without one

_START: Mapping[str, Handler] = {"qemu": guest_power.start, "lxc": lxc_power.start}
_SHUTDOWN: Mapping[str, Handler] = {"qemu": guest_power.shutdown, "lxc": lxc_power.shutdown}
_SUSPEND: Mapping[str, Handler] = {"qemu": guest_suspend.suspend}
_MIGRATE: Mapping[str, Handler] = {"qemu": guest_migrate.migrate, "lxc": lxc_power.migrate}


@dataclass(frozen=True)
class Guest:
    """A guest that a worker is about to act on."""

    vmid: int
    node: str
    file: GuestConfig

    @property
    def word(self) -> str:
        """As messages call it."""
        return f"{KINDS[self.file.kind].word} {self.vmid}"

    def startup(self, key: str, default: int) -> int:
        """A number of its startup option: order, up, down."""
        text = str(self.file.current.get("startup") or "")
        return int(propertystring.split(text, "order").get(key, default)) if text else default


def _call(worker: Worker, guest: Guest, handlers: Mapping[str, Handler], **more: Value) -> str:
    """Make a call on a guest where it is; the UPID. Raises ApiError."""
    if not worker.world.reaches(worker.node, guest.node):
        raise ApiError(595, "No route to host")
    values = {"node": guest.node, "vmid": guest.vmid, **more}
    call = Call(worker.api, worker.twin, guest.node, worker.user, values=values)
    return str(handlers[guest.file.kind](call))


def _start(worker: Worker, guest: Guest) -> str:
    if worker.world.running(guest.vmid):
        return ""
    worker.say(f"Starting {guest.word}")
    return _call(worker, guest, _START)


def _shut_down(worker: Worker, guest: Guest) -> str:
    if not worker.world.running(guest.vmid):
        return ""
    timeout_s = guest.startup("down", worker.number("timeout"))
    worker.say(f"Stopping {guest.word} (timeout = {timeout_s} seconds)")
    return _call(worker, guest, _SHUTDOWN, timeout=timeout_s, forceStop=worker.number("force"))


def _suspend(worker: Worker, guest: Guest) -> str:
    if guest.file.kind not in _SUSPEND:
        worker.say(f"Skipping {guest.vmid}, only VMs can be suspended")
        return ""
    if not worker.world.running(guest.vmid):
        worker.say(f"{guest.word} not running, skipping suspension")
        return ""
    worker.say(f"Suspending {guest.word}")
    more: dict[str, Value] = {"todisk": worker.number("to-disk")}
    if storage := worker.text("statestorage"):
        more["statestorage"] = storage
    return _call(worker, guest, _SUSPEND, **more)


def _migrate(worker: Worker, guest: Guest) -> str:
    if guest.node == (target := worker.text("target")):
        return ""
    running = worker.world.running(guest.vmid)
    online = int(running and worker.number("online"))
    more: dict[str, Value] = {"target": target}
    if guest.file.kind == "qemu":
        with_disks = worker.number("with-local-disks")
        disks = local_volumes(_at(worker, guest.node), guest.vmid)
        if online and disks and not with_disks:
            raise died(f"precondition check failed: has local disks: {', '.join(disks)}")
        more |= {"online": online, "with-local-disks": with_disks}
    else:
        more["restart"] = online
    worker.say(f"Migrating {guest.word}")
    return _call(worker, guest, _MIGRATE, **more)


def _at(scene: Environment, node: str) -> Environment:
    return Environment(scene.api, scene.twin, node, scene.user)


_ACTS: Mapping[str, Callable[[Worker, Guest], str]] = {
    "start": _start,
    "shutdown": _shut_down,
    "suspend": _suspend,
    "migrate": _migrate,
}


def guest_of(scene: Environment, vmid: int) -> Guest | None:
    file, state = scene.documents.guests.get(vmid), scene.world.guest(vmid)
    return None if file is None or state is None else Guest(vmid, state.node, file)


def _round(worker: Worker) -> float | None:
    """Look what became of the calls made, make more, and come again if there is something left."""
    if worker.text("act") == "start" and not worker.world.quorate(worker.node):
        return ROUND_S
    running = _reap(worker)
    todo = worker.text("todo")
    groups = [group.split() for group in todo.split(";")] if todo else []
    while groups:
        _act(worker, groups[0], running)
        if groups[0] or running:
            break
        del groups[0]
    todo = ";".join(" ".join(group) for group in groups)
    _keep(worker, todo=todo, running=tuple(running))
    if todo or running:
        return ROUND_S
    _end(worker)
    return None


def _keep(worker: Worker, **known: Value) -> None:
    worker.task = replace(worker.task, work={**worker.task.work, **known})


def _list(worker: Worker, name: str) -> list[str]:
    known = worker.task.work.get(name)
    return list(known) if isinstance(known, tuple) else []


def _reap(worker: Worker) -> list[str]:
    """The calls whose tasks still run, as VMID=UPID; what those that ended say is told."""
    left = []
    for entry in _list(worker, "running"):
        vmid, _, upid = entry.partition("=")
        task = worker.documents.tasks.get(upid)
        if task is not None and task.running:
            left.append(entry)
        elif task is None or task.status != "OK":
            _failed(worker, vmid, task.status if task else "unexpected status")
        elif worker.text("act") == "start" and (guest := guest_of(worker, int(vmid))) is not None:
            delay_s = guest.startup("up", START_DELAY_S[guest.file.kind])
            _keep(worker, again_s=int(worker.twin.now_s) + delay_s)
    return left


def _failed(worker: Worker, vmid: str, why: str) -> None:
    worker.say(f"{vmid}: {why.strip()}")
    _keep(worker, failed=(*_list(worker, "failed"), vmid))


def _act(worker: Worker, group: list[str], running: list[str]) -> None:
    """Act on the guests of one order while there is room for more workers."""
    workers = worker.number("workers")
    while group and len(running) < workers and worker.twin.now_s >= worker.number("again_s"):
        vmid = group.pop(0)
        if (guest := guest_of(worker, int(vmid))) is None:
            continue
        try:
            upid = _ACTS[worker.text("act")](worker, guest)
        except ApiError as error:
            _failed(worker, vmid, error.spoken)
            continue
        if upid:
            running.append(f"{vmid}={upid}")
            _keep(worker, started=worker.number("started") + 1)


def _end(worker: Worker) -> None:
    failed = ", ".join(_list(worker, "failed"))
    if worker.task.type == "migrateall" and failed and not worker.number("started"):
        raise TaskError("no migrations worker started...")
    if failed and (said := worker.text("on-failure")):
        raise TaskError(f"{said} {failed}")


ACTS_ON_MANY = ("startall", "stopall", "suspendall", "migrateall",
                "bulkstart", "bulkshutdown", "bulksuspend", "bulkmigrate")  # fmt: skip
ROUNDS |= dict.fromkeys(ACTS_ON_MANY, _round)


def begin(
    call: Call, type_name: str, act: str, guests: Iterable[Guest], workers: int, **more: Value
) -> str:
    """Start the worker: guests by their order, which does not matter when they move."""
    groups: dict[int, list[int]] = {}
    for guest in guests:
        order = 0 if act == "migrate" else guest.startup("order", LAST_ORDER)
        groups.setdefault(order, []).append(guest.vmid)
    down = act in ("shutdown", "suspend")
    todo = ";".join(
        " ".join(map(str, sorted(groups[order], reverse=down)))
        for order in sorted(groups, reverse=down)
    )
    work = {"act": act, "todo": todo, "workers": workers, "again_s": 0, **more}
    return start_task(call, type_name, "", work, took_s=0.0)
