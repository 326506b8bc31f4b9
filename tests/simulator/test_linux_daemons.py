"""File systems, exports, units, packages and syntax checks of simulated hosts."""

from __future__ import annotations

import json

import pytest

from tests.simulator.linux_hosts import Hosts, hosts

EXPORT = "/backup/vm 10.0.103.0/24(rw,sync,no_subtree_check,no_root_squash)\n"


@pytest.fixture
def here() -> Hosts:
    return hosts()


def _disk(here: Hosts) -> str:
    """An XFS file system on bak1's disk, mounted by fstab; its UUID."""
    here.says("bak1", "mkfs.xfs /dev/sdb > /dev/null && mkdir /backup")
    uuid = here.says("bak1", "blkid -s UUID -o value /dev/sdb").strip()
    here.says("bak1", "tee -a /etc/fstab", f"UUID={uuid} /backup xfs defaults,nofail 0 2\n")
    here.says("bak1", "systemctl daemon-reload && mount /backup")
    return uuid


def test_fstab_says_what_is_mounted_where(here: Hosts) -> None:
    uuid = _disk(here)
    found = json.loads(here.says("bak1", "findmnt -J -o TARGET,SOURCE,FSTYPE,UUID /backup"))
    assert found["filesystems"] == [
        {"target": "/backup", "source": "/dev/sdb", "fstype": "xfs", "uuid": uuid}
    ]
    assert here.says("bak1", "systemctl is-active backup.mount") == "active\n"
    assert here.says("bak1", "findmnt --verify").startswith("Success")


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("mount /nowhere", 1, "mount: /nowhere: can't find in /etc/fstab."),
        ("mount /dev/sdz /mnt", 32, "mount: /mnt: special device /dev/sdz does not exist."),
        ("mount UUID=none /mnt", 32, "mount: /mnt: can't find UUID=none."),
        ("mount /dev/sdb /nowhere", 32, "mount: /nowhere: mount point does not exist."),
        ("mount /dev/sdb /mnt", 32, "mount: /mnt: wrong fs type, bad option, bad superblock"),
        ("umount /mnt", 32, "umount: /mnt: not mounted."),
        ("umount /nope", 32, "umount: /nope: no mount point specified."),
    ],
)
def test_what_can_not_be_mounted_says_why(
    here: Hosts, line: str, status: int, message: str
) -> None:
    result = here("bak1", line)
    assert (result.status, result.stderr[: len(message)]) == (status, message)


def test_a_file_system_that_carries_something_is_not_made_anew(here: Hosts) -> None:
    _disk(here)
    here.says("bak1", "umount /backup")
    refused = here("bak1", "mkfs.xfs /dev/sdb")
    assert (refused.status, "existing filesystem (xfs)" in refused.stderr) == (1, True)


def test_mounts_of_fstab_come_back_after_a_restart(here: Hosts) -> None:
    _disk(here)
    here.says("bak1", "touch /backup/kept")
    here.fail("fail-backup-server bak1@0s..10s", wait_s=400)
    assert here.says("bak1", "ls /backup") == "kept\n"


def test_exports_follow_the_file_when_told(here: Hosts) -> None:
    _disk(here)
    here.says("bak1", "mkdir -m 700 /backup/vm && tee /etc/exports > /dev/null", EXPORT)
    assert here.says("bak1", "exportfs -v") == ""
    here.says("bak1", "exportfs -ra")
    assert here.says("bak1", "exportfs -v") == (
        "/backup/vm    \t10.0.103.0/24"
        "(sync,wdelay,hide,no_subtree_check,sec=sys,rw,no_root_squash,no_all_squash)\n"
    )
    assert here.says("pve1", "showmount -e 10.0.103.31") == (
        "Export list for 10.0.103.31:\n/backup/vm 10.0.103.0/24\n"
    )
    assert here("bak1", "umount /backup").stderr == "umount: /backup: target is busy.\n"


def test_a_wrong_line_ends_its_file_and_keeps_the_lines_before_it(here: Hosts) -> None:
    here.says("bak1", "mkdir -p /a /b")
    text = "/a 10.0.103.0/24(rw,no_subtree_check)\n/b 10.0.103.0/24(rw,nonsense)\n"
    here.says("bak1", "tee /etc/exports", text)
    result = here("bak1", "exportfs -ra")
    assert result.status == 1
    assert 'exportfs: /etc/exports:2: unknown keyword "nonsense"\n' in result.stderr
    assert here.says("bak1", "exportfs").split() == ["/a", "10.0.103.0/24"]


