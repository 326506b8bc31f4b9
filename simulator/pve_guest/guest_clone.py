"""Copies of guests, full or linked to a template. Source: PVE::API2::Qemu and ::LXC clone_vm.

Both ids are locked until the copy is done. Leaves out: copying a running guest's disks live, and
how long a copy takes on what storage (a second for each disk).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from simulator import guests
from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.documents import Entry, GuestConfig, Volume
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, denied, died
from simulator.pve_datacenter import pools
from simulator.pve_guest import guest_drives
from simulator.pve_guest.guest_config import (
    KINDS,
    Kind,
    check_lock,
    find_guest,
    find_snapshot,
    mac_address,
)
from simulator.pve_guest.guest_snapshots import GUEST, NOT_SAVED
from simulator.pve_guest.guest_template import LINKABLE, need_file, own_volumes
from simulator.pve_node import volumes
from simulator.pve_node.storage import enabled_on, find_storage, need_enabled, shared

routes = Routes()

SECONDS_FOR_A_DISK = 1.0  # assumed
CONTENT = {"qemu": ("images", "vm images"), "lxc": ("rootdir", "container directories")}


@dataclass(frozen=True)
class _Plan:
    """A copy that may be made."""

    source: Entry
    full: bool
    disks: tuple[tuple[str, str], ...]  # option and volume id


def calls(kind: Kind) -> None:
    """Register the calls for one kind of guest."""
    base = f"/nodes/{{node}}/{kind.name}/{{vmid}}"
    named = "name" if kind.name == "qemu" else "hostname"
    own = "bwlimit? integer 0..\nformat? enum(raw,qcow2,vmdk)\n"
    takes = own if kind.name == "qemu" else "bwlimit? number 0..\n"

    @routes.add(
        f"POST {base}/clone",
        _may_clone,
        GUEST
        + takes
        + f"""
        {named}?      dns-name
        description?  string
        full?         boolean
        newid         integer:pve-vmid 100..999999999
        pool?         pve-poolid
        snapname?     pve-configid ..40
        storage?      pve-storage-id
        target?       pve-node
        """,
    )
    def clone(call: Call) -> object:
        return _clone(call, kind, named)

    FINISH[f"{kind.task}clone"] = lambda worker: _finish_clone(worker, kind)


def _may_clone(call: Call) -> None:
    call.need(f"/vms/{call.text('vmid')}", "VM.Clone")
    pool = call.text("pool")
    if not call.may(f"/vms/{call.text('newid')}", "VM.Allocate") and not (
        pool and call.may(f"/pool/{pool}", "VM.Allocate")
    ):
        raise denied()


def _clone(call: Call, kind: Kind, named: str) -> object:
    vmid, newid, target = call.number("vmid"), call.number("newid"), call.text("target", call.node)
    if target not in call.world.nodes:
        raise died(f"no such cluster node '{target}'")
    pool = call.text("pool")
    if pool and pool not in call.documents.pools:
        raise denied(f"pool '{pool}' does not exist")
    _check_storage(call, kind, target)
    call.need_quorum()
    if kind.name == "qemu":
        need_file(call, vmid, kind)
    guest = find_guest(call, vmid, kind.name)
    check_lock(guest.current, kind.word)
    plan = _planned(call, kind, guest)
    if target != call.node and not all(_is_shared(call, volid) for _, volid in plan.disks):
        text = f"can't clone {kind.word} to node '{target}' ({kind.word} uses local storage)"
        raise died(text)
    if newid in call.documents.guests:
        if kind.name == "qemu":
            raise died(f"unable to create VM {newid}: config file already exists")
        state = call.world.guest(newid)
        where, word = state.node if state else call.node, _word(call, newid)
        raise died(f"unable to create CT {newid} - {word} {newid} already exists on node '{where}'")
    locked = "clone" if kind.name == "qemu" else "create"
    call.documents.guests[newid] = GuestConfig(kind.name, {"lock": locked})
    if pool:
        pools.add_guest(call.documents, pool, newid)
    call.api.sync(call.twin)
    guests.place(call.twin, (call.api.cluster, newid), call.node)
    work: dict[str, Value] = {
        key: call.values[key]
        for key in ("newid", "storage", "format", "description", "snapname", "target")
        if call.has(key)
    }
    work |= {"name": call.text(named), "full": int(plan.full)}
    took_s = DURATIONS_S["qmcreate"] + SECONDS_FOR_A_DISK * len(plan.disks)
    return start_task(call, f"{kind.task}clone", str(vmid), work, took_s=took_s)


def _word(call: Call, vmid: int) -> str:
    return KINDS[call.documents.guests[vmid].kind].word


def _is_shared(call: Call, volid: str) -> bool:
    entry = call.documents.storages.get(volumes.storage_of(volid))
    return entry is not None and shared(entry)


def _check_storage(call: Call, kind: Kind, target: str) -> None:
    """A storage that is named must serve both nodes and hold such volumes."""
    if not call.has("storage"):
        return
    name = call.text("storage")
    entry = need_enabled(call, name)
    content, spoken = CONTENT[kind.name]
    if content not in str(entry["content"]).split(","):
        raise bad_parameters(storage=f"storage '{name}' does not support {spoken}")
    if target != call.node:
        if not enabled_on(entry, target):
            raise died(f"storage '{name}' is not available on node '{target}'")
        if not shared(entry):
            raise died(f"can't clone to non-shared storage '{name}'")


def _planned(call: Call, kind: Kind, guest: GuestConfig) -> _Plan:
    source: Entry = guest.current
    if call.has("snapname"):
        source = find_snapshot(guest, call.text("snapname"))
    full = call.flag("full", default=not guest.current.get("template"))
    if not full:
        for name in ("storage", "format"):
            if call.has(name):
                raise died(f"parameter '{name}' not allowed for linked clones")
    disks = own_volumes(source, cloud_init=kind.name == "qemu")
    for option, volid in disks:
        what = "drive" if kind.name == "qemu" else "mountpoint"
        entry = find_storage(call.documents, volumes.storage_of(volid))
        base = "base-" in volid or "basevol-" in volid or call.has("snapname")
        if not full and "cloudinit" not in volid and not (base and entry["type"] in LINKABLE):
            raise died(f"Linked clone feature is not supported for {what} '{option}'")
        call.need(
            f"/storage/{call.text('storage', volumes.storage_of(volid))}", "Datastore.AllocateSpace"
        )
    return _Plan(source, full, disks)


def forget(worker: Worker, vmid: int) -> None:
    """Remove what there is of a guest: its file, its rights, its place in a pool."""
    documents = worker.documents
    documents.guests.pop(vmid, None)
    documents.files.pop(f"firewall/{vmid}.fw", None)
    pools.remove_guest(documents, vmid)
    for entry in [entry for entry in documents.acl if entry[0] == f"/vms/{vmid}"]:
        del documents.acl[entry]
    worker.api.sync(worker.twin)
    guests.remove(worker.twin, (worker.api.cluster, vmid))


def _finish_clone(worker: Worker, kind: Kind) -> None:
    """Copy; of a copy that fails nothing is left."""
    newid, before = worker.number("newid"), set(worker.documents.volumes)
    try:
        _copy(worker, kind)
    except (ApiError, TaskError) as error:
        for key in worker.documents.volumes.keys() - before:
            del worker.documents.volumes[key]
        forget(worker, newid)
        said = error.spoken if isinstance(error, ApiError) else str(error)
        raise TaskError(f"clone failed: {said.strip()}") from error


def _copy(worker: Worker, kind: Kind) -> None:
    vmid, newid = int(worker.task.id), worker.number("newid")
    guest = find_guest(worker, vmid, kind.name)
    source: Entry = guest.current
    if name := worker.text("snapname"):
        source = find_snapshot(guest, name)
    config = _copied(worker, kind, source, newid)
    for option, volid in own_volumes(source, cloud_init=kind.name == "qemu"):
        volume = _copied_volume(worker, kind, newid, option, volid)
        values = propertystring.split(
            str(config[option]), "file" if kind.name == "qemu" else "volume", {"volume": "file"}
        )
        key = "file" if kind.name == "qemu" else "volume"
        values.pop("file", None)
        if "size" in values or "cloudinit" not in volid:
            values["size"] = volumes.format_size(volume.size_bytes)
        config[option] = propertystring.join({**values, key: volume.volid}, key)
    worker.documents.guests[newid] = GuestConfig(kind.name, config)
    firewall = worker.documents.files.get(f"firewall/{vmid}.fw")
    if firewall is not None:
        worker.documents.files[f"firewall/{newid}.fw"] = firewall
    worker.api.sync(worker.twin)
    if (target := worker.text("target")) and target != worker.node:
        guests.migrate(worker.twin, (worker.api.cluster, newid), target)


def _copied(worker: Worker, kind: Kind, source: Entry, newid: int) -> dict[str, Value]:
    """The options of a copy: a name, addresses and ids of its own, no snapshots, nothing unused."""
    config: dict[str, Value] = {}
    for option, value in source.items():
        if option in NOT_SAVED and option != "description" or option == "template":
            continue
        if option.startswith("unused"):
            continue
        config[option] = (
            fresh_mac(worker, str(value))
            if option.startswith("net") and option[3:].isdecimal()
            else value
        )
    key = "name" if kind.name == "qemu" else "hostname"
    if name := worker.text("name"):
        config[key] = name
    elif kind.name == "qemu":
        config[key] = f"Copy-of-{source.get('name') or f'VM-{worker.task.id}'}"
    else:
        config[key] = f"Copy-of-{source.get('hostname') or f'CT-{worker.task.id}'}"
    if "description" in worker.task.work:
        config["description"] = worker.text("description")
    if kind.name == "qemu":
        chance = worker.chance
        config["vmgenid"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        smbios = propertystring.split(str(source.get("smbios1") or ""))
        smbios["uuid"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        config["smbios1"] = propertystring.join(smbios)
    return config


def fresh_mac(worker: Worker, text: str) -> str:
    """A network card with another address."""
    mac = mac_address(worker.documents, worker.chance)
    parts = text.split(",")
    model, equals, _ = parts[0].partition("=")
    if any(part.startswith("hwaddr=") for part in parts):
        return ",".join(f"hwaddr={mac}" if p.startswith("hwaddr=") else p for p in parts)
    return ",".join([f"{model}={mac}" if equals else parts[0], *parts[1:]])


def _copied_volume(worker: Worker, kind: Kind, newid: int, option: str, volid: str) -> Volume:
    old = volumes.find(worker.documents, worker.node, volid)
    if old is None:
        raise TaskError(f"volume '{volid}' does not exist")
    full = bool(worker.number("full")) or "cloudinit" in volid
    what = "drive" if kind.name == "qemu" else "mountpoint"
    worker.say(f"create {'full' if full else 'linked'} clone of {what} {option} ({volid})")
    storage = worker.text("storage") if full else ""
    storage = storage or old.storage
    entry = find_storage(worker.documents, storage)
    files = entry["type"] in volumes.FILE_TYPES
    format_name = (worker.text("format") or old.format) if files else "raw"
    name = ""
    if "cloudinit" in volid:
        name = volumes.full_name(entry, newid, f"vm-{newid}-cloudinit", format_name)
    elif not full:
        format_name = "qcow2" if files else "raw"
        fresh = volumes.free_name(worker.documents, storage, entry, newid, format_name)
        name = f"{old.name}/{fresh}"
    new = volumes.allocate(worker, storage, newid, old.size_bytes, format_name, name)
    if files and kind.name == "qemu":
        _say_made(worker, old, new, linked=not full)
    return new


def _say_made(worker: Worker, old: Volume, new: Volume, *, linked: bool) -> None:
    """What the plugin for files and qemu-img print of a new image."""
    own, vmid = new.name.rpartition("/")[2], new.vmid
    entry = worker.documents.storages[new.storage]
    if not linked:
        worker.say(guest_drives.formatting(volumes.path_of(entry, new), new))
        return
    base = f"../{old.name}"
    worker.say(f"clone {old.name}: images, {own}, {vmid} to {own} (base={base})")
    path = volumes.path_of(entry, replace(new, name=f"{vmid}/{own}"))
    worker.say(
        f"Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off "
        f"compression_type=zlib size={new.size_bytes} backing_file={base} "
        f"backing_fmt={old.format} lazy_refcounts=off refcount_bits=16"
    )


for _kind in KINDS.values():
    calls(_kind)
