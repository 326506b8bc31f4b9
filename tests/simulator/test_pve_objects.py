"""Mappings, metric servers and replication jobs, each over its section file."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pve.roles import ROLES_9
from tests.simulator.pve_cluster import Cluster, cluster

GPU = "node=pve1,path=0000:01:00.0,id=10de:1db6"


def test_a_mapping_has_a_place_on_each_node_in_the_order_given() -> None:
    here = cluster()
    maps = ["node=pve3,path=/x", "path=/srv/data,node=pve1"]
    here.ok("POST /cluster/mapping/dir", id="share", map=maps, description="d")
    shown = here.ok("GET /cluster/mapping/dir/share")
    assert (shown["map"], shown["description"], shown["type"]) == (maps, "d", "dir")
    checked = here.ok("GET /cluster/mapping/dir", check__node="pve2")[0]["checks"]
    assert checked == [{"severity": "warning", "message": "No mapping for node pve2."}]


def test_items_of_a_mapping_are_checked_one_by_one() -> None:
    here = cluster()
    errors = here.errors("POST /cluster/mapping/pci", id="gpu", map=[GPU, "node=pve1,path=bad"])
    assert errors["map[1]"].startswith("invalid format - format error\nmap[1].")
    assert here.ok("GET /cluster/mapping/pci") == []


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        (["node=pve1,path=/nowhere"], "Path /nowhere does not exist"),
        (["node=pve2,path=/a", "node=pve2,path=/b"], "Node 'pve2' is specified 2 times."),
    ],
)
def test_a_folder_must_be_there_and_a_node_named_once(folders: list[str], problem: str) -> None:
    refused = cluster().refusal("POST /cluster/mapping/dir", id="x1", map=folders)
    assert refused == (500, problem)


def test_a_device_mapping_must_be_sent_whole_and_a_digest_covers_the_file() -> None:
    here = cluster()
    here.ok("POST /cluster/mapping/pci", id="gpu", map=[GPU])
    seen = here.ok("GET /cluster/mapping/pci/gpu")["digest"]
    missing = "update hardware mapping failed: missing value for required option 'map'"
    assert here.refusal("PUT /cluster/mapping/pci/gpu", description="x") == (500, missing)
    here.ok("POST /cluster/mapping/pci", id="gpu2", map=[GPU])
    changed = "detected modified configuration - file changed by other user? Try again."
    refused = here.refusal("PUT /cluster/mapping/pci/gpu", map=[GPU], digest=seen)
    assert refused == (500, f"update hardware mapping failed: {changed}")
    here.ok("DELETE /cluster/mapping/pci/gpu")
    here.ok("DELETE /cluster/mapping/pci/gpu")


def test_a_mapping_is_seen_by_whoever_may_use_it() -> None:
    here = cluster()
    here.ok("POST /cluster/mapping/pci", id="gpu", map=[GPU])
    here.ok("POST /cluster/mapping/pci", id="nic", map=[GPU])
    user = here.user("ana@pve", "PVEMappingUser", path="/mapping/pci/gpu")
    assert [row["id"] for row in here.ok("GET /cluster/mapping/pci", user=user)] == ["gpu"]
    refused = here.refusal("GET /cluster/mapping/pci/nic", user=user)
    assert refused == (403, "Permission check failed")
    assert "PVEMappingUser" in ROLES_9


def test_a_metric_server_is_kept_without_its_token_and_asked_only_over_tcp() -> None:
    here = cluster()
    base = "/cluster/metrics/server"
    here.ok(f"POST {base}/db", type="influxdb", server="10.0.0.9", port=8089, token="hidden")
    assert here.ok(f"GET {base}") == [
        {"id": "db", "type": "influxdb", "server": "10.0.0.9", "port": 8089, "disable": 0}
    ]
    assert "hidden" not in str(here.api.documents.files)
    assert here.refusal(f"POST {base}/db", type="graphite", server="x", port=1) == (
        500, "Metric server 'db' already exists",
    )  # fmt: skip
    assert (
        here.refusal(f"POST {base}/gr", type="graphite", server="x", port=1, proto="tcp")[0] == 500
    )
    here.ok(f"PUT {base}/db", server="10.0.0.9", port=8090, disable=1)
    unexpected = here.refusal(f"PUT {base}/db", server="10.0.0.9", port=1, path="a")
    assert unexpected == (500, "unexpected property 'path'")
    assert here.ok(f"GET {base}/db")["port"] == 8090
    here.ok(f"DELETE {base}/db")
    assert here.ok(f"GET {base}") == []


def _replicated(**more: Any) -> Cluster:
    here = cluster()
    here.api.documents.storages["tank"] = {"type": "zfspool", "pool": "tank", "content": "images"}
    here.api.sync(here.twin)
    here.guest(100, scsi0="tank:1", **more)
    here.ok("POST /cluster/replication", id="100-0", type="local", target="pve2", rate=10)
    return here


def test_a_replication_job_knows_its_source_and_next_run() -> None:
    here = _replicated()
    job = here.ok("GET /cluster/replication/100-0")
    assert (job["source"], job["target"], job["guest"], job["rate"]) == ("pve1", "pve2", 100, 10)
    state = here.ok("GET /nodes/pve1/replication/100-0/status")
    assert (state["next_sync"], state["last_sync"], state["vmtype"]) == (900, 0, "qemu")
    assert here.ok("GET /nodes/pve2/replication") == []


def test_a_job_is_refused_for_what_can_not_be_replicated() -> None:
    here = _replicated()
    base = "POST /cluster/replication"
    assert here.refusal(base, id="100-1", type="local", target="pve1")[1] == (
        "Source and target must not be identical"
    )
    assert here.refusal(base, id="100-1", type="local", target="pve2")[1] == (
        "replication job for guest '100' to target 'local/pve2' already exists"
    )
    here.guest(101, scsi0="data:1")
    assert here.refusal(base, id="101-0", type="local", target="pve2")[1] == (
        "missing replicate feature on volume 'data:101/vm-101-disk-0.raw'"
    )


def test_a_replicated_guest_goes_only_with_its_jobs() -> None:
    here = _replicated()
    assert here.refusal("DELETE /nodes/pve1/qemu/100")[1] == (
        "There is a replication job '100-0' for guest '100' - Please remove that first."
    )
    here.ok("DELETE /cluster/replication/100-0", keep=1)
    assert here.ok("GET /cluster/replication")[0]["remove_job"] == "local"
    here.done("DELETE /nodes/pve1/qemu/100", purge=1)
    assert here.ok("GET /cluster/replication") == []
