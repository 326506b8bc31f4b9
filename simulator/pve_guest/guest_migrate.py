"""Moving virtual machines between nodes. Source: PVE::API2::Qemu migrate_vm, PVE::QemuMigrate.

A running guest's memory takes the time that the twin works out; local disks that come along take
none beside it (a limit). The guest is locked meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from simulator import guests
from simulator.ha.part import ha_request
from simulator.pve import load
from simulator.pve.call import Call, Environment
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, start_task
from simulator.pve.wire import TaskError, bad_parameters, died
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_config import check_lock, find_guest
from simulator.pve_guest.guest_options import GUEST
from simulator.pve_guest.guest_power import in_ha, need_fit
from simulator.pve_node import volumes
from simulator.pve_node.storage import enabled_on, shared

routes = Routes()

MAY = "/vms/{vmid} VM.Migrate"
SSH_GIVES_UP_S = 3.0  # recorded: a node that is gone is noticed after this


def local_volumes(scene: Environment, vmid: int) -> list[str]:
    """Volumes of a guest that only its node sees."""
    config = scene.documents.guests[vmid].current
    found = []
    for volid in guest_drives.own_volumes(config):
        entry = scene.documents.storages.get(volumes.storage_of(volid))
        if entry is not None and not shared(entry):
            found.append(volid)
    return found


def _local_disk(call: Call, volid: str) -> dict[str, object]:
    volume = volumes.find(call.documents, call.node, volid)
    size = volume.size_bytes if volume else 0
    config = call.documents.guests[call.number("vmid")].current
    used = guest_drives.uses({k: v for k, v in config.items() if "unused" not in k}, volid)
    return {"volid": volid, "size": size, "cdrom": 0, "is_unused": int(not used)}


def _refused_by(call: Call, vmid: int, node: str) -> dict[str, object]:
    names = guest_drives.storages_of(call.documents.guests[vmid].current)
    away = [
        name
        for name in sorted(names)
        if name in call.documents.storages and not enabled_on(call.documents.storages[name], node)
    ]
    return {"unavailable_storages": away} if away else {}


@routes.add("GET /nodes/{node}/qemu/{vmid}/migrate", MAY, GUEST + "target? pve-node")
def precondition(call: Call) -> object:
    """What would stand in the way. Nodes that refuse nothing are listed with an empty reason."""
    vmid = call.number("vmid")
    find_guest(call, vmid)
    others = [
        node
        for node in call.world.nodes
        if node != call.node and call.world.online(node, call.node)
    ]
    refused = {node: _refused_by(call, vmid, node) for node in others}
    answer: dict[str, object] = {
        "running": int(call.world.running(vmid)),
        "local_disks": [_local_disk(call, volid) for volid in local_volumes(call, vmid)],
        "local_resources": [],
        "mapped-resources": [],
        "mapped-resource-info": {},
        "has-dbus-vmstate": 1,
        "not_allowed_nodes": refused,
    }
    if not call.world.running(vmid):
        answer["allowed_nodes"] = [node for node in others if not refused[node]]
    return answer


@routes.add(
    "POST /nodes/{node}/qemu/{vmid}/migrate",
    MAY,
    GUEST
    + """
    bwlimit?               integer 0..
    force?                 boolean
    migration_network?     CIDR
    migration_type?        enum(secure,insecure)
    online?                boolean
    target                 pve-node
    targetstorage?         storage-pair-list
    with-conntrack-state?  boolean
    with-local-disks?      boolean
    """,
)
def migrate(call: Call) -> object:
    """Move a guest: a task; HA moves those it has."""
    vmid, target = call.number("vmid"), call.text("target")
    if target == call.node:
        raise bad_parameters(target="target is local node.")
    if target not in call.world.nodes:
        raise died(f"no such cluster node '{target}'")
    for key in ("force", "migration_type", "migration_network"):
        if call.has(key) and call.user != "root@pam":
            raise bad_parameters(**{key: "Only root may use this option."})
    guest = find_guest(call, vmid)
    check_lock(guest.current)
    running = call.world.running(vmid)
    if running and not call.flag("online"):
        raise died("can't migrate running VM without --online")
    if in_ha(call, vmid):
        return start_task(call, "hamigrate", str(vmid), {"target": target})
    call.need_quorum()
    took_s = _took_s(call, vmid, target, running)
    work: dict[str, Value] = {"target": target, "online": int(running)}
    work |= {"local": call.number("with-local-disks")}
    call.documents.guests[vmid] = replace(guest, current={**guest.current, "lock": "migrate"})
    return start_task(call, "qmigrate", str(vmid), work, took_s=took_s)


def _took_s(call: Call, vmid: int, target: str, running: bool) -> float:
    if not call.world.reaches(call.node, target):
        return SSH_GIVES_UP_S
    if not running:
        return DURATIONS_S["qmigrate"]
    return guests.migration_s(call.twin, (call.api.cluster, vmid), online=True)


def _finish_ha_migrate(worker: Worker) -> None:
    vmid, target = worker.task.id, worker.text("target")
    sid = worker.text("sid", f"vm:{vmid}")
    word = "CT" if sid.startswith("ct:") else "VM"
    worker.say(f"Requesting HA migration for {word} {vmid} to node {target}")
    need_fit(worker, sid, f"migrate {sid} {target}")
    ha_request(worker.twin, worker.api.cluster, "migrate", sid, target)


FINISH["hamigrate"] = _finish_ha_migrate


def _unlock(worker: Worker, vmid: int) -> None:
    guest = worker.documents.guests[vmid]
    left = {key: value for key, value in guest.current.items() if key != "lock"}
    worker.documents.guests[vmid] = replace(guest, current=left)


def _finish_migrate(worker: Worker) -> None:
    vmid, target = int(worker.task.id), worker.text("target")
    find_guest(worker, vmid)
    _unlock(worker, vmid)
    took_s = worker.now_s - worker.task.start_s
    duration = f"(duration {took_s // 3600:02}:{took_s // 60 % 60:02}:{took_s % 60:02})"
    address = worker.world.address(target)
    if not worker.world.reaches(worker.node, target):
        _say_unreachable(worker, target, address, duration)
        raise TaskError("migration aborted")
    _say(worker, f"starting migration of VM {vmid} to node '{target}' ({address})", -took_s)
    if problem := _problem(worker, vmid, target):
        _say(worker, f"ERROR: migration aborted {duration}: {problem}")
        raise TaskError("migration aborted")
    for volid in volumes.move_local(worker.documents, vmid, worker.node, target):
        _say(worker, f"copying local disk image {volid}")
    guests.migrate(worker.twin, (worker.api.cluster, vmid), target)
    _say(worker, f"migration finished successfully {duration}")


FINISH["qmigrate"] = _finish_migrate


def _problem(worker: Worker, vmid: int, target: str) -> str:
    """Why a guest can't be on the target."""
    config = worker.documents.guests[vmid].current
    for name in sorted(guest_drives.storages_of(config)):
        entry = worker.documents.storages.get(name)
        if entry is None:
            return f"storage '{name}' does not exist"
        if not enabled_on(entry, target):
            return f"storage '{name}' is not available on node '{target}'"
        if problem := worker.world.problem(name, target):
            return f"storage '{name}' is not online on node '{target}': {problem}"
    if not worker.number("online"):
        return ""
    if local_volumes(worker, vmid) and not worker.number("local"):
        return "can't live migrate attached local disks without with-local-disks option"
    for bridge, _ in load.nets(config):
        if bridge not in worker.world.host(target).bridges:
            return f"bridge '{bridge}' does not exist on node '{target}'"
    return ""


def _say(worker: Worker, text: str, after_s: int = 0) -> None:
    moment = datetime.fromtimestamp(worker.now_s + after_s, UTC)
    worker.say(f"{moment:%Y-%m-%d %H:%M:%S} {text}")


def _say_unreachable(worker: Worker, target: str, address: str, duration: str) -> None:
    known = f"/etc/pve/nodes/{target}/ssh_known_hosts"
    command = (
        f"/usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias={target}' "
        f"-o 'UserKnownHostsFile={known}' -o 'GlobalKnownHostsFile=none' root@{address} /bin/true"
    )
    _say(worker, f"# {command}")
    _say(worker, f"ssh: connect to host {address} port 22: No route to host")
    why = "Can't connect to destination address using public key"
    _say(worker, f"ERROR: migration aborted {duration}: {why}")
