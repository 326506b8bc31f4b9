"""High availability: resources, what the manager says, and moves. Source: PVE::API2::HA::*.

Documents say what is wanted, the twin's HA part what is. Leaves out: arming and disarming, and node
maintenance, which has no call either.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from simulator.ha import ha_request
from simulator.ha_locks import agent_lock
from simulator.pve.call import Call
from simulator.pve.documents import Entry, digest_of
from simulator.pve.parameters import Value
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes, index
from simulator.pve.storage import CHANGED
from simulator.pve.wire import ApiError, died
from simulator.state import HaService, HaState

routes = Routes()
AUDIT, WRITE = "/ Sys.Audit", "/ Sys.Console"
index(routes, "/cluster/ha", "status resources groups rules", "id", AUDIT)
index(routes, "/cluster/ha/status", "current manager_status", "name")

SID = "sid pve-ha-resource-or-vm-id\n"
SETTINGS = """
comment?       string ..4096
failback?      boolean
group?         pve-configid
max_relocate?  integer 0..
max_restart?   integer 0..
state?         enum(started,stopped,enabled,disabled,ignored)
"""
KINDS = {"vm": ("qemu", "VM"), "ct": ("lxc", "container")}
MIGRATED = "ha groups have been migrated to rules"


def sid_of(call: Call) -> str:
    """`vm:100` of the sid sent, which may be a number alone. Raises for what can't be one."""
    text = call.text("sid")
    kind, colon, number = text.partition(":")
    if not colon:
        guest = call.documents.guests.get(int(text))
        if guest is None:
            raise died(f"unable to find resource '{text}'")
        return f"{'vm' if guest.kind == 'qemu' else 'ct'}:{text}"
    if kind not in KINDS:
        raise died(f"unknown section type '{kind}'")
    if not number.isdigit():
        raise died("invalid VMID")
    return text


@routes.add("GET /cluster/ha/resources", AUDIT, "type? enum(ct,vm)")
def resources(call: Call) -> object:
    """What is under HA."""
    wanted, digest = call.text("type"), digest_of(call.documents.ha_resources)
    return [
        {"sid": sid, **entry, "digest": digest}
        for sid, entry in call.documents.ha_resources.items()
        if wanted in ("", entry["type"])
    ]


@routes.add("GET /cluster/ha/resources/{sid}", AUDIT, SID)
def resource(call: Call) -> object:
    """One resource."""
    sid = sid_of(call)
    if sid not in call.documents.ha_resources:
        raise died(f"no such resource '{sid}'")
    known = call.documents.ha_resources
    return {"sid": sid, **known[sid], "digest": digest_of(known)}


def _check_new(call: Call, sid: str) -> None:
    kind, _, number = sid.partition(":")
    if call.text("type", kind) != kind:
        raise died("types does not match")
    if call.has("group"):
        raise died(f"invalid parameter 'group': {MIGRATED}")
    guest = call.documents.guests.get(int(number))
    if guest is None:
        raise died(f"resource '{sid}' does not exist in cluster")
    wanted, word = KINDS[kind]
    if guest.kind != wanted:
        raise died(f"resource '{sid}' - guest with ID {number} is not a {word}")


@routes.add("POST /cluster/ha/resources", WRITE, SID + SETTINGS + "type? enum(ct,vm)")
def create_resource(call: Call) -> object:
    """Put a guest under HA."""
    call.need_quorum()
    sid = sid_of(call)
    _check_new(call, sid)
    sent = _sent(call)
    with call.locked("ha/resources_cfg", "create resource failed: "):
        if sid in call.documents.ha_resources:
            raise died(f"resource ID '{sid}' already defined")
        call.documents.ha_resources[sid] = {"type": sid.partition(":")[0], **sent}
        call.api.sync(call.twin)
    return None


def _sent(call: Call) -> dict[str, Value]:
    skipped = ("sid", "type", "digest", "delete")
    return {key: call.values[key] for key in call.values if call.has(key) and key not in skipped}


