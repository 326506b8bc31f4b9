"""A volume copied under another name, also to another node. Source: PVE::API2::Storage::Content
copy, which calls itself experimental; PVE::Storage storage_migrate.

Leaves out: another format than the volume has, snapshots.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import TaskError, died
from simulator.pve_node import volumes
from simulator.pve_node.storage import find_storage, need_enabled
from simulator.pve_node.volumes import place_of, storage_of, volid_in_path

routes = Routes()

COPY_BPS = 100 * 2**20  # assumed: a storage of one disk


@routes.add(
    "POST /nodes/{node}/storage/{storage}/content/{volume*}",
    "root",
    """
    node          pve-node
    storage?      pve-storage-id
    target        string
    target_node?  pve-node
    volume        string
    """,
)
def copy(call: Call) -> object:
    """Copy a volume: a task."""
    source, target = volid_in_path(call), call.text("target")
    target = target if ":" in target else f"{call.text('storage')}:{target}"
    node = call.text("target_node", call.node)
    if node not in call.world.nodes:
        raise died(f"hostname lookup '{node}' failed - Name or service not known")
    need_enabled(call, storage_of(source))
    need_enabled(replace(call, node=node), storage_of(target))
    volume = volumes.find(call.documents, call.node, source)
    work = {"finish": "copy volume", "source": source, "target": target, "node": node}
    took_s = (volume.size_bytes if volume else 0) / COPY_BPS
    return start_task(call, "imgcopy", "", work, took_s=took_s)


def _finish(worker: Worker) -> None:
    source, target, node = (worker.text(key) for key in ("source", "target", "node"))
    storage, there = storage_of(target), replace(worker, node=node)
    if (volume := volumes.find(worker.documents, worker.node, source)) is None:
        raise volumes.not_found(source)
    entry = find_storage(worker.documents, storage)
    if not worker.world.reaches(worker.node, node) or worker.world.problem(storage, node):
        raise TaskError(f"copy failed: storage '{storage}' is not online on node '{node}'")
    name = target.partition(":")[2]
    made = replace(
        volume,
        storage=storage,
        node=place_of(entry, node),
        name=name,
        content=volumes.content_of(name),
        ctime_s=there.now_s,
    )
    if made.key in worker.documents.volumes:
        raise TaskError(f"volume '{target}' already exists")
    worker.documents.volumes[made.key] = made


FINISH["copy volume"] = _finish
