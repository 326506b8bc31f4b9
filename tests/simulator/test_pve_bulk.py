"""Many guests in one task: their order, who is left alone, and what a failure does."""

from __future__ import annotations

import pytest

from tests.simulator.pve_cluster import Cluster, cluster


def _guests(here: Cluster, node: str = "pve1", **startup: str) -> None:
    """Guests 100, 101, ... with these startup options; `no` for one that does not start at boot."""
    for vmid, text in enumerate(startup.values(), 100):
        options = {} if text == "no" else {"onboot": 1, "startup": text} if text else {"onboot": 1}
        here.guest(vmid, node, **options)


def _running(here: Cluster) -> list[int]:
    rows = here.ok("GET /cluster/resources", type="vm")
    return sorted(row["vmid"] for row in rows if row["status"] == "running")


def _begun(here: Cluster, kind: str) -> list[tuple[str, int]]:
    """Guest and second of each task of a type, in the order they began."""
    tasks = [task for task in here.api.documents.tasks.values() if task.type == kind]
    return [(task.id, task.start_s - tasks[0].start_s) for task in tasks]


def test_guests_start_by_their_order_and_wait_for_each_other() -> None:
    here = cluster()
    _guests(here, a="", b="order=2,up=10", c="1", d="no")
    task = here.done("POST /nodes/pve1/startall")
    assert (task.type, task.id, task.status) == ("startall", "", "OK")
    assert _begun(here, "qmstart") == [("102", 0), ("101", 5), ("100", 17)], "2 s, then up or 3 s"
    assert _running(here) == [100, 101, 102]
    assert [line for line in task.log if "Starting" in line] == [
        "Starting VM 102", "Starting VM 101", "Starting VM 100",
    ]  # fmt: skip


def test_guests_stop_in_reverse_and_those_of_one_order_together() -> None:
    here = cluster()
    _guests(here, a="1", b="2,down=7", c="2", d="no")
    here.done("POST /nodes/pve1/startall", force=1)
    assert _running(here) == [100, 101, 102, 103]
    task = here.done("POST /nodes/pve1/stopall", max__workers=2)
    assert [vmid for vmid, _ in _begun(here, "qmshutdown")] == ["103", "102", "101", "100"]
    (_, first), (_, second), (_, third), (_, last) = _begun(here, "qmshutdown")
    assert first < second == third < last, "the one without an order goes first, the first last"
    assert "Stopping VM 101 (timeout = 7 seconds)" in task.log
    assert _running(here) == []


def test_guests_under_ha_are_left_alone_unless_they_are_named() -> None:
    here = cluster()
    _guests(here, a="", b="")
    here.ok("POST /cluster/ha/resources", sid="vm:100", state="stopped")
    here.done("POST /nodes/pve1/startall")
    assert _running(here) == [101]
    here.done("POST /nodes/pve1/startall", vms="100")
    assert here.api.documents.ha_resources["vm:100"]["state"] == "started"


def test_a_guest_that_can_not_start_is_told_and_the_others_do() -> None:
    here = cluster()
    _guests(here, a="", b="")
    here.ok("PUT /nodes/pve1/qemu/100/config", net0="virtio,bridge=vmbr99")
    task = here.done("POST /nodes/pve1/startall")
    assert "100: start failed: QEMU exited with code 1" in task.log
    assert (task.status, _running(here)) == ("OK", [101])
    here.done("POST /nodes/pve1/stopall")
    task = here.done("POST /cluster/bulk-action/guest/start")
    assert task.status == "Some guests failed to start: 100"
    assert _running(here) == [101]


def test_all_guests_of_a_node_move_away() -> None:
    here = cluster()
    here.api.documents.storages["data"] = {**here.api.documents.storages["data"], "shared": 1}
    _guests(here, a="", b="no")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    needed = "either 'max-workers' parameter or max_workers in datacenter.cfg must be set!"
    refused = here.refusal("POST /nodes/pve1/migrateall", target="pve2")
    assert refused == (500, needed)
    task = here.done("POST /nodes/pve1/migrateall", target="pve2", maxworkers=2)
    assert (task.type, task.status) == ("migrateall", "OK")
    assert {guest.node for guest in here.twin.state.guests.values()} == {"pve2"}
    assert _running(here) == [100]
    errors = here.errors("POST /nodes/pve2/migrateall", target="pve2", maxworkers=1)
    assert errors == {"target": "target is local node."}


def test_a_running_guest_with_local_disks_stays_unless_they_may_come_along() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    task = here.done("POST /nodes/pve1/migrateall", target="pve2", maxworkers=1)
    assert task.status == "no migrations worker started..."
    assert "100: precondition check failed: has local disks: data:100/vm-100-disk-0.raw" in task.log
    done = here.done(
        "POST /nodes/pve1/migrateall", target="pve2", maxworkers=1, with__local__disks=1
    )
    assert done.status == "OK"
    assert here.twin.state.guests["a", 100].node == "pve2"


def test_bulk_actions_reach_guests_on_every_node() -> None:
    here = cluster()
    here.guest(100, "pve1")
    here.guest(200, "pve2")
    here.guest(300, "pve3")
    here.done("POST /cluster/bulk-action/guest/start", vms=[100, 200])
    assert _running(here) == [100, 200]
    task = here.done("POST /cluster/bulk-action/guest/migrate", vms=["100", "200"], target="pve2")
    assert task.status == "Some guests failed to migrate 100"
    assert "100: can't migrate running VM without --online" in task.log
    done = here.done(
        "POST /cluster/bulk-action/guest/migrate", vms=["100"], target="pve2", online=1
    )
    assert done.status == "OK"
    here.done("POST /cluster/bulk-action/guest/shutdown", timeout=30)
    assert _running(here) == []


