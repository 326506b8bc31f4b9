"""Backing up guests now, and looking into backups. Source: PVE::API2::VZDump, PVE::VZDump.

A backup is a volume of content `backup` (`archives`), from which a guest can be restored. Its log
is what monitoring reads. Leaves out: stopping and locking the guest meanwhile, bandwidth limits,
fleecing, hook scripts, mail, what QEMU says on its way.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from simulator.pve import propertystring
from simulator.pve.call import Call
from simulator.pve.cluster_files import BACKUP_JOB
from simulator.pve.documents import GuestConfig, Volume
from simulator.pve.parameters import Value, parse
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters
from simulator.pve_datacenter.backup import check_selection, need_job_rights
from simulator.pve_guest import archives
from simulator.pve_guest.guest_config import KINDS, check_lock
from simulator.pve_node import prune, volumes
from simulator.pve_node.storage import find_storage, need_enabled

routes = Routes()

WRITE_BPS = 100 * 2**20  # assumed: a backup target of one disk
_TAKES = "".join(
    f"{line}\n"
    for line in BACKUP_JOB.splitlines()
    if line.split("?")[0] not in ("comment", "enabled", "dow", "schedule", "starttime",
                                  "repeat-missed")
) + "job-id? /\\S+/ ..50\nstdout? boolean\n"  # fmt: skip
DEFAULTS: dict[str, Value] = {
    "all": 0,
    "bwlimit": 0,
    "compress": "0",
    "ionice": 7,
    "lockwait": 180,
    "mailnotification": "always",
    "mode": "snapshot",
    "notification-mode": "auto",
    "pigz": 0,
    "prune-backups": "keep-all=1",
    "quiet": 0,
    "remove": 1,
    "stdexcludes": 1,
    "stop": 0,
    "stopwait": 10,
    "zstd": 1,
}
"""What vzdump does where nothing is said: /etc/vzdump.conf is empty after an installation."""
_HIDDEN = frozenset({"dumpdir", "ionice", "mailto", "script", "tmpdir"})


@routes.add("GET /nodes/{node}/vzdump/defaults", takes="node pve-node\nstorage? pve-storage-id")
def defaults(call: Call) -> object:
    """Defaults of a backup, with a storage's retention."""
    found = dict(DEFAULTS)
    if call.has("storage"):
        name = call.text("storage")
        call.need(f"/storage/{name}", "Datastore.Audit", "Datastore.AllocateSpace")
        entry = find_storage(call.documents, name)
        if entry.get("prune-backups"):
            found["prune-backups"] = entry["prune-backups"]
        if entry["type"] in volumes.FILE_TYPES:
            found["dumpdir"] = (
                f"{entry.get('path', f'/mnt/pve/{name}')}/{volumes.FOLDERS['backup']}"
            )
    audits = call.may("/", "Sys.Audit")
    return {key: value for key, value in found.items() if audits or key not in _HIDDEN}


@routes.add("GET /nodes/{node}/vzdump/extractconfig", takes="node pve-node\nvolume string")
def extract_config(call: Call) -> object:
    """The guest's file in a backup."""
    volid = archives.need_access(call, call.text("volume"))
    if owner := archives.owner_of(volid):
        call.need(f"/vms/{owner}", "VM.Backup")
    return archives.find_backup(call, volid).config


@routes.add("POST /nodes/{node}/vzdump", "all", _TAKES)
def dump(call: Call) -> object:
    """Back up guests of this node: a task. `OK` where none of them is here."""
    if call.has("stdout"):
        text = "option is only allowed on the command line interface."
        raise bad_parameters(stdout=text)
    need_job_rights(call, call.values)
    check_selection(dict(call.values))
    chosen = _chosen(call)
    here = [vmid for vmid in chosen if _place(call, vmid) in (call.node, "")]
    if not here and not call.flag("all"):
        return "OK"
    storage = call.text("storage", "local")
    call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    if not call.flag("all"):
        for vmid in here:
            call.need(f"/vms/{vmid}", "VM.Backup")
    here = [vmid for vmid in here if call.may(f"/vms/{vmid}", "VM.Backup")]
    size_bytes = sum(_size_bytes(call, vmid) for vmid in here)
    work: dict[str, Value] = {
        "vmids": ",".join(map(str, here)),
        "storage": storage,
        "notes": call.text("notes-template"),
        "protected": call.number("protected"),
        "compress": call.text("compress"),
        "keep": _keep_text(call, storage),
        "mode": call.text("mode", str(DEFAULTS["mode"])),
        "command": _command(call),
    }
    name = str(here[0]) if len(here) == 1 else ""
    return start_task(call, "vzdump", name, work, took_s=2.0 + size_bytes / WRITE_BPS)


