"""A simulated host's SSH server, on an address of its own: RFC 4253, 4252 and 4254 by AsyncSSH.

Only keys open it, those in the host's own ~/.ssh/authorized_keys. A host that is off refuses; one
that is not reached accepts and keeps silent, which to a client is a timeout. Commands run at the
present instant of the twin. Leaves out: terminals, SFTP, forwarding, and what sshd_config says.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from simulator.linux.host import LinuxHost
from simulator.linux.install import ADMINISTRATOR, declared, hosts_of
from simulator.linux.state import File
from simulator.linux.stdin import reads_stdin
from simulator.served.authority import Authority
from simulator.served.door import Door
from simulator.served.place import Place
from simulator.twin import Twin

USERS = ("root", ADMINISTRATOR)
KEY_TYPE = "ssh-ed25519"
TICK_S = 0.05  # how often a silent host is looked at again
PORT = 2222  # 22 is for root, and a machine's own sshd mostly listens there on every address


class SshServer:
    """The server of one host. `port` 0 takes a free one, and keeps it."""

    def __init__(
        self, host: LinuxHost, twin: Twin, advance: Callable[[], None], address: str, port: int
    ) -> None:
        self.host = host
        self.name = host.host
        self.twin = twin
        self.place = Place(address, port)
        self.key = asyncssh.generate_private_key(KEY_TYPE, comment=host.host)
        self._advance = advance
        self._door: Door | None = None
        self._clients: set[asyncssh.SSHServerConnection] = set()

    @property
    def known_host(self) -> str:
        """The host's line of a known_hosts file."""
        public = self.key.export_public_key().decode().strip()
        return f"[{self.place.address}]:{self.place.port} {public}\n"

    async def open(self, _authority: Authority) -> None:
        """Take the address, and listen unless the host is off. Raises OSError if it is taken."""
        self.place.take()
        await self.follow()

    async def follow(self) -> None:
        """Listen or not, as the host is; who is connected to one that died is cut off."""
        if self.host.reachable(self.twin) == "refused":
            await self._cut_off()
        elif self._door is None:
            self._door = Door(self.place.bound(), self._greet)

    async def close(self) -> None:
        """Stop for good."""
        await self._cut_off()
        self.place.leave()

    async def _cut_off(self) -> None:
        """Stop listening, and cut off whoever is connected."""
        if self._door is not None:
            await self._door.shut()
            self._door = None
        for client in list(self._clients):
            client.abort()

    async def _greet(self, connected: socket.socket) -> None:
        """Speak SSH with a client, once the host can be reached."""
        await self._silence()
        with contextlib.suppress(asyncssh.Error, OSError):  # the client's affair
            await asyncssh.run_server(
                connected,
                server_factory=lambda: _Login(self),
                server_host_keys=[self.key],
                process_factory=self._serve,
                encoding=None,
                allow_pty=False,
                allow_scp=False,
                keepalive_interval=0,
            )

    async def _silence(self) -> None:
        """Wait while nothing gets through to the host."""
        self._advance()
        while self.host.reachable(self.twin) == "timeout":
            await asyncio.sleep(TICK_S)

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run the command of a session; a shell without one reads its line from stdin."""
        line = process.command
        given = b""
        if line is None or reads_stdin(line):
            given = await process.stdin.read()
        await self._silence()
        connection = process.channel.get_connection()
        if self.host.reachable(self.twin) == "refused":
            connection.abort()
            return  # it died meanwhile, and does nothing
        cut, self.host.state.cut = self.host.state.cut, ""
        if cut == "before":
            connection.abort()
            return
        text = given.decode("utf-8", "surrogateescape")
        command, stdin = (line, text) if line is not None else (text, "")
        user = str(process.get_extra_info("username"))
        result = self.host.run(self.twin, command, stdin, user)
        if cut:
            connection.abort()
            return
        process.stdout.write(result.stdout.encode("utf-8", "surrogateescape"))
        process.stderr.write(result.stderr.encode("utf-8", "surrogateescape"))
        process.exit(result.status)

    def joined(self, client: asyncssh.SSHServerConnection) -> None:
        """Remember who is connected."""
        self._clients.add(client)

    def left(self, client: asyncssh.SSHServerConnection) -> None:
        """Forget who has gone."""
        self._clients.discard(client)


class _Login(asyncssh.SSHServer):
    """Who may log in: users of the host, by a key of theirs."""

    def __init__(self, server: SshServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.joined(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        files = self._server.host.files(self._server.twin)
        account = self._server.host.state.accounts.get(username)
        if account is None:
            return False
        found = files.find(f"{account.home}/.ssh/authorized_keys")
        return found is not None and key in _keys(found.content)


def _keys(text: str) -> Iterator[asyncssh.SSHKey]:
    """The keys of an authorized_keys file; a line that is none lets nobody in."""
    for line in text.splitlines():
        with contextlib.suppress(asyncssh.KeyImportError):
            yield asyncssh.import_public_key(line)


@dataclass(frozen=True)
class SshLogin:
    """How to get in: as any of the users, with the private key in a file.

    Told on purpose: it opens nothing but a simulation on this machine.
    """

    key_file: Path
    public_key: str
    known_hosts: Path
    users: tuple[str, ...] = USERS


def login(folder: Path) -> SshLogin:
    """Make a client's key in a folder."""
    key = asyncssh.generate_private_key(KEY_TYPE, comment="vlab simulated lab")
    file = folder / "id_ed25519"
    file.touch(mode=0o600)
    file.write_bytes(key.export_private_key())
    return SshLogin(file, key.export_public_key().decode(), folder / "known_hosts")


def hosts(
    twin: Twin, login: SshLogin, places: Mapping[str, str], *, epoch_s: float
) -> Iterator[tuple[LinuxHost, str]]:
    """Every Linux host and its address: a node's is that of its API (`places`), a backup server's
    127.0.9.1 and up. One without a device on the twin gets what is declared.
    """
    others = {name: f"127.0.9.{n}" for n, name in enumerate(twin.model.lab.backup_servers, 1)}
    for name in hosts_of(twin):
        host = twin.devices.get(f"linux/{name}") or declared(twin, name)
        assert isinstance(host, LinuxHost)
        host.epoch_s = epoch_s
        for user in login.users:
            let_in(host, user, login.public_key)
        yield host, places.get(name) or others[name]


def let_in(host: LinuxHost, user: str, public_key: str) -> None:
    """Put a key into a user's authorized_keys."""
    folder = f"{host.state.accounts[user].home}/.ssh"
    host.state.files[folder] = File("", 0o700, user, user, "dir")
    host.state.files[f"{folder}/authorized_keys"] = File(public_key, 0o600, user, user)
