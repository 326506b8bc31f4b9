"""What this API makes on a node's disks: groups, pools and directories, seen everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.linux.host import LinuxHost
from simulator.linux.install import declared as declared_host
from simulator.linux.install import hosts_of
from simulator.pve.releases import RELEASES
from tests.simulator.pve_cluster import Cluster, cluster
from tests.simulator.three_nodes import hardware

GB, GIB = 10**9, 2**30
DISKS = "/nodes/pve1/disks"
MAKE: dict[str, dict[str, Any]] = {
    "directory": {"device": "/dev/sdb"},
    "lvm": {"device": "/dev/sdb"},
    "lvmthin": {"device": "/dev/sdb"},
    "zfs": {"devices": "/dev/sdb,/dev/sdc", "raidlevel": "mirror"},
}
USED = {"directory": "ext4", "lvm": "LVM", "lvmthin": "LVM", "zfs": "ZFS"}


def _here(*, hosts: bool = False, raised: str = "") -> Cluster:
    """Nodes with a system disk and six blank ones, on request with their Linux side."""
    blank = ", ".join(f"sd{letter}: {{size: 100GB}}" for letter in "bcdefg")
    disks = f"    disks: {{sda: {{size: 50GB}}, {blank}}}\n{raised}"
    here = cluster(hardware().replace("    memory: 12GiB\n", f"    memory: 12GiB\n{disks}"))
    for name in hosts_of(here.twin) if hosts else ():
        declared_host(here.twin, name)
    return here


def _unused(here: Cluster, node: str = "pve1") -> list[str]:
    rows = here.ok(f"GET /nodes/{node}/disks/list", node=node, type="unused")
    return [row["devpath"] for row in rows]


def _make(here: Cluster, kind: str, name: str = "fast", **more: Any) -> Any:
    task = here.done(f"POST {DISKS}/{kind}", name=name, **{**MAKE[kind], **more})
    assert task.status == "OK", task.log
    return task


def _remove(here: Cluster, kind: str, name: str = "fast", **more: Any) -> Any:
    group = {"volume__group": name} if kind == "lvmthin" else {}
    return here.done(f"DELETE {DISKS}/{kind}/{name}", **group, **more)


def _listed(here: Cluster, kind: str) -> list[Any]:
    found = here.ok(f"GET {DISKS}/{kind}")
    rows = found["children"] if kind == "lvm" else found
    return [r for r in rows if r.get("name") != "pve"]


def _storage(here: Cluster, name: str = "fast", node: str = "pve1") -> Any:
    return here.ok(f"GET /nodes/{node}/storage/{name}/status", node=node)


@pytest.mark.parametrize("hosts", [False, True])
@pytest.mark.parametrize("kind", MAKE)
def test_what_is_made_uses_its_disks_and_carries_a_storage(kind: str, hosts: bool) -> None:
    here = _here(hosts=hosts)
    before = _unused(here)
    task = _make(here, kind, add_storage=1)
    assert task.type == {"directory": "dircreate"}.get(kind, f"{kind}create")
    used = {row["devpath"]: row.get("used") for row in here.ok(f"GET {DISKS}/list")}
    assert used["/dev/sdb"] == USED[kind]
    assert _unused(here) == before[2 if kind == "zfs" else 1 :]
    assert len(_listed(here, kind)) == 1
    assert len(_unused(here, "pve2")) == len(before)
    told = _storage(here)
    assert (told["active"], told["used"]) == (1, 0)
    assert 0.97 * 100 * GB - 3 * GIB < told["total"] < 100 * GB
    entry = here.ok("GET /storage/fast")
    assert (entry["nodes"], entry["type"]) == (
        "pve1", {"directory": "dir", "zfs": "zfspool"}.get(kind, kind)
    )  # fmt: skip
    assert _storage(here, node="pve2")["active"] == 0


@pytest.mark.parametrize("hosts", [False, True])
@pytest.mark.parametrize("kind", MAKE)
def test_what_is_removed_leaves_its_disks_unused_if_they_are_cleared(
    kind: str, hosts: bool
) -> None:
    here = _here(hosts=hosts)
    before = _unused(here)
    _make(here, kind, add_storage=1)
    here.guest(100, scsi0="fast:1")
    assert _remove(here, kind).status == "OK"
    assert (_storage(here)["active"], _storage(here)["total"]) == (0, 0)
    assert not [v for v in here.api.documents.volumes.values() if v.storage == "fast"]
    assert len(_unused(here)) < len(before), "something is on them still"
    assert _listed(here, kind) == []
    wiped = before[2 if kind == "zfs" else 1 :]
    assert _unused(here) == wiped
    others = {"devices": "/dev/sdd,/dev/sde"} if kind == "zfs" else {"device": "/dev/sdd"}
    if kind == "lvmthin":  # its group is left
        assert _remove(here, "lvm").status == "OK"
    _make(here, kind, "fast", **others)
    assert _storage(here)["active"] == 1, "it is there again"
    _remove(here, kind, cleanup__disks=1)
    _make(here, kind, "slow", add_storage=1, **others)
    done = _remove(here, kind, "slow", cleanup__config=1, cleanup__disks=1)
    assert (done.status, _unused(here)) == ("OK", wiped)
    assert "slow" not in here.api.documents.storages


@pytest.mark.parametrize("kind", MAKE)
def test_a_used_disk_is_refused(kind: str) -> None:
    here = _here()
    _make(here, "lvm", "first")
    used = "device '/dev/sdb' is already in use"
    assert here.refusal(f"POST {DISKS}/{kind}", name="fast", **MAKE[kind]) == (500, used)
    odd = {"devices": "/dev/zz", "raidlevel": "single"} if kind == "zfs" else {"device": "/dev/zz"}
    refused = here.refusal(f"POST {DISKS}/{kind}", name="fast", **odd)
    assert refused == (500, "not a valid block device")


@pytest.mark.parametrize("kind", MAKE)
def test_a_disk_that_somebody_else_takes_meanwhile_fails_the_task(kind: str) -> None:
    here = _here()
    upid = here.ok(f"POST {DISKS}/{kind}", name="fast", **MAKE[kind])
    here.ok(f"POST {DISKS}/lvm", name="first", device="/dev/sdb")
    here.wait(30)
    ended = sorted(task.status for task in here.api.documents.tasks.values())
    assert ended == ["OK", "device '/dev/sdb' is already in use"] or kind == "lvm", upid


@pytest.mark.parametrize("kind", MAKE)
def test_a_storage_is_for_each_node_that_made_the_same(kind: str) -> None:
    here = _here()
    _make(here, kind, add_storage=1)
    other = "/nodes/pve2/disks"
    call = {"name": "fast", "add_storage": 1, "node": "pve2", **MAKE[kind]}
    assert here.done(f"POST {other}/{kind}", **call).status == "OK"
    assert here.ok("GET /storage/fast")["nodes"] == "pve1,pve2"
    here.guest(100, scsi0="fast:1")
    counts = [row["lvcount"] for row in _listed(here, kind)] if kind == "lvm" else [1]
    theirs = here.ok("GET /nodes/pve2/disks/lvm", node="pve2")["children"]
    assert (counts, [row["lvcount"] for row in theirs] or [0]) == (
        [1], [1] if kind == "lvmthin" else [0]
    )  # fmt: skip
    again = {**MAKE[kind], "devices" if kind == "zfs" else "device": "/dev/sdd,/dev/sde"[
        : None if kind == "zfs" else 8
    ]}  # fmt: skip
    refused = here.refusal(f"POST {DISKS}/{kind}", name="fast", add_storage=1, **again)
    assert refused == (500, "Storage ID 'fast' already exists on node pve1")
    assert _remove(here, kind, cleanup__config=1).status == "OK"
    assert here.ok("GET /storage/fast")["nodes"] == "pve2"


def test_a_storage_of_another_kind_is_no_match() -> None:
    here = _here()
    here.ok("POST /storage", storage="fast", type="zfspool", pool="rpool", nodes="pve2")
    call = {"name": "fast", "add_storage": 1}
    assert here.refusal(f"POST {DISKS}/zfs", **call, **MAKE["zfs"])[1] == (
        "Option 'pool' (fast) does not match existing storage configuration 'rpool'"
    )


def test_a_storage_along_with_it_takes_one_more_right() -> None:
    here = _here()
    here.api.documents.roles["Few"] = {"privs": "Sys.Modify"}
    call = {"call": f"POST {DISKS}/lvm", "name": "fast", **MAKE["lvm"]}
    few = here.user("ana@pve", "Few")
    refused = (403, "Permission check failed (/storage, Datastore.Allocate)")
    assert here.refusal(**call, add_storage=1, user=few) == refused
    assert here.done(**call, user=few).status == "OK"
    drop = f"DELETE {DISKS}/lvm/fast"
    assert here.refusal(drop, cleanup__config=1, user=few) == refused
    here.api.release = RELEASES["7.4"]
    both = (403, "Permission check failed (/, Sys.Modify|Datastore.Allocate)")
    assert here.refusal(drop, user=few) == both


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"raidlevel": "single", "devices": "/dev/sdb,/dev/sdc"},
         "please give only one disk for single disk mode"),
        ({"raidlevel": "raid10", "devices": "/dev/sdb,/dev/sdc,/dev/sdd"},
         "raid10 needs an even number of disks"),
        ({"raidlevel": "raidz2", "devices": "/dev/sdb,/dev/sdc"}, "raidz2 needs at least 4 disks"),
        ({"raidlevel": "mirror", "draid__config": "data=1,spares=0"},
         "draid-config set without using dRAID level"),
    ],
)  # fmt: skip
def test_a_pool_needs_the_disks_of_its_level(sent: dict[str, Any], why: str) -> None:
    call = {"name": "fast", **MAKE["zfs"], **sent}
    assert _here().refusal(f"POST {DISKS}/zfs", **call) == (500, why)


@pytest.mark.parametrize(
    ("level", "disks", "usable", "lost", "health"),
    [
        ("single", "b", 1, "b", "SUSPENDED"),
        ("mirror", "bc", 1, "b", "DEGRADED"),
        ("raid10", "bcde", 2, "bd", "DEGRADED"),
        ("raid10", "bcde", 2, "bc", "SUSPENDED"),
        ("raidz", "bcd", 2, "b", "DEGRADED"),
        ("raidz2", "bcdef", 3, "bc", "DEGRADED"),
        ("raidz", "bcd", 2, "bc", "SUSPENDED"),
        ("draid", "bcdef", 4, "b", "DEGRADED"),
    ],
)
def test_a_pool_is_as_large_and_as_safe_as_its_level(
    level: str, disks: str, usable: int, lost: str, health: str
) -> None:
    here = _here()
    paths = ",".join(f"/dev/sd{letter}" for letter in disks)
    _make(here, "zfs", devices=paths, raidlevel=level, add_storage=1)
    here.done("POST /nodes/pve1/qemu", vmid=100, scsi0="fast:1")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    assert round(_storage(here)["total"] / (100 * GB)) == usable
    told = here.ok(f"GET {DISKS}/zfs/fast")
    (root,) = told["children"]
    vdevs = root["children"]
    assert (told["state"], root["name"], "status" in told) == ("ONLINE", "fast", False)
    leaves = vdevs if level == "single" else [leaf for vdev in vdevs for leaf in vdev["children"]]
    assert [leaf["name"] for leaf in leaves] == [f"/dev/sd{letter}1" for letter in disks]
    for letter in lost:
        here.fail(f"fail-disk pve1/sd{letter}")
    assert here.ok(f"GET {DISKS}/zfs/fast")["state"] == health
    assert [row["health"] for row in _listed(here, "zfs")] == [health]
    serves = health == "DEGRADED"
    assert _storage(here)["active"] == int(serves)
    assert bool(here.twin.state.guests["a", 100].stalled) is not serves


@pytest.mark.parametrize("kind", ["directory", "lvm", "lvmthin"])
def test_a_guest_waits_when_the_disk_of_its_storage_dies(kind: str) -> None:
    here = _here()
    _make(here, kind, add_storage=1)
    here.guest(100, scsi0="fast:1")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    assert here.twin.state.guests["a", 100].stalled == ""
    here.fail("fail-disk pve1/sdc")
    assert here.twin.state.guests["a", 100].stalled == ""
    here.fail("fail-disk pve1/sdb")
    assert here.twin.state.guests["a", 100].stalled == "pve1 has lost the disks of storage fast"


@pytest.mark.parametrize("kind", MAKE)
def test_what_a_running_guest_uses_is_not_removed(kind: str) -> None:
    here = _here()
    _make(here, kind, add_storage=1)
    here.guest(100, scsi0="fast:1")
    here.done("POST /nodes/pve1/qemu/100/status/start")
    assert "failed: exit code" in _remove(here, kind, cleanup__config=1).status
    assert (_storage(here)["active"], len(_listed(here, kind))) == (1, 1)


def test_the_nodes_shell_sees_what_was_made() -> None:
    here = _here(hosts=True)
    _make(here, "directory", "my-dir", filesystem="xfs")
    _make(here, "lvm", "own", device="/dev/sdc")
    host = here.twin.devices["linux/pve1"]
    assert isinstance(host, LinuxHost)
    (row,) = _listed(here, "directory")
    assert row["unitfile"] == r"/etc/systemd/system/mnt-pve-my\x2ddir.mount"
    assert (row["path"], row["type"], row["options"]) == ("/mnt/pve/my-dir", "xfs", "defaults")
    assert "/dev/sdb1 on /mnt/pve/my-dir type xfs" in host.run(here.twin, "mount").stdout
    assert "own" in host.run(here.twin, "vgs --noheadings -o vg_name").stdout
    host.run(here.twin, "umount /mnt/pve/my-dir")
    assert "pve1:/mnt/pve/my-dir" not in here.twin.state.mounted
    here.fail("fail-node pve1@0s..60s", wait_s=300)
    assert "/mnt/pve/my-dir" in host.run(here.twin, "mount").stdout


def test_what_is_unmounted_by_hand_is_removed_all_the_same() -> None:
    here = _here(hosts=True)
    before = _unused(here)
    _make(here, "directory")
    host = here.twin.devices["linux/pve1"]
    assert isinstance(host, LinuxHost)
    host.run(here.twin, "umount /mnt/pve/fast")
    assert _remove(here, "directory", cleanup__disks=1).status == "OK"
    assert (_unused(here), _listed(here, "directory")) == (before, [])


def test_the_group_that_the_system_is_on_stays() -> None:
    here = _here(hosts=True)
    refused = "unable to remove volume group pve: command 'vgremove -y pve' failed: exit code 5"
    assert _remove(here, "lvm", "pve").status == refused
    host = here.twin.devices["linux/pve1"]
    assert isinstance(host, LinuxHost)
    said = host.run(here.twin, "vgremove -y pve")
    assert (said.status, said.stderr) == (
        5, "  Logical volume pve/root contains a filesystem in use.\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("directory/no", "command 'systemctl stop mnt-pve-no.mount' failed: exit code 5"),
        ("lvm/no", "no such volume group 'no'"),
        ("lvmthin/no", "no such thin pool vg/no"),
        ("zfs/no", "command 'zpool destroy no' failed: exit code 1"),
    ],
)
def test_what_is_not_there_is_not_removed(call: str, why: str) -> None:
    group = {"volume__group": "vg"} if "thin" in call else {}
    assert _here().done(f"DELETE {DISKS}/{call}", **group).status == why


def test_a_storage_may_be_made_on_it_by_hand() -> None:
    here = _here()
    _make(here, "lvm", "own")
    here.ok("POST /storage", storage="mine", type="lvm", vgname="own", nodes="pve1")
    here.guest(100, scsi0="mine:1")
    assert (_storage(here, "mine")["active"], _storage(here, "mine")["used"]) == (1, GIB)
    (group,) = _listed(here, "lvm")
    assert (group["lvcount"], group["size"] - group["free"]) == (1, GIB)
    _remove(here, "lvm", "own", cleanup__disks=1)
    assert _storage(here, "mine")["active"] == 0
    _make(here, "lvm", "own")
    assert _storage(here, "mine")["active"] == 1


def test_a_group_made_again_in_the_shell_serves_again() -> None:
    here = _here(hosts=True)
    _make(here, "lvm", add_storage=1)
    _remove(here, "lvm", cleanup__disks=1)
    assert _storage(here)["active"] == 0
    host = here.twin.devices["linux/pve1"]
    assert isinstance(host, LinuxHost)
    assert host.run(here.twin, "vgcreate fast /dev/sdc").status == 0
    assert _storage(here)["active"] == 1


def test_a_fork_has_disks_of_its_own() -> None:
    here = _here()
    fork = here.twin.fork()
    _make(here, "directory")
    api = fork.devices["pve/a"]
    assert _unused(Cluster(fork, api)) != _unused(here)  # type: ignore[arg-type]