def _command(call: Call) -> str:
    """The call as a command line, keys sorted. Source: PVE::VZDump::Common command_line."""
    ids = " ".join(call.words("vmid"))
    options = [
        f"--{key} {shlex.quote(call.text(key))}"
        for key in sorted(call.values)
        if key not in ("node", "vmid") and call.has(key)
    ]
    return " ".join(filter(None, ("vzdump", ids, *options)))


def _keep_text(call: Call, storage: str) -> str:
    """Retention to enforce afterwards: the call's, else the storage's; "" for none."""
    if not call.flag("remove", True):
        return ""
    entry = call.documents.storages.get(storage, {})
    return call.text("prune-backups") or str(entry.get("prune-backups") or "")


def _chosen(call: Call) -> list[int]:
    if call.has("vmid"):
        return [int(word) for word in call.words("vmid")]
    if call.has("pool"):
        return [
            int(w) for w in items(str(call.documents.pools[call.text("pool")].get("vms") or ""))
        ]
    left = {int(word) for word in call.words("exclude")}
    return [vmid for vmid in sorted(call.documents.guests) if vmid not in left]


def _place(call: Call, vmid: int) -> str:
    """The node of a guest; "" for one that is not there, which fails later."""
    state = call.world.guest(vmid)
    return state.node if state and vmid in call.documents.guests else ""


def _size_bytes(call: Call, vmid: int) -> int:
    """What there is to read; 0 where that fails, as it will again when the task comes to it."""
    try:
        disks = archives.disks_of(call, vmid) if vmid in call.documents.guests else {}
    except ApiError:
        return 0
    return sum(volume.size_bytes for volume in disks.values())


def _finish(worker: Worker) -> None:
    storage = worker.text("storage")
    entry = need_enabled(worker, storage)
    if "backup" not in items(str(entry["content"])):
        raise TaskError(f"could not get storage information for '{storage}': storage type error")
    worker.say(f"INFO: starting new backup job: {worker.text('command')}")
    failed, began_s = 0, worker.task.start_s
    for vmid in map(int, items(worker.text("vmids"))):
        try:
            began_s = _back_up(worker, storage, vmid, began_s)
        except ApiError as error:
            failed += 1
            worker.say(f"ERROR: Backup of VM {vmid} failed - {error.spoken.strip()}")
            worker.say(f"INFO: Failed at {_moment(began_s)}")
    worker.say(f"INFO: Backup job finished {'with errors' if failed else 'successfully'}")
    if failed:
        raise TaskError("job errors")


def _back_up(worker: Worker, storage: str, vmid: int, began_s: int) -> int:
    """Make a backup of a guest; when it was made, as all of them are made one after another."""
    guest = worker.documents.guests.get(vmid)
    if guest is None or _placed_elsewhere(worker, vmid):
        raise ApiError(500, f"unable to find VM '{vmid}'\n")
    for line in (
        f"Starting Backup of VM {vmid} ({guest.kind})",
        f"Backup started at {_moment(began_s)}",
        f"status = {'running' if worker.world.running(vmid) else 'stopped'}",
    ):
        worker.say(f"INFO: {line}")
    check_lock(guest.current, KINDS[guest.kind].word)
    disks = archives.disks_of(worker, vmid)
    size_bytes = sum(disk.size_bytes for disk in disks.values())
    ended_s = began_s + int(size_bytes / WRITE_BPS)
    made = _make(worker, storage, vmid, guest, size_bytes, began_s)
    path = volumes.path_of(worker.documents.storages[storage], made)
    for line in (
        *_prepared(worker, vmid, guest, disks),
        f"creating vzdump archive '{path}'",
        _copied(guest.kind, size_bytes, ended_s - began_s),
        f"archive file size: {_archive_size(size_bytes)}",
        *(["adding notes to backup"] if made.notes else []),
        *(["marking backup as protected"] if made.protected else []),
    ):
        worker.say(f"INFO: {line}")
    if keep := worker.text("keep"):
        worker.say(f"INFO: prune older backups with retention: {keep.replace(',', ', ')}")
        gone = prune.prune(worker, storage, parse("prune-backups", keep), str(vmid), guest.kind)
        worker.say(f"INFO: pruned {gone} backup(s) not covered by keep-retention policy")
    took = timedelta(seconds=ended_s - began_s)
    worker.say(f"INFO: Finished Backup of VM {vmid} ({took!s:0>8})")
    worker.say(f"INFO: Backup finished at {_moment(ended_s)}")
    return ended_s


