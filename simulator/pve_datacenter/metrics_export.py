"""Figures of the whole cluster in one answer, for those who collect them. Source:
PVE::API2::Cluster::MetricServer export, PVE::PullMetric.

Taken from the same rows as the status calls, now. Leaves out: history, which the real call has for
half an hour, and averages over five and fifteen minutes that differ from now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from simulator.pve.call import Call
from simulator.pve.propertystring import items
from simulator.pve.routes import Routes
from simulator.pve_datacenter import resources
from simulator.pve_node import storage

routes = Routes()

NODE = {
    "uptime": "uptime", "cpu_current": "cpu", "cpu_max": "maxcpu", "mem_used": "mem",
    "mem_total": "maxmem", "disk_used": "disk", "disk_total": "maxdisk",
}  # fmt: skip
IDLE = ("cpu_avg1", "cpu_avg5", "cpu_avg15", "cpu_iowait", "swap_used", "swap_total")
GUEST = {
    "uptime": "uptime", "cpu_current": "cpu", "cpu_max": "cpus", "mem_used": "mem",
    "mem_total": "maxmem", "disk_used": "disk", "disk_total": "maxdisk",
}  # fmt: skip
GUEST_COUNTED = {
    "net_in": "netin", "net_out": "netout", "disk_read": "diskread", "disk_write": "diskwrite",
}  # fmt: skip
STORAGE = {"disk_used": "used", "disk_total": "total"}
Row = Mapping[str, object]


@routes.add(
    "GET /cluster/metrics/export",
    "/ Sys.Audit",
    "history? boolean\nlocal-only? boolean\nnode-list? string\nstart-time? integer\n",
)
def export(call: Call) -> object:
    """Figures of nodes, guests and storages; of nodes that do not answer there are none."""
    named = items(call.text("node-list"))
    nodes = [call.node] if call.flag("local-only") else named or list(call.world.nodes)
    seen = [node for node in nodes if node in call.world.nodes]
    online = [node for node in seen if call.world.reaches(call.node, node)]
    rows = [row for node in online for row in _of_node(call, node)]
    return {"data": rows if call.number("start-time") <= call.now_s else []}


def _of_node(call: Call, node: str) -> Iterator[dict[str, object]]:
    row = resources.node_row(call, node)
    yield from _told(call, f"node/{node}", NODE, row)
    yield from _told(call, f"node/{node}", {name: name for name in IDLE}, {})
    yield from _told(call, f"node/{node}", {"net_in": "", "net_out": ""}, {}, "derive")
    for vmid, guest in call.documents.guests.items():
        state = call.world.guest(vmid)
        if state is not None and state.node == node:
            row = resources.guest_status(call, vmid)
            yield from _told(call, f"{guest.kind}/{vmid}", GUEST, row)
            yield from _told(call, f"{guest.kind}/{vmid}", GUEST_COUNTED, row, "derive")
    for name, entry in call.documents.storages.items():
        if storage.enabled_on(entry, node):
            row = storage.status(call, name, node)
            yield from _told(call, f"storage/{node}/{name}", STORAGE, row)


def _told(
    call: Call, name: str, known: Mapping[str, str], row: Row, kind: str = "gauge"
) -> Iterator[dict[str, object]]:
    """A figure for each name; what nobody measures is zero."""
    for metric, key in known.items():
        yield {
            "id": name,
            "metric": metric,
            "timestamp": call.now_s,
            "type": kind,
            "value": row.get(key, 0),
        }
