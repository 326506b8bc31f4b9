"""Pools and disks: layout, health as the twin has it, how much room there is.

A pool's row keeps its vdevs with their disks; size, status and the tree are worked out. Source:
reference of the TrueNAS API, pools and disks; zpool-status(7). Leaves out: making and changing
pools, resilvering, read and checksum errors.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from simulator.truenas.call import Call, Entry, date, serves
from simulator.truenas.documents import Row
from simulator.truenas.errors import CallError, no_such
from simulator.truenas.space import Space, size_text

TABLE = "pool"


def find_pool(call: Call, name: str) -> Row | None:
    """A pool by its name."""
    return next((row for row in call.documents.rows(TABLE).values() if row["name"] == name), None)


def _vdev_status(call: Call, vdev: Row) -> str:
    working = [call.world.disk_works(disk) for disk in vdev["disks"]]
    if all(working):
        return "ONLINE"
    parity = {"MIRROR": len(working) - 1, "RAIDZ1": 1, "RAIDZ2": 2, "RAIDZ3": 3}
    return "DEGRADED" if working.count(False) <= parity.get(vdev["type"], 0) else "UNAVAIL"


def status(call: Call, row: Row) -> str:
    """ONLINE, DEGRADED, or UNAVAIL if a vdev has lost too many disks."""
    states = {_vdev_status(call, vdev) for vdev in row["vdevs"]}
    return next((word for word in ("UNAVAIL", "DEGRADED") if word in states), "ONLINE")


def check_writable(call: Call, dataset: str, act: str) -> None:
    """Raises CallError if the pool of a dataset has lost too many disks to write to it."""
    row = find_pool(call, dataset.partition("/")[0])
    if row is not None and status(call, row) == "UNAVAIL":
        raise CallError(f"Failed to {act} {dataset}: pool I/O is currently suspended")


def guid(*words: object) -> str:
    """A number as ZFS gives out, the same for the same words."""
    return str(int(sha256(" ".join(map(str, words)).encode()).hexdigest()[:15], 16))


def _stats(size: int = 0) -> Entry:
    zero = {name: 0 for name in ("read_errors", "write_errors", "checksum_errors")}
    return {"timestamp": 0, **zero, "size": size, "allocated": 0, "fragmentation": 0}


def _disk(call: Call, pool: str, disk: str) -> Entry:
    works = call.world.disk_works(disk)
    return {
        "name": disk,
        "type": "DISK",
        "path": f"/dev/{disk}1",
        "guid": guid(pool, disk),
        "status": "ONLINE" if works else "UNAVAIL",
        "stats": _stats(),
        "children": [],
        "device": f"{disk}1" if works else None,
        "disk": disk if works else None,
        "unavail_disk": None,
    }


def _topology(call: Call, row: Row) -> Entry:
    data = []
    for number, vdev in enumerate(row["vdevs"]):
        disks = [_disk(call, row["name"], disk) for disk in vdev["disks"]]
        if vdev["type"] == "DISK":
            data += disks
            continue
        data.append(
            {
                "name": f"{vdev['type'].lower()}-{number}",
                "type": vdev["type"],
                "path": None,
                "guid": guid(row["name"], number),
                "status": _vdev_status(call, vdev),
                "stats": _stats(),
                "children": disks,
            }
        )
    empty: dict[str, list[Any]] = {k: [] for k in ("log", "cache", "spare", "special", "dedup")}
    return {"data": data, **empty}


def pool_entry(call: Call, row: Row, space: Space) -> Entry:
    """A pool as `pool.query` shows it."""
    name, now = row["name"], status(call, row)
    used = space.used(name)
    sizes: dict[str, int] = {"size": row["size"], "allocated": used, "free": row["size"] - used}
    entry = {
        "id": row["id"],
        "name": name,
        "guid": row["guid"],
        "status": now,
        "path": f"/mnt/{name}",
        "scan": dict(row["scan"]) if row.get("scan") else None,
        "healthy": now == "ONLINE",
        "warning": False,
        "status_code": "OK" if now == "ONLINE" else "BAD_LABEL_REPLACE",
        "status_detail": None
        if now == "ONLINE"
        else "One or more devices could not be used because they are missing or do not answer.",
        **sizes,
        "freeing": 0,
        "fragmentation": "0",
        **{f"{key}_str": size_text(size) for key, size in sizes.items()},
        "freeing_str": "0",
        "autotrim": {"parsed": "off", "rawvalue": "off", "source": "DEFAULT", "value": "off"},
        "topology": _topology(call, row),
    }
    if call.version.strict:
        entry |= {"expand": None, "is_upgraded": True}
        entry |= {"dedup_table_size": 0, "dedup_table_quota": "auto"}
    return entry


@serves("pool.query")
def query(call: Call) -> object:
    """Pools."""
    space = Space(call.documents)
    rows = call.documents.rows(TABLE).values()
    return call.selected([pool_entry(call, row, space) for row in rows])


def _find(call: Call, identity: int) -> Row:
    row = call.documents.rows(TABLE).get(identity)
    if row is None:
        raise no_such("Pool", identity)
    return row


@serves("pool.get_instance")
def get_instance(call: Call) -> object:
    """One of them."""
    return pool_entry(call, _find(call, call.args["id"]), Space(call.documents))


@serves("pool.attachments")
def attachments(call: Call) -> object:
    """What uses a pool."""
    from simulator.truenas.attachments import attachments_of

    return attachments_of(call.documents, _find(call, call.args["id"])["name"])


@serves("pool.scrub.scrub")
def scrub(call: Call) -> None:
    """Begin to read all of a pool, or stop; it ends at once here."""
    name, action = call.args["name"], call.args["action"]
    row = find_pool(call, name)
    if row is None:
        raise no_such("Pool", name)
    if status(call, row) == "UNAVAIL":
        raise CallError(f"cannot scrub {name}: pool is currently unavailable")
    scan = {
        "function": "SCRUB",
        "state": "FINISHED" if action == "START" else "CANCELED",
        "start_time": date(call.now_s),
        "end_time": date(call.now_s),
        "percentage": 100.0,
        "errors": 0,
    }
    call.documents.rows(TABLE)[row["id"]] = {**row, "scan": scan}
    call.emit("pool.query", "changed", row["id"], {"scan": scan})


@serves("disk.query")
def disks(call: Call) -> object:
    """Disks that answer, with the pool of each if `extra.pools` asks for it."""
    of_pool = {
        disk: row["name"]
        for row in call.documents.rows(TABLE).values()
        for vdev in row["vdevs"]
        for disk in vdev["disks"]
    }
    extra = call.args["query-options"].get("extra", {})
    shown = [
        _disk_entry(call, number, name, of_pool.get(name) if extra.get("pools") else None)
        for number, name in enumerate(call.world.host.disks)
        if call.world.disk_works(name)
    ]
    return call.selected(shown)


def _disk_entry(call: Call, number: int, name: str, pool: str | None) -> Entry:
    serial = guid(call.api.nas, name)[:8]
    return {
        "identifier": f"{{serial}}{serial}",
        "name": name,
        "subsystem": "sd" if call.version.scale else "da",
        "number": number,
        "serial": serial,
        "lunid": None,
        "size": call.world.host.disks[name].size,
        "description": "",
        "transfermode": "Auto",
        "hddstandby": "ALWAYS ON",
        "advpowermgmt": "DISABLED",
        "expiretime": None,
        "model": "LOGICAL VOLUME",
        "rotationrate": 7200,
        "type": "HDD",
        "zfs_guid": guid(pool, name) if pool else None,
        "bus": "SCSI",
        "devname": name,
        "enclosure": None,
        "pool": pool,
    }
