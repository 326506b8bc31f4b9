"""Daemons: monitors, managers, metadata servers and file systems, and OSDs started and stopped.

Source: PVE::API2::Ceph::MON, ::MGR, ::MDS, ::FS, PVE::Ceph::Services. To the physics an OSD that is
stopped is one that crashed. Leaves out: creating and destroying any of them, and starting and
stopping all others, since monitors live and die with their nodes.
"""

from __future__ import annotations

from typing import Any

from lab.faults import Fault, FaultKind
from simulator.faults import drop, restore
from simulator.mon.status import address
from simulator.pve.call import Call
from simulator.pve.routes import Routes
from simulator.pve.tasks import FINISH, Worker, start_task
from simulator.pve.wire import ApiError, TaskError
from simulator.pve_node.ceph_rados import AUDIT, MODIFY, NODE, mon_command, need_ceph, site
from simulator.pve_node.ceph_status import services

routes = Routes()
# Assumed: until the old process has ended and the new one begins. Longer than peers take to see
# that it is gone (storage/ceph, REFUSED_S), since one that is stopped tells the monitors itself.
RESTART_S = 3.0
_NAME = r"(\.[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?)?"


def _rows(call: Call, kind: str) -> dict[str, dict[str, Any]]:
    """Daemons of a kind as their nodes say, with what the monitors know of their versions."""
    rows = services(call, kind)
    for row in rows.values():
        row["state"] = "stopped"
    for told in mon_command(call, f"{kind} metadata"):
        versions = {name: told[name] for name in ("ceph_version", "ceph_version_short")}
        rows[told["name"]] |= versions | ({"addr": told["addr"]} if "addr" in told else {})
    return rows


@routes.add("GET /nodes/{node}/ceph/mon", AUDIT, NODE)
def monitors(call: Call) -> object:
    """Monitors; those that nobody can be asked about are of unknown state."""
    need_ceph(call)
    try:
        status = mon_command(call, "quorum_status")
    except ApiError:  # nobody answers
        known = services(call, "mon")
        return [{**row, "addr": address(site(call), name), "state": "unknown"}
                for name, row in known.items()]  # fmt: skip
    rows = _rows(call, "mon")
    for mon in status["monmap"]["mons"]:
        rows[mon["name"]] |= {"rank": mon["rank"], "addr": mon["addr"]}
        if mon["rank"] in status["quorum"]:
            rows[mon["name"]] |= {"quorum": 1, "state": "running"}
    return list(rows.values())


@routes.add("GET /nodes/{node}/ceph/mgr", AUDIT, NODE)
def managers(call: Call) -> object:
    """Managers: the active one, and those that stand by."""
    rows, dump = _rows(call, "mgr"), mon_command(call, "mgr dump")
    rows[dump["active_name"]]["state"] = "active"
    for standby in dump["standbys"]:
        rows[standby["name"]]["state"] = "standby"
    return list(rows.values())


@routes.add("GET /nodes/{node}/ceph/mds", AUDIT, NODE)
def metadata_servers(call: Call) -> object:
    """Metadata servers."""
    return list(_rows(call, "mds").values())


@routes.add("GET /nodes/{node}/ceph/fs", AUDIT, NODE)
def file_systems(call: Call) -> object:
    """CephFS."""
    return mon_command(call, "fs ls")


def _act(action: str, kinds: str) -> None:
    @routes.add(f"POST /nodes/{{node}}/ceph/{action}", MODIFY, f"{NODE}service? /({kinds}){_NAME}/")
    def act(call: Call) -> object:
        """Start, stop or restart an OSD, or all of the node, as a task."""
        need_ceph(call)
        service = call.text("service", "ceph.target")
        kind, _, name = service.partition(".")
        if kind != "osd":
            raise ApiError(501, f"{action} of {service}: not built, only OSDs can be stopped\n")
        work = {"finish": "cephservice", "action": action, "osd": name}
        return start_task(call, f"srv{action}", service, work)


_act("start", "ceph|mon|mds|osd|mgr")
_act("stop", "ceph|mon|mds|osd|mgr")
_act("restart", "mon|mds|osd|mgr")


def _finish(worker: Worker) -> None:
    action, name = worker.text("action"), worker.text("osd")
    here = worker.world.osds_on(worker.node)
    if name and name not in here:
        raise TaskError(f"command '/bin/systemctl {action} ceph-osd@{name}' failed: exit code 1")
    for osd in [name] if name else here:
        fault = Fault(FaultKind.OSD, f"{worker.world.ceph}/{osd}")
        now = worker.twin.state.faults.get(fault.subject)
        stopped = now is not None and not now.silent
        if action == "start" and stopped:
            restore(worker.twin, fault.subject)
        elif action == "stop" and not stopped:
            worker.twin.inject([fault])
        elif action == "restart":
            drop(worker.twin, fault.subject)
            back = Fault(FaultKind.OSD, fault.name, 0.0, RESTART_S)
            worker.twin.inject([back])


FINISH["cephservice"] = _finish
