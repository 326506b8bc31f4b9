"""HA through the API: what is wanted goes in, what the manager does comes out."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.cluster.documents import NodeAffinity, ResourceAffinity, ServiceRecord
from simulator.ha.part import documents_of
from simulator.pve_datacenter.ha_command import ha_manager
from simulator.pve_datacenter.ha_status import verbose_state
from tests.simulator.pve_cluster import Cluster, cluster


def _managed(*vmids: int, **options: str) -> Cluster:
    here = cluster()
    for vmid in vmids:
        here.guest(vmid)
        here.ok("POST /cluster/ha/resources", sid=f"vm:{vmid}", **options)
    return here


def _services(here: Cluster, node: str = "pve1") -> dict[str, tuple[str, str]]:
    rows = here.ok("GET /cluster/ha/status/current", node=node)
    return {row["sid"]: (row["node"], row["state"]) for row in rows if row["type"] == "service"}


def test_a_resource_is_queued_until_the_manager_has_seen_it() -> None:
    here = _managed(100)
    assert _services(here) == {"vm:100": ("pve1", "queued")}
    rows = {row["id"]: row for row in here.ok("GET /cluster/ha/status/current")}
    assert rows["quorum"]["status"] == "OK"
    assert rows["fencing"]["armed-state"] == "standby"
    here.wait(120)
    assert _services(here) == {"vm:100": ("pve1", "started")}
    rows = {row["id"]: row for row in here.ok("GET /cluster/ha/status/current")}
    assert rows["fencing"]["armed-state"] == "armed"
    assert rows["master"]["node"] in ("pve1", "pve2", "pve3")


def test_a_guest_under_ha_is_started_and_stopped_by_its_wanted_state() -> None:
    here = _managed(100, state="stopped")
    here.wait(60)
    task = here.done("POST /nodes/pve1/qemu/100/status/start")
    assert (task.type, task.status) == ("hastart", "OK")
    assert here.ok("GET /cluster/ha/resources/vm:100")["state"] == "started"
    here.wait(60)
    assert here.ok("GET /nodes/pve1/qemu/100/status/current")["status"] == "running"
    here.done("POST /nodes/pve1/qemu/100/status/shutdown", timeout="40")
    assert documents_of(here.twin, "a").queue == ("stop vm:100 40",)
    assert here.ok("GET /cluster/ha/resources/vm:100")["state"] == "started"  # not yet taken up
    here.wait(120)
    assert here.ok("GET /cluster/ha/resources/vm:100")["state"] == "stopped"
    assert here.ok("GET /nodes/pve1/qemu/100/status/current")["status"] == "stopped"


def test_the_real_tasks_of_ha_appear_under_root() -> None:
    here = _managed(100)
    here.wait(60)
    rows = here.ok("GET /cluster/tasks")
    assert [(row["type"], row["user"]) for row in rows][:1] == [("qmstart", "root@pam")]


def test_ha_moves_a_guest_when_asked() -> None:
    here = _managed(100)
    here.wait(120)
    answer = here.ok("POST /cluster/ha/resources/vm:100/migrate", _node="pve2")
    assert answer == {"sid": "vm:100", "requested-node": "pve2"}
    here.wait(120)
    assert _services(here)["vm:100"] == ("pve2", "started")
    here.done("POST /nodes/pve2/qemu/100/migrate", target="pve3", online="1")
    here.wait(120)
    assert _services(here)["vm:100"] == ("pve3", "started")
    assert "qmigrate" in [row["type"] for row in here.ok("GET /nodes/pve2/tasks", vmid=100)]


def test_a_guest_that_is_taken_out_of_ha_on_its_way_arrives_all_the_same() -> None:
    here = _managed(100)
    here.wait(120)
    here.ok("POST /cluster/ha/resources/vm:100/migrate", _node="pve2")
    end_s = here.twin.now_s + 60
    while not documents_of(here.twin, "a").lrms["pve1"].moving:
        assert here.twin.now_s < end_s, "no move began"
        here.wait(1)
    here.ok("DELETE /cluster/ha/resources/vm:100")
    here.wait(240)
    assert here.ok("GET /nodes/pve2/qemu/100/status/current", node="pve2")["status"] == "running"
    assert "hastate" not in here.ok("GET /cluster/resources", type="vm")[0]


def test_a_dead_nodes_guest_is_fenced_and_comes_back_elsewhere() -> None:
    here = _managed(100)
    here.wait(120)
    here.fail("fail-node pve1", wait_s=20)
    assert _services(here, node="pve2")["vm:100"][0] == "pve1"
    here.wait(300)
    node, state = _services(here, node="pve2")["vm:100"]
    assert state == "started"
    assert node in ("pve2", "pve3")
    rows = {row["vmid"]: row for row in here.ok("GET /cluster/resources", node="pve2", type="vm")}
    assert (rows[100]["status"], rows[100]["hastate"]) == ("running", "started")


def test_a_migration_lock_does_not_survive_recovery() -> None:
    here = _managed(100)
    here.wait(120)
    config = here.file(100)
    here.api.documents.guests[100] = type(config)("qemu", {**config.current, "lock": "migrate"})
    here.fail("fail-node pve1", wait_s=320)
    assert "lock" not in here.file(100).current


def test_what_is_no_guest_can_not_be_managed() -> None:
    here = cluster()
    post = "POST /cluster/ha/resources"
    assert here.refusal(post, sid="vm:999")[1] == "resource 'vm:999' does not exist in cluster"
    assert here.refusal(post, sid="vm:abc")[1] == "invalid VMID"
    assert here.refusal(post, sid="xx:100")[1] == "unknown section type 'xx'"
    assert here.refusal("GET /cluster/ha/groups")[1] == (
        "cannot index groups: ha groups have been migrated to rules"
    )
    for method, word in (("GET", "read"), ("PUT", "update"), ("DELETE", "delete")):
        assert here.refusal(f"{method} /cluster/ha/groups/home") == (
            500,
            f"cannot {word} group: ha groups have been migrated to rules",
        )


def test_settings_of_a_resource_are_changed_deleted_and_guarded() -> None:
    here = _managed(100, max_restart="3")
    url = "PUT /cluster/ha/resources/vm:100"
    digest = here.ok("GET /cluster/ha/resources/vm:100")["digest"]
    here.ok(url, comment="x", max_relocate="2", digest=digest)
    assert "detected modified configuration" in here.refusal(url, comment="y", digest=digest)[1]
    here.ok(url, delete="max_restart")
    assert here.twin.facts.workload("a").ha["vm:100"].max_restart == 1
    assert here.twin.facts.workload("a").ha["vm:100"].max_relocate == 2
    assert here.refusal(url, delete="bogus")[1] == (
        "update resources config failed: no such option 'bogus'"
    )


def _rule(here: Cluster, name: str, type_: str, **params: str) -> None:
    here.ok("POST /cluster/ha/rules", rule=name, type=type_, **params)


def test_a_rule_binds_what_is_managed_to_nodes_that_exist() -> None:
    here = _managed(100)
    _rule(here, "near", "node-affinity", resources="vm:100", nodes="pve2,pve1:2", strict="1")
    shown = here.ok("GET /cluster/ha/rules/near")
    assert (shown["nodes"], shown["strict"], shown["order"]) == ("pve1:2,pve2", 1, 1)
    (rule,) = here.twin.facts.workload("a").rules.values()
    assert isinstance(rule, NodeAffinity)
    assert (rule.nodes, rule.strict) == ({"pve1": 2, "pve2": 0}, True)
    post = {"rule": "r2", "type": "node-affinity"}
    assert (
        "unmanaged"
        in here.refusal("POST /cluster/ha/rules", **post, resources="vm:999", nodes="pve1")[1]
    )
    assert (
        "non-existent"
        in here.refusal("POST /cluster/ha/rules", **post, resources="vm:100", nodes="pve9")[1]
    )


def test_rules_that_can_not_be_kept_together_are_refused() -> None:
    here = _managed(100, 101)
    here.wait(60)
    _rule(here, "near", "node-affinity", resources="vm:100", nodes="pve1:2,pve2")
    response = here.send(
        "POST /cluster/ha/rules",
        rule="apart",
        type="resource-affinity",
        resources="vm:100,vm:101",
        affinity="negative",
    )
    assert response.reason == "create ha rule failed: 400 Rule 'apart' is invalid."
    assert (response.members or {})["message"] == (
        "create ha rule failed: 400 Rule 'apart' is invalid.\n"
        "resources: resources are in node affinity rules with multiple priorities\n"
    )
    here.ok("PUT /cluster/ha/rules/near", type="node-affinity", nodes="pve1")
    _rule(here, "apart", "resource-affinity", resources="vm:100,vm:101", affinity="negative")
    rule = here.twin.facts.workload("a").rules["apart"]
    assert isinstance(rule, ResourceAffinity)
    assert not rule.positive


def test_a_rule_is_checked_by_the_schema_of_its_type() -> None:
    here = _managed(100)
    errors = here.errors(
        "POST /cluster/ha/rules", rule="r1", type="node-affinity", resources="vm:100"
    )
    assert errors == {"oneOf[node-affinity].nodes": "property is missing and it is not optional"}
    errors = here.errors("PUT /cluster/ha/rules/r1", comment="x")
    assert errors["type"] == "property is missing and it is not optional"


def test_a_rule_goes_with_its_last_resource() -> None:
    here = _managed(100, 101)
    _rule(here, "near", "node-affinity", resources="vm:100", nodes="pve1")
    _rule(here, "far", "node-affinity", resources="vm:101", nodes="pve3", disable="1")
    assert list(here.twin.facts.workload("a").rules) == ["near"]
    here.ok("DELETE /cluster/ha/resources/vm:100")
    assert [row["rule"] for row in here.ok("GET /cluster/ha/rules")] == ["far"]


def _rows(here: Cluster, node: str = "pve1") -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in here.ok("GET /cluster/ha/status/current", node=node)}


def test_the_status_has_the_daemons_own_documents() -> None:
    here = _managed(100)
    here.wait(121)
    documents = here.ok("GET /cluster/ha/status/manager_status")
    manager, lrm = documents["manager_status"], documents["lrm_status"]["pve1"]
    assert manager["node_status"] == dict.fromkeys(("pve1", "pve2", "pve3"), "online")
    service = manager["service_status"]["vm:100"]
    assert (service["node"], service["state"], service["running"]) == ("pve1", "started", 1)
    assert len(service["uid"]) == 22
    assert (lrm["state"], lrm["mode"]) == ("active", "active")
    assert 0 <= here.api.epoch_s + here.twin.now_s - lrm["timestamp"] <= 11
    assert _rows(here)["lrm:pve2"]["status"].startswith("pve2 (idle, watchdog standby, ")
    assert _rows(here)["lrm:pve1"]["status"].startswith("pve1 (active, watchdog active, ")


def test_the_status_of_a_dead_node_grows_old() -> None:
    here = _managed(100)
    here.wait(120)
    here.fail("fail-node pve1", wait_s=60)
    lrm = _rows(here, "pve2")["lrm:pve1"]
    assert lrm["status"].startswith("pve1 (old timestamp - dead?, watchdog standby, ")
    assert lrm["timestamp"] < here.api.epoch_s + here.twin.now_s - 50


def test_ha_can_be_disarmed_and_armed() -> None:
    here = _managed(100)
    here.wait(120)
    here.ok("POST /cluster/ha/status/disarm-ha", resource__mode="freeze")
    here.wait(60)
    rows = _rows(here)
    assert rows["fencing"]["armed-state"] == "disarmed"
    assert rows["fencing"]["resource_mode"] == "freeze"
    assert rows["lrm:pve1"]["status"].startswith("pve1 (disarm mode, watchdog standby, ")
    assert _services(here)["vm:100"] == ("pve1", "freeze")
    here.ok("POST /cluster/ha/status/arm-ha")
    here.wait(60)
    assert _rows(here)["fencing"]["armed-state"] == "armed"
    assert _services(here)["vm:100"] == ("pve1", "started")


def test_a_node_is_put_into_maintenance_with_the_command_that_nodes_have() -> None:
    here = _managed(100)
    here.wait(120)
    maintain = ["crm-command", "node-maintenance"]
    assert ha_manager(here.api, here.twin, "pve2", [*maintain, "enable", "pve1"]) == (0, "", "")
    here.wait(120)
    assert _rows(here)["lrm:pve1"]["status"].startswith("pve1 (maintenance mode, ")
    status = here.ok("GET /cluster/ha/status/manager_status")["manager_status"]
    assert status["node_status"]["pve1"] == "maintenance"
    assert status["node_request"] == {"pve1": {"maintenance": 1}}
    assert status["service_status"]["vm:100"]["maintenance_node"] == "pve1"
    assert _services(here)["vm:100"][0] != "pve1"
    nodes = {row["node"]: row for row in here.ok("GET /cluster/resources", type="node")}
    assert nodes["pve1"]["hastate"] == "maintenance"
    ha_manager(here.api, here.twin, "pve2", [*maintain, "disable", "pve1"])
    here.wait(120)
    assert _services(here)["vm:100"] == ("pve1", "started")


def test_ha_manager_says_the_status_and_what_it_does_not_know() -> None:
    here = _managed(100)
    here.wait(120)
    out = ha_manager(here.api, here.twin, "pve1", ["status"]).out.splitlines()
    assert out[0] == "quorum OK"
    assert "service vm:100 (pve1, started)" in out
    for words in (["dance"], ["crm-command", "stop", "vm:999", "0"]):
        assert ha_manager(here.api, here.twin, "pve1", words).status != 0


def test_a_guest_that_is_told_to_stop_is_wanted_stopped_in_the_file_too() -> None:
    here = _managed(100)
    here.wait(120)
    ha_manager(here.api, here.twin, "pve1", ["crm-command", "stop", "vm:100", "0"])
    here.wait(60)
    assert here.ok("GET /cluster/ha/resources/vm:100")["state"] == "stopped"
    assert here.ok("GET /nodes/pve1/qemu/100/status/current")["status"] == "stopped"
    here.ok("PUT /cluster/ha/resources/vm:100", comment="kept")
    here.wait(60)
    assert here.ok("GET /nodes/pve1/qemu/100/status/current")["status"] == "stopped"


def test_the_scheduler_of_the_datacenter_options_is_the_managers() -> None:
    here = _managed(100)
    here.ok("PUT /cluster/options", crs="ha=static,ha-rebalance-on-start=1")
    assert here.twin.facts.workload("a").crs.mode == "static"
    assert here.twin.facts.workload("a").crs.rebalance_on_start


@pytest.mark.parametrize(
    ("requested", "record", "shown"),
    [
        (None, ServiceRecord("started", "pve1", "u"), "deleting"),
        ("ignored", None, "ignored"),
        ("started", None, "queued"),
        ("started", ServiceRecord("stopped", "pve1", "u"), "starting"),
        ("disabled", ServiceRecord("stopped", "pve1", "u"), "disabled"),
        ("started", ServiceRecord("started", "pve1", "u"), "starting"),
        ("stopped", ServiceRecord("started", "pve1", "u", running=True), "stopping"),
        ("disabled", ServiceRecord("error", "pve1", "u"), "clearing error flag"),
        ("started", ServiceRecord("fence", "pve1", "u"), "fence"),
    ],
)
def test_a_state_is_told_in_words_for_people(
    requested: str | None, record: ServiceRecord | None, shown: str
) -> None:
    assert verbose_state(requested, "pve1", record) == shown
    if requested not in (None, "ignored"):
        assert verbose_state(requested, "", record) == "not found"


def test_a_move_says_who_goes_along_and_who_is_in_the_way() -> None:
    here = _managed(100, 101, 102)
    here.wait(60)
    _rule(here, "pair", "resource-affinity", resources="vm:100,vm:101", affinity="positive")
    _rule(here, "apart", "resource-affinity", resources="vm:100,vm:102", affinity="negative")
    here.wait(120)
    away = _services(here)["vm:102"][0]
    move = "POST /cluster/ha/resources/vm:100/migrate"
    assert here.ok(move, _node=away) == {
        "sid": "vm:100",
        "requested-node": away,
        "comigrated-resources": ["vm:101"],
        "blocking-resources": [{"sid": "vm:102", "cause": "resource-affinity"}],
    }
    here.wait(60)
    home = _services(here)["vm:100"][0]
    assert home != away
    free = ({"pve1", "pve2", "pve3"} - {home, away}).pop()
    assert here.ok(move, _node=free)["comigrated-resources"] == ["vm:101"]
    here.wait(120)
    assert {_services(here)[sid][0] for sid in ("vm:100", "vm:101")} == {free}


def test_of_a_resource_in_error_nothing_can_be_asked_but_to_be_disabled() -> None:
    here = cluster()
    here.guest(100)
    here.twin.state.unfit["pve1"] = "its CPU has no virtualization"
    here.ok("POST /cluster/ha/resources", sid="vm:100", max_restart="0", max_relocate="0")
    here.wait(60)
    assert _services(here)["vm:100"] == ("pve1", "error")
    guest = here.ok("GET /nodes/pve1/qemu/100/status/current")
    assert guest["ha"] == {"managed": 1, "state": "error"}
    resource = "/cluster/ha/resources/vm:100"
    refused = "service 'vm:100' in error state, must be disabled and fixed first"
    for call, params in (
        (f"PUT {resource}", {"state": "started"}),
        (f"PUT {resource}", {"comment": "why"}),
        (f"POST {resource}/migrate", {"_node": "pve2"}),
        (f"POST {resource}/relocate", {"_node": "pve2"}),
    ):
        assert here.refusal(call, **params) == (500, refused)
    command = "command 'ha-manager set vm:100 --state started' failed: exit code 255"
    assert here.done("POST /nodes/pve1/qemu/100/status/start").status == command
    command = "command 'ha-manager crm-command stop vm:100 0' failed: exit code 255"
    assert here.done("POST /nodes/pve1/qemu/100/status/stop").status == command
    move = here.done("POST /nodes/pve1/qemu/100/migrate", target="pve2")
    assert move.status == "command 'ha-manager migrate vm:100 pve2' failed: exit code 255"

    here.ok(f"PUT {resource}", state="disabled")
    here.wait(60)
    here.twin.state.unfit.clear()
    here.ok(f"PUT {resource}", state="started")
    here.wait(60)
    assert _services(here)["vm:100"] == ("pve1", "started")


def test_a_resource_that_is_ignored_is_as_if_it_were_not_under_ha() -> None:
    here = _managed(100, 101)
    here.wait(60)
    here.ok("PUT /cluster/ha/resources/vm:100", state="ignored")
    here.wait(60)
    move = "POST /cluster/ha/resources/vm:100/migrate"
    assert here.refusal(move, _node="pve2") == (500, "resource 'vm:100' is not HA managed")
    assert here.ok("GET /nodes/pve1/qemu/100/status/current")["ha"] == {"managed": 0}
    assert list(_services(here).items()) == [
        ("vm:101", ("pve1", "started")),
        ("vm:100", ("pve1", "ignored")),
    ]


def test_a_rule_that_can_not_be_kept_any_more_says_why() -> None:
    here = _managed(100, 101, 102)
    here.wait(60)
    _rule(here, "pair", "resource-affinity", resources="vm:100,vm:101", affinity="positive")
    _rule(here, "home", "node-affinity", resources="vm:102", nodes="pve1")
    here.ok("DELETE /cluster/ha/resources/vm:101", purge="1")
    flaw = {"resources": ["rule is ineffective as there are less than two resources"]}
    shown = {row["rule"]: row.get("errors") for row in here.ok("GET /cluster/ha/rules")}
    assert shown == {"pair": flaw, "home": None}
    assert here.ok("GET /cluster/ha/rules/pair")["errors"] == flaw


def test_a_guest_that_is_not_there_has_no_resource_id() -> None:
    missing = cluster().refusal("DELETE /cluster/ha/resources/999")
    assert missing == (500, "unable to detect SID from VMID - VM/CT 999 does not exist")


def test_what_is_set_and_unset_at_once_is_unset_or_for_a_rule_refused() -> None:
    here = _managed(100)
    here.ok("PUT /cluster/ha/resources/vm:100", comment="x", delete="comment")
    assert "comment" not in here.ok("GET /cluster/ha/resources/vm:100")
    _rule(here, "home", "node-affinity", resources="vm:100", nodes="pve1")
    both = {"type": "node-affinity", "disable": 1, "delete": "disable"}
    refused = here.refusal("PUT /cluster/ha/rules/home", **both)
    why = "cannot set and delete property 'disable' at the same time!"
    assert refused == (500, f"update HA rules failed: {why}")
