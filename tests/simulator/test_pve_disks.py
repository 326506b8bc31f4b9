"""The disks of nodes, and what a node finds when it looks for storage."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.load import load_tree
from simulator.build import twin_of
from simulator.linux.host import LinuxHost
from simulator.linux.install import declared as declared_host
from simulator.linux.install import hosts_of
from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster, cluster
from tests.simulator.three_nodes import hardware

TREE = Path(__file__).parents[2] / "desired-state"
GB = 10**9


@cache
def _lab() -> Any:
    return load_tree(TREE)


def _served(name: str, *, hosts: bool = False) -> Cluster:
    """A cluster of the desired state with its load, on request with its Linux hosts."""
    twin = twin_of(_lab())
    if hosts:
        for host in hosts_of(twin):
            declared_host(twin, host)
    api = PveApi(name, declared(twin, name))
    api.add_token(ROOT, SECRET)
    twin.attach(api)
    api.sync(twin)
    twin.settle()
    return Cluster(twin, api)


def _disks(here: Cluster, node: str, **asked: Any) -> dict[str, dict[str, Any]]:
    rows = here.ok(f"GET /nodes/{node}/disks/list", node=node, **asked)
    return {row["devpath"]: row for row in rows}


def test_a_disk_is_listed_as_the_raid_controller_shows_it_with_its_osd() -> None:
    here = _served("a")
    found = _disks(here, "pve1")
    assert list(found) == ["/dev/sda", "/dev/sdc", "/dev/sdd"]
    assert [row["size"] for row in found.values()] == [146 * GB, 500 * GB, 500 * GB]
    osds = [row["osdid"] for row in found.values()]
    assert (osds[0], min(osds[1:]) >= 0) == (-1, True)
    assert [row["used"] for row in found.values()] == ["BIOS boot", "LVM", "LVM"]
    assert found["/dev/sda"]["health"] == "UNKNOWN"
    assert _disks(here, "pve1", type="unused") == {}


def test_partitions_are_listed_where_the_host_tells_of_them() -> None:
    here = _served("b", hosts=True)
    found = _disks(here, "pve4")
    assert (list(found), found["/dev/sda"]["used"]) == (["/dev/sda"], "EFI")
    parted = _disks(here, "pve4", include__partitions=1)
    assert [(row.get("used"), row.get("parent")) for row in parted.values()] == [
        ("partitions", None),
        ("EFI", "/dev/sda"),
        ("LVM", "/dev/sda"),
    ]


def test_a_disk_that_failed_is_gone() -> None:
    here = _served("a")
    here.fail("fail-disk pve1/sdc")
    assert "/dev/sdc" not in _disks(here, "pve1")
    assert here.refusal("GET /nodes/pve1/disks/smart", disk="/dev/sdc") == (
        500,
        "not a valid block device",
    )
    here.fail("fail-disk pve1/sda")
    assert "/dev/sda" in _disks(here, "pve1")  # its mirror serves


def test_a_node_whose_disks_are_not_declared_has_one() -> None:
    here = cluster()
    found = _disks(here, "pve1")
    assert [(name, row["used"], row["model"]) for name, row in found.items()] == [
        ("/dev/sda", "BIOS boot", "unknown")
    ]
    assert here.ok("GET /nodes/pve1/disks/smart", disk="/dev/sda") == {"health": "PASSED"}
    assert here.ok("GET /nodes/pve1/disks/lvm") == {"leaf": 0, "children": []}
    refused = here.refusal("POST /nodes/pve1/disks/initgpt", disk="/dev/sda")
    assert refused == (500, "disk /dev/sda already in use")


def _ticket(here: Cluster) -> dict[str, str]:
    here.api.set_password("root@pam", SECRET)
    login = {"username": "root@pam", "password": SECRET}
    found = here.ok("POST /access/ticket", user=None, **login)
    return {
        "cookie": f"PVEAuthCookie={quote(found['ticket'], safe='')}",
        "csrfpreventiontoken": found["CSRFPreventionToken"],
    }


def test_a_blank_disk_gets_a_partition_table_and_loses_it_again() -> None:
    here, path = cluster(_two_disks()), "/dev/sdb"
    assert list(_disks(here, "pve1", type="unused")) == [path]
    task = here.done("POST /nodes/pve1/disks/initgpt", disk=path)
    assert (task.type, task.id, task.status) == ("diskinit", "sdb", "OK")
    assert (_disks(here, "pve1")[path]["gpt"], _disks(here, "pve2")["/dev/sdb"]["gpt"]) == (1, 0)
    wipe: dict[str, Any] = {"user": None, "headers": _ticket(here)}
    call = "PUT /nodes/pve1/disks/wipedisk"
    assert here.done(call, disk=path, **wipe).status == "OK"
    assert _disks(here, "pve1")[path]["gpt"] == 0
    assert here.refusal(call, disk=path, user=here.user("ana@pve", "PVEAdmin"))[0] == 403
    there = _served("a")
    wipe = {"user": None, "headers": _ticket(there)}
    for disk, why in {"/dev/sda": "is mounted", "/dev/sdd": "has a holder"}.items():
        assert there.refusal(call, disk=disk, **wipe) == (500, f"disk/partition '{disk}' {why}")


def _two_disks() -> str:
    disks = "    disks: {sda: {size: 100GB}, sdb: {size: 1TB}}\n"
    return hardware().replace("    memory: 12GiB\n", f"    memory: 12GiB\n{disks}")


def test_volume_groups_are_those_that_the_host_sees() -> None:
    here = _served("b", hosts=True)
    groups = {row["vg"]: row for row in here.ok("GET /nodes/pve4/scan/lvm", node="pve4")}
    shared = {group for name, group in here.twin.model.luns if name == "b"}
    assert (set(groups), groups["pve"]["lvcount"]) == ({"pve", *shared}, 1)
    tree = here.ok("GET /nodes/pve4/disks/lvm", node="pve4")["children"]
    (own,) = (row for row in tree if row["name"] == "pve")
    (member,) = own["children"]
    assert (member["name"], member["size"], member["free"]) == (
        "/dev/sda2",
        own["size"],
        own["free"],
    )
    assert own["free"] < own["size"]
    theirs = [row for row in tree if row["name"] in shared]
    assert all(row["children"][0]["name"].startswith("/dev/mapper/") for row in theirs)
    host = here.twin.devices["linux/pve4"]
    assert isinstance(host, LinuxHost)
    text = host.run(here.twin, "vgs --noheadings --units b --nosuffix -o vg_name,vg_free").stdout
    told = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()}
    assert told == {name: row["free"] for name, row in groups.items()}


def test_pools_are_those_that_storages_serve_from() -> None:
    here = cluster()
    here.ok("POST /storage", storage="tank", type="zfspool", pool="tank/vms")
    here.ok("POST /storage", storage="thin", type="lvmthin", vgname="fast", thinpool="data")
    (pool,) = here.ok("GET /nodes/pve1/disks/zfs")
    assert (pool["name"], pool["health"], pool["alloc"]) == ("tank", "ONLINE", 0)
    assert here.ok("GET /nodes/pve1/disks/zfs/tank")["state"] == "ONLINE"
    assert "failed: exit code 1" in here.refusal("GET /nodes/pve1/disks/zfs/vms")[1]
    assert [row["pool"] for row in here.ok("GET /nodes/pve1/scan/zfs")] == ["tank/vms"]
    assert here.ok("GET /nodes/pve1/scan/lvmthin", vg="fast") == [{"lv": "data"}]
    assert here.ok("GET /nodes/pve1/scan/lvmthin", vg="slow") == []
    (thin,) = here.ok("GET /nodes/pve1/disks/lvmthin")
    assert (thin["lv"], thin["vg"], thin["lv_size"]) == ("data", "fast", pool["size"])
    here.ok("PUT /storage/tank", nodes="pve2")
    assert here.ok("GET /nodes/pve1/disks/zfs") == []


def _nfs(here: Cluster) -> tuple[str, str]:
    """Server and folder of an NFS storage of the cluster."""
    entry = next(e for e in here.api.documents.storages.values() if e["type"] == "nfs")
    return str(entry["server"]), str(entry["export"])


def test_an_nfs_server_tells_its_folders_while_it_is_reached() -> None:
    here = _served("b")
    server, folder = _nfs(here)
    scan = {"call": "GET /nodes/pve4/scan/nfs", "node": "pve4", "server": server}
    assert folder in [row["path"] for row in here.ok(**scan)]
    (host,) = {e.host for e in here.twin.model.exports[server]}
    kind = "nas" if host in here.twin.model.lab.nas else "backup-server"
    here.fail(f"fail-{kind} {host}")
    failed = f"command '/sbin/showmount --no-headers --exports {server}' failed: exit code 1"
    assert here.refusal(**scan) == (500, failed)
    assert here.refusal(**{**scan, "server": "10.9.9.9"})[1].endswith("failed: exit code 1")


def test_an_array_tells_what_it_exports_now() -> None:
    here = _served("b")
    array, told = here.twin.model.lab.nas["nas1"], here.twin.state.arrays["nas1"]
    exports = {"/mnt/new": frozenset[str](), "/mnt/few": frozenset({"10.0.0.0/24", "10.0.0.9"})}
    here.twin.state.arrays["nas1"] = replace(told, exports=exports)
    vlan = next(v for v in array.addresses if v in here.twin.model.hosts["pve4"].addresses)
    rows = here.ok("GET /nodes/pve4/scan/nfs", node="pve4", server=str(array.addresses[vlan]))
    assert rows == [
        {"path": "/mnt/new", "options": "*"},
        {"path": "/mnt/few", "options": "10.0.0.0/24,10.0.0.9"},
    ]


def test_a_portal_tells_nothing_to_an_initiator_it_does_not_know() -> None:
    here = _served("b", hosts=True)
    portal = next(iter(here.twin.model.lab.nas["nas1"].portals.values())).address
    scan = {"call": "GET /nodes/pve4/scan/iscsi", "node": "pve4", "portal": str(portal)}
    assert here.ok(**scan)
    host = here.twin.devices["linux/pve4"]
    assert isinstance(host, LinuxHost)
    name = "echo InitiatorName=iqn.2001-01.com.example:other > /etc/iscsi/initiatorname.iscsi"
    assert host.run(here.twin, name).status == 0
    assert here.ok(**scan) == []


def test_a_portal_tells_its_targets_with_all_their_portals() -> None:
    here = _served("b")
    array = here.twin.model.lab.nas["nas1"]
    portals = [f"{portal.address}:3260" for portal in array.portals.values()]
    scan = {"call": "GET /nodes/pve4/scan/iscsi", "node": "pve4"}
    rows = here.ok(portal=portals[0], **scan)
    assert {row["target"] for row in rows} <= {f"{array.iqn}:{name}" for name in array.targets}
    assert rows
    assert all(set(row["portal"].split(",")) == set(portals) for row in rows)
    assert here.ok(portal=portals[0].replace("3260", "3261"), **scan) == []
    here.fail("fail-nas nas1")
    assert here.ok(portal=portals[0], **scan) == []
    assert here.refusal(portal="nas1.lab", **scan)[1] == (
        "unable to parse/resolve portal address 'nas1.lab'"
    )
    assert "portal" in here.errors(portal="10.0.0.1:x", **scan)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("GET /nodes/pve1/disks/list", ""),  # of several rights none is named
        ("GET /nodes/pve1/disks/lvm", " (/, Sys.Audit)"),
        ("GET /nodes/pve1/scan/lvm", " (/storage, Datastore.Allocate)"),
    ],
)
def test_who_may_look_at_disks(call: str, what: str) -> None:
    here = cluster()
    refused = here.refusal(call, user=here.user("ana@pve", "PVEVMAdmin"))
    assert refused == (403, f"Permission check failed{what}")
