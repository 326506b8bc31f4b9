"""Calls of the cluster that others collect from: figures, schedules, second factors, certificates
to be had.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.simulator.pve_cluster import Cluster, cluster


def _figures(here: Cluster, **params: Any) -> dict[tuple[str, str], float]:
    rows = here.ok("GET /cluster/metrics/export", **params)["data"]
    return {(row["id"], row["metric"]): row["value"] for row in rows}


def test_figures_of_the_whole_cluster_are_those_of_the_status_calls() -> None:
    here = cluster()
    here.guest(100, memory=1024)
    here.done("POST /nodes/pve1/qemu/100/status/start")
    here.wait(100)
    found = _figures(here)
    guest = here.ok("GET /nodes/pve1/qemu/100/status/current")
    assert found["qemu/100", "uptime"] == guest["uptime"] == 100
    assert found["qemu/100", "mem_used"] == 1024 * 2**20
    status = here.ok("GET /nodes/pve1/status")
    assert found["node/pve1", "mem_used"] == status["memory"]["used"]
    local = here.ok("GET /nodes/pve2/storage/local/status")
    assert found["storage/pve2/local", "disk_total"] == local["total"]


def test_figures_are_only_of_nodes_that_are_asked_for_and_answer() -> None:
    here = cluster()
    here.fail("fail-node pve3")
    assert {name for name, _ in _figures(here) if name.startswith("node/")} == {
        "node/pve1", "node/pve2",
    }  # fmt: skip
    assert {name for name, _ in _figures(here, node__list="pve2")} == {
        "node/pve2", "storage/pve2/data", "storage/pve2/local",
    }  # fmt: skip
    assert ("node/pve2", "uptime") not in _figures(here, local__only=1)
    later = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp())
    assert _figures(here, start__time=later) == {}


def test_a_schedule_tells_when_it_would_run() -> None:
    here = cluster()
    rows = here.ok("GET /cluster/jobs/schedule-analyze", schedule="sat 02:30", iterations=2)
    assert rows == [
        {"timestamp": 1_767_407_400, "utc": "Sat Jan  3 02:30:00 2026"},
        {"timestamp": 1_768_012_200, "utc": "Sat Jan 10 02:30:00 2026"},
    ]
    assert len(here.ok("GET /cluster/jobs/schedule-analyze", schedule="hourly")) == 10
    once = here.ok("GET /cluster/jobs/schedule-analyze", schedule="2027-05-01", iterations=5)
    assert len(once) == 1, "an event that is over comes no more"
    for start_s in (10**14, -(10**14), 253_402_300_700):
        far: dict[str, object] = {"schedule": "hourly", "starttime": start_s}
        assert here.ok("GET /cluster/jobs/schedule-analyze", **far) == [], "no date is that far"
    assert "schedule" in here.errors("GET /cluster/jobs/schedule-analyze", schedule="never")
    assert here.ok("GET /cluster/jobs/realm-sync") == []


def test_nobody_has_a_second_factor_and_others_may_not_ask() -> None:
    here = cluster()
    user = here.user("ana@pve")
    assert here.ok("GET /access/tfa/ana@pve", user=user) == []
    assert here.ok("GET /access/users/ana@pve/tfa", user=user, multiple=1) == {"types": []}
    assert here.refusal("GET /access/tfa/root@pam", user=user)[0] == 403
    assert here.refusal("PUT /access/users/ana@pve/unlock-tfa", user=user)[0] == 403
    assert here.ok("PUT /access/users/ana@pve/unlock-tfa") == 0
    missing = here.refusal("GET /access/users/bob@pve/tfa")
    assert missing == (500, "no such user ('bob@pve')")
    assert here.refusal("GET /access/tfa/ana@pve/totp1")[1] == "No such tfa entry 'totp1'"


def test_a_realm_says_what_factor_it_asks_for() -> None:
    here = cluster()
    here.user("ana@corp")
    refused = here.refusal("GET /access/users/ana@corp/tfa")
    assert refused == (500, "auth domain 'corp' does not exist")
    here.api.documents.domains["corp"] = {"type": "ldap", "tfa": "type=oath,step=30"}
    assert here.ok("GET /access/users/ana@corp/tfa") == {"realm": "oath"}


def test_no_account_for_certificates_is_set_up() -> None:
    here = cluster()
    assert here.ok("GET /cluster/acme/account") == []
    assert [row["plugin"] for row in here.ok("GET /cluster/acme/plugins")] == ["standalone"]
    assert here.ok("GET /cluster/acme/plugins", type="dns") == []
    assert here.refusal("GET /cluster/acme/plugins/cf") == (500, "ACME plugin 'cf' not defined")
    assert here.refusal("GET /cluster/acme/account/default")[0] == 403, "for root alone"
    urls = [row["url"] for row in here.ok("GET /cluster/acme/directories")]
    assert all(url.startswith("https://acme-") for url in urls)
    assert len(urls) == 2
