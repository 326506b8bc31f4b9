"""Targets and matchers of notifications: what is built in, what holds on to what, and secrets."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pve import etc_pve
from tests.simulator.pve_cluster import Cluster, cluster

BASE = "/cluster/notifications"
HOOK = {"url": "https://hook.example", "method": "post"}


def _names(here: Cluster, path: str) -> dict[str, str]:
    return {row["name"]: row["origin"] for row in here.ok(f"GET {BASE}/{path}")}


def test_a_built_in_target_comes_back_as_it_was() -> None:
    here = cluster()
    assert _names(here, "targets") == {"mail-to-root": "builtin"}
    assert _names(here, "matchers") == {"default-matcher": "builtin"}
    path = f"{BASE}/endpoints/sendmail/mail-to-root"
    here.ok(f"PUT {path}", mailto=["ops@lab.example"], comment="to the crew")
    assert _names(here, "targets") == {"mail-to-root": "modified-builtin"}
    assert here.ok(f"GET {path}")["mailto"] == ["ops@lab.example"]
    here.ok(f"DELETE {path}")
    assert _names(here, "targets") == {"mail-to-root": "builtin"}
    assert "mailto" not in here.ok(f"GET {path}")


def test_secrets_are_taken_and_nowhere_to_be_seen() -> None:
    here = cluster()
    ends = f"{BASE}/endpoints"
    here.ok(f"POST {ends}/gotify", name="push", server="https://g.example", token="hidden1")
    here.ok(
        f"POST {ends}/smtp", name="mail", server="m.example", mailto=["a@b.example"],
        username="u", password="hidden2", from__address="pve@lab.example",
    )  # fmt: skip
    here.ok(f"POST {ends}/webhook", name="hook", secret=["name=key,value=hidden3"], **HOOK)
    here.ok(f"PUT {ends}/gotify/push", token="hidden4", server="https://h.example")
    assert here.ok(f"GET {ends}/webhook/hook")["secret"] == ["name=key"]
    assert here.ok(f"GET {ends}/gotify")[0]["server"] == "https://h.example"
    shown = [here.ok(f"GET {ends}/{kind}") for kind in ("gotify", "smtp", "webhook")]
    kept = here.api.documents
    log = here.ok("GET /cluster/log")
    assert "hidden" not in str([shown, kept.files, log, here.ok(f"GET {BASE}/targets")])


def test_a_target_that_a_matcher_names_stays() -> None:
    here = cluster()
    here.ok(f"POST {BASE}/endpoints/webhook", name="hook", **HOOK)
    here.ok(
        f"POST {BASE}/matchers", name="late", target=["hook"], match__severity=["warning,error"],
        match__field=["exact:type=vzdump", "regex:hostname=^pve"], match__calendar=["8-12"],
    )  # fmt: skip
    status, why = here.refusal(f"DELETE {BASE}/endpoints/webhook/hook")
    assert (status, why) == (400, "cannot delete 'hook', referenced by: late")
    here.ok(f"PUT {BASE}/matchers/late", delete=["target"])
    here.ok(f"DELETE {BASE}/endpoints/webhook/hook")
    missing = here.refusal(f"PUT {BASE}/matchers/late", target=["hook"])
    assert missing == (404, "endpoint 'hook' does not exist")
    shown = here.ok(f"GET {BASE}/matchers/late")
    assert shown["match-field"] == ["exact:type=vzdump", "regex:hostname=^pve"]
    assert "target" not in shown


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("endpoints/sendmail", {"name": "mm"}, 400),
        ("endpoints/gotify", {"name": "gg", "server": "x"}, 400),
        ("endpoints/webhook", {"name": "mail-to-root", **HOOK}, 400),
        ("matchers", {"name": "mm", "match__field": ["type=vzdump"]}, 400),
        ("matchers", {"name": "mm", "match__severity": ["loud"]}, 400),
        ("matchers", {"name": "mm", "target": ["default-matcher"]}, 404),
    ],
)
def test_what_does_not_fit_is_refused(path: str, params: dict[str, Any], status: int) -> None:
    here = cluster()
    assert here.refusal(f"POST {BASE}/{path}", **params)[0] == status
    assert here.api.documents.files.get("notifications.cfg", "") == ""


def test_a_digest_covers_all_targets_and_what_is_required_can_not_be_unset() -> None:
    here = cluster()
    path = f"{BASE}/endpoints/webhook/hook"
    here.ok(f"POST {BASE}/endpoints/webhook", name="hook", **HOOK)
    seen = here.ok(f"GET {path}")["digest"]
    assert "delete" in here.errors(f"PUT {path}", delete=["url"])
    here.ok(f"POST {BASE}/matchers", name="other")
    changed = "detected modified configuration - file changed by other user? Try again."
    assert here.refusal(f"PUT {path}", digest=seen, disable=1) == (400, changed)
    here.ok(f"PUT {path}", digest=here.ok(f"GET {path}")["digest"], disable=1)
    assert here.ok(f"GET {BASE}/targets")[-1]["disable"] == 1


def test_who_may_send_elsewhere_has_more_than_a_right_over_mappings() -> None:
    here = cluster()
    user = here.user("ana@pve", "PVEMappingAdmin", path="/mapping")
    assert here.ok(f"GET {BASE}/targets", user=user)[0]["name"] == "mail-to-root"
    refused = here.refusal(f"POST {BASE}/endpoints/webhook", user=user, name="hook", **HOOK)
    assert refused[0] == 403
    here.ok(f"POST {BASE}/matchers", user=user, name="all")
    here.user("ana@pve", "PVESysAdmin", "Administrator")
    here.ok(f"POST {BASE}/endpoints/webhook", user=user, name="hook", **HOOK)


def test_a_test_reaches_the_nodes_own_mailer_and_no_server() -> None:
    here = cluster()
    here.ok(f"POST {BASE}/endpoints/webhook", name="hook", **HOOK)
    here.ok(f"POST {BASE}/targets/mail-to-root/test")
    assert here.refusal(f"POST {BASE}/targets/hook/test")[0] == 500
    assert here.refusal(f"POST {BASE}/targets/nobody/test")[0] == 404


def test_matchers_are_told_what_there_is_and_the_file_is_read_back() -> None:
    here = cluster()
    here.ok("POST /cluster/backup", id="night", schedule="daily", all=1, comment="c")
    values = here.ok(f"GET {BASE}/matcher-field-values")
    assert {"field": "job-id", "value": "night", "comment": "c"} in values
    assert {"field": "hostname", "value": "pve2"} in values
    here.ok(f"POST {BASE}/matchers", name="mm", comment="ü: x", target=["mail-to-root"])
    written = etc_pve.write(here.api.documents, {})
    again = Cluster(here.twin, here.api)
    again.api.documents = etc_pve.read(written).documents
    again.api.add_token("root@pam!test", "made up")
    assert again.ok(f"GET {BASE}/matchers/mm")["comment"] == "ü: x"
