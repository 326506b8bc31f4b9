"""Against a real OpenSSH server: real sudo, exportfs, findmnt, visudo, nft; wires that are cut."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from controller.clock import SystemClock
from controller.devices import Device
from controller.linux import ssh
from controller.linux.kinds import KINDS, context
from controller.linux.port import LinuxPort
from controller.linux.shell import Output
from controller.linux.ssh import Login, SshShell
from controller.managed import Context, Key, Managed
from controller.observe import observe
from controller.secrets import Vault, resolve
from controller.step import Command, Query, WriteFile
from lab.errors import DeviceError
from lab.lab import Lab
from tests.controller.linux.hosts import NAME, lab_with, wanted
from tests.controller.linux.sshd import Host, Wire, missing, serving, with_key

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount namespace"),
    pytest.mark.skipif(bool(missing()), reason=f"these are not installed: {missing()}"),
]
EXPORTS = "# by hand\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with serving(tmp_path_factory.mktemp("host")) as server:
        yield server


@pytest.fixture
def host(server: Host) -> Host:
    server.reset()
    return server


@pytest.fixture
def wire(host: Host) -> Iterator[Wire]:
    wire = Wire(host.port)
    yield wire
    wire.close()


@pytest.fixture
def opened() -> Iterator[Callable[[Login], LinuxPort]]:
    """Ports that are closed when the test ends."""
    ports: list[LinuxPort] = []

    def open_port(login: Login) -> LinuxPort:
        vault = Vault(lambda reference: resolve(reference, Path()))
        ports.append(LinuxPort(NAME, SshShell(NAME, login), SystemClock(), vault))
        return ports[-1]

    yield open_port
    for port in ports:
        port.close()


Opened = Callable[[Login], LinuxPort]


def look(port: LinuxPort, lab: Lab) -> dict[Key, Managed]:
    """What a look at the host finds of everything declared, without services (no systemd here)."""
    kinds = tuple(kind for kind in KINDS if kind.kind in ("file", "block", "export"))
    device = Device(NAME, port, kinds, context)
    named = [thing.key for kind in kinds for thing in kind.wanted(lab, NAME)]
    seen = observe([device], SystemClock(), named=named)
    assert (seen.unknown, seen.doubtful) == ({}, {})
    return dict(seen.things)


def send(port: LinuxPort, thing: Managed, old: Managed | None = None) -> None:
    for step in thing.steps(old, Context()):
        port.send(step)


@pytest.mark.parametrize("user", ["root", "vlab"])
def test_what_is_written_is_read_back_as_wanted(host: Host, opened: Opened, user: str) -> None:
    path = host.etc / "motd.vlab"
    lab = lab_with("""
    files:
      /etc/motd.vlab: {content: "ahoj, größe\\n", mode: "0640", owner: "root:daemon"}
      /etc/hosts: {block: "192.168.99.14 pve4\\n"}
    """)
    port = opened(host.login(user))
    before = (host.etc / "hosts").read_text()

    for thing in wanted(lab, "file", "block"):
        send(port, thing)

    found = look(port, lab)
    for thing in wanted(lab, "file", "block"):
        assert found[thing.key].values == {**found[thing.key].values, **thing.values}
    assert path.read_text() == "ahoj, größe\n"
    assert (host.etc / "hosts").read_text() == (
        f"{before}# BEGIN vlab\n192.168.99.14 pve4\n# END vlab\n"
    )
    assert (host.etc / "hosts.vlab-old").read_text() == before


def test_an_empty_file_is_written(host: Host, opened: Opened) -> None:
    opened(host.login()).send(WriteFile("/etc/empty", "", timeout_s=20.0))

    assert (host.etc / "empty").read_text() == ""


def test_a_program_that_ends_without_reading_says_how(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = asyncssh.SSHClientConnection.create_session

    async def late(*call: Any, **how: Any) -> Any:
        """Tells of a program's start when it has ended, as on a busy machine."""
        channel, session = await create(*call, **how)
        await channel.wait_closed()
        return channel, session

    monkeypatch.setattr(asyncssh.SSHClientConnection, "create_session", late)
    shell = SshShell(NAME, host.login())

    found = shell.run(["sh", "-c", "echo no >&2; exit 3"], "this")

    assert (found.status, found.stderr) == (3, "no\n")
    shell.close()


