"""Backing up guests now. Source: PVE::API2::VZDump, PVE::VZDump.

A backup is a volume of content `backup`, as large as the guest's disks: nothing is compressed and
nothing else is kept of the guest, so it can be listed and deleted, not restored. Leaves out:
pruning, hook scripts, mail.
"""

from __future__ import annotations

from datetime import UTC, datetime

from simulator.pve import load, volumes
from simulator.pve.backup import need_job_rights
from simulator.pve.call import Call
from simulator.pve.cluster_files import BACKUP_JOB
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve.storage import need_enabled
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, bad_parameters

routes = Routes()

WRITE_BPS = 100 * 2**20  # assumed: a backup target of one disk
_TAKES = "".join(
    f"{line}\n"
    for line in BACKUP_JOB.splitlines()
    if line.split("?")[0] not in ("comment", "enabled", "dow", "schedule", "starttime",
                                  "repeat-missed")
) + "job-id? /\\S+/ ..50\nstdout? boolean\n"  # fmt: skip


@routes.add("POST /nodes/{node}/vzdump", "all", _TAKES)
def dump(call: Call) -> object:
    """Back up guests of this node: a task. `OK` where none of them is here."""
    if call.has("stdout"):
        text = "option is only allowed on the command line interface."
        raise bad_parameters(stdout=text)
    need_job_rights(call, call.values)
    if not (call.flag("all") or call.has("vmid") or call.has("pool")):
        raise bad_parameters(vmid="property is missing")
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
    work = {
        "vmids": ",".join(map(str, here)),
        "storage": storage,
        "text": call.text("notes-template"),
    }
    name = str(here[0]) if len(here) == 1 else ""
    return start_task(call, "vzdump", name, work, took_s=2.0 + size_bytes / WRITE_BPS)


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


def _size_bytes(scene: Call | Worker, vmid: int) -> int:
    guest = scene.documents.guests.get(vmid)
    if guest is None:
        return 0
    found = (
        volumes.find(scene.documents, scene.node, volid) for _, volid in load.volumes(guest.current)
    )
    return sum(volume.size_bytes for volume in found if volume is not None)


def _finish(worker: Worker) -> None:
    storage = worker.text("storage")
    entry = need_enabled(worker, storage)
    if "backup" not in items(str(entry["content"])):
        raise TaskError(f"could not get storage information for '{storage}': storage type error")
    failed = 0
    for vmid in map(int, items(worker.text("vmids"))):
        try:
            _back_up(worker, storage, vmid)
        except ApiError as error:
            failed += 1
            worker.say(f"ERROR: Backup of VM {vmid} failed - {error.spoken.strip()}")
    if failed:
        raise TaskError("job errors")
    worker.say("INFO: Backup job finished successfully")


def _back_up(worker: Worker, storage: str, vmid: int) -> None:
    guest = worker.documents.guests.get(vmid)
    if guest is None or _placed_elsewhere(worker, vmid):
        raise ApiError(500, f"unable to find VM '{vmid}'\n")
    worker.say(f"INFO: Starting Backup of VM {vmid} ({guest.kind})")
    moment = datetime.fromtimestamp(worker.now_s, UTC)
    suffix = "vma" if guest.kind == "qemu" else "tar"
    name = f"backup/vzdump-{guest.kind}-{vmid}-{moment:%Y_%m_%d-%H_%M_%S}.{suffix}"
    size_bytes = _size_bytes(worker, vmid)
    volumes.allocate(worker, storage, vmid, size_bytes, suffix, name, content="backup")
    worker.say(f"INFO: Finished Backup of VM {vmid} (00:00:00)")


def _placed_elsewhere(worker: Worker, vmid: int) -> bool:
    state = worker.world.guest(vmid)
    return state is None or state.node != worker.node


FINISH["vzdump"] = _finish
