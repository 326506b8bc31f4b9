"""Snapshots, clones, templates, moved volumes and backups of guests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.pve_guest import guest_file
from tests.simulator.pve_cluster import Cluster, cluster

VM = "/nodes/pve1/qemu/100"


def _guest(disk: str = "data:1,format=qcow2") -> Cluster:
    here = cluster()
    here.guest(100, name="web", scsi0=disk, net0="virtio,bridge=vmbr0", cores=1)
    return here


def _names(here: Cluster) -> dict[str, str]:
    rows = here.ok(f"GET {VM}/snapshot")
    return {row["name"]: row.get("parent", "") for row in rows}


def test_snapshots_form_a_line_and_rolling_back_starts_a_branch() -> None:
    here = _guest()
    for name in ("one", "two"):
        assert here.done(f"POST {VM}/snapshot", snapname=name, description=name).status == "OK"
    assert _names(here) == {"one": "", "two": "one", "current": "two"}
    here.ok(f"PUT {VM}/config", cores=4)
    assert here.done(f"POST {VM}/snapshot/one/rollback").status == "OK"
    assert here.config(100)["cores"] == 1
    before = here.config(100)["vmgenid"]
    here.done(f"POST {VM}/snapshot/one/rollback")
    assert here.config(100)["vmgenid"] != before
    here.done(f"POST {VM}/snapshot", snapname="three")
    assert _names(here) == {"one": "", "two": "one", "three": "one", "current": "three"}
    here.done(f"DELETE {VM}/snapshot/one")
    assert _names(here) == {"two": "", "three": "", "current": "three"}


def test_a_snapshot_shows_the_options_as_they_were_and_can_be_described() -> None:
    here = _guest()
    here.done(f"POST {VM}/snapshot", snapname="one")
    here.ok(f"PUT {VM}/config", cores=4)
    assert here.ok(f"GET {VM}/config", snapshot="one")["cores"] == 1
    here.ok(f"PUT {VM}/snapshot/one/config", description="before")
    assert here.ok(f"GET {VM}/snapshot/one/config")["description"] == "before"
    assert here.refusal(f"GET {VM}/config", snapshot="no1") == (
        500, "snapshot 'no1' does not exist",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("disk", "name", "status"),
    [
        ("data:1", "one", "snapshot feature is not available"),
        ("data:1,format=qcow2", "two", "OK"),
    ],
)
def test_only_some_formats_have_snapshots(disk: str, name: str, status: str) -> None:
    here = _guest(disk)
    assert here.done(f"POST {VM}/snapshot", snapname=name).status == status


def test_a_reserved_name_is_refused_and_an_absent_snapshot_fails_in_its_task() -> None:
    here = _guest()
    reserved = "unable to use snapshot name 'current' (reserved name)"
    assert here.refusal(f"POST {VM}/snapshot", snapname="current") == (500, reserved)
    assert here.done(f"DELETE {VM}/snapshot/no1").status == "snapshot 'no1' does not exist"


def test_a_full_clone_has_disks_addresses_and_ids_of_its_own() -> None:
    here = _guest()
    here.ok(f"PUT {VM}/config", description="kept", onboot=1)
    assert here.done(f"POST {VM}/clone", newid=101, name="web2").status == "OK"
    old, new = here.config(100), here.config(101)
    assert (new["name"], new["onboot"], new["description"]) == ("web2", 1, old["description"])
    assert new["scsi0"] == "data:101/vm-101-disk-0.qcow2,size=1G"
    for key in ("net0", "smbios1", "vmgenid"):
        assert new[key] != old[key]
    assert here.done(f"POST {VM}/clone", newid=102).status == "OK"
    assert here.config(102)["name"] == "Copy-of-web"
    assert here.refusal(f"POST {VM}/clone", newid=101) == (
        500, "unable to create VM 101: config file already exists",
    )  # fmt: skip


def test_a_linked_clone_stands_on_its_template() -> None:
    here = _guest()
    refused = "Linked clone feature is not supported for drive 'scsi0'"
    assert here.refusal(f"POST {VM}/clone", newid=101, full=0) == (500, refused)
    assert here.done(f"POST {VM}/template").status == "OK"
    assert here.config(100)["scsi0"] == "data:100/base-100-disk-0.qcow2,size=1G"
    assert here.done(f"POST {VM}/clone", newid=101).status == "OK"
    base = "data:100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2,size=1G"
    assert here.config(101)["scsi0"] == base
    assert here.done(f"POST {VM}/status/start").status != "OK"
    assert here.refusal(f"POST {VM}/template")[1] == "you can't convert a template to a template"
    assert here.refusal(f"POST {VM}/clone", newid=102, storage="data") == (
        500, "parameter 'storage' not allowed for linked clones",
    )  # fmt: skip


def test_who_goes_on_at_once_finds_a_template() -> None:
    """Tools make one and clone it without a look at the task."""
    here = _guest()
    here.ok(f"POST {VM}/template")
    here.wait(0.5)
    assert here.done(f"POST {VM}/clone", newid=101, full=0).status == "OK"


def test_a_moved_disk_leaves_the_old_one_unused_or_takes_it_away() -> None:
    here = _guest()
    here.api.documents.storages["other"] = {**here.api.documents.storages["data"], "path": "/o"}
    here.api.sync(here.twin)
    assert here.done(f"POST {VM}/move_disk", disk="scsi0", storage="other").status == "OK"
    config = here.config(100)
    assert config["scsi0"].startswith("other:100/vm-100-disk-0.qcow2")
    assert config["unused0"] == "data:100/vm-100-disk-0.qcow2"
    here.done(f"POST {VM}/move_disk", disk="scsi0", storage="data", delete=1)
    assert [v.storage for v in here.api.documents.volumes.values()] == ["data", "data"]


def test_a_disk_is_given_to_another_guest() -> None:
    here = _guest()
    here.guest(101)
    asked = {"disk": "scsi0", "target__vmid": 101, "target__disk": "virtio3"}
    assert here.done(f"POST {VM}/move_disk", **asked).status == "OK"
    assert "scsi0" not in here.config(100)
    assert here.config(101)["virtio3"] == "data:101/vm-101-disk-0.qcow2,size=1G"


def test_what_a_guest_can_have_is_told() -> None:
    here = _guest("data:1")
    feature = f"GET {VM}/feature"
    assert here.ok(feature, feature="snapshot")["hasFeature"] == 0
    assert here.ok(feature, feature="copy") == {"hasFeature": 1, "nodes": ["pve1"]}


def test_a_backup_is_a_volume_that_can_be_listed_and_deleted() -> None:
    here = _guest()
    task = here.done("POST /nodes/pve1/vzdump", vmid="100", storage="local")
    assert (task.type, task.id, task.status) == ("vzdump", "100", "OK")
    (row,) = here.ok("GET /nodes/pve1/storage/local/content", content="backup")
    assert (row["vmid"], row["size"]) == (100, 2**30)
    assert here.ok("POST /nodes/pve1/vzdump", vmid="999", storage="local").startswith("UPID:")
    assert here.ok("POST /nodes/pve2/vzdump", vmid="100", storage="local") == "OK"


def test_the_log_of_a_backup_says_what_monitoring_looks_for() -> None:
    here = _guest()
    here.guest(101, name="db", scsi0="data:5")
    here.done("POST /nodes/pve1/qemu/101/status/start")
    asked: dict[str, Any] = {"vmid": "100,101,999", "storage": "local", "mode": "suspend"}
    task = here.done("POST /nodes/pve1/vzdump", notes__template="{{guestname}}", **asked)
    began = datetime.fromtimestamp(task.start_s, UTC)
    said = [line.removeprefix("INFO: ") for line in task.log]
    assert said[:8] == [
        "starting new backup job: vzdump 100 101 999 --mode suspend "
        "--notes-template '{{guestname}}' --storage local",
        "Starting Backup of VM 100 (qemu)",
        f"Backup started at {began:%Y-%m-%d %H:%M:%S}",
        "status = stopped",
        "backup mode: stop",
        "ionice priority: 7",
        "VM Name: web",
        "include disk 'scsi0' 'data:100/vm-100-disk-0.qcow2' 1G",
    ]
    name = f"vzdump-qemu-100-{began:%Y_%m_%d-%H_%M_%S}.vma"
    assert said[8:14] == [
        f"creating vzdump archive '/var/lib/vz/dump/{name}'",
        "transferred 1.00 GiB in 10 seconds (102.4 MiB/s)",
        "archive file size: 1.00GB",
        "adding notes to backup",
        "Finished Backup of VM 100 (00:00:10)",
        f"Backup finished at {began + timedelta(seconds=10):%Y-%m-%d %H:%M:%S}",
    ]
    assert {"status = running", "backup mode: suspend", "VM Name: db"} <= set(said)
    assert "Finished Backup of VM 101 (00:00:51)" in said
    ended = began + timedelta(seconds=61)
    assert said[-4:] == [
        "ERROR: Backup of VM 999 failed - unable to find VM '999'",
        f"Failed at {ended:%Y-%m-%d %H:%M:%S}",
        "Backup job finished with errors",
        "TASK ERROR: job errors",
    ]
    rows = here.ok("GET /nodes/pve1/storage/local/content", content="backup")
    assert [row["ctime"] - task.start_s for row in rows] == [0, 10]


def test_a_guests_file_has_a_section_for_what_waits_and_for_each_snapshot() -> None:
    here = _guest()
    here.done(f"POST {VM}/snapshot", snapname="one")
    here.done(f"POST {VM}/status/start")
    here.ok(f"PUT {VM}/config", bios="ovmf", delete="scsihw", description="two\nlines")
    text = here.file(100).text
    assert text.startswith("#two\n#lines\n")
    assert "\n[PENDING]\nbios: ovmf\n" in text
    assert "\n[one]\n" in text
    assert guest_file.read(text, "qemu") == here.file(100)


def test_what_linked_clones_stand_on_stays() -> None:
    here = _guest()
    here.done(f"POST {VM}/template")
    task = here.done(f"POST {VM}/clone", newid=101)
    base, own = "100/base-100-disk-0.qcow2", "vm-101-disk-0.qcow2"
    assert f"clone {base}: images, {own}, 101 to {own} (base=../{base})" in task.log
    why = "is still in use by linked clone"
    destroyed = here.done(f"DELETE {VM}")
    assert destroyed.status == f"base volume 'data:{base}' {why}d"
    removed = here.done(f"DELETE /nodes/pve1/storage/data/content/data:{base}")
    assert removed.status == f"base volume '{base}' {why}s"
    here.done("DELETE /nodes/pve1/qemu/101")
    assert here.done(f"DELETE {VM}").status == "OK"


def test_a_disk_that_a_snapshot_has_is_not_freed_nor_taken_away() -> None:
    here = _guest()
    here.done(f"POST {VM}/snapshot", snapname="one")
    here.ok("POST /storage", storage="more", type="dir", path="/srv/more", content="images")
    moved = here.refusal(f"POST {VM}/move_disk", disk="scsi0", storage="more", delete=1)
    assert moved == (500, "you can't move a disk with snapshots and delete the source")
    here.ok(f"PUT {VM}/config", delete="scsi0")
    volid = here.config(100)["unused0"]
    used = here.refusal(f"PUT {VM}/config", delete="unused0")
    assert used == (500, f"unable to delete '{volid}' - volume is still in use (snapshot?)")
    here.ok(f"PUT {VM}/config", protection=1)
    kept = here.refusal(f"PUT {VM}/config", delete="unused0")
    assert kept == (500, f"can't remove unused disk '{volid}' - protection mode enabled")


def test_a_disk_goes_to_a_storage_or_to_another_guest_that_can_have_it() -> None:
    here = _guest()
    here.guest(101, scsi0="data:1")
    here.guest(102, node="pve2")
    move = f"POST {VM}/move_disk"
    neither = here.errors(move, disk="scsi0")
    assert set(neither) == {"storage", "target-vmid"}
    both = here.errors(move, disk="scsi0", storage="data", target__vmid=101)
    assert both["storage"] == "either set 'storage' or 'target-vmid', but not both"
    same = here.errors(move, disk="scsi0", target__vmid=100)
    assert same == {"target-vmid": "must be different than source VMID to reassign disk"}
    for params, why in (
        ({"target__vmid": 999}, "could not find target VM 999"),
        ({"target__vmid": 102}, "Both VMs need to be on the same node (pve1 != pve2)"),
        ({"target__vmid": 101}, "Target disk key 'scsi0' is already in use for VM '101'"),
    ):
        assert here.refusal(move, disk="scsi0", **params) == (500, why)
    missing = here.refusal(move, disk="scsi9", target__vmid=101)
    assert missing[1] == "Disk 'scsi9' for VM '100' does not exist"
    task = here.done(move, disk="scsi0", target__vmid=101, target__disk="scsi5")
    assert (task.id, task.status) == ("100-scsi0>101-scsi5", "OK")


def test_of_a_copy_that_fails_nothing_is_left() -> None:
    here = _guest()
    here.ok(f"PUT {VM}/config", scsi1="data:1")
    gone = here.config(100)["scsi1"].partition(",")[0]
    del here.api.documents.volumes["pve1", gone]
    task = here.done(f"POST {VM}/clone", newid=101)
    assert task.status == f"clone failed: volume '{gone}' does not exist"
    assert [row["vmid"] for row in here.ok("GET /nodes/pve1/qemu")] == [100]
    assert len(here.ok("GET /nodes/pve1/storage/data/content")) == 1
