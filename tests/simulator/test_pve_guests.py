"""Virtual machines: how they are made, what is rewritten, what waits, and how long things take."""

from __future__ import annotations

import re

from simulator.state import GuestPower
from tests.simulator.pve_cluster import ROOT, Cluster, cluster

CONFIG = "/nodes/pve1/qemu/100/config"


def _power(here: Cluster, vmid: int = 100) -> GuestPower:
    return here.twin.state.guests["a", vmid].power


def _running(**options: str) -> Cluster:
    here = cluster()
    here.guest(100, **options)
    here.done("POST /nodes/pve1/qemu/100/status/start")
    return here


def test_a_new_guest_has_what_the_server_makes_up() -> None:
    here = cluster()
    here.guest(
        100,
        name="web",
        net0="virtio,bridge=vmbr0,tag=10,firewall=yes",
        scsi0="data:32,ssd=1,format=qcow2",
        ide2="none,media=cdrom",
        tags="Web;a,web",
        description="two\nlines\n",
    )
    config = here.config(100)
    assert re.fullmatch(
        r"virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0,firewall=1,tag=10", config["net0"]
    )
    assert config["scsi0"] == "data:100/vm-100-disk-0.qcow2,size=32G,ssd=1"
    assert config["boot"] == "order=scsi0;ide2;net0"
    assert (config["tags"], config["description"]) == ("a;web", "two\nlines")
    assert {"vmgenid", "smbios1", "meta", "digest"} <= config.keys()
    assert len(here.ok("GET /nodes/pve1/storage/data/content")) == 1


def test_an_id_is_taken_at_once_and_free_again_if_making_fails() -> None:
    here = cluster()
    upid = here.ok("POST /nodes/pve1/qemu", vmid=100, scsi0="data:100/none.raw")
    assert here.config(100)["lock"] == "create"
    assert here.refusal("POST /nodes/pve2/qemu", vmid=100) == (
        500,
        "unable to create VM 100 - VM 100 already exists on node 'pve1'",
    )
    here.wait(10)
    why = "unable to create VM 100 - volume 'data:100/none.raw' does not exist"
    assert here.api.documents.tasks[upid].status == why
    assert here.ok("GET /cluster/resources", type="vm") == []
    assert here.ok("GET /cluster/nextid") == "100"


def test_a_task_runs_for_its_time_and_then_tells_how_it_ended() -> None:
    here = cluster()
    upid = here.ok("POST /nodes/pve1/qemu", vmid=100, scsi0="data:1")
    status = f"GET /nodes/pve1/tasks/{upid}/status"
    assert here.ok(status)["status"] == "running"
    here.wait(2.9)
    assert here.ok(status)["status"] == "running"
    here.wait(0.2)
    row = here.ok(status)
    assert (row["status"], row["exitstatus"], row["user"]) == ("stopped", "OK", "root@pam")
    lines = [line["t"] for line in here.ok(f"GET /nodes/pve1/tasks/{upid}/log")]
    assert lines[-2:] == [
        "scsi0: successfully created disk 'data:100/vm-100-disk-0.raw,size=1G'",
        "TASK OK",
    ]
    assert re.fullmatch(r"UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:qmcreate:100:.*:", upid)


def test_a_net_without_a_mac_gets_a_new_one_each_time() -> None:
    here = cluster()
    here.guest(100, net0="virtio,bridge=vmbr0")
    first = here.config(100)["net0"]
    here.ok(f"PUT {CONFIG}", net0="virtio,bridge=vmbr0")
    assert here.config(100)["net0"] != first
    here.ok(f"PUT {CONFIG}", net0="model=e1000,macaddr=bc:24:11:00:00:09,bridge=vmbr0")
    assert here.config(100)["net0"] == "e1000=bc:24:11:00:00:09,bridge=vmbr0"


def test_the_same_calls_make_up_the_same_values() -> None:
    configs = []
    for _ in range(2):
        here = cluster()
        here.guest(100, net0="virtio,bridge=vmbr0")
        configs.append(here.config(100))
    assert configs[0] == configs[1]