def test_an_export_is_in_force_and_what_others_wrote_stays(host: Host, opened: Opened) -> None:
    lab = lab_with("", exports=f"{{group3: {{path: {host.folder}/g3, vlan: backup}}}}")
    port = opened(host.login())
    (export,) = wanted(lab, "export")

    send(port, export)

    assert look(port, lab)[export.key].values == {**export.values, "ours": True}
    lines = (host.etc / "exports").read_text().splitlines()
    assert lines[0] == "# by hand"
    assert lines[2].endswith("192.168.254.0/24(no_root_squash,no_subtree_check,rw,sync)")
    assert oct((host.folder / "g3").stat().st_mode)[-4:] == "0700"

    for step in look(port, lab)[export.key].remove(Context()):
        port.send(step)

    assert (host.etc / "exports").read_text() == EXPORTS
    assert export.key not in look(port, lab)


def test_exports_that_exportfs_does_not_like_are_taken_back(host: Host, opened: Opened) -> None:
    port = opened(host.login())
    line = f"{host.folder} 192.168.254.0/24(rw,nonsense)\n"

    with pytest.raises(DeviceError, match=r'unknown keyword "nonsense".*the old one is back'):
        port.send(WriteFile("/etc/exports", line, block="vlab x", after=("exportfs", "-ra")))

    assert (host.etc / "exports").read_text() == EXPORTS
    assert not list(host.etc.glob("exports.vlab-pending"))


FSTAB = WriteFile(
    "/etc/fstab",
    "tmpfs /tmp tmpfs defaults\n",
    block="vlab mount /tmp",
    check=("findmnt", "--verify", "--tab-file", "{}"),
)


def test_a_line_of_fstab_is_read_by_findmnt(host: Host, opened: Opened) -> None:
    port = opened(host.login())
    port.send(FSTAB)

    said = subprocess.run(
        ["findmnt", "--tab-file", str(host.etc / "fstab"), "-n", "-o", "TARGET,SOURCE"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert [line.split() for line in said.stdout.splitlines()] == [["/tmp", "tmpfs"]] * 2


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (replace(FSTAB, content="broken\n"), "findmnt says no to the new /etc/fstab"),
        (
            WriteFile("/etc/sudoers", "vlab ALL=(ALL\n", 0o440, check=("visudo", "-cf", "{}")),
            "visudo says no to the new /etc/sudoers",
        ),
        (
            WriteFile("/etc/ssh/sshd_config", "Prot 3\n", check=("sshd", "-t", "-f", "{}")),
            "sshd says no to the new /etc/ssh/sshd_config",
        ),
        (
            WriteFile("/etc/nftables.conf", "table {\n", check=("nft", "-c", "-f", "{}")),
            "nft says no to the new /etc/nftables.conf",
        ),
    ],
    ids=["fstab", "sudoers", "sshd", "nftables"],
)
def test_what_the_daemon_would_not_read_is_not_put_in_place(
    host: Host, opened: Opened, step: WriteFile, says: str
) -> None:
    path = host.etc / step.path.removeprefix("/etc/")
    before = path.read_text() if path.exists() else None
    port = opened(host.login())

    with pytest.raises(DeviceError, match=says):
        port.send(step)

    assert (path.read_text() if path.exists() else None) == before
    assert not list(path.parent.glob("*.vlab-*"))


def test_a_full_disk_leaves_the_old_content(host: Host, opened: Opened) -> None:
    port = opened(host.login())
    path = f"{host.small}/conf"
    port.send(WriteFile(path, "old\n"))

    with pytest.raises(DeviceError, match="conf is as it was: .*No space left on device"):
        port.send(WriteFile(path, "new\n" * 50_000))

    assert port.ask(Query(f"cat {path}")) == {"status": 0, "stdout": "old\n", "stderr": ""}
    assert port.ask(Query(f"ls {host.small}")) == {"status": 0, "stdout": "conf\n", "stderr": ""}


