"""Virtual machines that are paused, or suspended to disk, and go on."""

from __future__ import annotations

from simulator.facts import Facts
from tests.simulator.pve_cluster import Cluster, cluster

VM = "/nodes/pve1/qemu/100"
KEY = ("a", 100)


def _running() -> Cluster:
    here = cluster()
    here.guest(100, scsi0="data:1", memory=1024)
    here.done(f"POST {VM}/status/start")
    here.wait(120)
    assert _facts(here).guest_problem(KEY) == ""
    return here


def _facts(here: Cluster) -> Facts:
    return here.twin.facts


def _state(here: Cluster) -> tuple[str, str]:
    row = here.ok(f"GET {VM}/status/current")
    return row["status"], row["qmpstatus"]


def test_a_paused_guest_runs_and_serves_nobody_until_it_goes_on() -> None:
    here = _running()
    task = here.done(f"POST {VM}/status/suspend")
    assert (task.type, task.status) == ("qmpause", "OK")
    assert _state(here) == ("running", "paused")
    assert _facts(here).guest_problem(KEY) == "it is paused"
    assert here.done(f"POST {VM}/status/start").status == "VM 100 already running"
    task = here.done(f"POST {VM}/status/resume")
    assert (task.type, task.status) == ("qmresume", "OK")
    assert _state(here) == ("running", "running")
    assert _facts(here).guest_problem(KEY) == ""


def test_a_paused_guest_hears_no_shutdown_and_can_be_stopped() -> None:
    here = _running()
    here.done(f"POST {VM}/status/suspend")
    refused = (500, "VM is paused - cannot shutdown")
    assert here.refusal(f"POST {VM}/status/shutdown") == refused
    assert here.refusal(f"POST {VM}/status/reboot") == refused
    task = here.done(f"POST {VM}/status/shutdown", forceStop=1)
    assert (task.type, task.status) == ("qmshutdown", "OK")
    assert _state(here) == ("stopped", "stopped")
    here.done(f"POST {VM}/status/start")
    assert _state(here) == ("running", "running")


def test_a_paused_guest_stays_so_while_it_is_moved() -> None:
    here = _running()
    here.ok("POST /storage", storage="nfs", type="dir", path="/n", content="images", shared=1)
    here.done(f"POST {VM}/move_disk", disk="scsi0", storage="nfs", delete=1)
    here.done(f"POST {VM}/status/suspend")
    assert here.done(f"POST {VM}/migrate", target="pve2", online=1).status == "OK"
    moved = here.ok("GET /nodes/pve2/qemu/100/status/current")
    assert (moved["status"], moved["qmpstatus"]) == ("running", "paused")


def test_what_is_suspended_to_disk_is_off_and_locked_until_it_goes_on() -> None:
    here = _running()
    for again in ("start", "resume"):
        task = here.done(f"POST {VM}/status/suspend", todisk=1)
        assert (task.type, task.status) == ("qmsuspend", "OK")
        assert _state(here) == ("stopped", "stopped")
        config = here.config(100)
        assert config["lock"] == "suspended"
        assert config["vmstate"].startswith("data:100/vm-100-state-suspend-2026-01-01")
        assert here.refusal(f"PUT {VM}/config", cores=2) == (500, "VM is locked (suspended)")
        task = here.done(f"POST {VM}/status/{again}")
        assert task.log[:2] == ("Resuming suspended VM", "Resumed VM, removing state")
        assert _state(here) == ("running", "running")
        assert not {"lock", "vmstate"} & here.config(100).keys()
        assert len(here.api.documents.volumes) == 1


def test_what_was_suspended_to_disk_serves_at_once_and_boots_no_more() -> None:
    here = _running()
    here.done(f"POST {VM}/status/suspend", todisk=1)
    here.done(f"POST {VM}/status/start")
    assert _facts(here).guest_problem(KEY) == ""
    here.done(f"POST {VM}/status/stop")
    here.done(f"POST {VM}/status/start")
    assert _facts(here).guest_problem(KEY) != "", "a start without memory is a boot"


def test_a_snapshot_with_memory_goes_on_where_it_was() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1,format=qcow2")
    here.done(f"POST {VM}/status/start")
    here.wait(120)
    here.done(f"POST {VM}/snapshot", snapname="up", vmstate=1)
    here.done(f"POST {VM}/status/stop")
    tasks = len(here.api.documents.tasks)
    assert here.done(f"POST {VM}/snapshot/up/rollback").status == "OK"
    assert len(here.api.documents.tasks) == tasks + 1, "the rollback itself lets it go on"
    assert _facts(here).guest_problem(KEY) == ""


def test_a_moving_machines_connections_are_helped_only_where_it_runs() -> None:
    here = _running()
    call = f"POST {VM}/dbus-vmstate"
    assert here.ok(call, action="start") is None
    assert set(here.errors(call, action="start", node="pve2")) == {"node"}
    here.done(f"POST {VM}/status/stop")
    why = "VM 100 not running locally on node 'pve1'"
    assert here.errors(call, action="stop") == {"node": why}


def test_what_is_suspended_to_disk_can_be_destroyed_with_its_memory() -> None:
    here = _running()
    here.done(f"POST {VM}/status/suspend", todisk=1)
    assert here.done(f"DELETE {VM}").status == "OK"
    assert not here.api.documents.volumes


def test_who_may_suspend_and_what() -> None:
    here = _running()
    weak = here.user("ana@pve", "PVEVMUser", path="/vms/100")
    assert here.done(f"POST {VM}/status/suspend", user=weak).status == "OK"
    refused = here.refusal(f"POST {VM}/status/suspend", user=weak, todisk=1)
    assert refused == (403, "Permission check failed (/vms/100, VM.Config.Disk)")
    here.done(f"POST {VM}/status/stop")
    assert here.refusal(f"POST {VM}/status/suspend") == (500, "VM 100 not running")
    assert here.refusal(f"POST {VM}/status/resume") == (500, "VM 100 not running")
    here.ok("POST /cluster/ha/resources", sid="vm:100")
    here.wait(60)
    refused = here.refusal(f"POST {VM}/status/suspend", todisk=1)
    assert refused == (500, "Cannot suspend HA managed VM to disk")