def test_a_second_disk_in_a_slot_leaves_the_first_unused() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1")
    here.ok(f"PUT {CONFIG}", scsi0="data:2")
    config = here.config(100)
    assert config["scsi0"] == "data:100/vm-100-disk-1.raw,size=2G"
    assert config["unused0"] == "data:100/vm-100-disk-0.raw"
    here.ok(f"PUT {CONFIG}", scsi1="data:100/vm-100-disk-0.raw")
    config = here.config(100)
    assert config["scsi1"] == "data:100/vm-100-disk-0.raw,size=1G"
    assert "unused0" not in config


def test_deleting_a_disk_detaches_it_and_deleting_the_unused_one_frees_it() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1", net0="virtio,bridge=vmbr0")
    here.ok(f"PUT {CONFIG}", delete="scsi0")
    config = here.config(100)
    assert (config["unused0"], config["boot"]) == ("data:100/vm-100-disk-0.raw", "order=net0")
    assert here.ok("GET /nodes/pve1/storage/data/content")
    here.ok(f"PUT {CONFIG}", delete="unused0")
    assert here.ok("GET /nodes/pve1/storage/data/content") == []


def test_a_digest_guards_a_guests_own_file() -> None:
    here = cluster()
    here.guest(100)
    here.guest(101)
    digest = here.config(100)["digest"]
    here.ok("PUT /nodes/pve1/qemu/101/config", cores="2")
    here.ok(f"PUT {CONFIG}", cores="2", digest=digest)
    assert here.refusal(f"PUT {CONFIG}", cores="3", digest=digest) == (
        500,
        "checksum mismatch (file change by other user?)",
    )


def test_a_change_says_in_the_cluster_log_what_and_who() -> None:
    here = cluster()
    here.guest(100)
    ana = here.user("ana@pve", "PVEVMAdmin")
    here.ok(f"PUT {CONFIG}", user=ana, memory="4096", cipassword="hidden word")
    line = here.ok("GET /cluster/log", max=1)[0]
    assert line["msg"] == "update VM 100: -cipassword <hidden> -memory 4096"
    assert (line["user"], line["node"], line["tag"], line["pri"]) == (ana, "pve1", "pvedaemon", 6)
    assert "hidden word" not in str(here.config(100))
    assert here.config(100)["cipassword"] == "**********"


def test_options_need_their_own_privileges() -> None:
    here = cluster()
    here.guest(100)
    here.ok("POST /access/roles", roleid="Cpu", privs="VM.Config.CPU,VM.Audit")
    ana = here.user("ana@pve", "Cpu")
    here.ok(f"PUT {CONFIG}", user=ana, cores="2")
    assert here.refusal(f"PUT {CONFIG}", user=ana, memory="1024") == (
        403,
        "Permission check failed (/vms/100, VM.Config.Memory)",
    )
    here.ok("PUT /access/roles/Cpu", privs="VM.Config.Network", append="1")
    assert here.refusal(f"PUT {CONFIG}", user=ana, net0="virtio,bridge=vmbr0,tag=10") == (
        403,
        "Permission check failed (/sdn/zones/localnetwork/vmbr0/10, SDN.Use)",
    )


def test_a_guest_may_be_made_in_a_pool_that_is_ones_own() -> None:
    here = cluster()
    here.ok("POST /pools", poolid="team")
    here.ok("PUT /pools", poolid="team", storage="data")
    ana = here.user("ana@pve", "PVEAdmin", path="/pool/team")
    assert here.refusal("POST /nodes/pve1/qemu", user=ana, vmid=100)[0] == 403
    here.done("POST /nodes/pve1/qemu", user=ana, vmid=100, pool="team", scsi0="data:1")
    assert here.ok("GET /cluster/resources", user=ana, type="vm")[0]["pool"] == "team"


