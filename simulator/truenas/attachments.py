"""What uses a dataset: shares, extents, tasks; listed, and taken away before it is destroyed.

Extents go with their associations, and targets left without LUNs go too, whether a host is logged
in or not: the array does not ask. Source: reference of the TrueNAS API, what is not refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from simulator.truenas.call import Call, Entry
from simulator.truenas.documents import Documents, Row

EXTENTS, ASSOCIATIONS, TARGETS = "iscsi.extent", "iscsi.targetextent", "iscsi.target"
SHARES, TASKS = "sharing.nfs", "pool.snapshottask"


def inside(path: str, dataset: str) -> bool:
    """Whether a path (`tank/vm/x`) is a dataset or below it."""
    return path == dataset or path.startswith(f"{dataset}/")


def extent_dataset(row: Row) -> str:
    """`tank/vm` of zvol/tank/vm, or the folder that a file extent is in."""
    if row["type"] == "DISK":
        return str(row["disk"] or "").removeprefix("zvol/").replace("+", " ")
    return str(row["path"] or "").removeprefix("/mnt/")


def share_paths(row: Row) -> list[str]:
    """Folders of a share, without /mnt."""
    paths = [row["path"]] if "path" in row else row["paths"]
    return [str(path).removeprefix("/mnt/") for path in paths]


def _using(documents: Documents, dataset: str) -> Iterator[tuple[str, int, Row]]:
    """Table, id and row of everything that uses a dataset."""
    for identity, row in documents.rows(EXTENTS).items():
        if inside(extent_dataset(row), dataset):
            yield EXTENTS, identity, row
    for identity, row in documents.rows(SHARES).items():
        if any(inside(path, dataset) for path in share_paths(row)):
            yield SHARES, identity, row
    for identity, row in documents.rows(TASKS).items():
        if inside(row["dataset"], dataset):
            yield TASKS, identity, row


_KINDS: Mapping[str, tuple[str, str | None]] = {
    EXTENTS: ("iSCSI Extent", "iscsitarget"),
    SHARES: ("NFS Share", "nfs"),
    TASKS: ("Snapshot Task", None),
}


def _name(table: str, row: Row) -> str:
    match table:
        case "iscsi.extent":
            return str(row["name"])
        case "sharing.nfs":
            return ", ".join(f"/mnt/{path}" for path in share_paths(row))
        case _:
            return str(row["dataset"])


def attachments_of(documents: Documents, dataset: str) -> list[Entry]:
    """By kind: [{type, service, attachments}]."""
    found: dict[str, list[str]] = {}
    for table, _, row in _using(documents, dataset):
        found.setdefault(table, []).append(_name(table, row))
    return [
        {"type": _KINDS[table][0], "service": _KINDS[table][1], "attachments": names}
        for table, names in found.items()
    ]


def remove_attachments(call: Call, dataset: str) -> None:
    """Take away everything that uses a dataset."""
    for table, identity, _ in list(_using(call.documents, dataset)):
        if table == EXTENTS:
            remove_extent(call, identity, empty_targets=True)
        else:
            del call.documents.rows(table)[identity]
            call.emit(f"{table}.query", "removed", identity, {})
    call.documents.changed()


def remove_extent(call: Call, identity: int, *, empty_targets: bool) -> None:
    """Forget an extent and its associations; with `empty_targets` targets left without any."""
    documents = call.documents
    associations = documents.rows(ASSOCIATIONS)
    gone = {key: row for key, row in associations.items() if row["extent"] == identity}
    for key in gone:
        del associations[key]
        call.emit(f"{ASSOCIATIONS}.query", "removed", key, {})
    del documents.rows(EXTENTS)[identity]
    call.emit(f"{EXTENTS}.query", "removed", identity, {})
    left = {row["target"] for row in associations.values()}
    for target in {row["target"] for row in gone.values()} - left if empty_targets else ():
        documents.rows(TARGETS).pop(target, None)
        call.emit(f"{TARGETS}.query", "removed", target, {})
    documents.changed()
