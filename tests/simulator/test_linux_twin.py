"""Hosts as devices of the twin: reached or not, forked, and never at a loss for an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.linux.host import programs
from simulator.linux.inprocess import HostConnection
from tests.simulator.linux_hosts import IQN, PORTALS, Tree, hosts

WORLD = hosts(loaded=True)
WORDS = st.sampled_from(
    [*sorted(programs()), "-a", "-f", "-r", "-J", "-n", "-o", "-m", "-T", "-p", "-x", "--login",
     "--logout", "-v", "node", "session", "discovery", "-t", "st", IQN, PORTALS[0], "/etc", "/dev",
     "/etc/fstab", "/etc/nope", "/dev/sdb", "/dev/mapper", "/", "", "a b", "show", "maps", "json",
     "lun", "pve", "reconfigure", "ssh", "start", "stop", "-c", "-l", "all", "0", "\u00e9", "--",
     "-", "--reportformat", "name,size", "vg_name", "-P", "3", "delete", "update", "new"]
)  # fmt: skip
GLUE = st.sampled_from(
    [" ", " && ", " | ", " ; ", " > ", " < ", " 2>&1 ", " || ", "'", '"', "$", "\\"]
)


@settings(max_examples=300)
@given(st.sampled_from(sorted(programs())), st.lists(WORDS, max_size=6), st.text(max_size=20))
def test_random_words_are_answered_with_a_status(name: str, words: list[str], stdin: str) -> None:
    fork = WORLD.fork()
    result = fork.host("pve1").run(fork.twin, [name, *words], stdin)
    assert 0 <= result.status <= 255


@settings(max_examples=200)
@given(st.lists(st.tuples(WORDS, GLUE), max_size=8), st.sampled_from(["root", "vlab"]))
def test_random_lines_are_answered_with_a_status(line: list[tuple[str, str]], user: str) -> None:
    fork = WORLD.fork()
    result = fork("bak1", "".join(word + glue for word, glue in line), "given", user)
    assert 0 <= result.status <= 255


def test_a_fork_goes_its_own_way_and_the_same_way() -> None:
    here = hosts()
    here.log_in("pve1")
    fork = here.fork()
    acts = [
        "mktemp /etc/x.XXXXXX",
        "vgcreate group1 /dev/sdc -y; pvs --reportformat json --units b",
        f"iscsiadm -m node -T {IQN} -p {PORTALS[0]} --logout",
        "multipath -ll",
        "lsblk -J -b",
    ]
    assert [here("pve1", act) for act in acts] == [fork("pve1", act) for act in acts]
    here.fail("fail-node pve1@1s..20s", wait_s=400)
    fork.fail("fail-node pve1@1s..20s", wait_s=400)
    assert here.twin.trace[-20:] == fork.twin.trace[-20:]
    assert here.host("pve1").state == fork.host("pve1").state
    fork.says("pve1", "touch /etc/only-there")
    assert here("pve1", "test -e /etc/only-there").status == 1


def test_a_host_refuses_or_is_silent_as_the_physics_says() -> None:
    here = hosts()
    connection = HostConnection(here.twin, "pve1", "vlab")
    assert connection.run("hostname").stdout == "pve1\n"
    with pytest.raises(PermissionError):
        HostConnection(here.twin, "pve1", "nosuch").run("true")
    here.fail("fail-node pve1")
    with pytest.raises(ConnectionRefusedError):
        connection.run("hostname")
    here.fail("silence-node pve2")
    with pytest.raises(TimeoutError):
        HostConnection(here.twin, "pve2").run("hostname")


@pytest.mark.parametrize(("when", "made"), [("before", 1), ("after", 0)])
def test_a_connection_may_be_cut_before_or_after_the_command(when: str, made: int) -> None:
    here = hosts()
    connection = HostConnection(here.twin, "pve1")
    here.host("pve1").state.cut = when
    with pytest.raises(ConnectionResetError):
        connection.run("touch /etc/made")
    assert connection.run("test -e /etc/made").status == made


def test_power_takes_what_the_kernel_held_and_leaves_the_files() -> None:
    here = hosts()
    here.log_in("pve1")
    here.says("pve1", "echo x > /etc/kept")
    here.fail("fail-node pve1", wait_s=1)
    state = here.host("pve1").state
    assert (state.sessions, state.maps, state.disks) == ({}, {}, {})
    assert not any(unit.active for unit in state.units.values())
    assert "/etc/kept" in state.files


def test_the_physics_goes_by_the_sessions_and_groups_that_hosts_really_have() -> None:
    here = hosts(loaded=True)

    def problem(node: str) -> str:
        return here.twin.facts.storage_problem("a", "lun", node)

    assert [problem(node) for node in ("pve1", "pve2")] == ["", ""]
    here.says("pve1", f"iscsiadm -m node -T {IQN} -p {PORTALS[0]} --logout")
    assert problem("pve1") == ""
    here.says("pve1", f"iscsiadm -m node -T {IQN} --logout")
    assert problem("pve1") == "pve1 is not logged in to nas1"
    assert here.twin.state.guests[("a", 201)].stalled
    here.says("pve1", f"iscsiadm -m node -T {IQN} --login")
    assert [problem(node) for node in ("pve1", "pve2")] == ["", ""]


def test_a_node_without_the_volume_group_can_not_use_the_storage() -> None:
    here = hosts()
    wwid = here.log_in("pve1", "pve2")
    spec = hosts(loaded=True).twin.state.workloads["a"]
    here.twin.state.workloads["a"] = spec
    problem = here.twin.facts.storage_problem
    assert problem("a", "lun", "pve2") == "pve2 has no volume group lun"
    here.says("pve1", f"vgcreate lun /dev/mapper/{wwid}")
    here.says("pve2", "pvscan --cache")
    assert here.twin.facts.storage_problem("a", "lun", "pve2") == ""
    assert here.twin.facts.storage_problem("a", "lun", "pve3") == "pve3 is not logged in to nas1"


def test_a_volume_group_made_later_is_as_good_as_a_declared_one() -> None:
    here = hosts()
    wwid = here.log_in("pve1", "pve2")
    here.says("pve1", f"vgcreate later /dev/mapper/{wwid}")
    here.says("pve2", "pvscan --cache")
    spec = hosts(loaded=True).twin.state.workloads["a"]
    later = replace(spec.storages["lun"], backing="later")
    storages = {**spec.storages, "later": later}
    here.twin.state.workloads["a"] = replace(spec, storages=storages)
    problem = here.twin.facts.storage_problem

    assert problem("a", "later", "pve2") == ""
    assert problem("a", "later", "pve3") == "pve3 is not logged in to nas1"
    here.fail("fail-nas nas1")
    assert here.twin.facts.storage_problem("a", "later", "pve2").startswith("nas1 tank/z")


def test_logins_at_boot_are_tried_again_while_the_array_starts() -> None:
    here = hosts(loaded=True)
    here.fail("fail-nas nas1@0s..60s")
    here.fail("fail-node pve1@0s..1s", wait_s=600)
    assert len(here.host("pve1").state.sessions) == 2
    assert here.twin.facts.storage_problem("a", "lun", "pve1") == ""


def with_backup_storage(tree: Tree) -> None:
    """A storage on the backup server's export."""
    tree["storages"]["backup"] = {
        "type": "nfs",
        "clusters": ["a"],
        "content": ["backup"],
        "backup-server": "bak1",
        "export": "vm",
    }


