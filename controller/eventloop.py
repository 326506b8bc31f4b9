"""One event loop in a thread, for protocols whose libraries are asyncio's, as all else here waits.

One thread reads and writes a connection, as TLS needs it: OpenSSL's objects are not for two threads
at a time (openssl-threads(7)), and blocking websocket clients read in a thread of their own. One in
some thousands of their handshakes then waits for good, or ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class EventLoop:
    """An event loop in a thread that ends with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="connections", daemon=True).start()

    def wait(self, work: Coroutine[Any, Any, Result], timeout_s: float) -> Result:
        """The result of work. Raises TimeoutError, and what the work raises."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise


@cache
def event_loop() -> EventLoop:
    """The one of this process, for all devices."""
    return EventLoop()
