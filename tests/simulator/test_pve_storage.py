"""Storage definitions and the volumes on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.load import load_tree
from simulator.build import twin_of
from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from simulator.pve_node.volumes import format_size, parse_size
from tests.simulator.pve_cluster import ROOT, SECRET, Cluster, cluster

TREE = Path(__file__).parents[2] / "desired-state"


def test_a_storage_gets_what_its_type_has_by_default() -> None:
    here = cluster()
    here.ok("POST /storage", storage="ceph", type="rbd", pool="vm", disable="1")
    shown = here.ok("GET /storage/ceph")
    assert (shown["content"], shown["shared"], shown["disable"]) == ("images", 1, 1)
    nfs = {"server": "10.0.0.1", "export": "/tank", "content": "iso"}
    here.ok("POST /storage", storage="isos", type="nfs", disable="1", **nfs)
    assert here.ok("GET /storage/isos")["path"] == "/mnt/pve/isos"


def test_a_storage_refuses_what_its_type_does_not_know() -> None:
    here = cluster()
    assert here.refusal("POST /storage", storage="d1", type="dir") == (
        500,
        "missing value for required option 'path'",
    )
    assert here.refusal("POST /storage", storage="d1", type="dir", path="/x", pool="y") == (
        500,
        "unexpected property 'pool'",
    )
    assert here.refusal("POST /storage", storage="data", type="dir", path="/x")[0] == 500


def test_an_update_changes_only_what_is_given_and_fixed_things_never() -> None:
    here = cluster()
    here.ok("PUT /storage/data", content="images", nodes="pve2,pve1")
    shown = here.ok("GET /storage/data")
    assert (shown["content"], shown["nodes"], shown["path"]) == ("images", "pve1,pve2", "/srv/data")
    here.ok("PUT /storage/data", delete="nodes")
    assert "nodes" not in here.ok("GET /storage/data")
    assert here.refusal("PUT /storage/data", delete="path") == (
        500,
        "update storage failed: unable to delete required option 'path'",
    )
    assert "path" in here.errors("PUT /storage/data", path="/elsewhere")


def test_a_digest_covers_the_whole_file() -> None:
    here = cluster()
    digest = here.ok("GET /storage/data")["digest"]
    here.ok("PUT /storage/local", content="iso")
    status, reason = here.refusal("PUT /storage/data", content="images", digest=digest)
    assert status == 500
    assert reason.startswith(
        "update storage failed: detected modified configuration - file changed"
    )
    here.ok("PUT /storage/data", content="images", digest=here.ok("GET /storage/data")["digest"])


def test_secrets_are_taken_and_kept_in_no_file() -> None:
    here = cluster()
    here.ok(
        "POST /storage",
        storage="bak",
        type="pbs",
        server="b",
        datastore="m",
        username="u",
        password="hidden word",
        disable="1",
    )
    assert "hidden word" not in str(here.ok("GET /storage"))
    assert "username u\n" in here.api.documents.files["storage.cfg"]
    assert "hidden word" not in str(here.api.documents)


def test_an_nfs_storage_that_nobody_serves_is_not_kept() -> None:
    here = cluster()
    nfs = {"type": "nfs", "server": "10.0.0.1", "export": "/tank"}
    assert here.refusal("POST /storage", storage="isos", **nfs) == (
        500,
        "create storage failed: storage 'isos' is not online",
    )
    assert [row["storage"] for row in here.ok("GET /storage")] == ["local", "data"]


def test_a_node_lists_all_storages_or_those_that_serve_some_content() -> None:
    here = cluster()
    here.ok("PUT /storage/data", nodes="pve2")
    rows = here.ok("GET /nodes/pve1/storage")
    assert [(row["storage"], row["enabled"]) for row in rows] == [("local", 1), ("data", 0)]
    assert "used_fraction" not in rows[1]
    assert here.ok("GET /nodes/pve1/storage", content="images") == []
    rows = here.ok("GET /nodes/pve2/storage", content="images")
    assert [(row["storage"], row["active"], row["enabled"]) for row in rows] == [("data", 1, 1)]
    here.ok("PUT /storage/data", disable=1)
    assert [row["storage"] for row in here.ok("GET /nodes/pve2/storage", enabled=1)] == ["local"]


def test_a_move_goes_over_a_storage_that_both_nodes_share() -> None:
    here = cluster()
    here.ok("POST /storage", storage="san", type="lvm", vgname="vg0", shared=1, nodes="pve1,pve2")
    both = here.ok("GET /nodes/pve1/storage", target="pve2")
    assert [row["storage"] for row in both] == ["san"]
    assert here.ok("GET /nodes/pve1/storage", target="pve3") == []


def test_a_storage_that_is_not_there_has_no_state() -> None:
    here = cluster()
    for call in ("GET /nodes/pve1/storage", "GET /nodes/pve1/storage/none/status"):
        sent = {} if call.endswith("status") else {"storage": "none"}
        assert here.errors(call, **sent) == {"storage": "No such storage."}


def test_a_storage_that_another_is_based_on_stays() -> None:
    here = cluster()
    base = {"type": "lvm", "vgname": "vg0", "base": "data:vm-1-disk-0"}
    here.ok("POST /storage", storage="san", disable=1, **base)
    why = "storage is used as base of another storage"
    refused = here.refusal("DELETE /storage/data")
    assert refused == (500, f"delete storage failed: can't remove storage - {why}")


def test_volumes_of_a_local_storage_belong_to_their_node() -> None:
    here = cluster()
    content = "/nodes/pve1/storage/data/content"
    volid = here.ok(f"POST {content}", vmid="100", filename="vm-100-disk-0.raw", size="1G")
    assert volid == "data:100/vm-100-disk-0.raw"
    assert here.refusal(f"POST {content}", vmid="100", filename="vm-100-disk-0.raw", size="1G") == (
        500,
        "disk image '/srv/data/images/100/vm-100-disk-0.raw' already exists",
    )
    (row,) = here.ok(f"GET {content}")
    assert (row["size"], row["vmid"], row["format"]) == (2**30, 100, "raw")
    assert here.ok("GET /nodes/pve2/storage/data/content") == []
    task = here.done(f"DELETE {content}/data:100%2Fvm-100-disk-0.raw")
    assert (task.type, task.id, task.status) == ("imgdel", "100@data", "OK")
    assert here.ok(f"GET {content}") == []


def test_a_volume_is_copied_to_another_node_by_root_alone() -> None:
    here = cluster()
    volid = here.ok(
        "POST /nodes/pve1/storage/data/content", vmid="100", filename="vm-100-disk-0.raw", size="1G"
    )
    call = f"POST /nodes/pve1/storage/data/content/{quote(volid, safe='')}"
    asked = {"target": "data:100/vm-100-disk-7.raw", "target_node": "pve2"}
    assert here.refusal(call, **asked)[0] == 403  # a token of root is not root
    login = here.ok("POST /access/ticket", user=None, username="root@pam", password=SECRET)
    headers = {
        "cookie": f"PVEAuthCookie={quote(login['ticket'], safe='')}",
        "csrfpreventiontoken": login["CSRFPreventionToken"],
    }
    by_root: dict[str, Any] = {"user": None, "headers": headers, **asked}
    assert here.done(call, **by_root).status == "OK"
    (row,) = here.ok("GET /nodes/pve2/storage/data/content")
    assert (row["volid"], row["size"]) == (asked["target"], 2**30)
    again = here.done(call, **by_root).status
    assert again == "volume 'data:100/vm-100-disk-7.raw' already exists"
    here.fail("fail-node pve2")
    assert "not online on node 'pve2'" in here.done(call, **by_root).status


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("32G", 32 * 2**30), ("528K", 528 * 1024), ("64M", 64 * 2**20), ("7", 7)],
)
def test_sizes_are_printed_in_the_largest_exact_unit(text: str, size_bytes: int) -> None:
    assert (parse_size(text), format_size(size_bytes)) == (size_bytes, text)


def test_a_storage_is_as_large_as_what_backs_it() -> None:
    twin = twin_of(load_tree(TREE))
    sizes = {}
    for name, node in (("a", "pve1"), ("b", "pve4")):
        api = PveApi(name, declared(twin, name))
        api.add_token(ROOT, SECRET)
        twin.attach(api)
        api.sync(twin)
        here = Cluster(twin, api)
        for row in here.ok(f"GET /nodes/{node}/storage", _node=node):
            sizes[row["storage"]] = row["total"]
            assert row["active"], row
            assert row["used"] + row["avail"] == row["total"]
    nas = twin.model.lab.nas["nas1"].disks
    assert sizes["vm-ceph"] == 6 * 500 * 10**9 // 3
    assert sizes["local"] == 146 * 10**9
    assert sizes["iso"] in {disk.size for disk in nas.values()}
    assert sizes["group1"] == sizes["group2"] > sizes["iso"]


def test_volumes_are_seen_and_freed_by_who_may_use_their_guests() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1")
    volid = here.config(100)["scsi0"].partition(",")[0]
    at = "/nodes/pve1/storage/data/content"
    user = here.user("ana@pve", "PVEDatastoreUser", path="/storage/data")
    assert here.ok(f"GET {at}", user=user) == []
    refused = here.refusal(f"GET {at}/{volid}", user=user)
    assert refused == (403, "Permission check failed (/vms/100, VM.Config.Disk)")
    here.ok("PUT /access/acl", path="/vms/100", roles="PVEVMAdmin", users="ana@pve")
    assert [row["volid"] for row in here.ok(f"GET {at}", user=user)] == [volid]
    freed = here.refusal(f"DELETE {at}/{volid}", user=user)
    assert freed == (403, "Permission check failed (/storage/data, Datastore.Allocate)")
    here.ok("PUT /storage/data", disable=1)
    assert here.refusal(f"GET {at}") == (500, "storage 'data' is disabled")
