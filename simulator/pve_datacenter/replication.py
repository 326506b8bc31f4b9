"""Replication jobs: copying a guest's ZFS volumes to another node on a schedule.

Source: PVE::API2::ReplicationConfig, ::Replication, PVE::ReplicationState. Jobs are kept and their
next run is told; nothing is copied, so a job that is marked for removal stays marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from simulator.pve import propertystring
from simulator.pve.calendar import parse_calendar
from simulator.pve.call import Call, Environment
from simulator.pve.documents import Entry
from simulator.pve.formats import FORMATS
from simulator.pve.load import volumes as volume_options
from simulator.pve.parameters import Value
from simulator.pve.routes import Routes, index
from simulator.pve.sections import (
    SectionFile,
    check_known,
    check_new,
    check_removable,
    section_type,
)
from simulator.pve.wire import bad_parameters, died
from simulator.pve_node import volumes
from simulator.pve_node.storage import shared

routes = Routes()

DEFAULT_SCHEDULE = "*/15"  # administration guide, pvesr
_JOB = re.compile(r"([1-9][0-9]{2,8})-(\d{1,9})")
FORMATS["pve-replication-job-id"] = lambda text: (
    "" if _JOB.fullmatch(text) else f"invalid replication job id '{text}'\n"
)
_KEYS = """
comment?     string ..4096
disable?     boolean
rate?        number 1..
remove_job?  enum(local,full)
schedule?    pve-calendar-event ..128
source?      pve-node
"""
JOBS = SectionFile(
    "replication.cfg",
    _KEYS + "target pve-node\n",
    {"local": section_type("target! comment disable rate remove_job schedule source")},
)
_ID = "id pve-replication-job-id\n"


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("id", "type", "digest", "delete", "node")
    return {
        key: value for key, value in call.values.items() if key not in skipped and call.has(key)
    }


def _shown(name: str, entry: Entry) -> dict[str, object]:
    guest, _, number = name.partition("-")
    return {"id": name, **entry, "guest": int(guest), "jobnum": int(number)}


def jobs_of(scene: Environment, vmid: int) -> list[str]:
    """A guest's jobs."""
    return [name for name in JOBS.entries(scene.documents) if name.startswith(f"{vmid}-")]


def need_no_jobs(scene: Environment, vmid: int) -> None:
    """Raise if a guest is replicated. Source: PVE::ReplicationConfig check_for_existing_jobs."""
    if jobs := jobs_of(scene, vmid):
        text = f"There is a replication job '{jobs[0]}' for guest '{vmid}'"
        raise died(f"{text} - Please remove that first.")


@routes.add("GET /cluster/replication")
def jobs(call: Call) -> object:
    """Jobs of the guests that the caller may see."""
    return [
        _shown(name, entry)
        for name, entry in JOBS.entries(call.documents).items()
        if call.may(f"/vms/{name.partition('-')[0]}", "VM.Audit")
    ]


def _need(privilege: str) -> Callable[[Call], None]:
    """A privilege on the guest of the job that is named."""

    def guard(call: Call) -> None:
        if match := _JOB.fullmatch(call.text("id")):
            call.need(f"/vms/{match[1]}", privilege)

    return guard


@routes.add("GET /cluster/replication/{id}", _need("VM.Audit"), _ID)
def job(call: Call) -> object:
    """One job."""
    name, known = call.text("id"), JOBS.entries(call.documents)
    if name not in known:
        raise died(f"no such replication job '{name}'")
    return {**_shown(name, known[name]), "digest": JOBS.digest(call.documents)}


def _need_volumes(call: Call, vmid: int) -> None:
    """Raise unless a guest has volumes that can be replicated, and no others on local storage."""
    found = False
    config = call.documents.guests[vmid].current
    for option, volid in volume_options(config):
        values = propertystring.split(str(config[option]), "file", {"volume": "file"})
        storage = call.documents.storages.get(volumes.storage_of(volid))
        skipped = values.get("media") == "cdrom" or values.get("replicate") in ("0", "no")
        if storage is None or skipped or shared(storage):
            continue
        if storage["type"] != "zfspool":
            raise died(f"missing replicate feature on volume '{volid}'")
        found = True
    if not found:
        raise died("No replicatable volumes found")


