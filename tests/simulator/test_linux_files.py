"""Files of a simulated host: modes, owners, space, and replacing one at once."""

from __future__ import annotations

import pytest

from tests.simulator.linux_hosts import Hosts, hosts

WRITE = 'umask 077 && cat > "$1.new" && chmod 0644 "$1.new" && sync "$1.new" && mv -T "$1.new" "$1"'


def _write(path: str) -> str:
    return f"sh -c '{WRITE}' sh {path}"


@pytest.fixture
def here() -> Hosts:
    return hosts()


def test_a_file_is_replaced_at_once(here: Hosts) -> None:
    here.says("pve1", _write("/etc/multipath.conf"), "defaults {\n}\n")
    assert here.says("pve1", "cat /etc/multipath.conf") == "defaults {\n}\n"
    assert here.says("pve1", "stat -c '%a %U:%G %s %F' /etc/multipath.conf") == (
        "644 root:root 13 regular file\n"
    )
    assert here("pve1", "ls /etc/multipath.conf.new").status == 2


def test_a_full_disk_fails_the_write_and_leaves_the_old_content(here: Hosts) -> None:
    here.says("pve1", _write("/etc/motd"), "old\n")
    here.host("pve1").state.full = frozenset({"/"})
    result = here("pve1", _write("/etc/motd"), "new\n")
    assert result == (1, "", "cat: write error: No space left on device\n")
    assert here.says("pve1", "cat /etc/motd") == "old\n"


def test_writing_in_place_on_a_full_disk_loses_the_content_as_it_really_does(here: Hosts) -> None:
    here.says("pve1", "tee /etc/motd", "old\n")
    here.host("pve1").state.full = frozenset({"/"})
    assert here("pve1", "tee /etc/motd", "newer\n").stderr == (
        "tee: /etc/motd: No space left on device\n"
    )
    assert here.says("pve1", "stat -c %s /etc/motd") == "0\n"


def test_who_may_not_write_is_refused(here: Hosts) -> None:
    result = here("pve1", "echo x > /etc/motd", user="vlab")
    assert result == (1, "", "bash: line 1: /etc/motd: Permission denied\n")
    assert here("pve1", "cat /etc/iscsi/iscsid.conf", user="vlab").status == 1
    here.says("pve1", "echo x > own && chmod 600 own", user="vlab")
    assert here("pve1", "cat /home/vlab/own", user="nobody").stderr == (
        "cat: /home/vlab/own: Permission denied\n"
    )
    assert here("pve1", "chown root own", user="vlab").status == 1


def test_install_sets_mode_and_owner(here: Hosts) -> None:
    here.says("pve1", "install -D -m 0600 -o vlab /dev/stdin /etc/a/b", "secret")
    assert here.says("pve1", "stat -c '%a %U %s' /etc/a/b") == "600 vlab 6\n"
    assert here.says("pve1", "cat /etc/a/b", user="root") == "secret"


def test_mktemp_never_gives_a_name_twice_and_always_the_same_ones(here: Hosts) -> None:
    fork = here.fork()
    names = [here.says("pve1", "mktemp /etc/x.XXXXXX") for _ in range(3)]
    assert len({*names}) == 3
    assert [fork.says("pve1", "mktemp /etc/x.XXXXXX") for _ in range(3)] == names
    assert here.says("pve1", f"stat -c %a {names[0].strip()}") == "600\n"


def test_a_disk_hides_what_is_below_its_mount_point(here: Hosts) -> None:
    here.says("bak1", "mkdir /backup && echo below > /backup/a && mkfs.xfs /dev/sdb > /dev/null")
    here.says("bak1", "mount /dev/sdb /backup && mkdir -m 700 /backup/vm")
    assert here.says("bak1", "ls /backup") == "vm\n"
    here.says("bak1", "umount /backup")
    assert here.says("bak1", "ls /backup") == "a\n"
    here.says("bak1", "mount /dev/sdb /backup")
    assert here.says("bak1", "stat -c %a /backup/vm") == "700\n"


def test_a_move_between_file_systems_is_a_copy(here: Hosts) -> None:
    here.says("bak1", "mkdir /backup && mkfs.xfs /dev/sdb > /dev/null && mount /dev/sdb /backup")
    here.says("bak1", "echo x > /var/a && chmod 600 /var/a && mv /var/a /backup/a")
    assert here.says("bak1", "stat -c '%a %m' /backup/a") == "600 /backup\n"
    assert here("bak1", "test -e /var/a").status == 1


def test_a_checksum_is_that_of_the_bytes(here: Hosts) -> None:
    here.says("pve1", "tee /etc/x", "l\u00ednea\n")
    assert here.says("pve1", "stat -c %s /etc/x") == "7\n"
    assert here.says("pve1", "sha256sum /etc/x") == (
        "f1352bbdc3de160a816774a9b2820f1ebe6ad26f7f6d954f46bc25eb4fc69de8  /etc/x\n"
    )
