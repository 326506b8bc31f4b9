"""The hosts of a served lab over real SSH: AsyncSSH as the client, OpenSSH where it is there."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import pytest

from simulator.build import twin_of
from simulator.linux.host import LinuxHost
from simulator.served.lab import ServedLab
from tests.simulator.linux_hosts import hosts
from tests.simulator.rack import rack

LIMIT_S = 60.0
Found = TypeVar("Found")
Connection = asyncssh.SSHClientConnection


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLab]:
    folder = tmp_path_factory.mktemp("lab")
    with ServedLab.start(hosts().twin, folder, speed=120.0, port=0) as served:
        yield served


def _options(lab: ServedLab, **changed: Any) -> dict[str, Any]:
    return {
        "username": "root",
        "known_hosts": str(lab.ssh.known_hosts),
        "client_keys": [str(lab.ssh.key_file)],
        "config": None,
        "agent_path": None,
        **changed,
    }


def _on(
    lab: ServedLab, host: str, act: Callable[[Connection], Awaitable[Found]], **changed: Any
) -> Found:
    """Connect to a host, and do something there."""

    async def connected() -> Found:
        address, _, port = lab.ssh_addresses[host].partition(":")
        async with asyncssh.connect(address, int(port), **_options(lab, **changed)) as connection:
            return await act(connection)

    return asyncio.run(asyncio.wait_for(connected(), LIMIT_S))


def _run(
    lab: ServedLab, host: str, line: str, stdin: str = "", **changed: Any
) -> tuple[int | None, str, str]:
    """Status, stdout and stderr of a line."""

    async def run(connection: Connection) -> tuple[int | None, str, str]:
        done = await connection.run(line, input=stdin or None)
        return done.exit_status, str(done.stdout), str(done.stderr)

    return _on(lab, host, run, **changed)


def _host(lab: ServedLab, name: str) -> LinuxHost:
    device = lab.twin.devices[f"linux/{name}"]
    assert isinstance(device, LinuxHost)
    return device


def _until(true: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    end_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end_s, "it did not come true in time"


def test_root_and_a_user_with_sudo_log_in_by_key(lab: ServedLab) -> None:
    assert _run(lab, "pve1", "hostname && id -un") == (0, "pve1\nroot\n", "")
    assert _run(lab, "bak1", "sudo -n id -un", username="vlab") == (0, "root\n", "")
    status, _, told = _run(lab, "pve1", "cat /etc/iscsi/iscsid.conf", username="vlab")
    assert (status, told) == (1, "cat: /etc/iscsi/iscsid.conf: Permission denied\n")


def test_input_and_output_are_bytes_that_come_through(lab: ServedLab) -> None:
    text = "l\u00ednea\n" * 20_000
    write = "sh -c 'umask 077 && cat > \"$1\"' sh /srv/big"
    assert _run(lab, "pve1", write, text) == (0, "", "")
    assert _run(lab, "pve1", "cat /srv/big") == (0, text, "")
    assert _run(lab, "pve1", "stat -c '%a %s' /srv/big")[1] == "600 140000\n"


def test_a_command_that_reads_nothing_does_not_wait_for_input(lab: ServedLab) -> None:
    assert _run(lab, "pve1", "sudo -n -- env LC_ALL=C.UTF-8 stat -c %a -- /etc")[1] == "755\n"


def test_a_shell_without_a_command_reads_its_line_from_input(lab: ServedLab) -> None:
    async def shell(connection: Connection) -> str:
        async with connection.create_process() as process:
            process.stdin.write("hostname\n")
            process.stdin.write_eof()
            return str(await process.stdout.read())

    assert _on(lab, "pve2", shell) == "pve2\n"


def test_the_wrong_key_opens_nothing(lab: ServedLab) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        _run(lab, "pve1", "true", client_keys=[stranger])
    with pytest.raises(asyncssh.PermissionDenied):
        _run(lab, "pve1", "true", username="nobody")
    with pytest.raises(asyncssh.PermissionDenied):
        _run(lab, "pve1", "true", client_keys=None, password="guess")


def test_a_host_that_is_not_known_or_has_another_key_is_turned_away(
    lab: ServedLab, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    lines = lab.ssh.known_hosts.read_text().splitlines(keepends=True)
    known.write_text("".join(lines[1:]))
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        _run(lab, "pve1", "true", known_hosts=str(known))
    names = [line.split(" ", 1)[0] for line in lines]
    known.write_text(f"{names[0]} {lines[1].split(' ', 1)[1]}")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        _run(lab, "pve1", "true", known_hosts=str(known))


def test_keys_are_those_of_the_hosts_own_file(lab: ServedLab) -> None:
    _run(lab, "pve3", "mv /home/vlab/.ssh/authorized_keys /root/kept")
    with pytest.raises(asyncssh.PermissionDenied):
        _run(lab, "pve3", "true", username="vlab")
    _run(lab, "pve3", "mv /root/kept /home/vlab/.ssh/authorized_keys")
    assert _run(lab, "pve3", "true", username="vlab")[0] == 0


def test_a_connection_that_is_cut_gives_no_status(lab: ServedLab) -> None:
    for when, made in (("before", 1), ("after", 0)):
        _host(lab, "pve1").state.cut = when
        assert _run(lab, "pve1", "touch /etc/made")[0] is None
        assert _run(lab, "pve1", "test -e /etc/made")[0] == made


def test_a_full_disk_says_so(lab: ServedLab) -> None:
    _host(lab, "pve2").state.full = frozenset({"/"})
    status, _, told = _run(lab, "pve2", "cat > /etc/big", "x")
    assert (status, told) == (1, "cat: write error: No space left on device\n")
    _host(lab, "pve2").state.full = frozenset()


def test_a_dead_host_cuts_off_who_is_connected_and_refuses(lab: ServedLab) -> None:
    async def lose(connection: Connection) -> None:
        await asyncio.to_thread(lab.fail, "fail-node pve3")
        await connection.wait_closed()

    _on(lab, "pve3", lose)
    with pytest.raises(ConnectionRefusedError):
        _run(lab, "pve3", "true")
    lab.restore("node pve3")

    def back() -> bool:
        try:
            return _run(lab, "pve3", "hostname")[1] == "pve3\n"
        except ConnectionRefusedError:
            return False

    _until(back)


def test_a_host_that_is_not_reached_is_silent_until_it_is(lab: ServedLab) -> None:
    lab.fail("fail-switch sw1")
    with pytest.raises((TimeoutError, asyncssh.ConnectionLost)):
        _run(lab, "bak1", "true", connect_timeout=0.5)

    async def wait(connection: Connection) -> str:
        await asyncio.to_thread(lab.fail, "fail-switch sw1")
        running = asyncio.ensure_future(connection.run("hostname"))
        done, _ = await asyncio.wait([running], timeout=0.5)
        assert not done
        await asyncio.to_thread(lab.restore, "switch sw1")
        return str((await running).stdout)

    lab.restore("switch sw1")
    assert _on(lab, "bak1", wait) == "bak1\n"


def test_what_a_silent_host_was_told_is_not_done_once_it_is_dead(tmp_path: Path) -> None:
    async def die(connection: Connection) -> None:
        await asyncio.to_thread(slow.fail, "silence-node pve2")
        running = asyncio.ensure_future(connection.run("touch /srv/late"))
        done, _ = await asyncio.wait([running], timeout=0.5)
        assert not done
        await asyncio.to_thread(slow.fail, "fail-node pve2")
        assert (await running).exit_status is None

    # At this speed no watchdog ends the silence before it was seen.
    with ServedLab.start(hosts().twin, tmp_path, port=0) as slow:
        _on(slow, "pve2", die)
        assert "/srv/late" not in _host(slow, "pve2").state.files


def test_openssh_logs_in_too(lab: ServedLab) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed (openssh-client)")
    address, _, port = lab.ssh_addresses["pve1"].partition(":")
    options = [f"-oUserKnownHostsFile={lab.ssh.known_hosts}", "-oBatchMode=yes", "-F/dev/null"]
    done = subprocess.run(
        ["ssh", "-i", lab.ssh.key_file, *options, "-p", port, f"root@{address}", "cat; exit 3"],
        input="through",
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "through", "")


def test_a_served_lab_has_every_linux_host_at_an_address_of_its_own(tmp_path: Path) -> None:
    with ServedLab.start(twin_of(rack()), tmp_path, port=0) as served:
        addresses = served.ssh_addresses
        assert [*addresses] == ["pve1", "pve2", "pve3"]
        assert {name: each.partition(":")[0] for name, each in addresses.items()} == {
            name: served.addresses[name].partition(":")[0] for name in addresses
        }
        assert len(served.ssh.known_hosts.read_text().splitlines()) == 3
        assert served.ssh.key_file.stat().st_mode & 0o777 == 0o600
        groups = _run(served, "pve2", "vgs --noheadings -o vg_name")
        assert groups[1].split() == ["lun", "pve"]