def test_a_running_guest_takes_live_options_and_keeps_the_others_for_later() -> None:
    here = _running(net0="virtio,bridge=vmbr0")
    here.ok(f"PUT {CONFIG}", name="renamed", cores="4", memory="2048", scsi0="data:1")
    assert here.file(100).current["name"] == "renamed"
    assert here.file(100).current["scsi0"] == "data:100/vm-100-disk-0.raw,size=1G"
    assert here.file(100).pending == {"cores": 4, "memory": "2048"}
    assert here.config(100)["cores"] == 4
    assert "cores" not in here.ok(f"GET {CONFIG}", current="1")
    rows = {row["key"]: row for row in here.ok("GET /nodes/pve1/qemu/100/pending")}
    assert rows["cores"] == {"key": "cores", "pending": 4}
    assert here.twin.facts.spec(("a", 100)).cores == 1


def test_what_waits_comes_true_when_the_guest_is_started_anew() -> None:
    here = _running()
    here.ok(f"PUT {CONFIG}", cores="4")
    here.done("POST /nodes/pve1/qemu/100/status/reboot")
    assert here.file(100).current["cores"] == 4
    assert not here.file(100).pending
    assert here.twin.facts.spec(("a", 100)).cores == 4


def test_a_change_that_waits_can_be_taken_back() -> None:
    here = _running(cores="2")
    here.ok(f"PUT {CONFIG}", cores="4")
    here.ok(f"PUT {CONFIG}", revert="cores")
    assert here.config(100)["cores"] == 2


def test_a_guest_starts_boots_and_stops_in_the_twin() -> None:
    here = cluster()
    here.guest(100, memory="2048")
    assert _power(here) is GuestPower.STOPPED
    here.done("POST /nodes/pve1/qemu/100/status/start")
    assert _power(here) is GuestPower.BOOTING
    row = here.ok("GET /nodes/pve1/qemu/100/status/current")
    assert (row["status"], row["qmpstatus"], row["maxmem"]) == ("running", "running", 2 * 2**30)
    here.wait(60)
    assert _power(here) is GuestPower.RUNNING
    began_s = here.twin.now_s
    here.done("POST /nodes/pve1/qemu/100/status/shutdown")
    assert here.twin.now_s - began_s == 20
    assert _power(here) is GuestPower.STOPPED


def test_starting_twice_fails_in_the_task_and_stopping_twice_is_fine() -> None:
    here = _running()
    again = here.done("POST /nodes/pve1/qemu/100/status/start")
    assert again.status == "VM 100 already running"
    assert here.done("POST /nodes/pve1/qemu/100/status/stop").status == "OK"
    assert here.done("POST /nodes/pve1/qemu/100/status/stop").status == "OK"
    assert here.refusal("POST /nodes/pve1/qemu/100/status/reset") == (500, "VM 100 not running")


def test_a_guest_does_not_start_on_a_bridge_that_is_not_there() -> None:
    here = cluster()
    here.guest(100, net0="virtio,bridge=vmbr7")
    task = here.done("POST /nodes/pve1/qemu/100/status/start")
    assert task.status == "start failed: QEMU exited with code 1"
    assert _power(here) is GuestPower.STOPPED


