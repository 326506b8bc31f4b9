"""A place on loopback that a served device keeps, whether it listens there or not.

A device that is off refuses connections: nobody listens at its place, and yet nobody else may take
it, such as another lab that looks for a free port. So a socket that never listens holds it. Source:
ip(7), SO_REUSEADDR.
"""

from __future__ import annotations

import socket


class Place:
    """An address and a port. `port` 0 takes a free one."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._holder: socket.socket | None = None

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    def take(self) -> None:
        """Hold it until `leave`. Raises OSError if somebody else has it."""
        self._holder = self.bound()
        self.port = self._holder.getsockname()[1]

    def bound(self) -> socket.socket:
        """A socket to listen with. Raises OSError."""
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self.address, self.port))
        except OSError:
            bound.close()
            raise
        return bound

    def leave(self) -> None:
        """Let others have it."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None
