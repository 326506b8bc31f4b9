"""Fabrics of SDN as they are served: sections of a file, staged, applied, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.pve.documents import Documents
from simulator.pve_datacenter.fabric_file import FABRICS
from tests.simulator.pve_cluster import Cluster, cluster

FABRIC, NODE = "/cluster/sdn/fabrics/fabric", "/cluster/sdn/fabrics/node"
OPEN = {"protocol": "openfabric"}
TEXT = """openfabric_fabric: f1
\thello_interval 5
\tip_prefix 10.9.0.0/24

openfabric_node: f1_pve1
\tinterfaces name=eno1,hello_multiplier=5
\tinterfaces name=eno2
\tip 10.9.0.1

ospf_fabric: f2
\tarea 0
\tip_prefix 10.8.0.0/24
"""


def _with_fabrics() -> Cluster:
    here = cluster()
    here.ok(f"POST {FABRIC}", id="f2", protocol="ospf", area="0", ip_prefix="10.8.0.0/24")
    here.ok(f"POST {FABRIC}", id="f1", ip_prefix="10.9.0.0/24", hello_interval=5, **OPEN)
    faces = ["hello_multiplier=5,name=eno1", "name=eno2"]
    here.ok(f"POST {NODE}/f1", node_id="pve1", ip="10.9.0.1", interfaces=faces, **OPEN)
    return here


def test_a_fabric_and_its_nodes_are_sections_of_one_file() -> None:
    here = _with_fabrics()
    documents = here.api.documents
    assert documents.files["sdn/fabrics.cfg"] == TEXT
    again = Documents(files={"sdn/fabrics.cfg": TEXT})
    assert FABRICS.text(FABRICS.entries(again)) == TEXT
    digest = here.ok(f"GET {FABRIC}/f1")["digest"]
    assert len(digest) == 64
    assert here.ok(f"GET {NODE}/f1/pve1") == {
        "fabric_id": "f1", "node_id": "pve1", "protocol": "openfabric", "ip": "10.9.0.1",
        "interfaces": ["name=eno1,hello_multiplier=5", "name=eno2"], "digest": digest,
    }  # fmt: skip
    both = here.ok("GET /cluster/sdn/fabrics/all")
    assert [row["id"] for row in both["fabrics"]] == ["f1", "f2"]
    assert both["nodes"] == here.ok(f"GET {NODE}/f1")
    assert here.ok(f"GET {NODE}/f2") == []


def test_a_fabric_is_staged_applied_and_rolled_back_with_the_rest() -> None:
    here = _with_fabrics()
    assert here.ok(f"GET {FABRIC}", running=1) == []
    assert {row["state"] for row in here.ok(f"GET {FABRIC}", pending=1)} == {"new"}
    pending = "could not acquire lock for SDN config: configuration has pending changes"
    assert here.refusal("POST /cluster/sdn/lock") == (500, pending)
    here.done("PUT /cluster/sdn")
    here.ok(f"PUT {FABRIC}/f1", delete=["hello_interval"], **OPEN)
    here.ok(f"DELETE {FABRIC}/f2")
    row, gone = here.ok(f"GET {FABRIC}", pending=1)
    assert (row["state"], row["pending"]) == ("changed", {"hello_interval": "deleted"})
    assert (gone["id"], gone["state"]) == ("f2", "deleted")
    here.ok("POST /cluster/sdn/rollback")
    assert here.api.documents.files["sdn/fabrics.cfg"] == TEXT


def test_a_fabric_goes_with_its_nodes_once_nothing_uses_it() -> None:
    here = _with_fabrics()
    zone = "/cluster/sdn/zones"
    here.ok(f"POST {zone}", zone="x1", type="vxlan", fabric="f1")
    refused = 'deleting fabric failed: this fabric is still used in the VXLAN zone "x1"'
    assert here.refusal(f"DELETE {FABRIC}/f1") == (500, refused)
    here.ok(f"DELETE {zone}/x1")
    here.ok(f"DELETE {FABRIC}/f1")
    assert here.ok(f"GET {NODE}") == []
    told = "fabric 'f1' does not exist in configuration"
    assert here.refusal(f"GET {FABRIC}/f1") == (500, told)


@pytest.mark.parametrize(
    ("call", "params", "told"),
    [
        (f"POST {FABRIC}", {"id": "f1", "ip_prefix": "10.7.0.0/24", **OPEN}, "already exists"),
        (f"POST {FABRIC}", {"id": "f3", "ip_prefix": "10.9.0.128/25", **OPEN}, "overlaps with"),
        (f"POST {FABRIC}", {"id": "f3", **OPEN}, "does not have any IP prefix"),
        (f"POST {FABRIC}", {"id": "f3", "protocol": "ospf", "ip_prefix": "10.7.0.0/24"},
         "missing field `area`"),
        (f"POST {FABRIC}", {"id": "f3", "protocol": "ospf", "ip_prefix": "10.7.0.0/24",
                            "area": "0"}, "same OSPF area"),
        (f"POST {FABRIC}", {"id": "f3", "protocol": "bgp", "ip_prefix": "10.7.0.0/24"},
         "does not have a value in the enumeration 'openfabric, ospf'"),
        (f"PUT {FABRIC}/f1", {"ip_prefix": "10.7.0.0/24", **OPEN}, "is outside the IP prefix"),
        (f"PUT {FABRIC}/f2", {"hello_interval": 1, **OPEN}, "a different protocol"),
        (f"PUT {FABRIC}/f1", {"route_filter": "x", **OPEN}, "property is not defined"),
        (f"PUT {FABRIC}/f1", {"digest": "0", **OPEN}, "detected modified configuration"),
        (f"POST {NODE}/f1", {"node_id": "pve1", "ip": "10.9.0.2", **OPEN}, "already exists in"),
        (f"POST {NODE}/f1", {"node_id": "pve2", "ip": "10.9.0.1", **OPEN}, "duplicated IPs"),
        (f"POST {NODE}/f1", {"node_id": "pve2", "ip": "10.7.0.1", **OPEN}, "is outside"),
        (f"POST {NODE}/f1", {"node_id": "pve2", "ip6": "fd00::1", **OPEN}, "not have an IP prefix"),
        (f"POST {NODE}/f1", {"node_id": "pve2", **OPEN}, "does not have an IP"),
        (f"POST {NODE}/f1", {"node_id": "pve2", "ip": "10.9.0.2", "protocol": "ospf"},
         "a different protocol"),
        (f"POST {NODE}/f2", {"node_id": "pve1", "ip": "10.8.0.1", "protocol": "ospf",
                             "interfaces": ["name=eno1"]}, "used more than once"),
        (f"POST {NODE}/f2", {"node_id": "pve1", "ip": "10.8.0.1", "protocol": "ospf",
                             "interfaces": ["name=eno1,hello_multiplier=3"]}, "not defined in"),
        (f"DELETE {NODE}/f1/pve2", {}, "node 'pve2' does not exist in fabric 'f1'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(
    call: str, params: dict[str, Any], told: str
) -> None:
    here = _with_fabrics()
    response = here.send(call, **params)
    assert response.status != 200
    assert told in str(response.members)
    assert here.api.documents.files["sdn/fabrics.cfg"] == TEXT


def test_who_changes_a_node_of_a_fabric_needs_rights_on_both() -> None:
    here = _with_fabrics()
    weak = here.user("ana@pve", "PVESDNAdmin", path="/sdn/fabrics/f1")
    refused = (403, "Permission check failed (/nodes/pve1, Sys.Modify)")
    assert here.refusal(f"DELETE {NODE}/f1/pve1", user=weak) == refused
    assert [row["id"] for row in here.ok(f"GET {FABRIC}", user=weak)] == ["f1"]
    assert here.ok(f"GET {NODE}", user=weak) == []


def test_a_running_copy_that_names_sections_inside_is_no_difference() -> None:
    here = _with_fabrics()
    here.done("PUT /cluster/sdn")
    running = json.loads(here.api.documents.files["sdn/.running-config"])
    for name, section in running["fabrics"]["ids"].items():
        section["id"] = name
    here.api.documents.files["sdn/.running-config"] = json.dumps(running)
    both = here.ok("GET /cluster/sdn/fabrics/all", pending=1)
    assert [row.get("state") for row in (*both["fabrics"], *both["nodes"])] == [None] * 3


def test_who_holds_the_lock_may_send_its_token_with_any_call_on_fabrics() -> None:
    here = _with_fabrics()
    token = here.ok("POST /cluster/sdn/lock", allow__pending=1)
    call = f"DELETE {NODE}/f1/pve1"
    refused = "deleting node failed: invalid lock token provided!"
    assert here.refusal(call) == (500, refused)
    here.ok(call, lock__token=token)
