"""Pools of Ceph: made, changed and destroyed with the storages on them. Source:
PVE::API2::Ceph::Pool, PVE::Ceph::Tools.

Destroying one needs `mon_allow_pool_delete`, which `pveceph init` writes into ceph.conf and the
twin's has not: set it by `ceph config set mon`. Leaves out: erasure-coded pools, and what the
autoscaler would choose.
"""

from __future__ import annotations

from typing import Any

from simulator.mon.pools import FLAGS
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry
from simulator.pve.formats import check_format
from simulator.pve.parameters import PROPERTY_STRINGS, Value, table
from simulator.pve.routes import Routes, index
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError, died
from simulator.pve_node.ceph_rados import AUDIT, CHANGE_S, MODIFY, NODE, mon_command, need_ceph
from simulator.pve_node.volumes import parse_size

routes = Routes()
NAMED = NODE + "name string\n"
index(routes, "/nodes/{node}/ceph/pool/{name}", "status", may=AUDIT, takes="name string")
PROPERTY_STRINGS["ceph-erasure-coding"] = table(
    "device-class? string\nfailure-domain? string\nk integer 2..\nm integer 1..\nprofile? string"
)
_SETTINGS = r"""
application?        enum(rbd,cephfs,rgw)
crush_rule?         string
min_size?           integer 1..7
name                /[^:\/\s]+/
node                pve-node
pg_autoscale_mode?  enum(on,off,warn)
pg_num?             integer 1..32768
pg_num_min?         integer ..32768
size?               integer 1..7
target_size?        /(\d+(\.\d+)?)([KMGT])?/
target_size_ratio?  number
"""
DEFAULTS: dict[str, Value] = {
    "application": "rbd",
    "min_size": 2,
    "pg_autoscale_mode": "warn",
    "pg_num": 128,
    "size": 3,
}
ORDER = (
    "application", "size", "min_size", "crush_rule", "pg_num", "pg_num_min", "pg_autoscale_mode",
    "target_size_bytes", "target_size_ratio",
)  # fmt: skip
"""What is set, in this order: a change of `size` sets `min_size` anew."""
SHOWN = (
    "pool", "pool_name", "size", "min_size", "pg_num", "crush_rule", "pg_autoscale_mode",
    "application_metadata",
)  # fmt: skip
TYPES = {1: "replicated", 3: "erasure"}


@routes.add("GET /nodes/{node}/ceph/pool", AUDIT, NODE)
def pools(call: Call) -> object:
    """All pools, with what they hold."""
    used = {row["id"]: row["stats"] for row in mon_command(call, "df")["pools"]}
    dump = mon_command(call, "osd dump")
    rules = {row["rule_id"]: row["rule_name"]
             for row in mon_command(call, "osd crush rule dump")}  # fmt: skip
    rows = []
    for entry in dump["pools"]:
        options, stats = entry["options"], used[entry["pool"]]
        row = {name: entry[name] for name in SHOWN if name in entry}
        row |= {"type": TYPES.get(entry["type"], "unknown")}
        row |= {"bytes_used": stats["bytes_used"], "percent_used": stats["percent_used"]}
        for name, option in (("pg_num_min", "pg_num_min"), ("target_size", "target_size_bytes"),
                             ("target_size_ratio", "target_size_ratio")):  # fmt: skip
            row |= {name: options[option]} if option in options else {}
        if entry["crush_rule"] in rules:
            row["crush_rule_name"] = rules[entry["crush_rule"]]
        rows.append(row)
    return rows


@routes.add("GET /nodes/{node}/ceph/pool/{name}/status", AUDIT, NAMED + "verbose? boolean")
def pool(call: Call) -> object:
    """How one is set; flags as text, as they come out of Perl."""
    name = call.text("name")
    told = mon_command(call, "osd pool get", pool=name, var="all")
    copied = ("size", "min_size", "pg_num", "pg_num_min", "pgp_num", "crush_rule",
              "pg_autoscale_mode", "target_size_ratio")  # fmt: skip
    answer: dict[str, Any] = {"id": told["pool_id"], "name": name}
    answer |= {key: told[key] for key in copied if key in told}
    answer |= {flag: str(int(told[flag])) for flag in (*FLAGS, "use_gmt_hitset", "fast_read")}
    if "target_size_bytes" in told:
        answer["target_size"] = told["target_size_bytes"]
    if call.flag("verbose"):
        rows = mon_command(call, "df")["pools"]
        answer["statistics"] = next(row["stats"] for row in rows if row["name"] == name)
        answer["application_list"] = [*mon_command(call, "osd pool application get", pool=name)]
    return answer


def _wanted(call: Call) -> dict[str, Value]:
    """The settings that were sent, by Ceph's names."""
    sent = {name: call.values[name] for name in ORDER if call.has(name)}
    if call.has("target_size"):
        sent["target_size_bytes"] = parse_size(call.text("target_size"))
    return sent


