"""What the HA stack says of itself, and what people ask of it as a whole.

    documents of the daemons (simulator/cluster) -> rows; arm and disarm -> the master's queue

Source: PVE::API2::HA::Status and recorded answers; the words for services are those of
PVE::HA::Tools. Leaves out: node maintenance, which has no call: `ha-manager` queues it on a node.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from simulator.cluster.documents import LrmStatus, ServiceRecord
from simulator.cluster.manager import active_count
from simulator.cluster.state import Cluster
from simulator.ha.part import documents_of, ha_command
from simulator.pve.call import Call
from simulator.pve.documents import Entry
from simulator.pve.routes import Routes

routes = Routes()
AUDIT, WRITE = "/ Sys.Audit", "/ Sys.Console"
OLD_S = 30  # a status that was not written for so long comes from a daemon that may be dead

Row = dict[str, object]


@routes.add("POST /cluster/ha/status/arm-ha", WRITE)
def arm(call: Call) -> object:
    """Ask the master to take the stack into service again."""
    call.need_quorum()
    ha_command(call.twin, call.api.cluster, "arm-ha")
    return None


@routes.add("POST /cluster/ha/status/disarm-ha", WRITE, "resource-mode enum(freeze,ignore)")
def disarm(call: Call) -> object:
    """Ask the master to let go of watchdogs and locks, so that nothing is fenced."""
    call.need_quorum()
    ha_command(call.twin, call.api.cluster, f"disarm-ha {call.text('resource-mode')}")
    return None


@routes.add("GET /cluster/ha/status/current", AUDIT)
def current(call: Call) -> object:
    """Quorum, master, fencing, local resource managers and services, a row each."""
    return rows(call)


def rows(call: Call) -> list[Row]:
    """The status as rows."""
    ha = documents_of(call.twin, call.api.cluster)
    return [
        _quorum(call),
        *_master(call, ha),
        *([_fencing(call, ha)] if call.api.release.ha_by_rules else ()),
        *(_lrm(call, ha, node) for node in sorted(ha.status.nodes)),
        *_services(call, ha),
    ]


def _quorum(call: Call) -> Row:
    quorate = call.world.quorate(call.node)
    text = "OK" if quorate else f"No quorum on node '{call.node}'!"
    row: Row = {"id": "quorum", "type": "quorum", "node": call.node}
    return {**row, "status": text, "quorate": int(quorate)}


def _master(call: Call, ha: Cluster) -> Iterator[Row]:
    if node := ha.status.master_node:
        written_s = _written_s(call, ha.status.timestamp_s)
        word = "active" if _fresh(call, written_s) else "old timestamp - dead?"
        text = f"{node} ({word}, {_clock(written_s)})"
        row: Row = {"id": "master", "type": "master", "node": node, "status": text}
        yield {**row, "timestamp": written_s}


def _fencing(call: Call, ha: Cluster) -> Row:
    """Armed while a master works and is not told to let go."""
    node = ha.status.master_node
    disarm = ha.status.disarm
    word = disarm.state if disarm else "armed" if node else "standby"
    watchdog = "active" if node and word in ("armed", "disarming") else "standby"
    row: Row = {"id": "fencing", "type": "fencing", "node": node or call.node}
    row |= {"resource_mode": disarm.mode} if disarm else {}
    return {**row, "status": f"{word} (CRM watchdog {watchdog})", "armed-state": word}


def _lrm(call: Call, ha: Cluster, node: str) -> Row:
    row: Row = {"id": f"lrm:{node}", "type": "lrm", "node": node}
    if (status := ha.lrm_status.get(node)) is None:
        return {**row, "status": f"{node} (unable to read lrm status)"}
    written_s = _written_s(call, status.timestamp_s)
    holds = status.state in ("active", "maintenance")
    word = _lrm_word(ha, node, status)
    if not _fresh(call, written_s):
        holds, word = False, "old timestamp - dead?"
    watchdog = "active" if holds else "standby"
    text = f"{node} ({word}, watchdog {watchdog}, {_clock(written_s)})"
    return {**row, "status": text, "timestamp": written_s}


def _lrm_word(ha: Cluster, node: str, status: LrmStatus) -> str:
    """How a local resource manager works, if it does."""
    if status.mode != "active":
        return f"{status.mode} mode"
    if status.state == "wait_for_agent_lock" and not active_count(node, ha.status.services):
        return "idle"
    return status.state


def _services(call: Call, ha: Cluster) -> Iterator[Row]:
    entries, records = call.documents.ha_resources, ha.status.services
    for sid in (*sorted(records), *sorted({*entries} - {*records})):
        yield _service(call, sid, entries.get(sid), records.get(sid))


def _service(call: Call, sid: str, entry: Entry | None, record: ServiceRecord | None) -> Row:
    requested = str((entry or {}).get("state") or "started").replace("enabled", "started")
    guest = call.world.guest(int(sid.partition(":")[2]))
    node = record.node if record else guest.node if guest else ""
    shown = verbose_state(requested if entry else None, node, record)
    row: Row = {"id": f"service:{sid}", "type": "service", "sid": sid, "node": node}
    row |= {"state": shown, "status": f"{sid} ({node}, {shown})"}
    if entry is not None:
        row |= {
            "request_state": requested,
            "max_restart": entry.get("max_restart", 1),
            "max_relocate": entry.get("max_relocate", 1),
        }
        row |= _of_placement(call, entry)
        row |= {"comment": entry["comment"]} if entry.get("comment") else {}
    return row | ({"crm_state": record.state} if record else {})


def _of_placement(call: Call, entry: Entry) -> Row:
    """What a resource says of where it runs: failback of its own, or a group that has it."""
    if call.api.release.ha_by_rules:
        return {"failback": entry.get("failback", 1)}
    return {"group": entry["group"]} if entry.get("group") else {}


def verbose_state(requested: str | None, node: str, record: ServiceRecord | None) -> str:
    """What a service's state means to people. `requested`: None if it is configured no more."""
    if requested is None:
        return "deleting"
    if requested == "ignored":
        return "ignored"
    if not node:
        return "not found"
    if record is None:
        return "queued"
    match record.state, requested:
        case "stopped", "started":
            return "starting"
        case "stopped", "disabled":
            return "disabled"
        case "started", _ if not record.running:
            return "starting"
        case "started", "stopped" | "disabled":
            return "stopping"
        case "error", "disabled":
            return "clearing error flag"
    return record.state


