"""From an array's documents to what the physics knows of it: LUNs with who sees them, and exports.

Called whenever the documents change (`TrueNasApi.sync`). What a stopped service would serve is not
there. Leaves out: CHAP, read-only LUNs, FILE extents (no host of the lab uses one), and that hosts
log in to targets by name: renaming one, or all by the base name, cuts nobody off here.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.truenas.attachments import ASSOCIATIONS, EXTENTS, extent_dataset, share_paths
from simulator.truenas.documents import Documents
from simulator.workload import EVERYBODY, ArraySpec

Pairs = frozenset[tuple[str, str]]


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


def array_spec(documents: Documents) -> ArraySpec:
    """All that an array serves."""
    return ArraySpec(_luns(documents), _exports(documents))


def _luns(documents: Documents) -> Mapping[str, Pairs]:
    found: dict[str, Pairs] = {}
    if not running(documents, "iscsitarget"):
        return found
    extents, targets = documents.rows(EXTENTS), documents.rows("iscsi.target")
    logins = {target: target_logins(documents, target) for target in targets}
    for row in documents.rows(ASSOCIATIONS).values():
        extent = extents.get(row["extent"])
        if extent is not None and extent["enabled"] and extent["type"] == "DISK":
            volume = extent_dataset(extent)
            if volume in documents.datasets:
                found[volume] = found.get(volume, frozenset()) | logins.get(
                    row["target"], frozenset()
                )
    return found


def _exports(documents: Documents) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    if not running(documents, "nfs"):
        return found
    for row in documents.rows("sharing.nfs").values():
        if not row["enabled"]:
            continue
        allowed = frozenset([*row["networks"], *row["hosts"]])
        for path in share_paths(row):
            known = found.get(f"/mnt/{path}")
            either = frozenset() if known is not None and not known else allowed | (known or set())
            found[f"/mnt/{path}"] = either if allowed else frozenset()
    return found