def _start(call: Call, type_name: str, work: dict[str, Value]) -> object:
    """A task about a pool; each setting is a change of the map."""
    changes = max(1, sum(name in work for name in ORDER))
    name = call.text("name")
    return start_task(call, type_name, name, {"pool": name, **work}, took_s=CHANGE_S * changes)


@routes.add(
    "POST /nodes/{node}/ceph/pool",
    MODIFY,
    _SETTINGS + "add_storages? boolean\nerasure-coding? {ceph-erasure-coding}",
)
def create_pool(call: Call) -> object:
    """A new pool, with `add_storages` a storage of its name as well."""
    call.need_quorum()
    need_ceph(call)
    if call.has("erasure-coding"):
        raise ApiError(501, "erasure-coded pools: not built\n")
    if call.flag("add_storages"):
        call.need("/storage", "Datastore.Allocate")
        if check_format("pve-storage-id", call.text("name")):
            raise died("pool name contains characters which are illegal for storage naming")
    work = {**DEFAULTS, **_wanted(call), "add_storages": int(call.flag("add_storages"))}
    return _start(call, "cephcreatepool", work)


@routes.add("PUT /nodes/{node}/ceph/pool/{name}", MODIFY, _SETTINGS)
def update_pool(call: Call) -> object:
    """Change settings of a pool."""
    need_ceph(call)
    return _start(call, "cephsetpool", _wanted(call))


@routes.add(
    "DELETE /nodes/{node}/ceph/pool/{name}",
    MODIFY,
    NAMED + "force? boolean\nremove_ecprofile? boolean\nremove_storages? boolean",
)
def destroy_pool(call: Call) -> object:
    """Destroy a pool; without `force` only if no storage has images on it."""
    need_ceph(call)
    if call.flag("remove_storages"):
        call.need("/storage", "Datastore.Allocate")
    flags: dict[str, Value] = {key: int(call.flag(key)) for key in ("force", "remove_storages")}
    return _start(call, "cephdestroypool", flags)


def _created(worker: Worker) -> None:
    name = worker.text("pool")
    mon_command(worker, "osd pool create", pool=name, pg_num=worker.number("pg_num"))
    _changed(worker)
    if worker.number("add_storages"):
        try:
            _add_storage(worker, name)
        except ApiError as error:
            text = error.spoken.strip()
            raise TaskError(f"adding PVE storage for ceph pool '{name}' failed: {text}") from error


def _add_storage(worker: Worker, name: str) -> None:
    with worker.locked("storage_cfg", "create storage failed: "):
        if name in worker.documents.storages:
            raise died(f"storage ID '{name}' already defined")
        entry: Entry = {"type": "rbd", "content": "images,rootdir", "krbd": 0, "pool": name}
        worker.documents.storages[name] = entry
        worker.api.sync(worker.twin)


def _changed(worker: Worker) -> None:
    """Set what is not so yet; go on past what is refused."""
    name, failed = worker.text("pool"), []
    for key in (key for key in ORDER if key in worker.task.work):
        value = worker.text(key)
        now = mon_command(worker, "osd pool get", pool=name, var="all")
        if key in now and str(now[key]) == value:
            worker.say(f"skipping '{key}', did not change")
            continue
        worker.say(f"pool {name}: applying {key} = {value}")
        try:
            if key == "application":
                mon_command(worker, "osd pool application enable", pool=name, app=value)
            else:
                mon_command(worker, "osd pool set", pool=name, var=key, val=value)
        except ApiError as error:
            worker.say(error.spoken.strip())
            failed.append(key)
    if failed:
        raise TaskError(f"Could not set: {', '.join(sorted(failed))}")


def storages_on(scene: Environment, pool_name: str) -> dict[str, Entry]:
    """Storages whose images, or their data, are in a pool."""
    return {
        name: entry
        for name, entry in scene.documents.storages.items()
        if entry["type"] == "rbd"
        and pool_name in (entry.get("pool") or "rbd", entry.get("data-pool"))
    }


def _destroyed(worker: Worker) -> None:
    name = worker.text("pool")
    storages = storages_on(worker, name)
    for storage in () if worker.number("force") else storages:
        worker.say(f"checking storage '{storage}' for RBD images..")
        if any(volume.storage == storage for volume in worker.documents.volumes.values()):
            raise TaskError(f"ceph pool '{name}' still in use by storage '{storage}'")
    sure = {"pool": name, "pool2": name, "yes_i_really_really_mean_it": True}
    mon_command(worker, "osd pool get", pool=name, var="all")
    mon_command(worker, "osd pool delete", **sure)
    if worker.number("remove_storages"):
        with worker.locked("storage_cfg", "delete storage failed: "):
            for storage, entry in storages.items():
                if not entry.get("monhost"):
                    del worker.documents.storages[storage]
            worker.api.sync(worker.twin)


FINISH |= {
    "cephcreatepool": _created,
    "cephsetpool": _changed,
    "cephdestroypool": _destroyed,
}
