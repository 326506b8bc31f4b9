"""Which backups of a guest stay and which go, and the calls that say so or do it.

Source: PVE::Storage prune_mark_backup_group, PVE::API2::Storage::PruneBackups; the Proxmox VE
administration guide, backup retention. A period (an hour, a day, an ISO week) keeps its newest
backup; one that a finer rule kept already is not counted again. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry, Volume
from simulator.pve.parameters import Value, parse
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import died
from simulator.pve_node import volumes
from simulator.pve_node.storage import AUDIT, find_storage, need_enabled

routes = Routes()

Keep = Mapping[str, str | int]
"""`keep-last` -> how many."""

PERIODS: Mapping[str, Callable[[datetime], str]] = {
    "keep-last": lambda moment: moment.isoformat(),
    "keep-hourly": lambda moment: f"{moment:%Y/%m/%d %H}",
    "keep-daily": lambda moment: f"{moment:%Y/%m/%d}",
    "keep-weekly": lambda moment: f"{moment:%G/%V}",
    "keep-monthly": lambda moment: f"{moment:%Y/%m}",
    "keep-yearly": lambda moment: f"{moment:%Y}",
}


def marks(backups: Iterable[Volume], keep: Keep) -> dict[str, str]:
    """Volume id of each backup of one guest -> keep, remove or protected, the newest first."""
    newest_first = sorted(backups, key=lambda volume: volume.ctime_s, reverse=True)
    marked = {volume.volid: "protected" for volume in newest_first if volume.protected}
    counts = {name: int(keep.get(name, 0)) for name in PERIODS}
    if keep.get("keep-all") or not any(counts.values()):
        marked = dict.fromkeys((v.volid for v in newest_first), "keep") | marked
    for name, period in PERIODS.items():
        _keep_newest(newest_first, marked, counts[name], period)
    return {volume.volid: marked.get(volume.volid, "remove") for volume in newest_first}


def _keep_newest(
    newest_first: list[Volume],
    marked: dict[str, str],
    count: int,
    period: Callable[[datetime], str],
) -> None:
    """Mark the newest backup of each of `count` periods that have none kept yet."""
    periods = {v.volid: period(datetime.fromtimestamp(v.ctime_s, UTC)) for v in newest_first}
    known = {periods[volid] for volid, mark in marked.items() if mark == "keep"}
    new: set[str] = set()
    for volume in newest_first:
        name = periods[volume.volid]
        if name in known or marked.get(volume.volid) == "protected":
            continue
        if name in new:
            marked[volume.volid] = "remove"
        elif len(new) < count:
            new.add(name)
            marked[volume.volid] = "keep"


def groups(
    scene: Environment, storage: str, vmid: str, kind: str
) -> dict[tuple[str, int], list[Volume]]:
    """Backups on a storage by kind and id of their guest; only those that are asked for, if any."""
    place = volumes.place_of(find_storage(scene.documents, storage), scene.node)
    found: dict[tuple[str, int], list[Volume]] = {}
    for volume in scene.documents.volumes.values():
        if (volume.storage, volume.node, volume.content) == (storage, place, "backup"):
            own = "qemu" if "-qemu-" in volume.name else "lxc"
            if vmid in ("", str(volume.vmid)) and kind in ("", own):
                found.setdefault((own, volume.vmid), []).append(volume)
    return found


def prune(worker: Worker, storage: str, keep: Keep, vmid: str, kind: str) -> int:
    """Delete the backups that retention does not keep; how many."""
    gone = 0
    for backups in groups(worker, storage, vmid, kind).values():
        known = {volume.volid: volume for volume in backups}
        for volid, mark in marks(backups, keep).items():
            if mark == "remove":
                worker.say(f"removing backup '{volid}'")
                del worker.documents.volumes[known[volid].key]
                gone += 1
    return gone


_TAKES = """
node            pve-node
storage         pve-storage-id
prune-backups?  prune-backups
type?           enum(qemu,lxc)
vmid?           integer:pve-vmid 100..999999999
"""


def _keep_text(asked: str, storage: str, entry: Entry) -> str:
    """Retention as asked for, else as the storage has it. Raises if neither says any."""
    text = asked or str(entry.get("prune-backups") or "")
    if not text:
        raise died(f"no prune-backups options configured for storage '{storage}'")
    return text


@routes.add("GET /nodes/{node}/storage/{storage}/prunebackups", AUDIT, _TAKES)
def dry_run(call: Call) -> object:
    """Each backup with what would become of it."""
    storage = call.text("storage")
    asked, entry = call.text("prune-backups"), find_storage(call.documents, storage)
    keep = parse("prune-backups", _keep_text(asked, storage, entry))
    rows = []
    for (kind, vmid), backups in groups(
        call, storage, call.text("vmid"), call.text("type")
    ).items():
        known = {volume.volid: volume for volume in backups}
        for volid, mark in marks(backups, keep).items():
            row = {"ctime": known[volid].ctime_s, "mark": mark, "type": kind, "vmid": vmid}
            rows.append({"volid": volid, **row})
    return rows


def _may_prune(call: Call) -> None:
    storage, vmid = call.text("storage"), call.text("vmid")
    if vmid and not call.may(f"/storage/{storage}", "Datastore.Allocate"):
        call.need(f"/storage/{storage}", "Datastore.AllocateSpace")
        call.need(f"/vms/{vmid}", "VM.Backup")
    elif not vmid:
        call.need(f"/storage/{storage}", "Datastore.Allocate")


@routes.add("DELETE /nodes/{node}/storage/{storage}/prunebackups", _may_prune, _TAKES)
def prune_backups(call: Call) -> object:
    """Delete what retention does not keep: a task."""
    storage, vmid = call.text("storage"), call.text("vmid")
    need_enabled(call, storage)
    sent = ("storage", "vmid", "type", "prune-backups")
    work: dict[str, Value] = {key: call.text(key) for key in sent}
    return start_task(call, "prunebackups", f"{vmid}@{storage}" if vmid else storage, work)


def _finish(worker: Worker) -> None:
    storage = worker.text("storage")
    entry = find_storage(worker.documents, storage)
    keep = parse("prune-backups", _keep_text(worker.text("prune-backups"), storage, entry))
    prune(worker, storage, keep, worker.text("vmid"), worker.text("type"))


FINISH["prunebackups"] = _finish
