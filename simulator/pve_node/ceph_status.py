"""Ceph as a whole: its status, which daemons there are, its log, what may be stopped.

Source: PVE::API2::Ceph, PVE::API2::Cluster::Ceph, PVE::Ceph::Services. Leaves out: installing Ceph
and `init` (what a cluster is made of is declared, and the physics can't be given more), muted
checks, restarts of many daemons (9.2), the commit that packages were built from, and of the log all
but what becomes of OSDs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from simulator.mon.status import mons
from simulator.pve.call import Call, Environment
from simulator.pve.routes import Routes, index
from simulator.pve.wire import died
from simulator.pve_node.ceph_rados import AUDIT, NODE, command, mon_command, need_ceph, site

routes = Routes()
index(
    routes,
    "/nodes/{node}/ceph",
    "cfg cmd-safety crush fs init log mds mgr mon osd pool restart rules start status stop",
    may=AUDIT,
)
index(routes, "/cluster/ceph", "flags metadata status")
SAFETY = {
    ("osd", "stop"): "osd ok-to-stop",
    ("osd", "destroy"): "osd safe-to-destroy",
    ("mon", "stop"): "mon ok-to-stop",
    ("mon", "destroy"): "mon ok-to-rm",
    ("mds", "stop"): "mds ok-to-stop",
}


@routes.add("GET /nodes/{node}/ceph/status", AUDIT, NODE, here=True)
@routes.add("GET /cluster/ceph/status", AUDIT)
def status(call: Call) -> object:
    """The monitors' status, with the details and maps that it had before Octopus."""
    found = mon_command(call, "status")
    return {
        **found,
        "health": mon_command(call, "health", detail="detail"),
        "monmap": mon_command(call, "mon dump"),
        "mgrmap": mon_command(call, "mgr dump"),
    }


def versions(scene: Environment) -> dict[str, dict[str, Any]]:
    """What is installed on each node that has Ceph."""
    world = scene.world
    text = world.ceph_version
    row = {"version": {"str": text, "parts": text.split(".")}, "buildcommit": None}
    return {node: dict(row) for node in world.nodes if world.holds_ceph(node)}


def services(scene: Environment, kind: str) -> dict[str, dict[str, Any]]:
    """Daemons of a kind that nodes say they have, by name: a manager stands beside each monitor."""
    names = mons(site(scene)) if kind in ("mon", "mgr") else ()
    return {
        name: {"name": name, "host": name, "service": 1, "direxists": 1} for name in sorted(names)
    }


@routes.add("GET /cluster/ceph/metadata", AUDIT, "scope? enum(all,versions)")
def metadata(call: Call) -> object:
    """What daemons tell of themselves, by `name@host`."""
    need_ceph(call)
    answer: dict[str, object] = {"node": versions(call)}
    if call.text("scope", "all") == "versions":
        return answer
    for kind in ("mon", "mgr", "mds"):
        told = {f"{row['name']}@{row['host']}": row for row in services(call, kind).values()}
        for row in mon_command(call, f"{kind} metadata"):
            name = f"{row['name']}@{row['hostname']}"
            told[name] = {**told.get(name, {}), **row}
        answer[kind] = {
            name: {key: value for key, value in row.items() if key != "host"}
            for name, row in told.items()
        }
    return {**answer, "osd": mon_command(call, "osd metadata")}


@routes.add(
    "GET /nodes/{node}/ceph/cmd-safety",
    "/ Sys.Audit",
    NODE + "action enum(stop,destroy)\nid string\nservice enum(osd,mon,mds)",
)
def cmd_safety(call: Call) -> object:
    """Whether a daemon may be stopped or destroyed, and why not."""
    need_ceph(call)
    service, action, name = call.text("service"), call.text("action"), call.text("id")
    if (prefix := SAFETY.get((service, action))) is None:
        raise died(f"Service does not support this action: {service}: {action}")
    args = {"id": name} if prefix == "mon ok-to-rm" else {"ids": [name]}
    reply = command(call, prefix, **args)
    return {"safe": int(reply.code == 0), "status": reply.text}


@routes.add(
    "GET /nodes/{node}/ceph/log",
    "/nodes/{node} Sys.Syslog",
    NODE + "limit? integer 0..\nstart? integer 0..",
)
def log(call: Call) -> object:
    """/var/log/ceph/ceph.log, which nodes with a monitor have."""
    need_ceph(call)
    there = call.node in mons(site(call))
    lines = [*_lines(call)] if there else ["unable to open file - No such file or directory"]
    call.members["total"] = max(len(lines), 1)
    if not lines:
        return [{"n": 1, "t": "no content"}]
    start = call.number("start")
    part = lines[start : start + (call.number("limit") or 50)]
    return [{"n": start + number, "t": text} for number, text in enumerate(part, 1)]


def _lines(scene: Environment) -> Iterator[str]:
    """What the leader writes when an OSD goes down, out, or comes up."""
    leader, down_s, number = mons(site(scene))[0], dict[str, float](), 0
    known = {f"osd {scene.world.ceph}/{osd}": osd for osd in site(scene).osds}
    for event in scene.twin.trace:
        if event.subject not in known:
            continue
        osd = known[event.subject]
        where = f"root=default,host={site(scene).osds[osd]}"
        texts = {
            "osd-down": f"osd.{osd} failed ({where})",
            "osd-out": f"Marking osd.{osd} out (has been down for"
            f" {event.at_s - down_s.get(event.subject, event.at_s):.0f} seconds)",
            "osd-up": f"osd.{osd} boot",
        }
        if event.kind == "osd-down":
            down_s[event.subject] = event.at_s
        if event.kind in texts:
            number += 1
            at = datetime.fromtimestamp(scene.api.epoch_s + event.at_s, UTC)
            stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
            yield f"{stamp} mon.{leader} (mon.0) {number} : cluster [INF] {texts[event.kind]}"
