"""The documents of an array that has just been installed, and of one whose answers were observed.

`installed` is what an empty lab serves: the pools of the lab on its disks, nothing on them;
`from_answers` turns results of queries back into documents, for a rehearsal on what is really
there. Source: reference of the TrueNAS API, defaults. Leaves out: API keys and passwords, which no
answer contains; who knows one sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.kinds.host import RaidLevel
from lab.kinds.nas import NasPool
from simulator.truenas.documents import Dataset, Documents, Snapshot
from simulator.truenas.pools import guid
from simulator.truenas.properties import MANAGED, PROPERTIES
from simulator.truenas.services import NAMES
from simulator.truenas.version import Version, version_of
from simulator.twin import Twin

Answers = Mapping[str, object]
"""Method, as it was called without filters (`iscsi.portal.query`) -> its result."""

BASENAME = "iqn.2005-10.org.freenas.ctl"
# Namespaces whose entries are rows but for what is worked out.
_ROWS: Mapping[str, tuple[str, ...]] = {
    "iscsi.portal": (),
    "iscsi.initiator": (),
    "iscsi.auth": (),
    "iscsi.target": (),
    "iscsi.extent": ("vendor", "locked"),
    "iscsi.targetextent": (),
    "sharing.nfs": ("locked",),
    "pool.snapshottask": ("state", "vmware_sync"),
    "service": ("pids",),
}
_NFS_COMPUTED = ("v4_krb_enabled", "keytab_has_nfs_spn", "managed_nfsd")


def installed(twin: Twin, nas: str) -> Documents:
    """Pools as declared, services stopped, nothing shared."""
    declared = twin.model.lab.nas[nas]
    documents = defaults(version_of(declared.version))
    for number, (name, pool) in enumerate(declared.pools.items(), 1):
        vdevs = _vdevs(pool)
        documents.rows("pool")[number] = {
            "id": number,
            "name": name,
            "guid": guid(nas, name),
            "vdevs": vdevs,
            "size": pool.usable({disk: declared.disks[disk].size for disk in pool.disks}),
        }
        documents.datasets[name] = Dataset("FILESYSTEM")
    return documents


def defaults(version: Version) -> Documents:
    """Settings and services as they come, without pools."""
    documents = Documents()
    scale = version.scale
    documents.settings["iscsi.global"] = _of_release(
        version,
        scale={"listen_port": 3260},
        strict={"iser": False},
        both={
            "id": 1,
            "basename": BASENAME,
            "isns_servers": [],
            "pool_avail_threshold": None,
            "alua": False,
        },
    )
    ports = {"mountd_port": None, "rpcstatd_port": None, "rpclockd_port": None}
    old: dict[str, Any] = {"udp": False, "v4": False, "v4_v3owner": False}
    documents.settings["nfs"] = _of_release(
        version,
        scale={"protocols": ["NFSV3"], "v4_domain": ""},
        strict={"rdma": False} if version.has("25.10..") else {},
        both={
            "id": 1,
            "servers": None if scale else 4,
            "allow_nonroot": False,
            "v4_krb": False,
            "bindip": [],
            **ports,
            "mountd_log": True,
            "statd_lockd_log": False,
            "userd_manage_gids": False,
            **({} if scale else old),
        },
    )
    for number, name in enumerate(NAMES, 1):
        row = {"id": number, "service": name, "enable": False, "state": "STOPPED"}
        documents.rows("service")[number] = row
    return documents


def _of_release(
    version: Version, *, both: dict[str, Any], scale: dict[str, Any], strict: dict[str, Any]
) -> dict[str, Any]:
    return both | (scale if version.scale else {}) | (strict if version.strict else {})


def _vdevs(pool: NasPool) -> list[dict[str, Any]]:
    """RAID 10 of four is two mirrors of two, paired in the order written."""
    disks = list(pool.disks)
    match pool.level:
        case RaidLevel.SINGLE:
            return [{"type": "DISK", "disks": disks}]
        case RaidLevel.RAID1:
            return [{"type": "MIRROR", "disks": disks}]
        case RaidLevel.RAID10:
            pairs = zip(disks[::2], disks[1::2], strict=True)
            return [{"type": "MIRROR", "disks": list(pair)} for pair in pairs]
        case _:
            return [{"type": pool.level.upper(), "disks": disks}]


def from_answers(answers: Answers, version: Version) -> Documents:
    """Documents that would give these answers. What was not asked is as installed."""
    documents = defaults(version)
    for namespace, computed in _ROWS.items():
        rows = _rows(answers.get(f"{namespace}.query"))
        if rows is not None:
            documents.tables[namespace] = {row["id"]: _without(row, computed) for row in rows}
    known: tuple[tuple[str, tuple[str, ...]], ...] = (("iscsi.global", ()), ("nfs", _NFS_COMPUTED))
    for namespace, computed in known:
        settings = answers.get(f"{namespace}.config")
        if isinstance(settings, Mapping):
            kept = _without(settings, computed)
            if settings.get("managed_nfsd"):
                kept["servers"] = None
            documents.settings[namespace] = kept
    for row in _rows(answers.get("pool.query")) or ():
        documents.rows("pool")[row["id"]] = _pool(row)
    for row in _rows(answers.get("pool.dataset.query")) or ():
        documents.datasets |= {each["id"]: _dataset(each) for each in (row, *_descendants(row))}
    _read_snapshots(documents, answers)
    for pool in documents.rows("pool").values():
        documents.datasets.setdefault(pool["name"], Dataset("FILESYSTEM"))
    return documents


def _rows(data: object) -> list[dict[str, Any]] | None:
    return [dict(row) for row in data] if isinstance(data, list) else None


def _without(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _descendants(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    children = row.get("children") or []
    return [*children, *(below for child in children for below in _descendants(child))]


def _pool(row: Mapping[str, Any]) -> dict[str, Any]:
    vdevs: list[dict[str, Any]] = []
    for vdev in (row.get("topology") or {}).get("data", ()):
        members = vdev["children"] or [vdev]
        disks = [member.get("disk") or member.get("name") for member in members]
        vdevs.append({"type": vdev["type"], "disks": disks})
    known = {key: row.get(key) for key in ("id", "name", "guid", "scan")}
    return {**known, "vdevs": vdevs, "size": row.get("size") or 0}


def _dataset(row: Mapping[str, Any]) -> Dataset:
    """Only what was set on it; sizes that a volume always has count as set."""
    always = ("volsize", "volblocksize")
    properties = {
        key: str(row[key]["rawvalue"])
        for key in PROPERTIES
        if isinstance(row.get(key), Mapping)
        and (row[key]["source"] in ("LOCAL", "RECEIVED") or key in always)
    }
    user = {
        key: str(value["rawvalue"])
        for key, value in (row.get("user_properties") or {}).items()
        if value["source"] in ("LOCAL", "RECEIVED")
    }
    user |= {
        property_name: str(row[key]["rawvalue"])
        for key, property_name in MANAGED.items()
        if isinstance(row.get(key), Mapping) and row[key]["source"] == "LOCAL"
    }
    return Dataset(str(row["type"]), properties, user)


def _read_snapshots(documents: Documents, answers: Answers) -> None:
    rows = _rows(answers.get("pool.snapshot.query") or answers.get("zfs.snapshot.query"))
    for row in rows or ():
        then = documents.datasets.get(row["dataset"], Dataset("FILESYSTEM"))
        txg = int(row.get("createtxg") or 0)
        known = Snapshot(row["dataset"], row["snapshot_name"], 0.0, txg, then)
        documents.snapshots[known.id] = known
