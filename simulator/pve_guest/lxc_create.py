"""Making, listing and destroying containers. Source: PVE::API2::LXC create_vm, destroy_vm.

A container is unpacked from a template, a volume of content vztmpl; nothing of it but its kind of
system is looked at; from a backup: `lxc_restore`. Leaves out: OCI images.
"""

from __future__ import annotations

import re
from base64 import b64decode
from contextlib import suppress

from simulator import guests
from simulator.pve.call import Call
from simulator.pve.documents import GuestConfig, Volume
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import DURATIONS_S, FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters, denied, died
from simulator.pve_datacenter import pools, replication, resources
from simulator.pve_guest import guest_clone, guest_create, lxc_restore
from simulator.pve_guest.guest_config import KINDS, check_lines, check_lock, pool_error
from simulator.pve_guest.guest_power import start_when_made
from simulator.pve_guest.lxc_config import find_container, made_mount, need_bridges
from simulator.pve_guest.lxc_options import (
    DEFAULTS,
    GUEST,
    create_table,
    in_order,
    is_mount,
    mount_values,
    need_option_rights,
    rewritten,
)
from simulator.pve_node import volumes
from simulator.pve_node.storage import find_storage

routes = Routes()

NOT_CONFIG = frozenset(
    items(
        """
    node vmid bwlimit force ha-managed ignore-unpack-errors ostemplate password pool restore
    ssh-public-keys start storage unique
    """
    )
)
DEFAULT_ROOT_GIB = 4  # PVE::API2::LXC: a root is 4 GiB where nothing is said
SYSTEMS = tuple(items("debian devuan ubuntu centos fedora opensuse archlinux alpine gentoo nixos"))
SECONDS_FOR_A_DISK = 1.0  # assumed


@routes.add("GET /nodes/{node}/lxc", takes="node pve-node")
def containers(call: Call) -> object:
    """Containers of one node that the caller may see."""
    rows = []
    for vmid, guest in call.documents.guests.items():
        state = call.world.guest(vmid)
        here = guest.kind == "lxc" and state is not None and state.node == call.node
        if here and call.may(f"/vms/{vmid}", "VM.Audit"):
            rows.append(resources.guest_status(call, vmid))
    return rows


def _check_rights(call: Call, vmid: int, pool: str) -> None:
    if pool and pool not in call.documents.pools:
        raise pool_error(pool)
    restores = call.flag("restore") and call.flag("force") and vmid in call.documents.guests
    if not (
        call.may(f"/vms/{vmid}", "VM.Allocate", *(["VM.Backup"] if restores else []))
        or (pool and call.may(f"/pool/{pool}", "VM.Allocate"))
    ):
        raise denied()


@routes.add("POST /nodes/{node}/lxc", "all", create_table())
def create(call: Call) -> object:
    """A new container: a task."""
    vmid, pool = call.number("vmid"), call.text("pool")
    sent = {k: v for k, v in call.values.items() if k not in NOT_CONFIG and call.has(k)}
    call.need_quorum()
    _check_rights(call, vmid, pool)
    need_option_rights(call, vmid, {"unprivileged": 1}, sent, pool)
    if call.flag("restore"):
        return lxc_restore.start(call, vmid, pool, _kept(call, sent, _sent_mounts(call, sent)))
    if (other := call.documents.guests.get(vmid)) is not None:
        state = call.world.guest(vmid)
        where = state.node if state else call.node
        raise died(f"{KINDS[other.kind].word} {vmid} already exists on node '{where}'")
    if not all(map(_public_key, filter(str.strip, call.text("ssh-public-keys").split("\n")))):
        raise died("SSH public key validation error")
    mounts = _mounts(call, sent)
    kept = _kept(call, sent, mounts)
    call.documents.guests[vmid] = GuestConfig("lxc", {"lock": "create"})
    if pool:
        pools.add_guest(call.documents, pool, vmid)
    call.api.sync(call.twin)
    guests.place(call.twin, (call.api.cluster, vmid), call.node)
    work: dict[str, Value] = {f"set {key}": value for key, value in kept.items()}
    names = ("start", "ha-managed", "ostemplate")
    work |= {key: call.values[key] for key in names if call.has(key)}
    took_s = DURATIONS_S["vzcreate"] + SECONDS_FOR_A_DISK * len(mounts)
    return start_task(call, "vzcreate", str(vmid), work, took_s=took_s)


def _public_key(line: str) -> bool:
    """Whether a line has a key of the type that it names: its blob begins with that name."""
    words = line.split()
    for kind, blob in zip(words, words[1:], strict=False):
        if re.fullmatch(r"(sk-)?(ssh|ecdsa-sha2)-[\w\-@.]+", kind):
            with suppress(ValueError):
                head = len(kind).to_bytes(4, "big") + kind.encode()
                return b64decode(blob, validate=True).startswith(head)
    return False


def _kept(call: Call, sent: dict[str, Value], mounts: dict[str, Value]) -> dict[str, Value]:
    """The options as they are kept, with the volumes to be made. Raises for what can't be."""
    need_bridges(call, sent)
    kept = {**rewritten(call, {k: v for k, v in sent.items() if not is_mount(k)}), **mounts}
    check_lines(kept)
    return kept


