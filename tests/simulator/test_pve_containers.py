"""Containers as they are served: made, changed, grown, started, moved and destroyed."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.simulator.pve_cluster import Cluster, cluster

TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"


def _with_template() -> Cluster:
    here = cluster()
    name = TEMPLATE.rpartition("/")[2]
    url = f"https://mirror.example/{name}"
    fetch = "POST /nodes/pve1/storage/local/download-url"
    assert here.done(fetch, content="vztmpl", filename=name, url=url).status == "OK"
    return here


def test_a_template_is_fetched_once_and_only_where_it_may_be() -> None:
    here = _with_template()
    (row,) = here.ok("GET /nodes/pve1/storage/local/content", content="vztmpl")
    assert (row["volid"], row["format"], "vmid" in row) == (TEMPLATE, "tzst", False)
    fetch = "POST /nodes/pve1/storage/local/download-url"
    asked = {"content": "vztmpl", "url": "https://mirror.example/x"}
    again = here.done(fetch, filename=TEMPLATE.rpartition("/")[2], **asked)
    assert again.status.startswith("refusing to override existing file")
    assert here.errors(fetch, filename="x.zip", **asked) == {"filename": "wrong file extension"}
    elsewhere = here.refusal(fetch.replace("local", "data"), filename="x.tar.gz", **asked)
    assert elsewhere == (500, "storage 'data' is not configured for content-type 'vztmpl'")


def _container(vmid: int = 200, **options: Any) -> Cluster:
    here = _with_template()
    options = {"rootfs": "data:4", "ostemplate": TEMPLATE, **options}
    task = here.done("POST /nodes/pve1/lxc", vmid=vmid, **options)
    assert task.status == "OK", task.log
    return here


CT = "/nodes/pve1/lxc/200"


def test_a_container_is_unpacked_and_gets_what_was_not_said() -> None:
    here = _container(net0="name=eth0,bridge=vmbr0,ip=dhcp")
    config = here.ok(f"GET {CT}/config")
    assert (config["hostname"], config["ostype"], config["memory"]) == ("CT200", "debian", 512)
    assert config["rootfs"] == "data:200/vm-200-disk-0.raw,size=4G"
    assert config["net0"].startswith("name=eth0,bridge=vmbr0,hwaddr=BC:24:11:")
    assert config["net0"].endswith(",ip=dhcp,type=veth")
    row = here.ok("GET /nodes/pve1/lxc")[0]
    assert (row["maxdisk"], row["maxswap"], row["status"]) == (4 * 2**30, 2**29, "stopped")


def test_without_its_template_nothing_is_left_of_a_container() -> None:
    here = cluster()
    gone = "local:vztmpl/gone.tar.zst"
    task = here.done("POST /nodes/pve1/lxc", vmid=200, ostemplate=gone, rootfs="data:1")
    assert task.status == f"unable to create CT 200 - volume '{gone}' does not exist"
    assert "Creating filesystem with 262144 4k blocks and 65536 inodes" in task.log
    assert here.api.documents.volumes == {}
    assert 200 not in here.api.documents.guests


def test_an_id_is_taken_by_either_kind_of_guest() -> None:
    here = _container()
    here.guest(100)
    assert here.refusal("POST /nodes/pve1/lxc", vmid=100, ostemplate=TEMPLATE) == (
        500, "VM 100 already exists on node 'pve1'",
    )  # fmt: skip
    assert "CT 200 already exists" in here.refusal("POST /nodes/pve2/qemu", vmid=200)[1]


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"unprivileged": 0}, "unable to modify read-only option: 'unprivileged'"),
        ({"delete": "rootfs"}, "unable to delete required option 'rootfs'"),
        ({"net1": "name=eth1,bridge=nosuch"}, "bridge 'nosuch' does not exist"),
        ({"mp0": "nosuch:1,mp=/srv"}, "storage 'nosuch' does not exist"),
        ({}, "no options specified"),
    ],
)
def test_a_change_that_can_not_be_is_refused(change: dict[str, Any], answer: str) -> None:
    assert _container().refusal(f"PUT {CT}/config", **change) == (500, answer)


def test_a_mount_point_that_is_let_go_stays_as_an_unused_volume_until_it_is_deleted() -> None:
    here = _container()
    here.ok(f"PUT {CT}/config", mp0="data:1,mp=/srv")
    here.ok(f"PUT {CT}/config", delete="mp0")
    assert here.ok(f"GET {CT}/config")["unused0"] == "data:200/vm-200-disk-1.raw"
    here.ok(f"PUT {CT}/config", delete="unused0")
    assert [volume.name for volume in here.api.documents.volumes.values() if volume.vmid] == [
        "200/vm-200-disk-0.raw"
    ]


def test_a_volume_grows_and_never_shrinks() -> None:
    here = _container()
    here.done(f"PUT {CT}/resize", disk="rootfs", size="+2G")
    assert here.ok(f"GET {CT}/config")["rootfs"].endswith("size=6G")
    shrunk = here.refusal(f"PUT {CT}/resize", disk="rootfs", size="1G")
    assert shrunk == (500, "unable to shrink disk size")
    same = here.refusal(f"PUT {CT}/resize", disk="rootfs", size="6G")
    assert same == (500, "disk is already at specified size")


def test_what_a_running_container_can_not_take_waits_for_its_next_start() -> None:
    here = _container()
    here.done(f"POST {CT}/status/start")
    here.wait(60)
    here.ok(f"PUT {CT}/config", cores=2, arch="arm64")
    pending = {row["key"]: row for row in here.ok(f"GET {CT}/pending")}
    assert "pending" not in pending["cores"]
    assert pending["arch"]["pending"] == "arm64"
    here.done(f"POST {CT}/status/reboot")
    assert here.ok(f"GET {CT}/config", current=1)["arch"] == "arm64"


def test_a_container_that_is_off_can_not_be_stopped_nor_a_running_one_started() -> None:
    here = _container()
    assert here.refusal(f"POST {CT}/status/stop") == (500, "CT 200 not running")
    here.done(f"POST {CT}/status/start")
    assert here.refusal(f"POST {CT}/status/start") == (500, "CT 200 already running")
    assert here.refusal(f"DELETE {CT}") == (500, "unable to destroy CT 200 - container is running")
    here.done(f"POST {CT}/status/stop")
    assert here.ok(f"GET {CT}/status/current")["status"] == "stopped"


def test_a_running_container_moves_only_by_a_restart() -> None:
    here = _container()
    here.done(f"POST {CT}/status/start")
    refused = "can't migrate running container without --online or --restart"
    assert here.refusal(f"POST {CT}/migrate", target="pve2") == (500, refused)
    assert here.done(f"POST {CT}/migrate", target="pve2", restart=1).status == "OK"
    assert here.ok("GET /nodes/pve2/lxc/200/status/current")["status"] == "running"
    assert here.refusal(f"GET {CT}/config")[0] == 500


def test_ha_decides_over_a_container_that_it_has() -> None:
    here = _container(ha__managed=1, start=1)
    assert here.api.documents.ha_resources["ct:200"]["state"] == "started"
    here.wait(60)
    assert here.ok(f"GET {CT}/status/current")["status"] == "running"
    task = here.done(f"POST {CT}/status/stop")
    assert task.type == "hastop"
    here.wait(60)
    assert here.api.documents.ha_resources["ct:200"]["state"] == "stopped"
    assert "used in HA resources" in here.refusal(f"DELETE {CT}")[1]


def test_only_root_gives_a_container_a_piece_of_the_host() -> None:
    here = _container()
    user = here.user("ana@pve", "PVEVMAdmin")
    here.ok(f"PUT {CT}/config", user=user, cores=2)
    for option, reason in (
        ({"mp0": "/etc,mp=/x"}, "mount point type bind is only allowed for root@pam"),
        ({"dev0": "/dev/null"}, "configuring device passthrough is only allowed for root@pam"),
        ({"features": "keyctl=1"}, "changing feature flags (except nesting) is only allowed"),
    ):
        status, said = here.refusal(f"PUT {CT}/config", user=user, **option)
        assert (status, reason in said) == (403, True)


def test_an_option_of_a_container_is_set_unset_or_reverted_but_one_of_these() -> None:
    here = _container()
    both = here.errors(f"PUT {CT}/config", hostname="x", revert="hostname")
    assert both == {"revert": "you can't use '-hostname' and '-revert hostname' at the same time"}
    both = here.errors(f"PUT {CT}/config", delete="hostname", revert="hostname")
    text = "you can't use '-delete hostname' and '-revert hostname' at the same time"
    assert both == {"delete": text}


def test_a_containers_volume_is_moved_while_it_is_off_and_has_a_use() -> None:
    here = _container()
    unused = here.refusal(f"POST {CT}/move_volume", volume="unused0", storage="data")
    only = "only configured volumes can be moved to another storage"
    assert unused == (500, f"cannot move volume 'unused0', {only}")
    here.done(f"POST {CT}/status/start")
    running = here.refusal(f"POST {CT}/move_volume", volume="rootfs", storage="data")
    assert running == (500, "cannot move volumes of a running container")


def test_a_container_is_made_with_public_keys_that_are_some() -> None:
    here = _with_template()
    body = b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(36)).decode()
    make: dict[str, Any] = {"vmid": 201, "ostemplate": TEMPLATE, "rootfs": "data:1"}
    post = "POST /nodes/pve1/lxc"
    for wrong in ("garbage", "ssh-ed25519 AAAA ana", f"ssh-rsa {body}"):
        refused = here.refusal(post, ssh__public__keys=wrong, **make)
        assert refused == (500, "SSH public key validation error")
    here.done(post, ssh__public__keys=f"\nssh-ed25519 {body} ana@lab\n", **make)


def test_a_container_stays_while_linked_clones_stand_on_it() -> None:
    here = _container()
    here.ok(f"POST {CT}/template")
    here.wait(1)
    assert here.done(f"POST {CT}/clone", newid=201).status == "OK"
    name = here.ok(f"GET {CT}/config")["rootfs"].partition(":")[2].partition(",")[0]
    refused = here.done(f"DELETE {CT}", purge=1)
    assert refused.status == f"base volume '{name}' is still in use by linked clones"
    assert here.done("DELETE /nodes/pve1/lxc/201").status == "OK"
    assert here.done(f"DELETE {CT}").status == "OK"


def test_the_log_of_a_containers_backup_names_its_mount_points() -> None:
    here = _container(hostname="web", mp0="data:1,mp=/srv,backup=1")
    here.done(f"POST {CT}/status/start")
    task = here.done("POST /nodes/pve1/vzdump", vmid="200", storage="local")
    assert task.status == "OK"
    assert [line.removeprefix("INFO: ") for line in task.log[3:8]] == [
        "status = running",
        "CT Name: web",
        "including mount point rootfs ('/') in backup",
        "including mount point mp0 ('/srv') in backup",
        "backup mode: snapshot",
    ]
    written = 5 * 2**30
    assert f"INFO: Total bytes written: {written} (5120MiB, 100MiB/s)" in task.log


def test_the_root_comes_before_the_mount_points_however_they_were_sent() -> None:
    here = _container(mp10="data:1,mp=/b", mp2="data:2,mp=/a", rootfs="data:3")
    config = here.ok(f"GET {CT}/config")
    assert [config[key].split(",")[0][-5] for key in ("rootfs", "mp2", "mp10")] == ["0", "1", "2"]
    assert here.ok(f"GET {CT}/status/current")["maxdisk"] == 3 * 2**30
    task = here.done("POST /nodes/pve1/vzdump", vmid="200", storage="local")
    made = next(v for v in here.api.documents.volumes.values() if v.content == "backup")
    assert task.status == "OK"
    asked = {"ostemplate": made.volid, "restore": 1, "vmid": 201, "storage": "data"}
    assert here.done("POST /nodes/pve1/lxc", **asked).status == "OK"
    assert here.ok("GET /nodes/pve1/lxc/201/config")["rootfs"].startswith("data:201/vm-201-disk-0")


def test_a_containers_console_runs_in_dtach() -> None:
    here = _container(cmode="console")
    opened = here.ok(f"POST {CT}/termproxy")
    here.wait(11)
    said = here.api.documents.tasks[opened["upid"]].status
    assert said.endswith("-r winch -z lxc-console -n 200 -t 0 -e -1' failed: exit code 1")
    assert here.refusal(f"POST {CT}/spiceproxy") == (500, "CT 200 not running")
    here.done(f"POST {CT}/status/start")
    assert here.ok(f"POST {CT}/spiceproxy")["title"] == "CT 200 - CT200"
    (task,) = (t for t in here.api.documents.tasks.values() if t.type == "spiceproxy")
    assert task.id == "200"


def test_a_container_is_not_suspended_where_nothing_writes_its_memory() -> None:
    here = _container()
    assert here.refusal(f"POST {CT}/status/suspend") == (500, "CT 200 not running")
    task = here.done(f"POST {CT}/status/resume")
    assert task.status.startswith("command 'lxc-checkpoint -n 200 -r --foreground")
    here.done(f"POST {CT}/status/start")
    assert here.refusal(f"POST {CT}/status/resume") == (500, "CT 200 already running")
    task = here.done(f"POST {CT}/status/suspend")
    command = "lxc-checkpoint -n 200 -s -D /var/lib/vz/dump"
    assert (task.type, task.status) == ("vzsuspend", f"command '{command}' failed: exit code 1")
    assert here.ok(f"GET {CT}/status/current")["status"] == "running"
