"""Calls that start, shut down, suspend or move many guests: of a node, or of the cluster.

Guests under HA are left alone unless they are named, or move. Source: PVE::API2::Nodes startall,
stopall, suspendall, migrateall; PVE::API2::Cluster::BulkAction::Guest. What is said of guests that
can't be suspended is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulator.pve.call import Call
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Guard, Routes, index
from simulator.pve.wire import Given, bad_parameters, denied, died
from simulator.pve_datacenter.bulk import Guest, begin, guest_of
from simulator.pve_guest.guest_config import KINDS
from simulator.pve_guest.guest_power import in_ha

routes = Routes()
index(routes, "/cluster/bulk-action", "guest")
index(routes, "/cluster/bulk-action/guest", "start shutdown migrate suspend")

SHUTDOWN_TIMEOUT_S = 180  # PVE::API2::Nodes stopall


def _chosen(call: Call, *, templates: bool = False, ha: bool = False) -> list[Guest]:
    """The guests that are named, or all; without names those under HA only if `ha` says so."""
    named = {int(vmid) for vmid in _named(call.values)}
    found = []
    for vmid in call.documents.guests:
        guest = guest_of(call, vmid)
        if guest is None or (named and vmid not in named):
            continue
        managed = in_ha(call, vmid, KINDS[guest.file.kind].sid)
        is_template = bool(guest.file.current.get("template"))
        if (named or ha or not managed) and (templates or not is_template):
            found.append(guest)
    return found


def _named(params: Mapping[str, Given] | Mapping[str, Value]) -> list[str]:
    """The guests that parameters name, checked or as they arrived."""
    told = params.get("vms")
    if isinstance(told, list | tuple):
        return [str(item) for item in told]
    return items("" if told is None else str(told))


def _here(call: Call, guests: Iterable[Guest]) -> list[Guest]:
    return [guest for guest in guests if guest.node == call.node]


def _may(*privileges: str) -> Guard:
    """Who may: whoever has the privileges on everything, or on each guest that is named."""

    def check(call: Call) -> None:
        if all(call.may("/", privilege) for privilege in privileges):
            return
        if not (named := _named(call.given)):
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
    return begin(call, "startall", "start", guests, call.number("max-workers", 1))


@routes.add(
    "POST /nodes/{node}/stopall",
    _may("VM.PowerMgmt"),
    _NODE + "force-stop? boolean\ntimeout? integer 0..7200\n",
)
def stop_all(call: Call) -> object:
    """Shut a node's guests down: a task."""
    workers = call.number("max-workers") or _datacenter_workers(call)
    return begin(
        call,
        "stopall",
        "shutdown",
        _here(call, _chosen(call)),
        workers or call.world.host(call.node).cores,
        timeout=call.number("timeout", SHUTDOWN_TIMEOUT_S),
        force=call.number("force-stop", 1),
    )


@routes.add("POST /nodes/{node}/suspendall", _may("VM.PowerMgmt", "VM.Config.Disk"), _NODE)
def suspend_all(call: Call) -> object:
    """Suspend a node's virtual machines to disk: a task."""
    workers = call.number("max-workers") or _datacenter_workers(call)
    return begin(
        call,
        "suspendall",
        "suspend",
        _here(call, _chosen(call)),
        workers or call.world.host(call.node).cores,
        **{"to-disk": 1},
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
    return begin(call, "migrateall", "migrate", guests, workers, **more)


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
    return begin(
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
    return begin(call, "bulkshutdown", "shutdown", _chosen(call), _workers(call, 4), **more)


@routes.add(
    "POST /cluster/bulk-action/guest/suspend",
    _may("VM.PowerMgmt"),
    _BULK + "statestorage? pve-storage-id requires=to-disk\nto-disk? boolean\n",
)
def bulk_suspend(call: Call) -> object:
    """Pause virtual machines wherever they are, or suspend them to disk: a task."""
    more: dict[str, Value] = {
        "to-disk": call.number("to-disk"),
        "statestorage": call.text("statestorage"),
        "on-failure": "Some guests failed to suspend",
    }
    return begin(call, "bulksuspend", "suspend", _chosen(call), _workers(call, 4), **more)


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
    return begin(call, "bulkmigrate", "migrate", guests, _workers(call, 1), **more)
