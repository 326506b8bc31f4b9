"""The lines that a simulated host reads, and those that it refuses by name."""

from __future__ import annotations

import pytest

from simulator.linux.shell import NotRead, Simple, parse
from simulator.linux.stdin import reads_stdin
from tests.simulator.linux_hosts import Hosts, hosts


@pytest.fixture(scope="module")
def here() -> Hosts:
    return hosts()


def test_a_line_is_read_into_simple_commands() -> None:
    assert parse("LC_ALL=C cat 'a b' \"c\"d <in >> out 2>&1 && x | y") == [
        Simple(("cat", "a b", "cd"), "", "in", "out", True, "&1"),
        Simple(("x",), "&&"),
        Simple(("y",), "|"),
    ]


def test_positional_parameters_stay_one_word() -> None:
    assert parse('cat "$1" ${2}x', ["sh", "a $b *", "c"]) == [Simple(("cat", "a $b *", "cx"))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat $HOME", "expansion in `$HOME' is not simulated"),
        ("cat `id`", "expansion in ``id`' is not simulated"),
        ("ls /etc/*.conf", "`/etc/*.conf' would be expanded, which is not simulated"),
        ("if true; then x; fi", "`if' is shell syntax that is not simulated"),
        ("cat <<END", "here-documents are not simulated"),
        ("cat 'x", "unexpected EOF while looking for matching `''"),
        ("a &&", "syntax error near unexpected token `newline'"),
        ("sleep 1 &", "syntax error near unexpected token `&'"),
    ],
)
def test_what_is_not_simulated_is_refused_by_name(line: str, message: str) -> None:
    with pytest.raises(NotRead) as caught:
        parse(line)
    assert str(caught.value) == message


def test_a_refused_line_has_no_effect(here: Hosts) -> None:
    result = here("pve1", "touch /srv/made; cat $HOME")
    assert (result.status, result.stdout) == (2, "")
    assert here("pve1", "test -e /srv/made").status == 1


def test_an_unknown_command_is_not_found(here: Hosts) -> None:
    result = here("pve1", "frobnicate --now")
    assert result == (127, "", "bash: line 1: frobnicate: command not found\n")


def test_commands_of_administrators_are_not_on_the_path_of_others(here: Hosts) -> None:
    assert here("pve1", "iscsiadm -m session", user="vlab").status == 127
    assert here("pve1", "sudo -n iscsiadm -m session", user="vlab").status == 21
    assert here("pve1", "/usr/sbin/iscsiadm -m session", user="vlab").status == 13


def test_a_command_of_a_package_comes_with_it(here: Hosts) -> None:
    fork = here.fork()
    assert fork("bak1", "iscsiadm -m session").status == 127
    assert "Setting up open-iscsi" in fork.says("bak1", "apt-get install -y open-iscsi")
    assert fork("bak1", "iscsiadm -m session").status == 21


def test_errexit_ends_a_line_at_the_first_failure(here: Hosts) -> None:
    result = here("pve1", "set -e; echo a; false; echo b")
    assert (result.status, result.stdout) == (1, "a\n")


def test_sudo_that_is_broken_says_so_and_changes_nothing(here: Hosts) -> None:
    fork = here.fork()
    fork.host("pve1").state.sudo_fault = "sudo: /etc/sudo.conf is owned by uid 1000, should be 0"
    result = fork("pve1", "sudo -n touch /etc/made", user="vlab")
    assert result == (1, "", "sudo: /etc/sudo.conf is owned by uid 1000, should be 0\n")
    assert fork("pve1", "test -e /etc/made").status == 1


def test_a_user_without_the_right_is_asked_for_a_password(here: Hosts) -> None:
    result = here("pve1", "sudo -n id", user="nobody")
    assert result == (1, "", "sudo: a password is required\n")


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("cat", True),
        ("cat /etc/hosts", False),
        ("cat > /etc/x", True),
        ("cat < /etc/x", False),
        ("echo x | cat", False),
        ("sudo -n tee /etc/x", True),
        ("""sudo -n sh -c 'umask 077 && cat > "$1"' sh /etc/x""", True),
        ("sh -c 'vgs'", False),
        ("install -m 0600 /dev/stdin /etc/x", True),
        ("nft -c -f -", True),
        ("sh", True),
        ("dd if=/etc/x of=/etc/y", False),
        ("cat $x", False),
    ],
)
def test_it_is_known_beforehand_whether_a_line_reads_stdin(line: str, reads: bool) -> None:
    assert reads_stdin(line) is reads
