"""A simulated lab on loopback: every device's API and every Linux host's SSH, at their addresses.

The only place of the simulator with a wall clock, and with `https` and `linux.ssh` the only one
with sockets: simulated time is wall time times `speed`, and one event loop in one thread drives
both the twin and the servers. A Unix socket takes faults (`ask`), so that another process can break
the lab meanwhile. Leaves out: the time that requests take.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web

from lab.faults import parse_faults
from simulator.faults import restore
from simulator.linux import ssh
from simulator.mon.served import MonitorSocket
from simulator.pve import face as pve
from simulator.served.authority import Authority
from simulator.served.door import turn_away
from simulator.served.face import Face
from simulator.served.https import HttpsServer
from simulator.served.login import Login
from simulator.served.place import Place
from simulator.served.unixsocket import short
from simulator.truenas import face as truenas
from simulator.twin import Twin

TICK_S = 0.05  # how often simulated time is brought up to the wall clock
ADMINISTRATOR = "root@pam!vlab"
log = logging.getLogger(__name__)


class Server(Protocol):
    """One address of a device, whatever it speaks."""

    name: str  # of the host in the lab
    place: Place

    async def open(self, authority: Authority) -> None:
        """Prepare, and listen unless the device is off. Raises OSError if the address is taken."""

    async def follow(self) -> None:
        """Listen or not, as the device is."""

    async def close(self) -> None:
        """Stop for good."""


class ServedLab:
    """A twin behind HTTPS servers. `folder` gets the CA file and the control socket."""

    def __init__(self, twin: Twin, folder: Path, speed: float, password: str) -> None:
        self.twin = twin
        self.ca_file = folder / "ca.pem"
        self.control = folder / "control.sock"
        self.login = Login("root@pam", password, ADMINISTRATOR, str(uuid.uuid4()))
        self.servers: list[Server] = []
        self.ssh = ssh.login(folder)
        self.hosts: list[ssh.SshServer] = []
        self._folder = folder
        self._speed = speed
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._opened: list[Server] = []
        self._turn = asyncio.Lock()
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
        port: int | None = None,
        password: str = "",
    ) -> Self:
        """Serve `twin`; returns when every server is up.

        `port`: of every HTTPS server; SSH takes free ones then. 0: free ones for all. Without it
        each device listens where its kind does. What has no device on the twin gets
        one (`faces` of its kind). Raises OSError if an address is taken.
        """
        lab = cls(twin, folder, speed, password or secrets.token_urlsafe(12))
        lab._install(port)
        lab._thread.start()
        lab._ready.wait()
        if lab._failure is not None:
            raise lab._failure
        return lab

    @property
    def ceph(self) -> Path:
        """The `ceph` command of this lab; `--conf a.conf` beside it leads to the cluster `a`."""
        return self.monitors.program

    @property
    def addresses(self) -> Mapping[str, str]:
        """Host -> `127.0.11.1:8006`."""
        return {server.name: str(server.place) for server in self.servers}

    @property
    def ssh_addresses(self) -> Mapping[str, str]:
        """Linux host -> `127.0.11.1:2222`."""
        return {server.name: str(server.place) for server in self.hosts}

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

    def _install(self, port: int | None) -> None:
        epoch_s = time.time() - self.twin.now_s
        found: list[tuple[str, Face]] = [
            *pve.faces(self.twin, self.login, epoch_s=epoch_s, speed=self._speed),
            *truenas.faces(self.twin, self.login, epoch_s=epoch_s),
        ]
        for address, face in found:
            chosen = face.port if port is None else port
            self.servers.append(HttpsServer(face, self.twin, self.advance, address, chosen))
        places = {server.name: server.place.address for server in self.servers}
        for host, address in ssh.hosts(self.twin, self.ssh, places, epoch_s=epoch_s):
            chosen = ssh.PORT if port is None else 0
            self.hosts.append(ssh.SshServer(host, self.twin, self.advance, address, chosen))
        self.monitors = MonitorSocket(self.twin, self._folder, self.advance)
        self.twin.settle()

    def _run(self) -> None:
        """What still runs when serving ends, such as a request nobody answers, is cancelled."""
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        authority = Authority(self._folder, datetime.now(UTC))
        self._wall_s, self._begin_s = time.monotonic(), self.twin.now_s
        listening, control = await self._open_control()
        await self.monitors.open()
        try:
            for server in (*self.servers, *self.hosts):
                self._opened.append(server)
                await server.open(authority)
            self.ssh.known_hosts.write_text("".join(host.known_host for host in self.hosts))
            log.info("served lab is up: servers=%d speed=%g", len(self._opened), self._speed)
            self._ready.set()
            while not self._stop.is_set():
                self.advance()
                await self._follow()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TICK_S)
        finally:
            async with self._turn:
                for server in self._opened:
                    await server.close()
            await self.monitors.close()
            await turn_away(listening)
            await control.cleanup()
            self.control.unlink(missing_ok=True)
            await asyncio.sleep(0)  # in the next round the aborted transports close their sockets

    async def _follow(self) -> None:
        """Let every server listen or not, as its device is; none that is being opened or closed."""
        async with self._turn:
            if self._ready.is_set() and not self._stop.is_set():
                for server in self._opened:
                    await server.follow()

    def _call(self, act: Callable[[], None]) -> None:
        """Do something in the loop's thread, at the present instant; clients see it by then."""

        async def now() -> None:
            self.advance()
            act()
            self.advance()  # a fault happens when its time is due, and that is now
            await self._follow()

        asyncio.run_coroutine_threadsafe(now(), self._loop).result()

    def _fail(self, fault: str) -> None:
        self.twin.inject(parse_faults([fault]))

    def _restore(self, subject: str) -> None:
        if subject not in self.twin.model.bits:
            raise ValueError(f"there is no {subject}; write what failed: node pve2")
        restore(self.twin, subject)

    async def _open_control(self) -> tuple[socket.socket, web.AppRunner]:
        app = web.Application()
        app.router.add_post("/{verb}", self._controlled)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self.control.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX)
        with short(self.control) as path:
            bound.bind(path)
        self.control.chmod(0o600)
        await web.SockSite(runner, bound).start()
        return bound, runner

    async def _controlled(self, request: web.Request) -> web.Response:
        """`fail` or `restore`; the answer has what came of it so far, or what is wrong."""
        text = await request.text()
        acts: dict[str, Callable[[str], None]] = {"fail": self._fail, "restore": self._restore}
        if (act := acts.get(request.match_info["verb"])) is None:
            return web.json_response({"error": "only fail and restore"}, status=404)
        self.advance()
        before = len(self.twin.trace)
        try:
            act(text)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        self.advance()
        await self._follow()
        since = self.twin.trace[before:]
        trace = [f"{event.at_s:.1f} {event.subject} {event.text}" for event in since]
        return web.json_response({"now_s": self.twin.now_s, "trace": trace})


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        with short(self._path) as path:
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