def test_a_client_mounts_what_is_exported_to_it(here: Hosts) -> None:
    _disk(here)
    here.says("bak1", "mkdir /backup/vm && tee /etc/exports > /dev/null", EXPORT)
    here.says("bak1", "exportfs -ra")
    here.says("pve1", "mount -t nfs 10.0.103.31:/backup/vm /mnt")
    assert here.says("bak1", "showmount --no-headers -a") == "10.0.103.1:/backup/vm\n"
    refused = here("pve1", "mount -t nfs 10.0.103.31:/backup/other /srv")
    assert "No such file or directory" in refused.stderr
    here.says("bak1", "tee /etc/exports", EXPORT.replace("103.0/24", "99.0/24"))
    here.says("bak1", "exportfs -ra")
    denied = here("pve2", "mount -t nfs 10.0.103.31:/backup/vm /mnt")
    assert (denied.status, "access denied by server" in denied.stderr) == (32, True)
    here.says("bak1", "systemctl stop nfs-server")
    assert here("pve2", "showmount -e 10.0.103.31").status == 1


def test_units_are_asked_and_changed(here: Hosts) -> None:
    assert here("bak1", "systemctl is-active nfs-server nosuch").stdout == "active\ninactive\n"
    here.says("bak1", "systemctl disable --now nfs-kernel-server.service")
    assert here("bak1", "systemctl is-active nfs-server") == (3, "inactive\n", "")
    assert here("bak1", "systemctl is-enabled nfs-server") == (1, "disabled\n", "")
    assert here.says("bak1", "systemctl show nfs-server -p ActiveState,UnitFileState") == (
        "ActiveState=inactive\nUnitFileState=disabled\n"
    )
    missing = here("bak1", "systemctl start nosuch")
    assert missing == (5, "", "Failed to start nosuch.service: Unit nosuch.service not found.\n")
    assert here("bak1", "systemctl restart cron", user="vlab").status == 1


def test_a_daemon_does_not_start_with_a_file_it_can_not_read(here: Hosts) -> None:
    here.says("pve1", "tee /etc/ssh/sshd_config", "PermitRootLogin maybe\n")
    check = here("pve1", "sshd -t")
    assert check == (255, "", '/etc/ssh/sshd_config line 1: unsupported option "maybe".\n')
    failed = here("pve1", "systemctl reload ssh")
    assert (failed.status, "Job for ssh.service failed" in failed.stderr) == (1, True)


def test_packages_are_asked_for_and_installed(here: Hosts) -> None:
    form = "-f '${db:Status-Status}'"
    assert here.says("bak1", f"dpkg-query -W {form} xfsprogs") == "installed"
    missing = here("bak1", "dpkg-query -W multipath-tools")
    assert missing == (1, "", "dpkg-query: no packages found matching multipath-tools\n")
    unknown = here("bak1", "apt-get install -y no-such-package")
    assert unknown.stderr == "E: Unable to locate package no-such-package\n"
    here("bak1", "apt-get install -y multipath-tools")
    assert here.says("bak1", "systemctl is-active multipathd") == "active\n"


@pytest.mark.parametrize(
    ("line", "text", "status"),
    [
        ("visudo -c -f -", "vlab ALL=(ALL) NOPASSWD: ALL\n", 0),
        ("visudo -c -f -", "vlab ALL=(ALL NOPASSWD: ALL\n", 1),
        ("visudo -c -f /nope", "", 1),
        ("nft -c -f -", "table inet vlab {\n chain in {\n  type filter hook input priority 0;"
         " policy drop;\n  tcp dport { 22, 8006 } accept\n }\n}\n", 0),
        ("nft -c -f -", "table inet vlab {\n chain in {\n  type filter hook inpt priority 0;\n"
         " }\n}\n", 1),
        ("nft -c -f -", "table inet vlab {\n", 1),
        ("nft -c -f -", "bogus\n", 1),
        ("sshd -t -f /nope", "", 255),
    ],
)  # fmt: skip
def test_files_are_checked_before_they_are_used(
    here: Hosts, line: str, text: str, status: int
) -> None:
    assert here("pve1", line, text).status == status
