"""A host's SSH server in a loop of the test's own: what happens in one and the same round of it."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.linux.ssh import SshServer
from simulator.served.authority import Authority
from tests.simulator.linux_hosts import hosts


@pytest.mark.parametrize("rounds", range(6))
def test_who_connects_while_the_host_dies_is_let_go(rounds: int, tmp_path: Path) -> None:
    """However far the loop has come with a client, its socket is closed and not forgotten."""
    here = hosts()

    async def die(client: socket.socket) -> tuple[str, int]:
        server = SshServer(here.host("pve1"), here.twin, here.twin.settle, "127.0.11.1", 0)
        await server.open(Authority(tmp_path, datetime.now(UTC)))
        address = (server.place.address, server.place.port)
        client.connect(address)
        for _ in range(rounds):
            await asyncio.sleep(0)
        here.fail("fail-node pve1")
        await server.follow()
        await server.close()
        await asyncio.sleep(0)  # in the next round the aborted transports close their sockets
        return address

    with socket.socket() as client:
        address = asyncio.run(die(client))
        client.settimeout(60)
        with suppress(ConnectionResetError):
            while client.recv(100):
                pass
    gc.collect()  # what was forgotten warns, which is an error
    with socket.socket() as late, pytest.raises(ConnectionRefusedError):
        late.connect(address)
