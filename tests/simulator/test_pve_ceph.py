"""Ceph through the API of Proxmox VE: the facts that `ceph` tells, and what follows from acts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI

from simulator.mon.crushtext import decompiled
from simulator.mon.monitors import monitors_of
from simulator.pve.api import tree
from simulator.pve.releases import RELEASES
from simulator.pve.routes import Route
from simulator.served.inprocess import TwinAdapter
from tests.simulator.ceph_nodes import with_ceph
from tests.simulator.pve_cluster import SECRET, Cluster, cluster

CEPH = "/nodes/pve1/ceph"
PLAIN = {200, 400, 403, 500, 501}


def told(here: Cluster, line: str) -> Any:
    """What `ceph` of the same lab answers."""
    reply = monitors_of(here.twin, "a").line(here.twin, line.split())
    here.twin.settle()
    assert reply.code == 0, reply
    return json.loads(reply.output) if reply.output else reply.text


def test_the_status_is_that_of_ceph_on_every_node_and_for_the_cluster() -> None:
    here = with_ceph()
    status = here.ok(f"GET {CEPH}/status")
    ours = told(here, "status")
    assert status == here.ok("GET /cluster/ceph/status", node="pve2")
    assert {key: status[key] for key in ("fsid", "quorum_names", "pgmap", "osdmap")} == {
        key: ours[key] for key in ("fsid", "quorum_names", "pgmap", "osdmap")
    }
    assert status["health"] == told(here, "health detail")
    assert [mon["name"] for mon in status["monmap"]["mons"]] == ["pve1", "pve2", "pve3"]
    assert status["mgrmap"]["active_name"] == "pve1"


def test_a_dead_disk_is_seen_as_a_down_osd_and_degraded_groups() -> None:
    here = with_ceph(loaded=True)
    here.fail("fail-disk pve1/sdc", 60)
    status = here.ok(f"GET {CEPH}/status")
    assert status["health"]["status"] == "HEALTH_WARN"
    assert {"OSD_DOWN", "PG_DEGRADED"} <= status["health"]["checks"].keys()
    (line,) = status["health"]["checks"]["OSD_DOWN"]["detail"]
    assert line["message"] == "osd.0 (root=default,host=pve1) is down"
    states = {row["state_name"] for row in status["pgmap"]["pgs_by_state"]}
    assert "active+undersized+degraded" in states
    rows = _osds(here)
    assert (rows[0]["status"], rows[0]["in"], rows[1]["status"]) == ("down", 1, "up")
    here.wait(700)
    assert (_osds(here)[0]["in"], _osds(here)[0]["reweight"]) == (0, 0.0)
    assert here.ok(f"GET {CEPH}/osd/0/metadata")["osd"]["pid"] == 0


def _osds(here: Cluster) -> dict[int, Any]:
    (root,) = here.ok(f"GET {CEPH}/osd")["root"]["children"]
    return {osd["id"]: osd for host in root["children"] for osd in host["children"]}


def test_the_tree_of_osds_is_that_of_ceph() -> None:
    here = with_ceph(loaded=True)
    (root,) = here.ok(f"GET {CEPH}/osd")["root"]["children"]
    assert (root["name"], [host["name"] for host in root["children"]]) == (
        "default",
        ["pve1", "pve2", "pve3"],
    )
    assert root["children"][0]["version"] == "19.2"
    usage = {row["id"]: row for row in told(here, "osd df")["nodes"]}
    for osd, row in _osds(here).items():
        assert (row["bytes_used"], row["pgs"]) == (
            usage[osd]["kb_used"] * 1024,
            usage[osd]["pgs"],
        )
        assert row["total_space"] == 100_000_000_000 // 1024 * 1024


def test_out_and_in_move_an_osd_in_the_map() -> None:
    here = with_ceph()
    assert here.ok(f"POST {CEPH}/osd/3/out") is None
    assert told(here, "osd dump")["osds"][3]["in"] == 0
    assert here.ok(f"POST {CEPH}/osd/3/in") is None
    assert told(here, "osd dump")["osds"][3]["in"] == 1
    assert here.refusal(f"POST {CEPH}/osd/77/in") == (500, "no such OSD '77'")
    assert here.ok(f"POST {CEPH}/osd/3/scrub", deep=1) is None


def test_an_osd_is_told_of_by_its_own_node_only() -> None:
    here = with_ceph()
    found = here.ok("GET /nodes/pve2/ceph/osd/2/metadata")
    assert found["osd"]["front_addr"].startswith("[v2:10.0.253.2:6802/")
    assert found["osd"]["version"] == "19.2 (squid)"
    assert (found["osd"]["pid"] > 0, found["devices"][0]["physical_device"]) == (True, "sdc")
    text = "OSD '2' does not exists on host 'pve1'"
    assert here.refusal(f"GET {CEPH}/osd/2/metadata") == (500, text)
    status, reason = here.refusal(f"GET {CEPH}/osd/99/metadata")
    assert (status, reason) == (
        500,
        "error with 'osd metadata': mon_cmd failed - osd.99 does not exist",
    )


def test_flags_are_those_of_the_map_whoever_sets_them() -> None:
    here = with_ceph()
    told(here, "osd set noout")
    assert {row["name"]: row["value"] for row in here.ok("GET /cluster/ceph/flags")}["noout"] == 1
    assert here.ok("PUT /cluster/ceph/flags/pause", value=1) is None
    assert here.ok("GET /cluster/ceph/flags/pause") == 1
    assert {"pauserd", "pausewr"} <= here.twin.state.ceph["a"].flags
    task = here.done("PUT /cluster/ceph/flags", noout=0, noscrub=1, pause=0)
    assert (task.type, task.id, task.status) == ("cephsetflags", "", "OK")
    assert here.twin.state.ceph["a"].flags == {"noscrub"}
    assert here.errors("PUT /cluster/ceph/flags/nonsense", value=1).keys() == {"flag"}


def test_a_pool_is_made_with_a_storage_that_guests_can_use() -> None:
    here = with_ceph()
    task = here.done(f"POST {CEPH}/pool", name="fast", pg_num=16, size=2, add_storages=1)
    assert (task.type, task.id, task.status) == ("cephcreatepool", "fast", "OK")
    assert "pool fast: applying min_size = 2" in task.log
    spec = here.twin.state.ceph["a"].pools["fast"]
    assert (spec.size, spec.min_size) == (2, 2)
    assert told(here, "osd pool application get fast") == {"rbd": {}}
    storage = here.ok("GET /storage/fast")
    assert (storage["type"], storage["pool"], storage["content"]) == (
        "rbd",
        "fast",
        "images,rootdir",
    )
    here.guest(100, scsi0="fast:1")
    assert "fast" in here.config(100)["scsi0"]


def test_pools_are_listed_with_what_they_hold() -> None:
    here = with_ceph(loaded=True)
    rows = {row["pool_name"]: row for row in here.ok(f"GET {CEPH}/pool")}
    ours = {row["name"]: row["stats"] for row in told(here, "df")["pools"]}
    assert rows.keys() == ours.keys() == {".mgr", "vm"}
    assert rows["vm"]["bytes_used"] == ours["vm"]["bytes_used"] > 0
    assert (rows["vm"]["type"], rows["vm"]["crush_rule_name"], rows["vm"]["pg_num"]) == (
        "replicated",
        "replicated_rule",
        16,
    )
    status = here.ok(f"GET {CEPH}/pool/vm/status", verbose=1)
    assert (status["id"], status["pgp_num"], status["hashpspool"]) == (2, 16, "1")
    assert status["statistics"] == ours["vm"]
    missing = "error with 'osd pool get': mon_cmd failed - unrecognized pool 'none'"
    assert here.refusal(f"GET {CEPH}/pool/none/status") == (500, missing)


def test_settings_of_a_pool_are_changed_and_what_is_refused_is_named() -> None:
    here = with_ceph()
    put = f"PUT {CEPH}/pool/vm"
    task = here.done(put, size=2, min_size=1, target_size="1G", pg_autoscale_mode="off")
    assert task.status == "OK"
    row = told(here, "osd pool get vm all")
    assert (row["size"], row["min_size"], row["target_size_bytes"], row["pg_autoscale_mode"]) == (
        2, 1, 2**30, "off",
    )  # fmt: skip
    task = here.done(put, size=2, pg_num=8192, crush_rule="none")
    assert task.status == "Could not set: crush_rule, pg_num"
    assert "skipping 'size', did not change" in task.log
    assert any("exceeds max" in line for line in task.log)
    assert here.done("PUT /nodes/pve1/ceph/pool/none", size=2).status == (
        "error with 'osd pool get': mon_cmd failed - unrecognized pool 'none'"
    )


def test_a_size_change_does_not_take_back_min_size() -> None:
    here = with_ceph()
    assert here.done(f"PUT {CEPH}/pool/vm", size=2, min_size=2).status == "OK"
    assert told(here, "osd pool get vm all")["min_size"] == 2


def test_a_pool_with_images_is_kept_and_an_empty_one_goes_with_its_storage() -> None:
    here = with_ceph()
    here.done(f"POST {CEPH}/pool", name="fast", pg_num=16, add_storages=1)
    here.guest(100, scsi0="fast:1")
    destroy = f"DELETE {CEPH}/pool/fast"
    assert here.done(destroy).status == "ceph pool 'fast' still in use by storage 'fast'"
    told(here, "config set mon mon_allow_pool_delete true")
    assert here.done(destroy).status == "ceph pool 'fast' still in use by storage 'fast'"
    here.done("DELETE /nodes/pve1/qemu/100")
    task = here.done(destroy, remove_storages=1)
    assert (task.type, task.status) == ("cephdestroypool", "OK")
    assert "fast" not in here.twin.state.ceph["a"].pools
    assert "fast" not in here.api.documents.storages


def test_force_destroys_what_is_used_and_leaves_the_storage() -> None:
    here = with_ceph(loaded=True)
    refused = here.done(f"DELETE {CEPH}/pool/vm", force=1)
    assert "pool deletion is disabled" in refused.status
    told(here, "config set mon mon_allow_pool_delete true")
    assert here.done(f"DELETE {CEPH}/pool/vm", force=1).status == "OK"
    assert "vm" in here.api.documents.storages
    assert here.done(f"DELETE {CEPH}/pool/vm").status.startswith("ceph pool 'vm' still in use")


def test_a_pool_that_is_too_big_is_refused_by_the_monitors() -> None:
    here = with_ceph()
    task = here.done(f"POST {CEPH}/pool", name="big", pg_num=4096)
    assert task.status.startswith("error with 'osd pool create': mon_cmd failed - pg_num 4096")
    assert here.refusal(f"POST {CEPH}/pool", name="big", erasure__coding="k=2,m=1")[0] == 501
    name = "pool name contains characters which are illegal for storage naming"
    assert here.refusal(f"POST {CEPH}/pool", name="1.a", add_storages=1) == (500, name)


def test_adding_a_storage_whose_name_is_taken_fails_after_the_pool_is_made() -> None:
    here = with_ceph()
    task = here.done(f"POST {CEPH}/pool", name="local", pg_num=8, add_storages=1)
    assert "storage ID 'local' already defined" in task.status
    assert "local" in here.twin.state.ceph["a"].pools


def test_monitors_and_managers_are_listed_with_their_states() -> None:
    here = with_ceph()
    here.fail("fail-node pve3", 60)
    mons = {row["name"]: row for row in here.ok(f"GET {CEPH}/mon")}
    assert (mons["pve1"]["state"], mons["pve1"]["quorum"], mons["pve1"]["addr"]) == (
        "running",
        1,
        "10.0.253.1:6789/0",
    )
    assert (mons["pve3"]["state"], "quorum" in mons["pve3"]) == ("stopped", False)
    states = {row["name"]: row["state"] for row in here.ok(f"GET {CEPH}/mgr")}
    assert states == {"pve1": "active", "pve2": "standby", "pve3": "stopped"}
    assert here.ok(f"GET {CEPH}/mds") == here.ok(f"GET {CEPH}/fs") == []


def test_without_a_quorum_of_monitors_requests_time_out_and_files_are_still_read() -> None:
    here = with_ceph()
    here.fail("fail-node pve3", 0)
    here.fail("fail-node pve2", 60)
    assert here.refusal(f"GET {CEPH}/status") == (500, "got timeout")
    assert {row["state"] for row in here.ok(f"GET {CEPH}/mon")} == {"unknown"}
    assert here.done(f"PUT {CEPH}/pool/vm", size=2).status == "got timeout"
    assert "mon_host = 10.0.253.1 10.0.253.2 10.0.253.3" in here.ok(f"GET {CEPH}/cfg/raw")


def test_while_monitors_elect_nobody_answers() -> None:
    here = with_ceph()
    here.fail("fail-node pve3", 5)
    assert here.refusal(f"GET {CEPH}/status") == (500, "got timeout")
    here.wait(30)
    assert here.ok(f"GET {CEPH}/status")["quorum_names"] == ["pve1", "pve2"]


def test_a_node_cut_off_from_the_monitors_times_out_and_others_do_not() -> None:
    here = with_ceph()
    for port in ("eno3", "eno4"):
        here.fail(f"fail-cable pve1-{port}", 60)
    assert here.refusal(f"GET {CEPH}/status") == (500, "got timeout")
    assert here.ok("GET /nodes/pve2/ceph/status", node="pve2")["quorum_names"] == ["pve2", "pve3"]


def test_an_osd_is_stopped_started_and_restarted() -> None:
    here = with_ceph()
    task = here.done(f"POST {CEPH}/stop", service="osd.0")
    assert (task.type, task.id, task.status) == ("srvstop", "osd.0", "OK")
    here.wait(5)
    assert _osds(here)[0]["status"] == "down"
    here.done(f"POST {CEPH}/start", service="osd.0")
    here.wait(10)
    assert _osds(here)[0]["status"] == "up"
    here.done(f"POST {CEPH}/restart", service="osd")
    here.wait(4)
    assert {osd: row["status"] for osd, row in _osds(here).items()} == {
        0: "down", 1: "down", 2: "up", 3: "up", 4: "up", 5: "up",
    }  # fmt: skip
    here.wait(20)
    assert told(here, "osd stat")["num_up_osds"] == 6


def test_starting_does_not_mend_a_disk_and_restarting_wakes_a_frozen_osd() -> None:
    here = with_ceph()
    here.fail("fail-disk pve1/sdc", 60)
    here.done(f"POST {CEPH}/start", service="osd.0")
    here.wait(30)
    assert _osds(here)[0]["status"] == "down"
    here.fail("silence-osd a/2", 60)
    assert _osds(here)[2]["status"] == "down"
    here.done("POST /nodes/pve2/ceph/start", service="osd.2")  # systemd takes it for running
    here.wait(30)
    assert _osds(here)[2]["status"] == "down"
    here.done("POST /nodes/pve2/ceph/restart", service="osd.2")
    here.wait(30)
    assert _osds(here)[2]["status"] == "up"


def test_other_daemons_are_not_stopped_and_foreign_ones_not_found() -> None:
    here = with_ceph()
    for sent in ({"service": "mon.pve1"}, {"service": "mgr"}, {}):
        assert here.refusal(f"POST {CEPH}/stop", **sent)[0] == 501
    failed = here.done(f"POST {CEPH}/stop", service="osd.2").status
    assert failed == "command '/bin/systemctl stop ceph-osd@2' failed: exit code 1"
    assert here.errors(f"POST {CEPH}/restart", service="ceph.a").keys() == {"service"}


def test_what_may_be_stopped_is_said_beforehand() -> None:
    here = with_ceph()
    ask = f"GET {CEPH}/cmd-safety"
    assert here.ok(ask, service="osd", action="stop", id="0") == {"safe": 1, "status": ""}
    destroy = here.ok(ask, service="osd", action="destroy", id="0")
    assert (destroy["safe"], "currently mapped" in destroy["status"]) == (0, True)
    assert here.ok(ask, service="mon", action="destroy", id="pve1")["safe"] == 1
    assert here.refusal(ask, service="mds", action="destroy", id="x") == (
        500,
        "Service does not support this action: mds: destroy",
    )
    here.fail("fail-node pve3", 60)
    mon = here.ok(ask, service="mon", action="stop", id="pve1")
    assert (mon["safe"], "not enough monitors" in mon["status"]) == (0, True)


def test_metadata_names_daemons_and_versions_by_host() -> None:
    here = with_ceph()
    found = here.ok("GET /cluster/ceph/metadata")
    assert found["mon"]["pve2@pve2"]["addrs"] == "[v2:10.0.253.2:3300/0,v1:10.0.253.2:6789/0]"
    assert (found["mgr"]["pve1@pve1"]["service"], found["mds"]) == (1, {})
    assert len(found["osd"]) == 6
    only = here.ok("GET /cluster/ceph/metadata", scope="versions")
    assert only.keys() == {"node"}
    assert only["node"]["pve1"]["version"] == {"str": "19.2", "parts": ["19", "2"]}
    here.api.release = RELEASES["8.4"]
    assert here.ok("GET /cluster/ceph/metadata") == found


def test_configuration_comes_from_the_file_and_the_store() -> None:
    here = with_ceph()
    told(here, "config set osd osd_max_backfills 2")
    raw = here.ok(f"GET {CEPH}/cfg/raw")
    assert f"\t fsid = {told(here, 'fsid')['fsid']}\n" in raw
    assert "\t public_network = 10.0.253.0/24\n" in raw
    assert [row["name"] for row in here.ok(f"GET {CEPH}/cfg/db")] == ["osd_max_backfills"]
    asked = "global:auth-client-required;osd:osd_max_backfills;osd:none"
    assert here.ok(f"GET {CEPH}/cfg/value", config__keys=asked) == {
        "global": {"auth-client-required": "cephx"},
        "osd": {"osd-max-backfills": "2"},
    }
    assert here.errors(f"GET {CEPH}/cfg/value", config__keys="none").keys() == {"config-keys"}


def test_the_log_tells_what_became_of_osds() -> None:
    here = with_ceph()
    assert here.ok(f"GET {CEPH}/log") == [{"n": 1, "t": "no content"}]
    here.fail("fail-osd a/3", 700)
    texts = [row["t"].partition("cluster [INF] ")[2] for row in here.ok(f"GET {CEPH}/log")]
    assert texts[0] == "osd.3 failed (root=default,host=pve2)"
    assert re.fullmatch(r"Marking osd\.3 out \(has been down for 60\d seconds\)", texts[1])


def _crush(here: Cluster) -> str:
    told(here, "osd crush rm-device-class 5")
    told(here, "osd crush set-device-class ssd 5")
    told(here, "osd crush rule create-replicated fast default osd ssd")
    text = here.ok(f"GET {CEPH}/crush")
    assert isinstance(text, str)
    return text


def test_the_crush_map_is_text_with_its_rules() -> None:
    here = with_ceph()
    text = _crush(here)
    assert "step take default class ssd\n\tstep choose firstn 0 type osd" in text
    assert "device 4 osd.4 class hdd\ndevice 5 osd.5 class ssd" in text
    assert [row["name"] for row in here.ok(f"GET {CEPH}/rules")] == ["fast", "replicated_rule"]


@pytest.mark.skipif(shutil.which("crushtool") is None, reason="no crushtool (Debian: ceph-base)")
def test_crushtool_takes_the_map_and_writes_the_same_again(tmp_path: Path) -> None:
    here = with_ceph()
    _crush(here)
    text = decompiled(told(here, "osd crush dump"), bounds=True)  # as Debian's does
    (tmp_path / "map.txt").write_text(text)

    def run(*words: str) -> None:
        subprocess.run(["crushtool", *words], cwd=tmp_path, check=True, timeout=60)

    run("-c", "map.txt", "-o", "map")
    run("-d", "map", "-o", "again.txt")
    again = (tmp_path / "again.txt").read_text()
    assert _words(again) == _words(text)


def _words(text: str) -> list[str]:
    """Lines of a map; the tool adds tunables that place nothing."""
    added = ("tunable straw_calc_version", "tunable allowed_bucket_algs")
    return [line for line in text.splitlines() if line and not line.startswith(added)]


NONE = "binary not installed: /usr/bin/ceph-mon"
ROUTES = [route for route in tree().routes if "/ceph" in route.path]


def _path(route: Route) -> str:
    path = route.path.replace("{node}", "pve1").replace("{osdid}", "0").replace("{name}", "vm")
    return f"{route.method} {path.replace('{flag}', 'noout')}"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.call))
def test_every_call_of_ceph_answers_as_a_node_could(route: Route) -> None:
    here = with_ceph()
    response = here.send(_path(route))
    assert response.status in PLAIN
    assert "Traceback" not in response.reason
    json.dumps(response.members)


INDICES = ("/ceph", "/cfg", "/osd/{osdid}", "/pool/{name}")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.call))
def test_where_ceph_is_not_installed_a_node_says_so(route: Route) -> None:
    here = cluster()
    needed: dict[str, dict[str, Any]] = {
        "GET cmd-safety": {"service": "osd", "action": "stop", "id": "0"},
        "GET cfg/value": {"config__keys": "global:fsid"},
        "POST pool": {"name": "vm"},
        "PUT flags/{flag}": {"value": 1},
    }
    sent = needed.get(f"{route.method} {route.path.partition('ceph/')[2]}", {})
    response = here.send(_path(route), **sent)
    if route.method == "GET" and route.path.endswith(INDICES):
        assert response.status == 200
    else:
        assert (response.status, response.reason) == (500, NONE)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.call))
def test_who_may_nothing_is_let_in_nowhere_but_to_some_indices(route: Route) -> None:
    here = with_ceph()
    nobody = here.user("ana@pve")
    status = here.send(_path(route), user=nobody).status
    assert status == (200 if route.may == "all" else 403)


def test_an_auditor_of_storages_reads_and_changes_nothing() -> None:
    here = with_ceph()
    auditor = here.user("ana@pve", "PVEDatastoreUser")
    assert here.send(f"GET {CEPH}/status", user=auditor).status == 200
    assert here.send("GET /cluster/ceph/flags", user=auditor).status == 403
    assert here.send(f"POST {CEPH}/osd/0/out", user=auditor).status == 403


def test_7_4_has_the_older_paths_too() -> None:
    here = with_ceph()
    here.api.release = RELEASES["7.4"]
    assert here.ok(f"GET {CEPH}/pools") == here.ok(f"GET {CEPH}/pool")
    assert here.ok(f"GET {CEPH}/pools/vm") == here.ok(f"GET {CEPH}/pool/vm/status")
    assert here.ok(f"GET {CEPH}/config") == here.ok(f"GET {CEPH}/cfg/raw")
    assert here.ok(f"GET {CEPH}/configdb") == here.ok(f"GET {CEPH}/cfg/db")
    assert here.done(f"PUT {CEPH}/pools/vm", size=2).status == "OK"
    assert here.send(f"GET {CEPH}/cfg/value", config__keys="global:fsid").status == 501
    here.api.release = RELEASES["8.4"]
    assert here.send(f"GET {CEPH}/pools").status == 501


def test_proxmoxer_reads_it_and_a_fork_goes_its_own_way() -> None:
    here = with_ceph()
    client: Any = ProxmoxAPI("pve1", user="root@pam", token_name="test", token_value=SECRET)
    client._store["session"].mount("https://", TwinAdapter(here.twin))
    assert client.nodes("pve2").ceph.status.get()["health"]["status"] == "HEALTH_OK"
    fork = here.twin.fork()
    client.cluster.ceph.flags("noout").put(value=1)
    assert client.cluster.ceph.flags("noout").get() == 1
    assert not fork.state.ceph["a"].flags
    assert "noout" not in monitors_of(fork, "a").documents.flags
