"""From an array's documents to what the physics knows of it: LUNs with who sees them, and exports.

Called whenever the documents change (`TrueNasApi.sync`). What a stopped service would serve is not
there. Leaves out: CHAP, read-only LUNs, FILE extents (no host of the lab uses one).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from simulator.declared import ISCSI_PORT
from simulator.truenas.attachments import ASSOCIATIONS, EXTENTS, extent_dataset, share_paths
from simulator.truenas.documents import Documents
from simulator.workload import EVERYBODY, ArraySpec

Pairs = frozenset[tuple[str, str]]
_WHOLE = ("iqn.", "naa.", "eui.")


def running(documents: Documents, service: str) -> bool:
    """Whether a service runs."""
    rows = documents.rows("service").values()
    return any(row["service"] == service and row["state"] == "RUNNING" for row in rows)


def target_logins(documents: Documents, target: int) -> Pairs:
    """The (portal address, initiator name) pairs that a target lets in."""
    portals, groups = documents.rows("iscsi.portal"), documents.rows("iscsi.initiator")
    found: set[tuple[str, str]] = set()
    for group in documents.rows("iscsi.target")[target]["groups"]:
        known = groups.get(group["initiator"] or 0)
        names = [*known["initiators"]] if known is not None else []
        names = [name for name in names if name != "ALL"] or [EVERYBODY]
        for listen in portals.get(group["portal"], {}).get("listen", ()):
            found |= {(listen["ip"], name) for name in names}
    return frozenset(found)


def full_name(documents: Documents, name: str) -> str:
    """The name that hosts ask for a target by."""
    base = documents.settings["iscsi.global"]["basename"]
    return name if name.startswith(_WHOLE) else f"{base}:{name}"


def array_spec(documents: Documents) -> ArraySpec:
    """All that an array serves."""
    shown = dict(_shown(documents)) if running(documents, "iscsitarget") else {}
    return ArraySpec(
        {volume: target_logins(documents, target) for volume, target in shown.items()},
        {volume: _asked_for(documents, target) for volume, target in shown.items()},
        _exports(documents) if running(documents, "nfs") else {},
    )


def _shown(documents: Documents) -> Iterator[tuple[str, int]]:
    """Volumes that are LUNs, each with its one target; what was not observed shows nothing."""
    extents, targets = documents.rows(EXTENTS), documents.rows("iscsi.target")
    for row in documents.rows(ASSOCIATIONS).values():
        extent = extents.get(row["extent"])
        if extent is None or row["target"] not in targets:
            continue
        volume = extent_dataset(extent)
        if extent["enabled"] and extent["type"] == "DISK" and volume in documents.datasets:
            yield volume, row["target"]


def _asked_for(documents: Documents, target: int) -> str:
    """A target as hosts ask for it.

    Before SCALE each address may have a port of its own; the first counts here.
    """
    row = documents.rows("iscsi.target")[target]
    port = documents.settings["iscsi.global"].get("listen_port")
    if port is None:
        portals = documents.rows("iscsi.portal")
        groups = [portals[group["portal"]] for group in row["groups"] if group["portal"] in portals]
        port = next((one["port"] for group in groups for one in group["listen"]), ISCSI_PORT)
    return f"{full_name(documents, row['name'])} port {port}"


def _exports(documents: Documents) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for row in documents.rows("sharing.nfs").values():
        if not row["enabled"]:
            continue
        allowed = frozenset([*row["networks"], *row["hosts"]])
        for path in share_paths(row):
            known = found.get(f"/mnt/{path}")
            either = frozenset() if known is not None and not known else allowed | (known or set())
            found[f"/mnt/{path}"] = either if allowed else frozenset()
    return found