def test_sudo_that_does_not_work_is_told_with_its_fix(host: Host, opened: Opened) -> None:
    port = opened(host.login("vlab"))
    (host.etc / "sudoers").chmod(0o640)
    (host.etc / "sudoers").write_text("root ALL=(ALL:ALL) ALL\n")
    (host.etc / "sudoers").chmod(0o440)

    with pytest.raises(DeviceError, match="see that `sudo -n true` works for vlab there") as found:
        port.ask(Query("cat /etc/exports"))
    with pytest.raises(DeviceError, match="sudo does not let vlab work as root"):
        port.send(WriteFile("/etc/exports", "x\n"))

    assert not found.value.retryable
    assert (host.etc / "exports").read_text() == EXPORTS


@pytest.mark.parametrize("known", ["", "another"])
def test_a_host_key_that_is_not_the_known_one_is_refused(
    host: Host, opened: Opened, known: str
) -> None:
    other = (host.folder / "user_key.pub").read_text() if known else ""
    login = host.login()
    hosts = f"[127.0.0.1]:{host.port} {other}" if known else ""

    with pytest.raises(DeviceError, match="compare the key .* then add it: ssh-keyscan") as found:
        opened(with_key(login, hosts)).ask(Query("id"))

    assert not found.value.retryable


def test_a_key_that_is_not_let_in_is_told_with_its_fix(host: Host, opened: Opened) -> None:
    (host.etc / "vlab_keys").write_text("")

    with pytest.raises(DeviceError, match="put its public key into authorized_keys of root"):
        opened(host.login()).ask(Query("id"))


def test_a_host_that_is_gone_may_come_back(host: Host, opened: Opened) -> None:
    login = replace(host.login(), port=1)

    with pytest.raises(DeviceError, match=r"no connection to 127\.0\.0\.1 port 1") as found:
        opened(login).ask(Query("id"))

    assert found.value.retryable


class Cut:
    """A shell whose wire is cut as its n-th command is on its way."""

    def __init__(self, shell: SshShell, wire: Wire, number: int) -> None:
        self._shell, self._wire, self._number = shell, wire, number
        self.commands = 0

    def run(self, argv: Sequence[str], stdin: str = "", timeout_s: float = 0.0) -> Output:
        self.commands += 1
        if self.commands == self._number:
            self._wire.bytes_left = 200 + len(stdin) // 2
        return self._shell.run(argv, stdin, timeout_s)

    def runs(self, argv: Sequence[str]) -> bool:
        return self._shell.runs(argv)

    def close(self) -> None:
        self._shell.close()


NEW = "".join(f"line {number}\n" for number in range(20_000))


def settled(port: LinuxPort, step: WriteFile) -> None:
    """As the next passes would: a connection that is lost again is made again, a few times."""
    for left in reversed(range(5)):
        try:
            port.settle(step, 0.0)
        except DeviceError as error:
            if not (left and error.retryable):
                raise
        else:
            return


@pytest.mark.parametrize("number", range(1, 12))
def test_a_connection_cut_in_the_middle_leaves_the_old_or_the_new_file_whole(
    host: Host, wire: Wire, number: int
) -> None:
    path = host.etc / "exports"
    shell = Cut(SshShell(NAME, host.login(port=wire.port)), wire, number)
    port = LinuxPort(NAME, shell, SystemClock(), Vault(lambda name: resolve(name, Path())))
    step = WriteFile("/etc/exports", NEW, after=("true",))

    with pytest.raises(DeviceError) as found:
        port.send(step)
    assert found.value.retryable
    settled(port, step)

    assert path.read_text() in (EXPORTS, NEW)
    port.send(step)
    port.close()
    assert path.read_text() == NEW
    assert (host.etc / "exports.vlab-old").read_text() in (EXPORTS, NEW)
    assert not list(host.etc.glob("exports.vlab-[np]*"))