@routes.add("GET /cluster/ha/status/manager_status", AUDIT)
def manager_status(call: Call) -> object:
    """The daemons' own documents."""
    ha = documents_of(call.twin, call.api.cluster)
    status = ha.status
    quorum = {"node": call.node, "quorate": "1" if call.world.quorate(call.node) else "0"}
    manager: Row = {"node_status": dict(status.nodes)}
    answer: Row = {"manager_status": manager, "quorum": quorum}
    if status.master_node:
        manager |= {
            "master_node": status.master_node,
            "timestamp": _written_s(call, status.timestamp_s),
            "service_status": {sid: _record(record) for sid, record in status.services.items()},
        }
        if status.maintenance:
            asked = {node: {"maintenance": 1} for node in sorted(status.maintenance)}
            manager["node_request"] = asked
        if status.disarm:
            manager["disarm"] = {"mode": status.disarm.mode, "state": status.disarm.state}
        answer["lrm_status"] = {
            node: _lrm_document(call, ha.lrm_status[node])
            for node in sorted(status.nodes)
            if node in ha.lrm_status
        }
    return answer


def _lrm_document(call: Call, status: LrmStatus) -> Row:
    results = {
        _uid(uid): {"sid": result.sid, "state": result.state, "exit_code": result.exit_code}
        for uid, result in status.results.items()
    }
    row: Row = {"state": status.state, "mode": status.mode, "results": results}
    return {**row, "timestamp": _written_s(call, status.timestamp_s)}


def _record(record: ServiceRecord) -> Mapping[str, object]:
    row: Row = {"node": record.node, "state": record.state, "uid": _uid(record.uid)}
    more: Row = {
        "target": record.target,
        "cmd": list(record.command),
        "failed_nodes": list(record.failed_nodes),
        "maintenance_node": record.maintenance_node,
        "running": int(record.running),
    }
    row |= {key: value for key, value in more.items() if value}
    return row | ({} if record.timeout_s is None else {"timeout": record.timeout_s})


def _uid(uid: str) -> str:
    """As the daemons make them: an MD5 sum in base 64, without its padding."""
    known = hashlib.md5(uid.encode(), usedforsecurity=False).digest()
    return base64.b64encode(known).decode().rstrip("=")


def _written_s(call: Call, at_s: float) -> int:
    return int(call.api.epoch_s + at_s)


def _fresh(call: Call, written_s: int) -> bool:
    return call.now_s - written_s <= OLD_S


def _clock(moment_s: int) -> str:
    moment = datetime.fromtimestamp(moment_s, UTC)
    return f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S %Y}"
