"""Users of a directory or of an issuer: neither answers, and the jobs that would ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.pve_cluster import Cluster, cluster

JOBS = "/cluster/jobs/realm-sync"
SYNC = "/access/domains/corp/sync"


def _with_realm(**more: Any) -> Cluster:
    here = cluster()
    where = {"server1": "10.0.0.1", "base_dn": "dc=lab", "user_attr": "uid", **more}
    here.ok("POST /access/domains", realm="corp", type="ldap", **where)
    return here


def test_a_synchronisation_waits_for_each_server_and_tells_that_none_answered() -> None:
    here = _with_realm(server2="10.0.0.2")
    began_s = here.twin.now_s
    task = here.done(f"POST {SYNC}", scope="both", dry__run=1)
    assert (task.type, task.id) == ("auth-realm-sync-test", "corp")
    assert here.twin.now_s - began_s == 20.0
    assert task.log == (
        "(dry test run) starting sync for realm corp",
        "TASK ERROR: connect: Connection timed out",
    )


def test_what_is_taken_over_is_said_by_the_call_or_by_the_realm() -> None:
    here = _with_realm()
    told = "Not passed as parameter and not defined in realm default sync options."
    assert here.errors(f"POST {SYNC}") == {"scope": told}
    here.ok("PUT /access/domains/corp", sync__defaults__options="scope=users")
    assert here.done(f"POST {SYNC}").type == "auth-realm-sync"
    assert here.errors("POST /access/domains/no/sync") == {"realm": "Realm does not exist."}
    refused = (500, "Only LDAP/AD realms can be synced.")
    assert here.refusal("POST /access/domains/pve/sync") == refused


def test_a_job_stands_in_the_file_of_backup_jobs_and_is_none_of_them() -> None:
    here = _with_realm()
    here.ok("POST /cluster/backup", id="nightly", schedule="daily", all=1)
    here.ok(f"POST {JOBS}/often", realm="corp", schedule="hourly", scope="users", comment="a b")
    text = "realm-sync: often\n\tcomment a b\n\trealm corp\n\tschedule hourly\n\tscope users\n\n"
    assert here.api.documents.files["jobs.cfg"].endswith(text)
    assert [row["id"] for row in here.ok("GET /cluster/backup")] == ["nightly"]
    assert "No such job" in here.errors("GET /cluster/backup/often")["id"]
    (row,) = here.ok(f"GET {JOBS}")
    assert (row["id"], row["enabled"], row["next-run"] % 3600) == ("often", 1, 0)
    here.ok(f"PUT {JOBS}/often", schedule="daily", delete="comment", enabled=0)
    assert here.ok(f"GET {JOBS}/often") == {
        "id": "often", "type": "realm-sync", "realm": "corp", "schedule": "daily",
        "scope": "users", "enabled": 0,
    }  # fmt: skip
    here.ok(f"DELETE {JOBS}/often")
    assert here.ok(f"GET {JOBS}") == []
    assert "nightly" in here.api.documents.files["jobs.cfg"]


@pytest.mark.parametrize(
    ("call", "params", "told"),
    [
        (f"POST {JOBS}/nightly", {"realm": "corp", "scope": "users"}, "already exists"),
        (f"POST {JOBS}/other", {"realm": "pve", "scope": "users"}, "Only LDAP/AD realms"),
        (f"POST {JOBS}/other", {"realm": "no", "scope": "users"}, "No such realm 'no'"),
        (f"POST {JOBS}/other", {"scope": "users"}, "missing value for required option 'realm'"),
        (f"POST {JOBS}/other", {"realm": "corp"}, "missing value for required option 'scope'"),
        (f"PUT {JOBS}/nightly", {}, "no such realm-sync job"),
        (f"DELETE {JOBS}/nightly", {}, "No such job 'nightly'"),
    ],
)
def test_a_job_that_does_not_fit_is_refused(call: str, params: dict[str, Any], told: str) -> None:
    here = _with_realm()
    here.ok("POST /cluster/backup", id="nightly", schedule="daily", all=1)
    sent = params if call.startswith("DELETE") else {"schedule": "daily", **params}
    assert told in str(here.send(call, **sent).members)


def test_a_login_by_openid_fails_as_no_issuer_answers() -> None:
    here = _with_realm()
    where = {"client__id": "lab", "issuer__url": "https://10.0.0.3/id"}
    here.ok("POST /access/domains", realm="sso", type="openid", **where)
    back: dict[str, Any] = {"redirect__url": "https://pve1:8006", "user": None}
    ask = "POST /access/openid/auth-url"
    assert here.refusal(ask, realm="sso", **back) == (500, "Request failed")
    other = (500, "wrong realm type (ldap != openid)")
    assert here.refusal(ask, realm="corp", **back) == other
    sent = {"code": "x", "state": "y", **back}
    assert here.refusal("POST /access/openid/login", **sent) == (401, "authentication failure")
