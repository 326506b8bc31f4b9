"""OSDs: the tree of the hosts that they are on, each one's details, in and out, scrubs.

Source: PVE::API2::Ceph::OSD. Leaves out: creating and destroying OSDs, since which disk holds one
is declared; `lv-info`, since nodes show such a disk without LVM; encrypted ones; latencies. A scrub
is ordered and finds nothing.
"""

from __future__ import annotations

from typing import Any

from simulator.mon.metadata import pid
from simulator.pve.call import Call
from simulator.pve.routes import Routes, index
from simulator.pve.wire import died
from simulator.pve_node.ceph_rados import AUDIT, MODIFY, NODE, mon_command
from simulator.pve_node.ceph_status import versions

routes = Routes()
ONE = NODE + "osdid integer\n"
index(routes, "/nodes/{node}/ceph/osd/{osdid}", "lv-info metadata", takes="osdid integer")
REST_BYTES = 50 * 2**20  # measured: an OSD that nobody asks for anything
COPIED = ("id", "name", "type", "status", "crush_weight", "reweight", "device_class", "pgs")
VERSIONS = ("ceph_version", "ceph_version_short")
Row = dict[str, Any]


@routes.add("GET /nodes/{node}/ceph/osd", AUDIT, NODE)
def osds(call: Call) -> object:
    """The CRUSH tree with how full OSDs are, and the flags of the OSD map."""
    entries = mon_command(call, "osd df", output_method="tree")["nodes"]
    dump = mon_command(call, "osd dump")
    inside = {row["osd"]: row["in"] for row in dump["osds"]}
    told = {row["id"]: row for row in mon_command(call, "osd metadata")}
    installed = versions(call)
    rows: dict[int, Row] = {}
    for entry in entries:
        row = rows[entry["id"]] = {name: entry[name] for name in COPIED if name in entry}
        row["leaf"] = int(entry["id"] >= 0)
        if entry["type"] == "osd":
            row |= _disk(entry, told[entry["id"]]) | {"in": inside[entry["id"]]}
        elif entry["type"] == "host":
            row["version"] = installed[entry["name"]]["version"]["str"]
    for entry in entries:
        if entry.get("children"):
            rows[entry["id"]]["children"] = [rows[child] for child in entry["children"]]
    held = {child for entry in entries for child in entry.get("children", ())}
    roots = [row for id_, row in rows.items() if id_ not in held]
    return {"root": {"leaf": 0, "children": roots}, "flags": dump["flags"]}


def _disk(entry: Row, told: Row) -> Row:
    total, used = entry["kb"] * 1024, entry["kb_used"] * 1024
    return {
        "total_space": total,
        "bytes_used": used,
        "percent_used": 100 * used / total,
        "osdtype": told["osd_objectstore"],
        "blfsdev": told["bluestore_bdev_dev_node"],
        **{name: told[name] for name in VERSIONS},
    }


@routes.add("GET /nodes/{node}/ceph/osd/{osdid}/metadata", "/ Sys.Audit", ONE)
def osd(call: Call) -> object:
    """One of this node's OSDs: its process, its addresses, its disk."""
    number = call.number("osdid")
    told = mon_command(call, "osd metadata", id=number)
    if told["hostname"] != call.node:
        raise died(f"OSD '{number}' does not exists on host '{call.node}'")
    runs = call.world.osd_runs(number)
    copied = ("hostname", "id", "osd_data", "osd_objectstore", "front_addr", "back_addr",
              "hb_front_addr", "hb_back_addr")  # fmt: skip
    return {
        "osd": {
            **{name: told[name] for name in copied},
            "encrypted": 0,
            "pid": pid(number) if runs else 0,
            "mem_usage": REST_BYTES if runs else 0,
            "version": f"{told['ceph_version_short']} ({told['ceph_release']})",
        },
        "devices": [
            {
                "device": "block",
                "dev_node": told["bluestore_bdev_dev_node"],
                "physical_device": told["bluestore_bdev_devices"],
                "size": int(told["bluestore_bdev_size"]),
                "support_discard": int(told["bluestore_bdev_support_discard"]),
                "type": told["bluestore_bdev_type"],
            }
        ],
    }


def _known(call: Call) -> str:
    """The OSD that a call names. Raises if there is none."""
    number = call.number("osdid")
    if all(row["osd"] != number for row in mon_command(call, "osd dump")["osds"]):
        raise died(f"no such OSD '{number}'")
    return str(number)


@routes.add("POST /nodes/{node}/ceph/osd/{osdid}/in", MODIFY, ONE)
def osd_in(call: Call) -> object:
    """Let data be placed on it."""
    mon_command(call, "osd in", ids=[_known(call)])
    return None


@routes.add("POST /nodes/{node}/ceph/osd/{osdid}/out", MODIFY, ONE)
def osd_out(call: Call) -> object:
    """Place no data on it any more."""
    mon_command(call, "osd out", ids=[_known(call)])
    return None


@routes.add("POST /nodes/{node}/ceph/osd/{osdid}/scrub", MODIFY, ONE + "deep? boolean")
def scrub(call: Call) -> object:
    """Have its copies checked."""
    mon_command(call, "osd deep-scrub" if call.flag("deep") else "osd scrub", who=_known(call))
    return None
