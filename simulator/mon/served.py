"""The monitors of a served lab: a Unix socket that takes command lines, and the `ceph` program.

One line of JSON is asked, one is answered; without a quorum not before there is one, as clients
wait. Leaves out the monitors' own protocol on the network: librados can't connect.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Callable
from pathlib import Path

from simulator.mon import program
from simulator.mon.command import Reply
from simulator.mon.monitors import DEVICE, Monitors, NoQuorum, monitors_of
from simulator.served.door import Door
from simulator.served.unixsocket import short
from simulator.twin import Twin

TICK_S = 0.05


class MonitorSocket:
    """All clusters of a lab. `program` is the command; a cluster's conf is `CLUSTER.conf`."""

    def __init__(self, twin: Twin, folder: Path, advance: Callable[[], None]) -> None:
        self._twin = twin
        self._advance = advance
        self._path = folder / "ceph.sock"
        self._door: Door | None = None
        for name in twin.model.lab.ceph:
            monitors_of(twin, name)
            (folder / f"{name}.conf").write_text("# The file's name says which cluster is meant.\n")
        self.program = program.write(folder, self._path)

    async def open(self) -> None:
        """Listen."""
        self._path.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX)
        with short(self._path) as path:
            bound.bind(path)
        self._path.chmod(0o600)
        self._door = Door(bound, self._greet)

    async def close(self) -> None:
        """Stop for good."""
        if self._door is not None:
            await self._door.shut()
        self._path.unlink(missing_ok=True)

    async def _greet(self, connected: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connected)
        try:
            await self._converse(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()
            await asyncio.sleep(0)  # in the next round the transport closes its socket

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline() or "{}")
        reply = self._reply(asked)
        while reply is None and not reader.at_eof():
            await asyncio.sleep(TICK_S)
            reply = self._reply(asked)
        if reply is not None:
            told = {"code": reply.code, "output": reply.output, "text": reply.text}
            writer.write(json.dumps(told).encode() + b"\n")
            await writer.drain()

    def _reply(self, asked: dict[str, object]) -> Reply | None:
        """The answer at this instant; None: the monitors have no quorum."""
        self._advance()
        monitors = self._twin.devices.get(f"{DEVICE}{asked.get('ceph')}")
        words = asked.get("words")
        if not isinstance(monitors, Monitors) or not isinstance(words, list):
            return Reply(-errno.EINVAL, "", f"there is no cluster {asked.get('ceph')}")
        try:
            reply = monitors.line(self._twin, [str(word) for word in words])
        except NoQuorum:
            return None
        self._twin.settle()
        return reply