@routes.add(
    "PUT /cluster/ha/resources/{sid}",
    WRITE,
    SID + SETTINGS + "delete? pve-configid-list ..4096\ndigest? string ..64",
)
def update_resource(call: Call) -> object:
    """Change what is wanted of a resource."""
    sid = sid_of(call)
    if call.has("group"):
        raise died(f"invalid parameter 'group': {MIGRATED}")
    sent = _sent(call)
    with call.locked("ha/resources_cfg", "update resources config failed: "):
        resources = call.documents.ha_resources
        if sid not in resources:
            raise died(f"no such resource '{sid}'")
        if call.has("digest") and call.text("digest") != digest_of(resources):
            raise died(CHANGED)
        new = {**resources[sid], **sent}
        for key in call.words("delete"):
            if key not in ("comment", "failback", "group", "max_relocate", "max_restart", "state"):
                raise died(f"no such option '{key}'")
            if key in sent:
                raise died(f"cannot set and delete property '{key}' at the same time!")
            new.pop(key, None)
        resources[sid] = {key: value for key, value in new.items() if value != ""}
        call.api.sync(call.twin)
    return None


@routes.add("DELETE /cluster/ha/resources/{sid}", WRITE, SID + "purge? boolean")
def delete_resource(call: Call) -> object:
    """Take a guest out of HA, and out of the rules."""
    sid = sid_of(call)
    documents = call.documents
    if sid not in documents.ha_resources:
        raise died(f"cannot delete service '{sid}', not HA managed!")
    with call.locked("ha/resources_cfg", "delete resource failed: "):
        del documents.ha_resources[sid]
        drop_from_rules(call, sid, purge=call.flag("purge"))
        call.api.sync(call.twin)
    return None


def drop_from_rules(call: Call, sid: str, *, purge: bool) -> None:
    """A rule that named only this resource goes, others lose it where `purge` says so."""
    rules = call.documents.ha_rules
    for name, rule in list(rules.items()):
        named = items(str(rule["resources"]))
        left = [known for known in named if known != sid]
        if sid in named and not left:
            del rules[name]
        elif sid in named and purge:
            rules[name] = {**rule, "resources": ",".join(left)}


@routes.add("POST /cluster/ha/resources/{sid}/migrate", WRITE, SID + "node pve-node")
@routes.add("POST /cluster/ha/resources/{sid}/relocate", WRITE, SID + "node pve-node")
def move(call: Call) -> object:
    """Ask the manager to move a resource: live, or stopped and started anew."""
    call.need_quorum()
    sid, node = sid_of(call), call.text("node")
    if sid not in call.documents.ha_resources:
        raise died(f"resource '{sid}' is not HA managed")
    word = "migrate" if call.path.endswith("/migrate") else "relocate"
    ha_request(call.twin, call.api.cluster, word, sid, node)
    return {"sid": sid, "requested-node": node}


def _refuse_groups(call: Call, action: str) -> ApiError:
    return died(f"cannot {action}: {MIGRATED}")


@routes.add("GET /cluster/ha/groups", AUDIT)
def groups(call: Call) -> object:
    """Refused: groups became rules in Proxmox VE 9."""
    raise _refuse_groups(call, "index groups")


@routes.add(
    "POST /cluster/ha/groups",
    WRITE,
    """
    comment?     string ..4096
    group        pve-configid
    nodes        pve-ha-node-list
    nofailback?  boolean
    restricted?  boolean
    type?        enum(group)
    """,
)
def create_group(call: Call) -> object:
    """Refused, too."""
    raise _refuse_groups(call, "create group")


def _clock(moment_s: int) -> str:
    moment = datetime.fromtimestamp(moment_s, UTC)
    return f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S %Y}"


@routes.add("GET /cluster/ha/status/current", AUDIT)
def status(call: Call) -> object:
    """Quorum, master, fencing, local resource managers and services, a row each."""
    quorate = call.world.quorate(call.node)
    text = "OK" if quorate else f"No quorum on node '{call.node}'!"
    rows: list[dict[str, object]] = [
        {
            "id": "quorum",
            "type": "quorum",
            "node": call.node,
            "status": text,
            "quorate": int(quorate),
        }
    ]
    state = call.world.ha
    if state.master:
        rows.append(_master_row(call, state.master))
    rows.append(_fencing_row(call, state))
    if state.master:
        rows += [_lrm_row(call, node, state) for node in call.world.nodes]
    services = dict(state.services)
    for sid in sorted({*call.documents.ha_resources, *services}):
        if row := _service_row(call, sid, call.documents.ha_resources.get(sid), services.get(sid)):
            rows.append(row)
    return rows


