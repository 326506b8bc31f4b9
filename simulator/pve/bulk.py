"""Starting, shutting down and moving many guests in one task: of a node, or of the cluster.

The worker makes the same calls as a client would, one guest after another or several at once, and
looks each second what has become of them. The order is that of the guests' `startup`: upwards to
start, downwards to stop, each order waits for the one before. Guests under HA are left alone unless
they are named. Source: PVE::API2::Nodes startall, stopall, migrateall; administration guide, qm,
automatic start and shutdown; PVE::API2::Cluster::BulkAction::Guest. Leaves out: `suspendall` and
bulk suspending, as suspending one; taking locks of backups away before a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from simulator.pve import guest_migrate, guest_power, lxc_power, propertystring
from simulator.pve.call import Call, Environment
from simulator.pve.documents import GuestConfig
from simulator.pve.guest_config import KINDS
from simulator.pve.guest_migrate import local_volumes
from simulator.pve.guest_power import in_ha
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Guard, Handler, Routes, index
from simulator.pve.tasks import ROUNDS, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, denied, died

routes = Routes()
index(routes, "/cluster/bulk-action", "guest")
index(routes, "/cluster/bulk-action/guest", "start shutdown migrate suspend")

ROUND_S = 1.0  # the real worker sleeps as long
START_DELAY_S = {"qemu": 3, "lxc": 0}  # PVE::API2::Nodes startall, without `up`
SHUTDOWN_TIMEOUT_S = 180  # the same, stopall
LAST_ORDER = 2**63 - 1  # of guests without one

_START: Mapping[str, Handler] = {"qemu": guest_power.start, "lxc": lxc_power.start}
_SHUTDOWN: Mapping[str, Handler] = {"qemu": guest_power.shutdown, "lxc": lxc_power.shutdown}
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
    "migrate": _migrate,
}


def _guest(scene: Environment, vmid: int) -> Guest | None:
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
        elif worker.text("act") == "start" and (guest := _guest(worker, int(vmid))) is not None:
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
        if (guest := _guest(worker, int(vmid))) is None:
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


for _name in ("startall", "stopall", "migrateall", "bulkstart", "bulkshutdown", "bulkmigrate"):
    ROUNDS[_name] = _round


def _begin(
    call: Call, type_name: str, act: str, guests: Iterable[Guest], workers: int, **more: Value
) -> str:
    """Start the worker: guests by their order, which does not matter when they move."""
    groups: dict[int, list[int]] = {}
    for guest in guests:
        order = 0 if act == "migrate" else guest.startup("order", LAST_ORDER)
        groups.setdefault(order, []).append(guest.vmid)
    down = act == "shutdown"
    todo = ";".join(
        " ".join(map(str, sorted(groups[order], reverse=down)))
        for order in sorted(groups, reverse=down)
    )
    work = {"act": act, "todo": todo, "workers": workers, "again_s": 0, **more}
    return start_task(call, type_name, "", work, took_s=0.0)


def _chosen(call: Call, *, templates: bool = False, ha: bool = False) -> list[Guest]:
    """The guests that are named, or all; without names those under HA only if `ha` says so."""
    named = {int(vmid) for vmid in _named(call)}
    found = []
    for vmid in call.documents.guests:
        guest = _guest(call, vmid)
        if guest is None or (named and vmid not in named):
            continue
        managed = in_ha(call, vmid, KINDS[guest.file.kind].sid)
        is_template = bool(guest.file.current.get("template"))
        if (named or ha or not managed) and (templates or not is_template):
            found.append(guest)
    return found


def _named(call: Call) -> list[str]:
    """The guests that a request names, checked or not yet."""
    given = call.given.get("vms")
    if isinstance(given, list):
        return [str(item) for item in given]
    return items("" if given is None else str(given))


def _here(call: Call, guests: Iterable[Guest]) -> list[Guest]:
    return [guest for guest in guests if guest.node == call.node]


def _may(*privileges: str) -> Guard:
    """Who may: whoever has the privileges on everything, or on each guest that is named."""

    def check(call: Call) -> None:
        if all(call.may("/", privilege) for privilege in privileges):
            return
        if not (named := _named(call)):
            raise denied(f"/, {' && '.join(privileges)}")
        for vmid in named:
            for privilege in privileges:
                call.need(f"/vms/{vmid}", privilege)

    return check


_NODE = "node pve-node\nvms? pve-vmid-list\nmax-workers? integer 1..64\n"


@routes.add("POST /nodes/{node}/startall", _may("VM.PowerMgmt"), _NODE + "force? boolean\n")
def start_all(call: Call) -> object:
    """Start a node's guests, with `force` also those that do not start at boot: a task."""
    force = call.flag("force")
    guests = [
        guest
        for guest in _here(call, _chosen(call, ha=force))
        if force or guest.file.current.get("onboot")
    ]
    return _begin(call, "startall", "start", guests, call.number("max-workers", 1))