@routes.add(
    "POST /cluster/replication",
    _need("VM.Replicate"),
    _ID + _KEYS + "target pve-node\ntype enum(local)\n",
)
def create(call: Call) -> object:
    """A new job for a guest whose volumes can be replicated."""
    name, target, sent = call.text("id"), call.text("target"), _sent(call)
    vmid = int(name.partition("-")[0])
    state = call.world.guest(vmid)
    if vmid not in call.documents.guests or state is None:
        raise died(f"Guest '{vmid}' does not exist.")
    if target not in call.world.nodes:
        raise died(f"Target '{target}' does not exist.")
    source = call.text("source", state.node)
    if source != state.node:
        text = f"Source '{source}' does not match current node of guest '{vmid}' ({state.node})"
        raise died(text)
    if source == target:
        raise died("Source and target must not be identical")
    _need_volumes(call, vmid)
    with call.locked("replication_cfg"):
        known = JOBS.entries(call.documents)
        if name in known:
            raise died(f"replication job '{name}' already exists")
        check_new(JOBS.types["local"], sent)
        for other in jobs_of(call, vmid):
            if known[other].get("target") == target:
                text = f"replication job for guest '{vmid}' to target 'local/{target}'"
                raise died(f"{text} already exists")
        JOBS.put(call.documents, name, {"type": "local", **sent, "source": source})
    return None


@routes.add(
    "PUT /cluster/replication/{id}",
    _need("VM.Replicate"),
    _ID + _KEYS + "delete? pve-configid-list ..4096\ndigest? string ..64\n",
)
def update(call: Call) -> object:
    """Change a job."""
    name, sent = call.text("id"), _sent(call)
    with call.locked("replication_cfg"):
        call.need_digest(JOBS.digest(call.documents))
        known = JOBS.entries(call.documents)
        if name not in known:
            raise died(f"no such job '{name}'")
        kind = JOBS.types["local"]
        check_known(kind, sent)
        check_removable(kind, call.words("delete"), {})
        new = {**known[name], **sent}
        for key in call.words("delete"):
            new.pop(key, None)
        JOBS.put(call.documents, name, new)
    return None


@routes.add(
    "DELETE /cluster/replication/{id}",
    _need("VM.Replicate"),
    _ID + "force? boolean\nkeep? boolean\n",
)
def delete(call: Call) -> object:
    """Mark a job for removal, which its next run does; with `force` forget it at once."""
    name = call.text("id")
    if call.flag("keep") and call.flag("force"):
        raise bad_parameters(keep="conflicts with parameter 'force'")
    with call.locked("replication_cfg"):
        known = JOBS.entries(call.documents)
        if name not in known:
            raise died(f"no such job '{name}'")
        mark = {"remove_job": "local" if call.flag("keep") else "full"}
        JOBS.put(call.documents, name, None if call.flag("force") else {**known[name], **mark})
    return None


def _status(call: Call, name: str, entry: Entry) -> dict[str, object]:
    """A job that has never run."""
    vmid = int(name.partition("-")[0])
    event = parse_calendar(str(entry.get("schedule") or DEFAULT_SCHEDULE))
    next_s = 1 if entry.get("remove_job") else 0 if entry.get("disable") else event.next_run_s(0)
    figures: dict[str, object] = dict.fromkeys(("fail_count", "last_sync", "last_try"), 0)
    kind = call.documents.guests[vmid].kind
    return {**_shown(name, entry), **figures, "next_sync": next_s or 0, "vmtype": kind}


def _here(call: Call) -> dict[str, dict[str, object]]:
    """States of the jobs whose guest is on the node asked."""
    found = {}
    for name, entry in JOBS.entries(call.documents).items():
        vmid = int(name.partition("-")[0])
        state = call.world.guest(vmid)
        here = state is not None and state.node == call.node and vmid in call.documents.guests
        if here and call.may(f"/vms/{vmid}", "VM.Audit"):
            found[name] = _status(call, name, entry)
    return found


_NODE = "node pve-node\n"


@routes.add("GET /nodes/{node}/replication", takes=_NODE + "guest? integer:pve-vmid 100..999999999")
def node_jobs(call: Call) -> object:
    """States of this node's jobs."""
    rows = _here(call).values()
    return [row for row in rows if call.number("guest", int(str(row["guest"]))) == row["guest"]]


index(routes, "/nodes/{node}/replication/{id}", "schedule_now log status", takes=_ID)


def _find(call: Call) -> dict[str, object]:
    name = call.text("id")
    if (status := _here(call).get(name)) is None:
        raise died(f"no such replication job '{name}'")
    return status


@routes.add("GET /nodes/{node}/replication/{id}/status", _need("VM.Audit"), _NODE + _ID)
def job_status(call: Call) -> object:
    """State of one job."""
    return _find(call)


@routes.add(
    "GET /nodes/{node}/replication/{id}/log",
    _need("VM.Audit"),
    _NODE + _ID + "limit? integer 0..\nstart? integer 0..\n",
)
def log(call: Call) -> object:
    """Log of the last run: there has been none."""
    _find(call)
    call.members["total"] = 1
    return [{"n": 1, "t": "no content"}]


@routes.add("POST /nodes/{node}/replication/{id}/schedule_now", _need("VM.Replicate"), _NODE + _ID)
def schedule_now(call: Call) -> object:
    """Ask for a run as soon as may be."""
    _find(call)
    return None
