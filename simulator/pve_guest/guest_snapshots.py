"""Snapshots of virtual machines and containers. Source: PVE::AbstractConfig snapshot_create,
snapshot_delete, snapshot_rollback; PVE::API2::Qemu and ::LXC::Snapshot.

A snapshot is a section of the guest's file; volumes keep no content here, so a rollback brings back
the options alone. Leaves out: replication that still needs a snapshot.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from simulator import guests
from simulator.pve import load
from simulator.pve.call import Call
from simulator.pve.documents import Entry, GuestConfig
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, died
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_config import KINDS, Kind, check_lock, find_guest, find_snapshot
from simulator.pve_guest.guest_power import start_guest
from simulator.pve_node import volumes

routes = Routes()

GUEST = "node pve-node\nvmid integer:pve-vmid 100..999999999\n"
NAME = "snapname pve-configid ..40\n"
AUDIT, MAY = "/vms/{vmid} VM.Audit", "/vms/{vmid} VM.Snapshot"
RESERVED = {"qemu": ("current", "pending", "cloudinit"), "lxc": ("current", "vzdump")}
OF_SNAPSHOT = frozenset({"snaptime", "parent", "vmstate", "snapstate", "runningmachine",
                         "runningcpu", "runningcpumodel", "running-nets-host-mtu"})  # fmt: skip
NOT_SAVED = OF_SNAPSHOT | {"lock", "description", "digest"}
SNAPSHOT_TYPES = frozenset({"lvmthin", "zfspool", "zfs", "rbd", "btrfs", "cephfs"})


def can_snapshot(scene: Call | Worker, config: Entry) -> bool:
    """Whether all volumes of a guest are where snapshots can be made."""
    for _, volid in load.volumes(config):
        entry = scene.documents.storages.get(volumes.storage_of(volid))
        if entry is None:
            return False
        qcow2 = volid.endswith(".qcow2") or bool(entry.get("snapshot-as-volume-chain"))
        if entry["type"] not in SNAPSHOT_TYPES and not qcow2:
            return False
    return True


@dataclass(frozen=True)
class Calls:
    """The calls for one kind of guest."""

    kind: Kind

    def register(self) -> None:
        """Let them answer, and their workers work."""
        kind = self.kind
        base = f"/nodes/{{node}}/{kind.name}/{{vmid}}/snapshot"
        at, named = f"{base}/{{snapname}}", GUEST + NAME
        note, memory = "description? string\n", "vmstate? boolean\n"
        new = named + note + (memory if kind.name == "qemu" else "")
        back = "/vms/{vmid} VM.Snapshot|VM.Snapshot.Rollback"
        routes.add(f"GET {base}", AUDIT, GUEST)(self.listed)
        routes.add(f"POST {base}", MAY, new)(self.create)
        index(routes, at, "config rollback", "cmd", takes=NAME)
        routes.add(f"GET {at}/config", f"{back}|VM.Audit", named)(self.config)
        routes.add(f"PUT {at}/config", MAY, named + note)(self.update)
        routes.add(f"DELETE {at}", MAY, named + "force? boolean\n")(self.delete)
        routes.add(f"POST {at}/rollback", back, named + "start? boolean\n")(self.rollback)
        FINISH[f"{kind.task}snapshot"] = lambda worker: _create(worker, kind)
        FINISH[f"{kind.task}delsnapshot"] = lambda worker: _delete(worker, kind)
        FINISH[f"{kind.task}rollback"] = lambda worker: _rollback(worker, kind)

    def listed(self, call: Call) -> object:
        """All snapshots, and what stands for the present."""
        guest = find_guest(call, call.number("vmid"), self.kind.name)
        rows = [_row(self.kind, name, entry) for name, entry in guest.snapshots.items()]
        current: dict[str, object] = {
            "name": "current",
            "digest": guest.digest,
            "running": int(call.world.running(call.number("vmid"))),
            "description": "You are here!",
        }
        if parent := guest.current.get("parent"):
            current["parent"] = parent
        return [*rows, current]

    def create(self, call: Call) -> object:
        """A new snapshot: a task."""
        kind, name = self.kind, call.text("snapname")
        if name in RESERVED[kind.name]:
            raise died(f"unable to use snapshot name '{name}' (reserved name)")
        keys = ("snapname", "description", "vmstate")
        work: dict[str, Value] = {key: call.values[key] for key in keys if call.has(key)}
        spoken = "container" if kind.word == "CT" else "VM"
        call.log(f"snapshot {spoken} {call.text('vmid')}: {name}")
        return start_task(call, f"{kind.task}snapshot", call.text("vmid"), work)

    def config(self, call: Call) -> object:
        """Options as they were."""
        guest = find_guest(call, call.number("vmid"), self.kind.name)
        return dict(find_snapshot(guest, call.text("snapname")))

    def update(self, call: Call) -> object:
        """Another description."""
        vmid, name = call.number("vmid"), call.text("snapname")
        guest = find_guest(call, vmid, self.kind.name)
        check_lock(guest.current, self.kind.word)
        changed = dict(find_snapshot(guest, name))
        if call.has("description"):
            changed["description"] = call.text("description")
        kept = {**guest.snapshots, name: changed}
        call.documents.guests[vmid] = replace(guest, snapshots=kept)
        return None

    def delete(self, call: Call) -> object:
        """Remove a snapshot: a task, which fails for one that is absent."""
        work: dict[str, Value] = {"snapname": call.text("snapname")}
        return start_task(call, f"{self.kind.task}delsnapshot", call.text("vmid"), work)

    def rollback(self, call: Call) -> object:
        """Go back to a snapshot: a task."""
        work: dict[str, Value] = {
            "snapname": call.text("snapname"),
            "start": call.number("start"),
        }
        return start_task(call, f"{self.kind.task}rollback", call.text("vmid"), work)


def _row(kind: Kind, name: str, entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {
        "name": name,
        "snaptime": entry.get("snaptime") or 0,
        "description": entry.get("description") or "",
    }
    if kind.name == "qemu":
        row["vmstate"] = int(bool(entry.get("vmstate")))
    return row | {key: entry[key] for key in ("parent", "snapstate") if entry.get(key)}


def _prepared(worker: Worker, kind: Kind, verb: str) -> tuple[int, GuestConfig]:
    vmid = int(worker.task.id)
    guest = find_guest(worker, vmid, kind.name)
    if guest.current.get("template"):
        raise TaskError(f"you can't {verb}")
    return vmid, guest


def _create(worker: Worker, kind: Kind) -> None:
    vmid, guest = _prepared(worker, kind, "take a snapshot if it's a template")
    name = worker.text("snapname")
    check_lock(guest.current, kind.word)
    if name in guest.snapshots:
        raise TaskError(f"snapshot name '{name}' already used")
    if not can_snapshot(worker, guest.current):
        raise TaskError("snapshot feature is not available")
    for option, volid in load.volumes(guest.current):
        if kind.name == "qemu" and "media=cdrom" not in str(guest.current[option]):
            worker.say(f"snapshotting 'drive-{option}' ({volid})")
    saved = {
        key: value
        for key, value in guest.current.items()
        if key not in NOT_SAVED and not key.startswith("unused")
    }
    saved["snaptime"] = worker.now_s
    if worker.text("description"):
        saved["description"] = worker.text("description")
    if parent := guest.current.get("parent"):
        saved["parent"] = parent
    if worker.number("vmstate") and worker.world.running(vmid):
        saved["vmstate"] = save_memory(worker, vmid, guest, name)
    current = {**guest.current, "parent": name}
    kept = {**guest.snapshots, name: saved}
    worker.documents.guests[vmid] = replace(guest, current=current, snapshots=kept)


def memory_storage(guest: GuestConfig) -> str:
    """Where the memory of a guest is kept: where it says, else where its first disk is."""
    storages = sorted(guest_drives.storages_of(guest.current))
    return str(guest.current.get("vmstatestorage") or next(iter(storages), "local"))


def save_memory(worker: Worker, vmid: int, guest: GuestConfig, name: str, storage: str = "") -> str:
    """A volume for the memory of a running guest."""
    storage = storage or memory_storage(guest)
    if storage not in worker.documents.storages:
        raise TaskError(f"storage '{storage}' does not exist")
    entry = worker.documents.storages[storage]
    size_bytes = (2 * load.memory_mib(guest.current) + 500) * 2**20
    file = volumes.full_name(entry, vmid, f"vm-{vmid}-state-{name}", "raw")
    return volumes.allocate(worker, storage, vmid, size_bytes, "raw", file).volid


def _delete(worker: Worker, kind: Kind) -> None:
    name = worker.text("snapname")
    gone = find_snapshot(find_guest(worker, int(worker.task.id), kind.name), name)
    vmid, guest = _prepared(worker, kind, "delete a snapshot if vm is a template")
    check_lock(guest.current, kind.word)
    if volid := gone.get("vmstate"):
        guest_drives.free(worker, vmid, str(volid))
    kept = {
        other: _reparented(entry, name, gone)
        for other, entry in guest.snapshots.items()
        if other != name
    }
    current = _reparented(guest.current, name, gone)
    worker.documents.guests[vmid] = replace(guest, current=current, snapshots=kept)


def _reparented(entry: Entry, name: str, gone: Entry) -> Entry:
    """Children of a snapshot that goes become children of its parent."""
    if entry.get("parent") != name:
        return entry
    left = {key: value for key, value in entry.items() if key != "parent"}
    return {**left, "parent": gone["parent"]} if gone.get("parent") else left


def _rollback(worker: Worker, kind: Kind) -> None:
    vmid, guest = _prepared(worker, kind, "rollback if vm is a template")
    name = worker.text("snapname")
    snapshot = find_snapshot(guest, name)
    check_lock(guest.current, kind.word)
    _need_most_recent(worker, guest, name, snapshot)
    if worker.world.running(vmid):
        guests.stop(worker.twin, (worker.api.cluster, vmid))
    saved = {key: value for key, value in snapshot.items() if key not in NOT_SAVED}
    kept = {
        key: value
        for key, value in guest.current.items()
        if key == "description" or key.startswith("unused")
    }
    if "vmgenid" in saved:  # the guest can tell that it is another generation
        saved["vmgenid"] = str(uuid.UUID(int=worker.chance.getrandbits(128), version=4))
    volids = {volid for _, volid in load.volumes(saved)}
    config: dict[str, Value] = {**saved, **kept, "parent": name}
    for _, volid in load.volumes(guest.current):
        if volid not in volids:
            number = next(n for n in range(256) if f"unused{n}" not in config)
            config[f"unused{number}"] = volid
    worker.documents.guests[vmid] = replace(guest, current=config, pending={}, removals={})
    worker.api.sync(worker.twin)
    if snapshot.get("vmstate"):
        start_guest(worker, vmid, from_memory=True)
    elif worker.number("start"):
        start_task(worker, f"{kind.task}start", str(vmid))


def _need_most_recent(worker: Worker, guest: GuestConfig, name: str, snapshot: Entry) -> None:
    """ZFS goes back to its last snapshot only."""
    for _, volid in load.volumes(snapshot):
        entry = worker.documents.storages.get(volumes.storage_of(volid), {})
        newer = [
            other
            for other, known in guest.snapshots.items()
            if int(str(known.get("snaptime") or 0)) > int(str(snapshot.get("snaptime") or 0))
            and volid in {used for _, used in load.volumes(known)}
        ]
        if entry.get("type") in ("zfspool", "zfs") and newer:
            raise TaskError(f"can't rollback, '{name}' is not most recent snapshot on '{volid}'")


for _kind in KINDS.values():
    Calls(_kind).register()