def test_a_running_guest_moves_only_online_and_its_memory_takes_time() -> None:
    here = _running(memory="4096")
    assert here.refusal("POST /nodes/pve1/qemu/100/migrate", target="pve2") == (
        500,
        "can't migrate running VM without --online",
    )
    began_s = here.twin.now_s
    upid = here.ok("POST /nodes/pve1/qemu/100/migrate", target="pve2", online="1")
    assert here.config(100)["lock"] == "migrate"
    assert here.refusal(f"PUT {CONFIG}", cores="2") == (500, "VM is locked (migrate)")
    here.wait(60)
    task = here.api.documents.tasks[upid]
    assert task.status == "OK"
    assert task.end_s is not None
    assert task.end_s - here.api.epoch_s - began_s > 4096 * 2**20 * 8 / 10**9
    assert here.twin.state.guests["a", 100].node == "pve2"
    assert "lock" not in here.config(100, "pve2")
    assert here.refusal(f"GET {CONFIG}")[1] == (
        "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    )


def test_local_disks_come_along_only_when_asked_for() -> None:
    here = _running(scsi0="data:1")
    task = here.done("POST /nodes/pve1/qemu/100/migrate", target="pve2", online="1")
    assert task.status == "migration aborted"
    assert "with-local-disks" in task.log[-2]
    here.done(
        "POST /nodes/pve1/qemu/100/migrate", target="pve2", online="1", with__local__disks="1"
    )
    assert here.ok("GET /nodes/pve1/storage/data/content") == []
    assert len(here.ok("GET /nodes/pve2/storage/data/content")) == 1


def test_a_guest_can_not_move_to_a_node_that_is_gone() -> None:
    here = cluster()
    here.guest(100)
    here.fail("fail-node pve3")
    task = here.done("POST /nodes/pve1/qemu/100/migrate", target="pve3")
    assert task.status == "migration aborted"
    assert any("No route to host" in line for line in task.log)
    assert task.end_s == task.start_s + 3
    assert here.twin.state.guests["a", 100].node == "pve1"


def test_a_disk_grows_and_never_shrinks() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1")
    resize = "PUT /nodes/pve1/qemu/100/resize"
    assert here.done(resize, disk="scsi0", size="+1G").status == "OK"
    assert here.config(100)["scsi0"].endswith("size=2G")
    assert here.done(resize, disk="scsi0", size="1G").status == "shrinking disks is not supported"


def test_destroying_a_guest_frees_its_disks_and_purging_its_traces() -> None:
    here = cluster()
    here.guest(100, scsi0="data:1")
    here.guest(101)
    here.ok("POST /pools", poolid="team")
    here.ok("PUT /pools", poolid="team", vms="100")
    here.ok("POST /cluster/backup", id="weekly", schedule="sat 03:00", vmid="100,101")
    here.ok("POST /cluster/ha/resources", sid="vm:100", state="stopped")
    delete = "DELETE /nodes/pve1/qemu/100"
    assert here.refusal(delete)[1] == (
        "unable to remove VM 100 - used in HA resources and purge parameter not set."
    )
    assert here.done(delete, purge="1").status == "OK"
    assert here.ok("GET /nodes/pve1/storage/data/content") == []
    assert here.ok("GET /cluster/backup/weekly")["vmid"] == "101"
    assert here.ok("GET /cluster/ha/resources") == []
    assert here.ok("GET /pools", poolid="team")[0]["members"] == []
    assert ("a", 100) not in here.twin.state.guests


def test_a_running_or_protected_guest_is_not_destroyed() -> None:
    here = _running()
    running = here.refusal("DELETE /nodes/pve1/qemu/100")
    assert running == (500, "VM 100 is running - destroy failed")
    here.done("POST /nodes/pve1/qemu/100/status/stop")
    here.ok(f"PUT {CONFIG}", protection="1")
    assert (
        here.refusal("DELETE /nodes/pve1/qemu/100")[1]
        == "can't remove VM 100 - protection mode enabled"
    )


def test_a_worker_is_gone_with_its_node() -> None:
    here = cluster()
    upid = here.ok("POST /nodes/pve3/qemu", vmid=100)
    here.fail("fail-node pve3", wait_s=1)
    assert here.api.documents.tasks[upid].status == "unexpected status"
    here.wait(10)
    assert here.file(100).current == {"lock": "create"}


def test_guests_of_a_node_that_is_away_are_unknown() -> None:
    here = _running()
    here.fail("fail-node pve1")
    (row,) = here.ok("GET /cluster/resources", node="pve2", type="vm")
    assert row == {
        "id": "qemu/100",
        "type": "qemu",
        "vmid": 100,
        "node": "pve1",
        "status": "unknown",
    }


def test_tasks_are_listed_by_what_they_were_for() -> None:
    here = _running()
    here.guest(101, node="pve2")
    rows = here.ok("GET /nodes/pve1/tasks", vmid=100)
    assert [row["type"] for row in rows] == ["qmstart", "qmcreate"]
    assert {row["node"] for row in here.ok("GET /cluster/tasks")} == {"pve1", "pve2"}
    assert here.ok("GET /cluster/tasks", user=here.user("weak@pve")) == []
    assert {row["user"] for row in rows} == {ROOT}


def test_an_option_is_set_unset_or_reverted_but_one_of_these() -> None:
    here = cluster()
    here.guest(100)
    both = here.errors(f"PUT {CONFIG}", name="x", revert="name")
    assert both == {"delete": "you can't use '-name' and -revert name' at the same time"}
    both = here.errors(f"PUT {CONFIG}", delete="name", revert="name")
    assert both == {"revert": "you can't use '-delete name' and -revert name' at the same time"}


def test_a_generation_id_is_made_when_it_is_asked_for() -> None:
    here = cluster()
    here.guest(100)
    before = here.config(100)["vmgenid"]
    here.ok(f"PUT {CONFIG}", vmgenid="1")
    assert here.config(100)["vmgenid"] not in (before, "1")
    here.ok(f"PUT {CONFIG}", vmgenid="0")
    assert here.config(100)["vmgenid"] == "0"


def test_a_medium_is_neither_grown_nor_moved() -> None:
    here = cluster()
    here.guest(100, ide2="none,media=cdrom")
    task = here.done("PUT /nodes/pve1/qemu/100/resize", disk="ide2", size="+1G")
    assert task.status == "you can't resize a cdrom"
    moved = here.refusal("POST /nodes/pve1/qemu/100/move_disk", disk="ide2", storage="local")
    assert moved[1] == "you can't move a cdrom"


def test_devices_of_the_node_are_roots_and_mapped_ones_need_a_right() -> None:
    here = cluster()
    real = {"usb0": "host=1234:5678", "serial0": "/dev/ttyS0"}
    here.done("POST /nodes/pve1/qemu", vmid=100, user=None, headers=here.login(), **real)
    user = here.user("ana@pve", "PVEVMAdmin", path="/vms/100")
    for params, why in (
        ({"usb0": "spice"}, "only root can set 'usb0' config for real devices"),
        ({"usb1": "usb3=1"}, "either 'host' or 'mapping' must be set."),
        ({"serial0": "socket"}, "only root can modify 'serial0' config for real devices"),
        ({"delete": "serial0"}, "only root can delete 'serial0' config for real devices"),
        ({"hostpci0": "00:02.0"}, "only root can set 'hostpci0' config for non-mapped devices"),
    ):
        assert here.refusal(f"PUT {CONFIG}", user=user, **params) == (500, why)
    mapped = here.refusal(f"PUT {CONFIG}", user=user, hostpci0="mapping=gpu")
    assert mapped == (403, "Permission check failed (/mapping/pci/gpu, Mapping.Use)")
    here.ok(f"PUT {CONFIG}", user=user, serial1="socket", usb1="spice")


def test_the_right_that_an_option_needs_is_that_of_what_it_changes() -> None:
    here = cluster()
    here.guest(100, ide2="none,media=cdrom", scsi0="data:1")
    here.ok("POST /access/roles", roleid="Media", privs="VM.Config.CDROM,VM.Config.Options")
    user = here.user("ana@pve", "Media", path="/vms/100")
    here.ok(f"PUT {CONFIG}", user=user, delete="ide2")
    for params, path, right in (
        ({"boot": "order=scsi0"}, "/vms/100", "VM.Config.Disk"),
        ({"scsi0": "none,media=cdrom"}, "/vms/100", "VM.Config.Disk"),
        ({"startup": "1"}, "/", "Sys.Modify"),
        ({"ciuser": "x"}, "/vms/100", "VM.Config.Cloudinit|VM.Config.Network"),
    ):
        refused = here.refusal(f"PUT {CONFIG}", user=user, **params)
        assert refused == (403, f"Permission check failed ({path}, {right})")
    grow = {"disk": "scsi0", "size": "+1G", "skiplock": 1}
    here.ok("PUT /access/acl", path="/vms/100", roles="PVEVMAdmin", users="ana@pve")
    only = here.errors("PUT /nodes/pve1/qemu/100/resize", user=user, **grow)
    assert only == {"skiplock": "Only root may use this option."}


def test_stopping_a_guest_that_is_off_is_fine_though_it_is_locked() -> None:
    here = cluster()
    here.guest(100)
    here.ok("PUT /nodes/pve1/qemu/100/config", user=None, headers=here.login(), lock="backup")
    assert here.done("POST /nodes/pve1/qemu/100/status/stop").status == "OK"
    assert here.done("POST /nodes/pve1/qemu/100/status/start").status == "VM is locked (backup)"