def _moment(now_s: int) -> str:
    return f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M:%S}"


def _prepared(
    worker: Worker, vmid: int, guest: GuestConfig, disks: Mapping[str, Volume]
) -> list[str]:
    """What is said of a guest before anything is read. A snapshot looks at the disks first."""
    mode = worker.text("mode") if worker.world.running(vmid) else "stop"
    how = [f"backup mode: {mode}", f"ionice priority: {DEFAULTS['ionice']}"]
    if guest.kind == "qemu":
        name, word = guest.current.get("name", f"VM{vmid}"), "VM"
        parts = [
            f"include disk '{option}' '{disk.volid}' {volumes.format_size(disk.size_bytes)}"
            for option, disk in disks.items()
        ]
    else:
        name, word = guest.current.get("hostname", f"CT{vmid}"), "CT"
        parts = [
            f"including mount point {option} ('{_mounted(guest, option)}') in backup"
            for option in disks
        ]
    what = [f"{word} Name: {name}", *parts]
    return [*what, *how] if mode == "snapshot" else [*how, *what]


def _mounted(guest: GuestConfig, option: str) -> str:
    values = propertystring.split(str(guest.current[option]), "volume")
    return "/" if option == "rootfs" else values.get("mp", "")


def _copied(kind: str, size_bytes: int, took_s: int) -> str:
    """What was read, in the words of QEMU's backup or of tar."""
    speed = size_bytes / max(1, took_s) / 2**20
    if kind == "lxc":
        return f"Total bytes written: {size_bytes} ({size_bytes / 2**20:.0f}MiB, {speed:.0f}MiB/s)"
    return f"transferred {size_bytes / 2**30:.2f} GiB in {took_s} seconds ({speed:.1f} MiB/s)"


def _archive_size(size_bytes: int) -> str:
    """A size as PVE::VZDump format_size has it."""
    if size_bytes < 2**20:
        return f"{size_bytes // 2**10}KB"
    return f"{size_bytes // 2**20}MB" if size_bytes < 2**30 else f"{size_bytes / 2**30:.2f}GB"


def _make(
    worker: Worker, storage: str, vmid: int, guest: GuestConfig, size_bytes: int, began_s: int
) -> Volume:
    """The volume of a backup, with what is in it; its name says when it was begun."""
    name = archives.file_name(guest.kind, vmid, began_s, worker.text("compress"))
    made = replace(
        volumes.allocate(worker, storage, vmid, size_bytes, name.partition(".")[2], name),
        ctime_s=began_s,
        backup=archives.backup_of(worker, vmid),
        notes=_notes(worker, vmid, guest),
        protected=bool(worker.number("protected")),
    )
    worker.documents.volumes[made.key] = made
    return made


def _notes(worker: Worker, vmid: int, guest: GuestConfig) -> str:
    """The template filled in. Source: administration guide, backup notes."""
    known = {
        "cluster": worker.api.cluster_name,
        "guestname": str(guest.current.get("name") or guest.current.get("hostname") or ""),
        "node": worker.node,
        "vmid": str(vmid),
    }
    text = worker.text("notes").replace("\\n", "\n")
    for key, value in known.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    return text


def _placed_elsewhere(worker: Worker, vmid: int) -> bool:
    state = worker.world.guest(vmid)
    return state is None or state.node != worker.node


FINISH["vzdump"] = _finish