def _master_row(call: Call, master: str) -> dict[str, object]:
    alive = call.world.online(master, call.node)
    text = f"{master} ({'active' if alive else 'old timestamp - dead?'}, {_clock(call.now_s)})"
    return {
        "id": "master",
        "type": "master",
        "node": master,
        "status": text,
        "timestamp": call.now_s,
    }


def _fencing_row(call: Call, state: HaState) -> dict[str, object]:
    """Armed while a master works."""
    armed = bool(state.master)
    text = "armed (CRM watchdog active)" if armed else "standby (CRM watchdog standby)"
    word = "armed" if armed else "standby"
    node = state.master or call.node
    return {"id": "fencing", "type": "fencing", "node": node, "status": text, "armed-state": word}


def _lrm_mode(node: str, state: HaState) -> str:
    """A local resource manager works, wants to, or has nothing to do."""
    if agent_lock(node) in dict(state.locks):
        return "active, watchdog active"
    wanted = any(service.node == node for _, service in state.services)
    return f"{'wait_for_agent_lock' if wanted else 'idle'}, watchdog standby"


def _lrm_row(call: Call, node: str, state: HaState) -> dict[str, object]:
    since_s = dict(state.offline_since).get(node)
    moment_s = call.now_s if since_s is None else int(call.api.epoch_s + since_s)
    mode = _lrm_mode(node, state)
    if not call.world.online(node, call.node):
        mode = "old timestamp - dead?, watchdog standby"
    text = f"{node} ({mode}, {_clock(moment_s)})"
    return {"id": f"lrm:{node}", "type": "lrm", "node": node, "status": text, "timestamp": moment_s}


def _service_row(
    call: Call, sid: str, entry: Entry | None, service: HaService | None
) -> dict[str, object] | None:
    if entry is None:
        if service is None:
            return None
        text = f"{sid} ({service.node}, deleting)"
        row: dict[str, object] = {"id": f"service:{sid}", "type": "service", "sid": sid}
        row |= {"node": service.node, "state": "deleting", "crm_state": service.state}
        return {**row, "status": text}
    requested = str(entry.get("state") or "started").replace("enabled", "started")
    guest = call.world.guest(int(sid.partition(":")[2]))
    node = service.node if service else guest.node if guest else ""
    if requested == "ignored":
        shown = "ignored"
    elif service is None:
        shown = "queued"
    else:
        shown = _shown_state(call, sid, service, requested)
    row = {
        "id": f"service:{sid}",
        "type": "service",
        "sid": sid,
        "node": node,
        "state": shown,
        "status": f"{sid} ({node}, {shown})",
        "request_state": requested,
        "max_restart": entry.get("max_restart", 1),
        "max_relocate": entry.get("max_relocate", 1),
        "failback": entry.get("failback", 1),
    }
    row |= {"comment": entry["comment"]} if entry.get("comment") else {}
    return row | ({"crm_state": service.state} if service else {})


def _shown_state(call: Call, sid: str, service: HaService, requested: str) -> str:
    """What the manager's state means to people. Source: PVE::HA get_verbose_service_state."""
    if service.state == "started" and not call.world.running(int(sid.partition(":")[2])):
        return "starting"
    if service.state == "stopped" and requested == "disabled":
        return "disabled"
    return service.state


@routes.add("GET /cluster/ha/status/manager_status", AUDIT)
def manager_status(call: Call) -> object:
    """The manager's own records."""
    state = call.world.ha
    quorum = {"node": call.node, "quorate": "1" if call.world.quorate(call.node) else "0"}
    manager: dict[str, object] = {"node_status": dict(state.nodes)}
    answer: dict[str, object] = {"manager_status": manager, "quorum": quorum}
    if state.master:
        manager |= {
            "master_node": state.master,
            "timestamp": call.now_s,
            "service_status": {sid: _record(sid, service) for sid, service in state.services},
        }
        answer["lrm_status"] = {
            node: {"mode": "active", "results": {}, "state": "active", "timestamp": call.now_s}
            for node in call.world.nodes
        }
    return answer


def _record(sid: str, service: HaService) -> Mapping[str, object]:
    record: dict[str, object] = {
        "node": service.node,
        "state": service.state,
        "uid": f"uid of {sid}",
    }
    return record | ({"target": service.target} if service.target else {})