@pytest.mark.parametrize("call", ["/nodes/pve1/startall", "/cluster/bulk-action/guest/start"])
def test_who_may_not_act_on_all_guests_names_those_that_he_may(call: str) -> None:
    here = cluster()
    here.guest(100, onboot=1)
    here.guest(101, onboot=1)
    user = here.user("ana@pve", "PVEVMUser", path="/vms/100")
    refused = here.refusal(f"POST {call}", user=user)
    assert refused == (403, "Permission check failed (/, VM.PowerMgmt)")
    own: object = [100] if "bulk" in call else "100"
    other: object = [101] if "bulk" in call else "101"
    assert here.done(f"POST {call}", user=user, vms=own).user == user
    assert _running(here) == [100]
    assert here.refusal(f"POST {call}", user=user, vms=other)[0] == 403


def test_a_copy_of_the_twin_goes_on_with_a_task_by_itself() -> None:
    here = cluster()
    _guests(here, a="1", b="2")
    upid = here.ok("POST /nodes/pve1/startall")
    here.wait(1)
    copy = here.twin.fork()
    here.wait(60)
    assert here.ok(f"GET /nodes/pve1/tasks/{upid}/status")["exitstatus"] == "OK"
    assert _running(here) == [100, 101]
    copy.run_until(copy.now_s + 60)
    assert (
        len([guest for guest in copy.state.guests.values() if guest.power.value != "stopped"]) == 2
    )


def test_containers_go_along_in_their_own_way() -> None:
    here = cluster()
    here.guest(100)
    fetch = "POST /nodes/pve1/storage/local/download-url"
    here.done(fetch, content="vztmpl", filename="x.tar.gz", url="https://mirror.example/x.tar.gz")
    template = "local:vztmpl/x.tar.gz"
    here.done("POST /nodes/pve1/lxc", vmid=200, ostemplate=template, rootfs="data:1")
    here.done("POST /nodes/pve1/startall", force=1)
    assert _running(here) == [100, 200]
    assert _begun(here, "vzstart") == [("200", 0)]
    task = here.done("POST /nodes/pve1/migrateall", target="pve2", maxworkers=2)
    assert "Migrating CT 200" in task.log
    assert here.ok("GET /nodes/pve2/lxc/200/status/current")["status"] == "running"
    here.done("POST /nodes/pve2/stopall")
    assert (_running(here), len(_begun(here, "vzshutdown"))) == ([], 1)


def test_several_guests_may_be_named_in_one_item_of_a_list() -> None:
    here = cluster()
    _guests(here, a="", b="", c="")
    here.done("POST /nodes/pve1/startall", vms=["100,101"])
    assert _running(here) == [100, 101]
    assert "vms[0]" in here.errors("POST /cluster/bulk-action/guest/start", vms=["100,101"])


def test_a_nodes_machines_are_suspended_to_disk_and_containers_are_not() -> None:
    here = cluster()
    _guests(here, a="1", b="2", c="no")
    here.done("POST /nodes/pve1/startall")
    task = here.done("POST /nodes/pve1/suspendall")
    assert (task.type, task.status) == ("suspendall", "OK")
    assert task.log[:3] == (
        "VM 102 not running, skipping suspension", "Suspending VM 101", "Suspending VM 100",
    )  # fmt: skip
    assert _running(here) == []
    locks = [here.config(vmid).get("lock") for vmid in (100, 101, 102)]
    assert locks == ["suspended", "suspended", None]
    here.done("POST /nodes/pve1/startall")
    assert _running(here) == [100, 101]
    weak = here.user("ana@pve", "PVEVMUser")
    call = "POST /nodes/pve1/suspendall"
    why = "Permission check failed (/, VM.PowerMgmt && VM.Config.Disk)"
    assert here.refusal(call, user=weak) == (403, why)
    why = "Permission check failed (/vms/100, VM.Config.Disk)"
    assert here.refusal(call, user=weak, vms="100") == (403, why)


def test_machines_are_paused_wherever_they_are() -> None:
    here = cluster()
    _guests(here, a="")
    here.guest(200, "pve2", onboot=1)
    here.ok("POST /cluster/ha/resources", sid="vm:200")
    here.wait(60)
    here.done("POST /cluster/bulk-action/guest/start")
    call = "POST /cluster/bulk-action/guest/suspend"
    assert here.errors(call, statestorage="data") == {
        "to-disk": "missing property required by 'statestorage'"
    }
    task = here.done(call, vms=["100", "200"])
    assert (task.type, task.status) == ("bulksuspend", "OK")
    assert here.ok("GET /nodes/pve1/qemu/100/status/current")["qmpstatus"] == "paused"
    assert here.ok("GET /nodes/pve2/qemu/200/status/current")["qmpstatus"] == "paused"
    here.done("POST /nodes/pve1/qemu/100/status/resume")
    task = here.done(call, vms=["100", "200"], to__disk=1, statestorage="data")
    assert "200: Cannot suspend HA managed VM to disk" in task.log
    assert task.status == "Some guests failed to suspend 200"
    assert here.config(100)["vmstate"].startswith("data:")