def _mounts(call: Call, sent: dict[str, Value]) -> dict[str, Value]:
    """The volumes that were asked for; where none was, a root."""
    root: dict[str, Value] = {"rootfs": f"{call.text('storage', 'local')}:{DEFAULT_ROOT_GIB}"}
    if any(is_mount(option) for option in sent):
        return _sent_mounts(call, sent)
    return _sent_mounts(call, root)


def _sent_mounts(call: Call, sent: dict[str, Value]) -> dict[str, Value]:
    """The volumes among options, if any the root among them; their storages hold such volumes."""
    mounts = {key: value for key, value in sent.items() if is_mount(key)}
    if mounts and "rootfs" not in mounts:
        raise died("mount points configured, but 'rootfs' not set - aborting")
    for option, value in mounts.items():
        source = mount_values(option, str(value))["volume"]
        if source.startswith("/"):
            continue
        name = volumes.storage_of(source)
        call.need(f"/storage/{name}", "Datastore.AllocateSpace")
        if "rootdir" not in items(str(find_storage(call.documents, name)["content"])):
            text = f"storage '{name}' does not support container directories"
            raise bad_parameters(storage=text)
    return mounts


def _finish_create(worker: Worker) -> None:
    vmid, work = int(worker.task.id), worker.task.work
    sent = {key[4:]: value for key, value in work.items() if key.startswith("set ")}
    taken: list[Volume] = []
    try:
        made = {
            option: made_mount(worker, vmid, option, str(sent[option]), worker.lines, taken)
            for option in in_order(filter(is_mount, sent))
        }
        system = _unpack(worker)
    except (ApiError, TaskError) as error:
        for volume in taken:
            worker.documents.volumes.pop(volume.key, None)
        guest_clone.forget(worker, vmid)
        raise TaskError(f"unable to create CT {vmid} - {error}") from error
    config = {**DEFAULTS, "ostype": system, "hostname": f"CT{vmid}", "unprivileged": 1}
    config |= {key: value for key, value in {**sent, **made}.items() if value is not None}
    worker.documents.guests[vmid] = GuestConfig("lxc", config)
    start_when_made(worker, vmid, "ct", "vzstart")


def _unpack(worker: Worker) -> str:
    """Unpack the template; the kind of system in it, by its name."""
    volid = worker.text("ostemplate")
    if ":" not in volid:
        raise TaskError(f"unable to parse volume ID '{volid}'\n")
    volume = volumes.find(worker.documents, worker.node, volid)
    if volume is None:
        worker.say(f"volume '{volid}' does not exist")
        raise TaskError(f"volume '{volid}' does not exist\n")
    entry = find_storage(worker.documents, volume.storage)
    file = volid.rpartition("/")[2]
    folder = entry.get("path", f"/mnt/pve/{volume.storage}")
    worker.say(f"extracting archive '{folder}/template/cache/{file}'")
    worker.say("Detected container architecture: amd64")
    name = re.split(r"[-_]", file)[0]
    return name if name in SYSTEMS else "unmanaged"


FINISH["vzcreate"] = _finish_create


def _check_destroy(call: Call, vmid: int) -> None:
    guest = find_container(call, vmid)
    if guest.current.get("protection"):
        raise died(f"can't remove CT {vmid} - protection mode enabled")
    check_lock(guest.current, "CT")
    if not call.flag("purge"):
        if f"ct:{vmid}" in call.documents.ha_resources:
            text = "used in HA resources and purge parameter not set."
            raise died(f"unable to remove CT {vmid} - {text}")
        replication.need_no_jobs(call, vmid)
    if call.world.running(vmid) and not call.flag("force"):
        raise died(f"unable to destroy CT {vmid} - container is running")


@routes.add(
    "DELETE /nodes/{node}/lxc/{vmid}",
    "/vms/{vmid} VM.Allocate",
    GUEST + "destroy-unreferenced-disks? boolean\nforce? boolean\npurge? boolean\n",
)
def destroy(call: Call) -> object:
    """Remove a container with its volumes: a task."""
    vmid = call.number("vmid")
    _check_destroy(call, vmid)
    call.need_quorum()
    flags = {key: call.number(key) for key in ("destroy-unreferenced-disks", "purge", "force")}
    return start_task(call, "vzdestroy", str(vmid), flags)


def _finish_destroy(worker: Worker) -> None:
    vmid = int(worker.task.id)
    find_container(worker, vmid)
    if worker.world.running(vmid):
        if not worker.number("force"):
            raise TaskError(f"unable to destroy CT {vmid} - container is running")
        guests.stop(worker.twin, (worker.api.cluster, vmid))
    guest_create.free_volumes(worker, vmid)
    if worker.number("purge"):
        guest_create.purge(worker, vmid, "CT", "ct")
    guest_clone.forget(worker, vmid)


FINISH["vzdestroy"] = _finish_destroy
