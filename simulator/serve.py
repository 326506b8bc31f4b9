"""A simulated lab on loopback: every node's API over HTTPS and every Linux host over SSH, each at
an address of its own.

The only place of the simulator with sockets and the wall clock: simulated time is wall time times
`speed`, and one event loop in one thread drives both the twin and the servers. A node that is off
refuses connections; one that hangs or can't be reached accepts them and keeps silent, which to a
client is a timeout. A Unix socket takes faults (`ask`), so that another process can break the lab
meanwhile. Leaves out: the time that requests take.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web

from lab.faults import parse_faults
from simulator.authority import Authority
from simulator.faults import restore
from simulator.linux import install as linux
from simulator.linux import ssh
from simulator.linux.host import LinuxHost
from simulator.linux.ssh import SshServer
from simulator.pve.api import PveApi
from simulator.pve.declared import declared
from simulator.pve.install import installed
from simulator.pve.tickets import TICKET_LIFETIME_S
from simulator.pve.wire import ApiError, Request, decode
from simulator.twin import Twin

BASE = "/api2/json"
TICK_S = 0.05  # how often simulated time is brought up to the wall clock
ADMINISTRATOR = "root@pam!vlab"
BODY_LIMIT_BYTES = 512 * 1024  # pve-http-server
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Login:
    """How to get in. Told on purpose: it opens nothing but a simulation on this machine."""

    user: str
    password: str
    token: str  # user@realm!name
    secret: str


@dataclass(frozen=True)
class SshLogin:
    """How to get in over SSH: any of the users, with the private key in a file."""

    users: tuple[str, ...]
    key_file: Path
    known_hosts: Path


def address_of(cluster_number: int, node_number: int) -> str:
    """A loopback address for a node: 127.0.11.1 for the first node of the first cluster."""
    return f"127.0.{10 + cluster_number}.{node_number}"


def backup_address(number: int) -> str:
    """A loopback address for a backup server: 127.0.9.1 for the first."""
    return f"127.0.9.{number}"


class Server(Protocol):
    """A device's server, at an address of its own."""

    address: str
    port: int

    async def follow(self) -> None:
        """Listen or not, as the device is."""

    async def close(self) -> None:
        """Stop for good."""


class NodeServer:
    """One node's HTTPS server. `port` 0 takes a free one, and keeps it."""

    def __init__(self, lab: ServedLab, node: str, api: PveApi, address: str, port: int) -> None:
        self.lab = lab
        self.node = node
        self.api = api
        self.address = address
        self.port = port
        self._socket: socket.socket | None = None

    async def open(self, context: ssl.SSLContext) -> None:
        """Prepare, and listen unless the node is off."""
        self._context = context
        app = web.Application(client_max_size=BODY_LIMIT_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._bind().close()
        await self.follow()

    def _bind(self) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self.address, self.port))
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        return bound

    async def follow(self) -> None:
        """Listen or not, as the node is."""
        listening = self.api.reachable(self.lab.twin, self.node) != "refused"
        if listening and self._socket is None:
            self._socket = self._bind()
            site = web.SockSite(self._runner, self._socket, ssl_context=self._context)
            await site.start()
        elif not listening:
            await self._close_door()

    async def _close_door(self) -> None:
        """Accept nobody any more, so that connecting is refused.

        What was accepted in this round of the loop gets its transport first: asyncio (CPython 3.11)
        forgets to close a connection whose server is closed before that.
        """
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        await asyncio.sleep(0)
        for site in list(self._runner.sites):
            await site.stop()
        self._socket = None

    async def close(self) -> None:
        """Stop for good, and let go of clients that stay connected."""
        await self._close_door()
        server = self._runner.server
        for connection in list(server.connections if server else ()):
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.lab.advance()
        while (state := self.api.reachable(self.lab.twin, self.node)) == "timeout":
            await asyncio.sleep(TICK_S)
        if state == "refused" and request.transport is not None:
            request.transport.abort()
        path = request.rel_url.raw_path
        if not path.startswith(BASE):
            return web.Response(status=404, reason="no such file")
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            query, kind = request.rel_url.raw_query_string, headers.get("content-type", "")
            params = decode(query, kind, await request.read())
            asked = Request(self.node, request.method, path.removeprefix(BASE), params, headers)
            response = self.api.handle(self.lab.twin, asked)
        except ApiError as error:
            response = error.response
        return web.Response(
            status=response.status,
            reason=response.reason,
            body=response.body,
            headers=response.headers,
        )


