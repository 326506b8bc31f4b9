"""A door: takes in who comes to a socket, each client in a task of its own, until it is shut.

asyncio's own servers (CPython 3.11), and tasks that await the next client, forget one who came in
the round of the loop in which they are ended; its socket stays open, and it waits for good.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

Greeting = asyncio.Task[None]


class Door:
    """Open from the start. `greet` speaks with a client over its socket; if it is cancelled the
    socket is closed.
    """

    def __init__(
        self,
        listening: socket.socket,
        greet: Callable[[socket.socket], Coroutine[Any, Any, None]],
    ) -> None:
        self._socket = listening
        self._greet = greet
        self._greetings: set[Greeting] = set()
        listening.setblocking(False)
        listening.listen()
        asyncio.get_running_loop().add_reader(listening, self._accept)

    async def shut(self) -> None:
        """Take in nobody any more, and end every greeting."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        greetings = list(self._greetings)
        for greeting in greetings:
            greeting.cancel()
        await asyncio.gather(*greetings, return_exceptions=True)

    def _accept(self) -> None:
        with suppress(OSError):  # it has gone again
            connected, _ = self._socket.accept()
            connected.setblocking(False)
            greeting = asyncio.create_task(self._greet(connected))
            self._greetings.add(greeting)
            greeting.add_done_callback(self._greetings.discard)
            greeting.add_done_callback(partial(_let_go, connected))


def _let_go(connected: socket.socket, greeting: Greeting) -> None:
    """Close the socket of a greeting that was cancelled: it may not even have begun."""
    if greeting.cancelled():
        connected.close()


async def turn_away(listening: socket.socket) -> None:
    """Take in nobody any more for a server of asyncio's, so that it can be closed: who was taken in
    in this round of the loop gets a transport first, and who still waits hears the end at once.

    A client that is reset before it begins TLS loses its socket (CPython 3.11, SSLSocket._create).
    """
    asyncio.get_running_loop().remove_reader(listening)
    with suppress(OSError):
        while True:
            listening.accept()[0].close()
    await asyncio.sleep(0)
