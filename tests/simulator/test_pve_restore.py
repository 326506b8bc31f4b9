"""Guests out of backups, and what else there is of backups: their content, notes, retention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulator.pve.documents import Volume
from simulator.pve_node.prune import marks
from tests.simulator.pve_cluster import Cluster, cluster

LIST = "GET /nodes/pve1/storage/local/content"
RESTORE = "POST /nodes/pve1/qemu"
EXTRACT = "GET /nodes/pve1/vzdump/extractconfig"
TEMPLATE = "local:vztmpl/debian-12-standard.tar.zst"


def _backed_up() -> tuple[Cluster, str]:
    """A cluster with a virtual machine, and the volume id of a backup of it."""
    here = cluster()
    here.guest(
        100,
        name="web",
        memory="1024",
        scsi0="data:2,format=qcow2",
        scsi1="data:1,backup=0",
        ide2="none,media=cdrom",
        net0="virtio=BC:24:11:00:00:01,bridge=vmbr0",
        description="kept",
    )
    return here, _backup(here, 100)


def _backup(here: Cluster, vmid: int, **params: Any) -> str:
    known = {volume.volid for volume in here.api.documents.volumes.values()}
    task = here.done("POST /nodes/pve1/vzdump", vmid=str(vmid), storage="local", **params)
    assert task.status == "OK", task.log
    (volid,) = {v.volid for v in here.api.documents.volumes.values()} - known
    return volid


def _container() -> tuple[Cluster, str]:
    """A cluster with a container that has a second volume, and a backup of it."""
    here = cluster()
    fetched = {"content": "vztmpl", "url": "http://a/x", "filename": TEMPLATE.rpartition("/")[2]}
    here.done("POST /nodes/pve1/storage/local/download-url", **fetched)
    made = {"rootfs": "data:2", "mp0": "data:1,mp=/srv", "hostname": "box"}
    net = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02"
    task = here.done("POST /nodes/pve1/lxc", vmid=200, ostemplate=TEMPLATE, net0=net, **made)
    assert task.status == "OK", task.log
    return here, _backup(here, 200)


def _volids(here: Cluster, vmid: int) -> set[str]:
    found = here.api.documents.volumes.values()
    return {v.volid for v in found if v.vmid == vmid and v.content == "images"}


def test_a_restored_machine_is_as_it_was_with_disks_of_its_own() -> None:
    here, archive = _backed_up()
    here.ok("PUT /nodes/pve1/qemu/100/config", memory="2048")
    task = here.done(RESTORE, vmid=101, archive=archive, name="copy")
    assert (task.type, task.id, task.status) == ("qmrestore", "101", "OK")
    assert "new volume ID is 'data:101/vm-101-disk-0.qcow2'" in task.log
    old, new = here.config(100), here.config(101)
    assert (new["memory"], new["name"]) == ("1024", "copy")
    assert new["scsi0"] == "data:101/vm-101-disk-0.qcow2,size=2G"
    assert new["ide2"] == "none,media=cdrom"
    assert "scsi1" not in new
    assert new["description"].startswith("kept\nscsi1: data:100/")
    assert (new["net0"], new["smbios1"]) == (old["net0"], old["smbios1"])
    assert new["vmgenid"] != old["vmgenid"]
    assert "lock" not in new
    assert here.done("POST /nodes/pve1/qemu/101/status/start").status == "OK"


def test_a_unique_one_has_addresses_and_ids_of_its_own() -> None:
    here, archive = _backed_up()
    here.ok("POST /pools", poolid="web")
    asked = {"unique": 1, "pool": "web", "start": 1, "storage": "data"}
    assert here.done(RESTORE, vmid=101, archive=archive, **asked).status == "OK"
    old, new = here.config(100), here.config(101)
    assert new["net0"] != old["net0"]
    assert new["net0"].endswith(",bridge=vmbr0")
    assert new["smbios1"] != old["smbios1"]
    assert [row["vmid"] for row in here.ok("GET /pools/web")["members"]] == [101]
    here.wait(60)
    assert here.ok("GET /nodes/pve1/qemu/101/status/current")["status"] == "running"


def test_over_a_machine_its_disks_are_replaced_and_the_others_kept_unused() -> None:
    here, archive = _backed_up()
    here.done("POST /nodes/pve1/qemu/100/config", virtio0="data:3", memory="512")
    here.done("POST /nodes/pve1/qemu/100/snapshot", snapname="later")
    taken = here.refusal(RESTORE, vmid=100, archive=archive)
    assert taken == (500, "unable to restore VM 100 - VM 100 already exists on node 'pve1'")
    before = _volids(here, 100)
    assert here.done(RESTORE, vmid=100, archive=archive, force=1).status == "OK"
    config = here.config(100)
    assert config["memory"] == "1024"
    assert _volids(here, 100) == before
    unused = {value for key, value in config.items() if key.startswith("unused")}
    assert len(unused) == 2
    assert unused < before
    assert not here.file(100).snapshots


def test_while_it_is_restored_a_guest_is_locked() -> None:
    here, archive = _backed_up()
    upid = here.ok(RESTORE, vmid=100, archive=archive, force=1)
    assert here.config(100)["lock"] == "create"
    again = here.refusal(RESTORE, vmid=100, archive=archive, force=1)
    assert again == (500, "unable to restore VM 100 - VM is locked (create)")
    changed = here.refusal("PUT /nodes/pve1/qemu/100/config", cores=2)
    assert changed == (500, "VM is locked (create)")
    here.wait(60)
    assert here.api.documents.tasks[upid].status == "OK"


@pytest.mark.parametrize(
    ("before", "asked", "status"),
    [
        ("PUT /nodes/pve1/qemu/100/config protection=1", {"force": 1},
         "unable to restore VM 100 - protection mode enabled"),
        ("POST /nodes/pve1/qemu/100/status/start", {"force": 1},
         "unable to restore VM 100 - vm is running"),
        ("", {"vmid": 101, "live__restore": 1},
         "live-restore is only compatible with backup images from a Proxmox Backup Server"),
        ("PUT /storage/local content=backup", {"vmid": 101, "storage": "local"},
         "storage 'local' does not support vm images"),
    ],
)  # fmt: skip
def test_a_restore_that_fails_says_why_and_lets_the_guest_go(
    before: str, asked: dict[str, Any], status: str
) -> None:
    here, archive = _backed_up()
    call, _, option = before.rpartition(" ") if "=" in before else (before, "", "")
    if call:
        here.ok(call, **dict([option.split("=")] if option else []))
        here.wait(30)
    volids = _volids(here, 100)
    task = here.done(RESTORE, **{"vmid": 100, "archive": archive, **asked})
    assert task.status == status
    assert "state is NOT cleaned up" in task.log[-2]
    assert _volids(here, 100) == volids
    assert "lock" not in here.config(int(task.id))


def test_an_archive_has_to_be_a_backup_that_is_there() -> None:
    here, archive = _backed_up()
    missing = archive.replace("qemu-100", "qemu-109")
    for given, reason in {
        missing: f"volume '{missing}' does not exist",
        "none:backup/x.vma": "storage 'none' does not exist",
        "local:backup/x.vma.zst": "volume 'local:backup/x.vma.zst' does not exist",
        "local:backup/x.iso": "unable to parse directory volume name 'backup/x.iso'",
        "local:iso/a.iso": "unable to use volume local:iso/a.iso - "
        "content type needs to be 'backup'",
        "/etc/passwd": "Only root can pass arbitrary filesystem paths.",
    }.items():
        assert here.refusal(RESTORE, vmid=101, archive=given) == (500, reason)
    errors = here.errors(RESTORE, vmid=101, archive=archive, scsi0="data:1")
    assert errors == {"scsi0": "option conflicts with option 'archive'"}
    assert 101 not in here.api.documents.guests
    (volume,) = [v for v in here.api.documents.volumes.values() if v.volid == archive]
    here.api.documents.volumes[volume.key] = replace(volume, backup=None)
    unread = here.done(RESTORE, vmid=101, archive=archive).status
    assert unread == f"unable to extract the configuration of '{archive}'"


def test_who_may_back_a_guest_up_may_restore_it_and_no_other() -> None:
    here, archive = _backed_up()
    ana = here.user("ana@pve", "PVEVMUser", path="/vms/100")
    here.api.documents.acl["/storage", "user", "ana@pve", "PVEDatastoreUser"] = 1
    assert here.refusal(RESTORE, user=ana, vmid=101, archive=archive)[0] == 403
    done = here.done(RESTORE, user=ana, vmid=100, archive=archive, force=1)
    assert done.status == "OK"
    nameless = here.refusal(RESTORE, user=ana, vmid=100, archive="local:backup/x.vma", force=1)
    assert nameless == (500, "missing privileges to access local:backup/x.vma")
    bob = here.user("bob@pve", "PVEVMAdmin", path="/vms/101")
    refused = here.refusal(RESTORE, user=bob, vmid=101, archive=archive)
    assert refused == (403, "Permission check failed (/storage/local, Datastore.AllocateSpace)")
    del here.api.documents.acl["/storage", "user", "ana@pve", "PVEDatastoreUser"]
    task = here.done(RESTORE, user=ana, vmid=100, archive=archive, force=1)
    assert "Permission check failed (/storage/data, Datastore.AllocateSpace)" in task.status


def test_a_restored_container_has_its_volumes_on_the_storage_named() -> None:
    here, archive = _container()
    asked = {"ostemplate": archive, "restore": 1, "storage": "data", "unique": 1}
    task = here.done("POST /nodes/pve1/lxc", vmid=201, **asked)
    assert (task.type, task.status) == ("vzrestore", "OK")
    assert task.log[0] == f"recovering backed-up configuration from '{archive}'"
    config = here.ok("GET /nodes/pve1/lxc/201/config")
    assert config["rootfs"] == "data:201/vm-201-disk-0.raw,size=2G"
    assert config["mp0"] == "data:201/vm-201-disk-1.raw,mp=/srv,size=1G"
    assert (config["hostname"], config["ostype"]) == ("box", "debian")
    assert "BC:24:11:00:00:02" not in config["net0"]
    assert config["net0"].startswith("name=eth0,bridge=vmbr0")


def test_over_a_container_its_volumes_go() -> None:
    here, archive = _container()
    lxc = "POST /nodes/pve1/lxc"
    asked = {"vmid": 200, "ostemplate": archive, "restore": 1, "storage": "data"}
    taken = "unable to restore CT 200 - CT 200 already exists on node 'pve1'"
    assert here.refusal(lxc, **asked) == (500, taken)
    here.done("POST /nodes/pve1/lxc/200/status/start")
    assert here.refusal(lxc, force=1, **asked) == (500, "can't overwrite running container")
    here.done("POST /nodes/pve1/lxc/200/status/stop")
    here.wait(10)
    before = _volids(here, 200)
    given = {**asked, "rootfs": "data:5", "hostname": "new"}
    assert here.done(lxc, force=1, **given).status == "OK"
    config = here.ok("GET /nodes/pve1/lxc/200/config")
    assert (config["hostname"], "mp0" in config) == ("new", False)
    assert config["rootfs"].endswith("size=5G")
    assert len(_volids(here, 200)) == 1
    assert not _volids(here, 200) & before
    here.ok("PUT /nodes/pve1/lxc/200/config", protection=1)
    refused = here.refusal(lxc, force=1, **asked)
    assert refused == (500, "unable to restore CT 200 - protection mode enabled")


def test_a_container_whose_restore_fails_leaves_nothing() -> None:
    here, archive = _container()
    asked = {"vmid": 201, "ostemplate": archive, "restore": 1}
    assert here.errors("POST /nodes/pve1/lxc", **asked) == {
        "storage": "storage 'local' does not support container directories"
    }
    (volume,) = [v for v in here.api.documents.volumes.values() if v.volid == archive]
    del here.api.documents.volumes[volume.key]
    task = here.done("POST /nodes/pve1/lxc", storage="data", **asked)
    assert task.status == f"unable to restore CT 201 - volume '{archive}' does not exist"
    assert 201 not in here.api.documents.guests
    assert not _volids(here, 201)


def test_what_is_in_a_backup_is_shown_to_who_may_make_one() -> None:
    here, archive = _backed_up()
    extract = "GET /nodes/pve1/vzdump/extractconfig"
    text = here.ok(extract, volume=archive)
    assert "memory: 1024\n" in text
    assert "#qmdump#map:scsi0:drive-scsi0:data:qcow2:\n" in text
    assert "scsi1" not in text.partition("#qmdump#")[2]
    weak = here.user("ana@pve", "PVEDatastoreAdmin", path="/storage")
    refused = here.refusal(extract, user=weak, volume=archive)
    assert refused == (403, "Permission check failed (/vms/100, VM.Backup)")


def test_defaults_of_a_backup_follow_its_storage() -> None:
    here = cluster()
    call = "GET /nodes/pve1/vzdump/defaults"
    plain = here.ok(call)
    assert (plain["mode"], plain["prune-backups"]) == ("snapshot", "keep-all=1")
    here.ok("PUT /storage/local", prune__backups="keep-last=2")
    told = here.ok(call, storage="local")
    assert (told["prune-backups"], told["dumpdir"]) == ("keep-last=2", "/var/lib/vz/dump")
    weak = here.user("ana@pve", "PVEDatastoreUser", path="/storage")
    assert "dumpdir" not in here.ok(call, user=weak, storage="local")


def test_notes_and_protection_are_a_backups_own() -> None:
    here, first = _backed_up()
    notes = "{{guestname}} on {{node}}\\n{{vmid}}"
    volid = _backup(here, 100, notes__template=notes, protected=1, compress="zstd")
    assert volid.endswith(".vma.zst")
    row = next(row for row in here.ok(LIST) if row["volid"] == volid)
    assert (row["notes"], row["protected"]) == ("web on pve1\n100", 1)
    one = f"/nodes/pve1/storage/local/content/{volid}"
    assert here.ok(f"GET {one}")["path"] == f"/var/lib/vz/dump/{volid.partition('/')[2]}"
    assert here.done(f"DELETE {one}").status.startswith("cannot remove protected volume")
    here.ok(f"PUT {one}", protected=0, notes="old")
    shown = here.ok(f"GET {one}")
    assert (shown["notes"], "protected" in shown) == ("old", False)
    assert here.done(f"DELETE {one}").status == "OK"
    assert [row["volid"] for row in here.ok(LIST)] == [first]


def test_a_backup_makes_room_as_the_storage_says() -> None:
    here, first = _backed_up()
    here.ok("PUT /storage/local", prune__backups="keep-last=1")
    here.done("POST /nodes/pve1/vzdump", vmid="100", storage="local", remove=0)
    marked = here.ok("GET /nodes/pve1/storage/local/prunebackups")
    assert [row["mark"] for row in marked] == ["keep", "remove"]
    assert marked[1]["volid"] == first
    task = here.done("POST /nodes/pve1/vzdump", vmid="100", storage="local")
    assert "INFO: pruned 2 backup(s) not covered by keep-retention policy" in task.log
    assert len(here.ok(LIST)) == 1


def test_backups_are_pruned_on_demand_by_who_may() -> None:
    here, first = _backed_up()
    second = _backup(here, 100)
    prune = "DELETE /nodes/pve1/storage/local/prunebackups"
    weak = here.user("ana@pve", "PVEVMUser", path="/vms/100")
    here.api.documents.acl["/storage", "user", "ana@pve", "PVEDatastoreUser"] = 1
    assert here.refusal(prune, user=weak, prune__backups="keep-last=1")[0] == 403
    none = "no prune-backups options configured for storage 'local'"
    assert here.done(prune).status == none
    task = here.done(prune, user=weak, vmid=100, prune__backups="keep-last=1")
    assert (task.type, task.id, task.status) == ("prunebackups", "100@local", "OK")
    assert task.log[0] == f"removing backup '{first}'"
    assert [row["volid"] for row in here.ok(LIST)] == [second]


DAY_S = 86400


@pytest.mark.parametrize(
    ("keep", "ages_h", "kept"),
    [
        ({"keep-last": 2}, [0, 1, 2], [0, 1]),
        ({"keep-daily": 2}, [1, 2, 25, 26, 49], [1, 25]),
        ({"keep-last": 1, "keep-daily": 1}, [1, 2, 25, 26], [1, 25]),
        ({"keep-hourly": 1, "keep-weekly": 2}, [1, 24 * 7 + 1, 24 * 14 + 1, 24 * 21 + 1],
         [1, 24 * 7 + 1, 24 * 14 + 1]),
        ({"keep-all": 1}, [1, 2, 3], [1, 2, 3]),
        ({}, [1, 2], [1, 2]),
    ],
)  # fmt: skip
def test_a_period_keeps_its_newest_backup(
    keep: dict[str, int], ages_h: list[int], kept: list[int]
) -> None:
    end_s = 20_000 * DAY_S  # the end of a day
    backups = [
        Volume("local", "", f"backup/{age_h}", 100, 1, "vma", end_s - age_h * 3600 - 1, "backup")
        for age_h in ages_h
    ]
    found = marks(backups, keep)
    assert [int(v.rpartition("/")[2]) for v, mark in found.items() if mark == "keep"] == kept
    guarded = marks([replace(backup, protected=True) for backup in backups], keep)
    assert set(guarded.values()) == {"protected"}


def test_a_backup_is_not_found_by_its_path_once_its_storage_is_gone() -> None:
    here, volid = _backed_up()
    path = f"/var/lib/vz/dump/{volid.rpartition('/')[2]}"
    login: dict[str, Any] = {"user": None, "headers": here.login()}
    assert "name: web" in here.ok(EXTRACT, volume=path, **login)
    here.ok("DELETE /storage/local")
    assert here.refusal(EXTRACT, volume=path, **login) == (500, f"can't find file '{path}'")
