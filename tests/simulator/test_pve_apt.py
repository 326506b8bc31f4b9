"""Repositories of a node as other people's tools change them, and what is installed."""

from __future__ import annotations

from typing import Any

from simulator.pve.releases import RELEASES
from tests.simulator.pve_cluster import Cluster, cluster

APT = "/nodes/pve1/apt"
FOLDER = "/etc/apt/sources.list.d"


def _standard(here: Cluster, node: str = "pve1") -> dict[str, Any]:
    rows = here.ok(f"GET /nodes/{node}/apt/repositories")["standard-repos"]
    return {row["handle"]: row.get("status") for row in rows}


def _enabled(here: Cluster, path: str) -> list[int]:
    files = {row["path"]: row for row in here.ok(f"GET {APT}/repositories")["files"]}
    return [entry["Enabled"] for entry in files[path]["repositories"]]


def test_a_node_is_changed_from_the_enterprise_repository_to_the_public_one() -> None:
    here = cluster()
    assert (_standard(here)["enterprise"], _standard(here)["no-subscription"]) == (1, None)
    enterprise = f"{FOLDER}/pve-enterprise.sources"
    here.ok(f"POST {APT}/repositories", path=enterprise, index=0, enabled=0)
    here.ok(f"PUT {APT}/repositories", handle="no-subscription")
    assert (_standard(here)["enterprise"], _standard(here)["no-subscription"]) == (0, 1)
    assert _standard(here, "pve2")["enterprise"] == 1, "each node has its own"
    here.ok(f"PUT {APT}/repositories", handle="test")
    assert _enabled(here, f"{FOLDER}/proxmox.sources") == [1, 1]
    here.ok(f"PUT {APT}/repositories", handle="enterprise")
    assert _enabled(here, enterprise) == [1], "enabled again where it was"


def test_a_change_of_something_else_is_noticed() -> None:
    here = cluster()
    seen = here.ok(f"GET {APT}/repositories")["digest"]
    here.ok(f"PUT {APT}/repositories", handle="test", digest=seen)
    changed = "detected modified configuration - file changed by other user? Try again."
    refused = here.refusal(f"PUT {APT}/repositories", handle="enterprise", digest=seen)
    assert refused == (500, changed)
    debian = f"{FOLDER}/debian.sources"
    for wrong in ({"path": "/etc/apt/x", "index": 0}, {"path": debian, "index": 2},
                  {"path": debian, "index": -1}):  # fmt: skip
        assert here.refusal(f"POST {APT}/repositories", **wrong)[0] == 500
    assert here.refusal(f"PUT {APT}/repositories", handle="nightly")[0] == 500
    assert _enabled(here, debian) == [1, 1]


def test_versions_are_those_of_the_release_and_nothing_waits() -> None:
    here = cluster()
    found = {row["Package"]: row for row in here.ok(f"GET {APT}/versions")}
    version = here.ok("GET /version")
    assert found["pve-manager"]["Version"] == version["version"]
    assert (
        found["proxmox-ve"]["RunningKernel"]
        == (here.ok("GET /nodes/pve1/status")["current-kernel"]["release"])
    )
    assert here.ok(f"GET {APT}/update") == []
    here.api.release = RELEASES["8.4"]
    older = {row["Package"]: row["Version"] for row in here.ok(f"GET {APT}/versions")}
    assert (older["pve-manager"], older["proxmox-ve"]) == ("8.4.14", "8.4.0")
    assert "qemu-server" not in older, "whose version is not known"
    assert here.refusal(f"GET {APT}/repositories")[0] == 501


def test_who_only_looks_changes_no_repository() -> None:
    here = cluster()
    auditor = here.user("ana@pve", "PVEAuditor")
    here.ok(f"GET {APT}/repositories", user=auditor)
    assert here.refusal(f"PUT {APT}/repositories", user=auditor, handle="test")[0] == 403
    assert here.refusal(f"GET {APT}/update", user=auditor)[0] == 403
