"""A host over SSH: one connection, kept, with a channel for each program.

The host's key must be known beforehand: a first or a changed key is refused, never taken. Logins
are by key only. A user who is not root works through `sudo -n`. Leaves out: jump hosts, agents,
passwords.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NoReturn

import asyncssh

from controller.eventloop import event_loop
from controller.linux.shell import Output
from lab.errors import DeviceError

CONNECT_S = 10.0
QUIET_S = 5.0  # between signs of life; three missed ones are a lost connection
# What programs say is read, so it must not be translated; and a user's path has no sbin.
PLAIN = (
    "env",
    "LC_ALL=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
SUDO = ("sudo", "-n", "--")
_NOISE = ("sudo: unable to resolve host ", "Could not chdir to home directory ")  # harms nothing


@dataclass(frozen=True)
class Login:
    """How a host is reached. `key`: a private key, in OpenSSH's or PEM form."""

    address: str
    port: int
    user: str
    key: str
    known_hosts: Path
    timeout_s: float = 60.0


class SshShell:
    """Root on a real host, or on a simulated one that is served."""

    def __init__(self, device: str, login: Login) -> None:
        self._device = device
        self._login = login
        self._loop = event_loop()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening = Lock()
        self._before = PLAIN if login.user == "root" else (*SUDO, *PLAIN)

    def run(self, argv: Sequence[str], stdin: str = "", timeout_s: float = 0.0) -> Output:
        """Run a program. Raises DeviceError."""
        line = shlex.join([*self._before, *argv])
        found = self._run(line, stdin, timeout_s or self._login.timeout_s)
        if found.status and found.stderr.startswith("sudo: "):
            what = f"sudo does not let {self._login.user} work as root: {found.told}"
            fix = f"see that `sudo -n true` works for {self._login.user} there"
            raise DeviceError(self._device, f"{what}; {fix}", status=found.status)
        return found

    def runs(self, argv: Sequence[str]) -> bool:
        """Whether such a program still runs. Raises DeviceError."""
        pattern = re.escape(" ".join(argv))
        found = self.run(("pgrep", "--full", "--exact", "--", pattern))
        if found.status not in (0, 1):
            raise DeviceError(self._device, f"pgrep: {found.told}", status=found.status)
        return found.status == 0

    def close(self) -> None:
        """Close the connection."""
        with self._opening:
            connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.wait(_closed(connection), CONNECT_S)

    def _run(self, line: str, stdin: str, timeout_s: float) -> Output:
        connection = self._opened()
        try:
            done = self._loop.wait(_ran(connection, line, stdin), timeout_s)
        except TimeoutError as error:
            what = f"no answer within {timeout_s:g} s to: {line[:80]}"
            raise DeviceError(self._device, what, retryable=True) from error
        except (asyncssh.Error, OSError) as error:
            self._lost(error)
        if done.exit_status is None or done.exit_status < 0:
            why = "the connection was cut before this ended"
            if done.exit_signal:
                why = f"SIG{done.exit_signal[0]} ended this"
            raise DeviceError(self._device, f"{why}: {line[:80]}", retryable=True)
        return Output(done.exit_status, _text(done.stdout), _quiet(_text(done.stderr)))

    def _opened(self) -> asyncssh.SSHClientConnection:
        """The connection, made anew once it is closed, whoever of its users notices first."""
        with self._opening:
            if self._connection is None or self._connection.is_closed():
                try:
                    self._connection = self._loop.wait(_connected(self._login), 3 * CONNECT_S)
                except (asyncssh.Error, asyncssh.KeyImportError, OSError, ValueError) as error:
                    self._unopened(error)
            return self._connection

    def _unopened(self, error: Exception) -> NoReturn:
        login = self._login
        at = f"{login.address} port {login.port}"
        match error:
            case asyncssh.HostKeyNotVerifiable():
                fix = (
                    f"compare the key with the one on the host's console, then add it:"
                    f" ssh-keyscan -p {login.port} {login.address} >> {login.known_hosts}"
                )
                what = f"the host key of {at} is not the one in {login.known_hosts}, or not there"
                raise DeviceError(self._device, f"{what}; {fix}") from error
            case asyncssh.PermissionDenied():
                fix = f"put its public key into authorized_keys of {login.user} there"
                what = f"{login.user} is not let in at {at} with the key of the settings; {fix}"
                raise DeviceError(self._device, what) from error
            case asyncssh.KeyImportError() | ValueError():
                what = f"the key or known_hosts of the settings can't be read: {error}"
                raise DeviceError(self._device, what) from error
        why = str(error) or "it does not answer"
        raise DeviceError(self._device, f"no connection to {at}: {why}", retryable=True) from error

    def _lost(self, error: Exception) -> NoReturn:
        what = f"the connection was lost: {str(error) or type(error).__name__}"
        raise DeviceError(self._device, what, retryable=True) from error


async def _connected(login: Login) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        login.address,
        login.port,
        username=login.user,
        client_keys=[asyncssh.import_private_key(login.key)],
        known_hosts=str(login.known_hosts),
        agent_path=None,
        config=None,
        password=None,
        preferred_auth="publickey",
        connect_timeout=CONNECT_S,
        login_timeout=CONNECT_S,
        keepalive_interval=QUIET_S,
    )


async def _ran(
    connection: asyncssh.SSHClientConnection, line: str, stdin: str
) -> asyncssh.SSHCompletedProcess:
    process = await connection.create_process(line, encoding=None)
    with suppress(BrokenPipeError):  # it has ended already, and did not want to read
        process.stdin.write(stdin.encode("utf-8", "surrogateescape"))
        process.stdin.write_eof()
    return await process.wait()


async def _closed(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    await connection.wait_closed()


def _text(data: object) -> str:
    assert isinstance(data, bytes), "asked for without an encoding"
    return data.decode("utf-8", "surrogateescape")


def _quiet(stderr: str) -> str:
    """What a program said, without what stands around it."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.startswith(_NOISE))
