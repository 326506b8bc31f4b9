"""Snapshots: taken, cloned, rolled back to, destroyed. Source: zfs-snapshot(8), zfs-rollback(8).

The namespace is pool.snapshot since 25.10, zfs.snapshot before. Leaves out: holds, the space that
they take, VMware.
"""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from time import gmtime, strftime

from simulator.truenas.call import Call, Entry, date, serves
from simulator.truenas.datasets import below, find_dataset
from simulator.truenas.documents import Snapshot
from simulator.truenas.errors import CallError, Problems, no_such
from simulator.truenas.pools import check_writable

_NAME = re.compile(r"[A-Za-z0-9_.: -]+")


def _both(verb: str) -> tuple[str, str]:
    return f"pool.snapshot.{verb}", f"zfs.snapshot.{verb}"


def _clones(call: Call, snapshot: Snapshot) -> list[str]:
    datasets = call.documents.datasets
    return [name for name, dataset in datasets.items() if dataset.origin == snapshot.id]


def _entry(call: Call, snapshot: Snapshot) -> Entry:
    created = int(call.api.epoch_s + snapshot.created_s)
    return {
        "id": snapshot.id,
        "name": snapshot.id,
        "pool": snapshot.dataset.partition("/")[0],
        "type": "SNAPSHOT",
        "snapshot_name": snapshot.name,
        "dataset": snapshot.dataset,
        "createtxg": str(snapshot.txg),
        "properties": {
            "creation": {
                "value": str(created),
                "rawvalue": str(created),
                "source": "NONE",
                "parsed": date(created),
            },
            "clones": {
                "value": ",".join(_clones(call, snapshot)),
                "rawvalue": ",".join(_clones(call, snapshot)),
                "source": "NONE",
                "parsed": ",".join(_clones(call, snapshot)),
            },
        },
    }


@serves(*_both("query"))
def query(call: Call) -> object:
    """Snapshots."""
    known = call.documents.snapshots.values()
    return call.selected([_entry(call, snapshot) for snapshot in known])


def _find(call: Call, identity: str) -> Snapshot:
    snapshot = call.documents.snapshots.get(identity)
    if snapshot is None:
        raise no_such("Snapshot", identity)
    return snapshot


@serves(*_both("get_instance"))
def get_instance(call: Call) -> object:
    """One of them."""
    return _entry(call, _find(call, call.args["id"]))


@serves(*_both("create"))
def create(call: Call) -> object:
    """Of a dataset, or of all below it too."""
    data, problems, documents = call.data, Problems("snapshot_create"), call.documents
    name, schema = data.get("name"), data.get("naming_schema")
    if (name is None) == (schema is None):
        problems.add("naming_schema", "You must specify either name or naming schema")
        problems.check()
    if name is None:
        name = strftime(str(schema), gmtime(call.now_s))
    if not _NAME.fullmatch(name):
        problems.add("name", "Invalid snapshot name")
    if data["dataset"] not in documents.datasets:
        problems.add("dataset", "Dataset not found", errno.ENOENT)
    problems.check()
    chosen = [data["dataset"]]
    if data["recursive"]:
        chosen = below(documents.datasets, data["dataset"])
        chosen = [dataset for dataset in chosen if dataset not in data.get("exclude", ())]
    made = [take(call, dataset, name) for dataset in chosen]
    return _entry(call, made[0])


def take(call: Call, dataset: str, name: str) -> Snapshot:
    """Take a snapshot. Raises EEXIST."""
    documents = call.documents
    if f"{dataset}@{name}" in documents.snapshots:
        text = f"Failed to snapshot {dataset}@{name}: dataset already exists"
        raise CallError(text, errno.EEXIST)
    check_writable(call, dataset, "snapshot")
    txg = documents.next_id("txg")
    known = documents.datasets[dataset]
    snapshot = Snapshot(dataset, name, call.twin.now_s, txg, known)
    documents.snapshots[snapshot.id] = snapshot
    return snapshot


@serves(*_both("clone"))
def clone(call: Call) -> object:
    """A dataset that begins as a snapshot was."""
    snapshot, name = _find(call, call.data["snapshot"]), call.data["dataset_dst"]
    if name in call.documents.datasets:
        raise CallError(f"Failed to clone snapshot: {name} exists", errno.EEXIST)
    find_dataset(call, name.rpartition("/")[0])
    check_writable(call, name, "clone snapshot")
    then = replace(snapshot.dataset_then, created_s=call.twin.now_s, origin=snapshot.id)
    kept = {key: raw for key, raw in then.properties.items() if key != "refreservation"}
    call.documents.datasets[name] = replace(then, properties=kept)
    call.documents.changed()
    return True


@serves(*_both("rollback"))
def rollback(call: Call) -> None:
    """A dataset as it was; newer snapshots are in the way unless they may go."""
    snapshot, options, documents = (
        _find(call, call.args["id"]),
        call.args["options"],
        call.documents,
    )
    check_writable(call, snapshot.dataset, "rollback snapshot")
    newer = [
        other
        for other in documents.snapshots.values()
        if other.dataset == snapshot.dataset and other.txg > snapshot.txg
    ]
    clones = [name for other in newer for name in _clones(call, other)]
    if newer and not (options["recursive"] or options["recursive_clones"]):
        text = f"cannot rollback to '{snapshot.id}': more recent snapshots exist"
        raise CallError(text, errno.EEXIST)
    if clones and not options["recursive_clones"]:
        text = f"cannot rollback to '{snapshot.id}': clones of previous snapshots exist"
        raise CallError(text, errno.EEXIST)
    for name in clones:
        del documents.datasets[name]
    for other in newer:
        del documents.snapshots[other.id]
    documents.datasets[snapshot.dataset] = snapshot.dataset_then
    documents.changed()


@serves(*_both("delete"))
def delete(call: Call) -> object:
    """Destroy one; with `defer` as soon as it has no clones."""
    snapshot, options = _find(call, call.args["id"]), call.args["options"]
    check_writable(call, snapshot.dataset, "delete snapshot")
    chosen = [snapshot]
    if options.get("recursive"):
        names = below(call.documents.datasets, snapshot.dataset)
        known = [f"{dataset}@{snapshot.name}" for dataset in names]
        chosen = [call.documents.snapshots[i] for i in known if i in call.documents.snapshots]
    for doomed in chosen:
        clones = _clones(call, doomed)
        if clones and not options["defer"]:
            text = f"Failed to delete snapshot: {doomed.id} has dependent clones: {clones[0]}"
            raise CallError(text, errno.EBUSY)
        if clones:
            call.documents.snapshots[doomed.id] = replace(doomed, deferred=True)
        else:
            del call.documents.snapshots[doomed.id]
    return True