def test_a_backup_server_serves_what_it_exports() -> None:
    here = hosts(loaded=True, change=with_backup_storage)
    assert here.twin.facts.storage_problem("a", "backup", "pve1") == ""
    assert "10.0.103.1:/backup/vm" in here.says("bak1", "showmount --no-headers -a")
    here.says("bak1", "tee /etc/exports && exportfs -ra", "# nothing\n")
    assert here.twin.facts.storage_problem("a", "backup", "pve1") == (
        "nobody serves 10.0.103.31:/backup/vm"
    )


def test_a_folder_exported_later_is_as_good_as_a_declared_one() -> None:
    here = hosts(loaded=True, change=with_backup_storage)
    spec = here.twin.state.workloads["a"]
    later = replace(spec.storages["backup"], export="/backup/later")
    storages = {**spec.storages, "backup": later}
    here.twin.state.workloads["a"] = replace(spec, storages=storages)
    problem = here.twin.facts.storage_problem
    assert problem("a", "backup", "pve1") == "nobody serves 10.0.103.31:/backup/later"

    line = "/backup/later 10.0.103.0/24(rw,sync,no_subtree_check)\n"
    here.says("bak1", "mkdir -p /backup/later && tee /etc/exports && exportfs -ra", line)

    assert here.twin.facts.storage_problem("a", "backup", "pve1") == ""