KILLED = """
import os, sys
from pathlib import Path
from controller.clock import SystemClock
from controller.linux.port import LinuxPort
from controller.linux.ssh import Login, SshShell
from controller.secrets import Vault
from controller.step import WriteFile

port, folder, last = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
login = Login("127.0.0.1", port, "root", (folder / "user_key").read_text(), folder / "known_hosts")

class Dying(SshShell):
    commands = 0
    def run(self, argv, stdin="", timeout_s=0.0):
        self.commands += 1
        if self.commands > last:
            os.kill(os.getpid(), 9)
        return super().run(argv, stdin, timeout_s)

LinuxPort("linux/x", Dying("linux/x", login), SystemClock(), Vault(lambda name: None)).send(
    WriteFile("/etc/exports", "new\\n", check=("true",), after=("true",))
)
"""


@pytest.mark.parametrize("last", range(1, 12))
def test_a_controller_killed_in_the_middle_of_a_write_is_no_harm(
    host: Host, opened: Opened, last: int
) -> None:
    login = host.login()
    argv = [sys.executable, "-c", KILLED, str(host.port), str(host.folder), str(last)]
    ended = subprocess.run(argv, check=False, capture_output=True)

    assert ended.returncode == -9, ended.stderr
    assert (host.etc / "exports").read_text() in (EXPORTS, "new\n")
    opened(login).send(WriteFile("/etc/exports", "new\n", after=("true",)))
    assert (host.etc / "exports").read_text() == "new\n"
    assert not list(host.etc.glob("exports.vlab-[np]*"))


SLEEPS = "touch /etc/asleep; until test -e /etc/alarm; do sleep 0.1; done; touch /etc/woke"
ASLEEP = Query("sh -c 'until test -e /etc/asleep; do sleep 0.1; done'")


def test_what_still_runs_there_is_waited_for(host: Host, opened: Opened) -> None:
    class Alarm(SystemClock):
        def sleep(self, seconds: float) -> None:
            (host.etc / "alarm").touch()
            super().sleep(seconds / 10)

    port = opened(host.login())
    port._clock = Alarm()
    port.ask(Query("true"))  # so that the time of the step is not spent on the connection
    step = Command(("sh", "-c", SLEEPS), timeout_s=1.5)

    with pytest.raises(DeviceError, match=r"no answer within 1\.5 s") as found:
        port.send(step)
    port.ask(ASLEEP)
    assert not (host.etc / "woke").exists()
    port.settle(replace(step, timeout_s=60.0), 0.0)

    assert found.value.retryable
    assert (host.etc / "woke").exists()


def test_a_program_that_a_signal_ended_says_nothing_of_the_connection(
    host: Host, opened: Opened
) -> None:
    shell = SshShell(NAME, host.login())
    port = LinuxPort(NAME, shell, SystemClock(), Vault(lambda name: resolve(name, Path())))
    port.ask(Query("true"))
    connection = shell._connection

    with pytest.raises(DeviceError, match="SIGTERM ended this") as found:
        port.ask(Query("sh -c 'kill -s TERM $PPID'"))
    port.ask(Query("true"))

    assert found.value.retryable
    assert shell._connection is connection
    port.close()


def test_a_connection_that_another_made_again_is_kept(
    host: Host, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SshShell(NAME, host.login(port=wire.port))
    ran = ssh._ran

    async def late(*call: Any) -> Any:
        """Loses its connection, and notices only when another command has made it again."""
        monkeypatch.setattr(ssh, "_ran", ran)
        wire.cut()
        await call[0].wait_closed()
        assert (await asyncio.to_thread(shell.run, ["true"])).status == 0
        return await ran(*call)

    monkeypatch.setattr(ssh, "_ran", late)
    with pytest.raises(DeviceError, match="the connection was lost"):
        shell.run(["true"])
    again = shell._connection

    assert shell.run(["true"]).status == 0
    assert again is not None
    assert shell._connection is again
    shell.close()


def test_a_secret_is_in_the_file_and_in_no_process_list(
    host: Host, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLAB_TEST_SECRET", "rather-long-secret")
    content = "password = {secret://env/VLAB_TEST_SECRET}\n"
    port = opened(host.login())
    peek = ("sh", "-c", "ps -eo args= > /etc/processes; cat {}")

    port.send(WriteFile("/etc/conf", content, 0o600, check=peek))

    assert (host.etc / "conf").read_text() == "password = rather-long-secret\n"
    processes = (host.etc / "processes").read_text()
    assert "/etc/processes" in processes
    assert "rather-long-secret" not in processes