class ServedLab:
    """A twin behind HTTPS servers. `folder` gets the CA file and the control socket."""

    def __init__(self, twin: Twin, folder: Path, speed: float, password: str) -> None:
        self.twin = twin
        self.ca_file = folder / "ca.pem"
        self.control = folder / "control.sock"
        self.login = Login("root@pam", password, ADMINISTRATOR, secrets.token_urlsafe(24))
        self.servers: list[NodeServer] = []
        self.hosts: list[SshServer] = []
        key_file, self._public_key = ssh.write_key(folder)
        users = ("root", linux.ADMINISTRATOR)
        self.ssh = SshLogin(users, key_file, folder / "known_hosts")
        self._folder = folder
        self._speed = speed
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="served lab", daemon=True)
        self._ready = threading.Event()
        self._failure: OSError | None = None

    @classmethod
    def start(
        cls,
        twin: Twin,
        folder: Path,
        *,
        speed: float = 1.0,
        port: int = 8006,
        ssh_port: int = ssh.PORT,
        password: str = "",
    ) -> Self:
        """Serve `twin`, at free ports if `port` is 0; returns when every server is up.

        A cluster or host without a device gets one: with its declared load if the twin has it, else
        as just installed. Raises OSError if an address is taken.
        """
        lab = cls(twin, folder, speed, password or secrets.token_urlsafe(12))
        lab._install(port)
        lab._install_hosts(ssh_port if port else 0)
        lab._thread.start()
        lab._ready.wait()
        if lab._failure is not None:
            raise lab._failure
        return lab

    @property
    def addresses(self) -> Mapping[str, str]:
        """Node -> `127.0.11.1:8006`."""
        return {server.node: f"{server.address}:{server.port}" for server in self.servers}

    @property
    def ssh_addresses(self) -> Mapping[str, str]:
        """Linux host -> `127.0.11.1:2222`."""
        return {server.host.host: f"{server.address}:{server.port}" for server in self.hosts}

    def advance(self) -> None:
        """Let simulated time come up to the wall clock. Only in the loop's thread."""
        passed_s = time.monotonic() - self._wall_s
        self.twin.run_until(self._begin_s + passed_s * self._speed)

    def fail(self, fault: str) -> None:
        """Let something fail, in the one grammar: `fail-node pve2`. Raises ValueError."""
        self._call(lambda: self._fail(fault))

    def restore(self, subject: str) -> None:
        """Make something whole: `node pve2`. Raises ValueError."""
        self._call(lambda: self._restore(subject))

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _install(self, port: int) -> None:
        for number, cluster in enumerate(sorted(self.twin.model.nodes), 1):
            name = f"pve/{cluster}"
            if name not in self.twin.devices:
                loaded = cluster in self.twin.state.workloads
                documents = (declared if loaded else installed)(self.twin, cluster)
                made = PveApi(cluster, documents)
                self.twin.attach(made)
                made.sync(self.twin)
            api = self.twin.devices[name]
            assert isinstance(api, PveApi)
            api.epoch_s = time.time() - self.twin.now_s
            api.ticket_lifetime_s = TICKET_LIFETIME_S * max(1.0, self._speed)
            api.set_password(self.login.user, self.login.password)
            api.add_token(self.login.token, self.login.secret)
            for place, node in enumerate(self.twin.model.nodes[cluster], 1):
                self.servers.append(NodeServer(self, node, api, address_of(number, place), port))
        self.twin.settle()

    def _install_hosts(self, port: int) -> None:
        places = {server.node: server.address for server in self.servers}
        for number, name in enumerate(self.twin.model.lab.backup_servers, 1):
            places[name] = backup_address(number)
        for name, address in places.items():
            if f"linux/{name}" not in self.twin.devices:
                loaded = any(self.twin.state.workloads)
                (linux.declared if loaded else linux.installed)(self.twin, name)
            host = self.twin.devices[f"linux/{name}"]
            assert isinstance(host, LinuxHost)
            host.epoch_s = time.time() - self.twin.now_s
            ssh.let_in(host, self._public_key)
            self.hosts.append(SshServer(self.twin, host, address, port, self.advance))
        self.twin.settle()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        authority = Authority(self._folder, datetime.now(UTC))
        self._wall_s, self._begin_s = time.monotonic(), self.twin.now_s
        control = await self._open_control()
        opened: list[Server] = []
        try:
            for server in self.servers:
                context = authority.server_context(server.node, server.address)
                opened.append(server)
                await server.open(context)
            for host in self.hosts:
                opened.append(host)
                await host.open()
            self.ssh.known_hosts.write_text("".join(host.known_host for host in self.hosts))
            log.info("served lab is up: servers=%d speed=%g", len(opened), self._speed)
            self._ready.set()
            while not self._stop.is_set():
                self.advance()
                for each in opened:
                    await each.follow()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TICK_S)
        finally:
            for each in opened:
                await each.close()
            await control.cleanup()
            self.control.unlink(missing_ok=True)
            await asyncio.sleep(0)  # in the next round the aborted transports close their sockets

    def _call(self, act: Callable[[], None]) -> None:
        """Do something in the loop's thread, at the present instant."""

        async def now() -> None:
            self.advance()
            act()
            self.twin.settle()

        asyncio.run_coroutine_threadsafe(now(), self._loop).result()

    def _fail(self, fault: str) -> None:
        self.twin.inject(parse_faults([fault]))

    def _restore(self, subject: str) -> None:
        if subject not in self.twin.model.bits:
            raise ValueError(f"there is no {subject}; write what failed: node pve2")
        restore(self.twin, subject)

    async def _open_control(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/{verb}", self._controlled)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self.control.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX)
        with _short(self.control) as path:
            bound.bind(path)
        await web.SockSite(runner, bound).start()
        self.control.chmod(0o600)
        return runner

    async def _controlled(self, request: web.Request) -> web.Response:
        """`fail` or `restore`; the answer has the trace so far, or what is wrong."""
        text = await request.text()
        acts: dict[str, Callable[[str], None]] = {"fail": self._fail, "restore": self._restore}
        if (act := acts.get(request.match_info["verb"])) is None:
            return web.json_response({"error": "only fail and restore"}, status=404)
        self.advance()
        try:
            act(text)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.advance()
        trace = [f"{event.at_s:.1f} {event.subject} {event.text}" for event in self.twin.trace]
        return web.json_response({"now_s": self.twin.now_s, "trace": trace})


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket in a folder however deep: the kernel takes 107 bytes (unix(7))."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        with _short(self._path) as path:
            self.sock.connect(path)


def ask(control: Path, verb: str, text: str) -> dict[str, object]:
    """Tell a lab that is served elsewhere to `fail` or `restore` something.

    Raises ValueError with what is wrong, and OSError if no lab is served there.
    """
    connection = _UnixConnection(control)
    try:
        connection.request("POST", f"/{verb}", body=text.encode())
        answer: dict[str, object] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    if "error" in answer:
        raise ValueError(str(answer["error"]))
    return answer
