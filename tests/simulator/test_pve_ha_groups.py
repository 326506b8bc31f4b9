"""HA groups, as 8.4 and 7.4 have them in place of rules."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.cluster.documents import NodeAffinity
from simulator.pve import etc_pve
from simulator.pve.releases import RELEASES
from tests.simulator.pve_cluster import Cluster, cluster

GROUPS = "/cluster/ha/groups"


def _at(release: str) -> Cluster:
    here = cluster()
    here.api.release = RELEASES[release]
    return here


def _services(here: Cluster) -> dict[str, tuple[str, str]]:
    rows = here.ok("GET /cluster/ha/status/current", node="pve1")
    return {row["sid"]: (row["node"], row["state"]) for row in rows if row["type"] == "service"}


@pytest.mark.parametrize("release", ["8.4", "7.4"])
def test_a_group_is_made_read_changed_and_removed(release: str) -> None:
    here = _at(release)
    here.ok(f"POST {GROUPS}", group="home", nodes="pve2:2,pve1", restricted="1", comment="ä")
    shown = here.ok(f"GET {GROUPS}/home")
    assert shown | {"digest": ""} == {
        "group": "home", "type": "group", "nodes": "pve1,pve2:2", "restricted": 1, "comment": "ä",
        "digest": "",
    }  # fmt: skip
    here.ok(f"PUT {GROUPS}/home", nofailback="1", delete="comment", digest=shown["digest"])
    changed = here.ok(f"GET {GROUPS}")
    assert [(row["nofailback"], "comment" in row) for row in changed] == [(1, False)]
    stale = here.refusal(f"PUT {GROUPS}/home", nofailback="0", digest=shown["digest"])
    assert "detected modified configuration" in stale[1]
    here.ok(f"DELETE {GROUPS}/home")
    assert here.ok(f"GET {GROUPS}") == []


@pytest.mark.parametrize(
    ("call", "params", "problem"),
    [
        (f"GET {GROUPS}/none", {}, "no such ha group 'none'"),
        (f"PUT {GROUPS}/none", {}, "no such ha group 'none'"),
        (f"POST {GROUPS}", {"group": "home", "nodes": "pve1"}, "'home' already defined"),
        (f"PUT {GROUPS}/home", {"delete": "nodes"}, "unable to delete required option 'nodes'"),
        (f"PUT {GROUPS}/home", {"delete": "bogus"}, "no such option 'bogus'"),
        (f"DELETE {GROUPS}/home", {}, "ha group is used by service 'vm:100'"),
        ("PUT /cluster/ha/resources/vm:100", {"group": "none"}, "HA group 'none' does not exist"),
        ("PUT /cluster/ha/resources/vm:100", {"delete": "failback"}, "no such option 'failback'"),
    ],
)
def test_what_a_group_can_not_be_is_refused(call: str, params: Any, problem: str) -> None:
    here = _at("8.4")
    here.guest(100)
    here.ok(f"POST {GROUPS}", group="home", nodes="pve1")
    here.ok("POST /cluster/ha/resources", sid="vm:100", group="home")
    assert problem in here.refusal(call, **params)[1]


def test_a_resource_goes_where_its_group_wants_it_and_says_so() -> None:
    here = _at("8.4")
    here.guest(100)
    here.ok(f"POST {GROUPS}", group="home", nodes="pve2", restricted="1")
    here.ok("POST /cluster/ha/resources", sid="vm:100", group="home", state="started")
    here.wait(240)
    assert _services(here)["vm:100"] == ("pve2", "started")
    rows = here.ok("GET /cluster/ha/status/current")
    assert [row["group"] for row in rows if row["type"] == "service"] == ["home"]
    assert {row["type"] for row in rows} == {"quorum", "master", "lrm", "service"}
    here.ok(f"PUT {GROUPS}/home", nodes="pve3")
    here.wait(240)
    assert _services(here)["vm:100"] == ("pve3", "started")
    assert here.ok("POST /cluster/ha/resources/vm:100/migrate", _node="pve3") is None


def test_the_physics_has_a_group_as_an_affinity_with_its_failback() -> None:
    here = _at("8.4")
    here.guest(100)
    here.ok(f"POST {GROUPS}", group="home", nodes="pve1:2,pve2", nofailback="1")
    here.ok("POST /cluster/ha/resources", sid="vm:100", group="home")
    workload = here.twin.facts.workload("a")
    assert workload.rules == {
        "ha-group-home": NodeAffinity(
            "ha-group-home", frozenset({"vm:100"}), {"pve1": 2, "pve2": 0}, strict=False
        )
    }
    assert not workload.ha["vm:100"].failback
    here.ok("PUT /cluster/ha/resources/vm:100", delete="group")
    assert here.twin.facts.workload("a").rules == {}
    assert here.twin.facts.workload("a").ha["vm:100"].failback


def test_groups_are_a_file_of_the_cluster() -> None:
    here = _at("8.4")
    here.ok(f"POST {GROUPS}", group="home", nodes="pve1,pve2", restricted="1")
    files = etc_pve.write(here.api.documents, {})
    assert files["ha/groups.cfg"] == "group: home\n\tnodes pve1,pve2\n\trestricted 1\n\n"
    assert etc_pve.read(files).documents.files["ha/groups.cfg"] == files["ha/groups.cfg"]


def test_a_guests_status_names_the_group_it_is_in() -> None:
    here = _at("8.4")
    here.ok(f"POST {GROUPS}", group="home", nodes="pve2")
    here.guest(100)
    here.ok("POST /cluster/ha/resources", sid="vm:100", state="stopped", group="home")
    shown = here.ok("GET /nodes/pve1/qemu/100/status/current")["ha"]
    assert shown == {"managed": 1, "state": None, "group": "home"}