@routes.add(
    "POST /nodes/{node}/stopall",
    _may("VM.PowerMgmt"),
    _NODE + "force-stop? boolean\ntimeout? integer 0..7200\n",
)
def stop_all(call: Call) -> object:
    """Shut a node's guests down: a task."""
    workers = call.number("max-workers") or _datacenter_workers(call)
    return _begin(
        call,
        "stopall",
        "shutdown",
        _here(call, _chosen(call)),
        workers or call.world.host(call.node).cores,
        timeout=call.number("timeout", SHUTDOWN_TIMEOUT_S),
        force=call.number("force-stop", 1),
    )


def _datacenter_workers(call: Call) -> int:
    return int(str(call.documents.options.get("max_workers") or 0))


@routes.add(
    "POST /nodes/{node}/migrateall",
    _may("VM.Migrate"),
    _NODE + "maxworkers? integer 1..64\ntarget pve-node\nwith-local-disks? boolean\n",
)
def migrate_all(call: Call) -> object:
    """Move a node's guests to another node: a task."""
    target = call.text("target")
    if target == call.node:
        raise bad_parameters(target="target is local node.")
    call.need_quorum()
    if target not in call.world.nodes:
        raise died(f"no such cluster node '{target}'")
    asked = call.number("max-workers") or call.number("maxworkers")
    if not (workers := asked or _datacenter_workers(call)):
        text = "either 'max-workers' parameter or max_workers in datacenter.cfg must be set!"
        raise died(text)
    more: dict[str, Value] = {
        "target": target,
        "online": 1,
        "with-local-disks": call.number("with-local-disks"),
    }
    guests = _here(call, _chosen(call, templates=True, ha=True))
    return _begin(call, "migrateall", "migrate", guests, workers, **more)


_BULK = "vms? array:pve-vmid\nmax-workers? integer 1..64\nmaxworkers? integer 1..64\n"


def _workers(call: Call, default: int) -> int:
    return call.number("max-workers") or call.number("maxworkers") or default


@routes.add(
    "POST /cluster/bulk-action/guest/start",
    _may("VM.PowerMgmt"),
    _BULK + "timeout? integer\n",
)
def bulk_start(call: Call) -> object:
    """Start guests wherever they are: a task. `timeout` is left to the starts themselves."""
    said = "Some guests failed to start:"
    return _begin(
        call, "bulkstart", "start", _chosen(call), _workers(call, 4), **{"on-failure": said}
    )


@routes.add(
    "POST /cluster/bulk-action/guest/shutdown",
    _may("VM.PowerMgmt"),
    _BULK + "force-stop? boolean\ntimeout? integer\n",
)
def bulk_shut_down(call: Call) -> object:
    """Shut guests down wherever they are: a task."""
    more: dict[str, Value] = {
        "timeout": call.number("timeout", SHUTDOWN_TIMEOUT_S),
        "force": call.number("force-stop", 1),
        "on-failure": "Some guests failed to shutdown",
    }
    return _begin(call, "bulkshutdown", "shutdown", _chosen(call), _workers(call, 4), **more)


@routes.add(
    "POST /cluster/bulk-action/guest/migrate",
    _may("VM.Migrate"),
    _BULK + "online? boolean\ntarget pve-node\nwith-local-disks? boolean\n",
)
def bulk_migrate(call: Call) -> object:
    """Move guests to a node from wherever they are: a task."""
    if (target := call.text("target")) not in call.world.nodes:
        raise died(f"no such cluster node '{target}'")
    more: dict[str, Value] = {
        "target": target,
        "online": call.number("online"),
        "with-local-disks": call.number("with-local-disks"),
        "on-failure": "Some guests failed to migrate",
    }
    guests = _chosen(call, templates=True, ha=True)
    return _begin(call, "bulkmigrate", "migrate", guests, _workers(call, 1), **more)
