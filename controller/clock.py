"""Time as the controller knows it; passed in, so that a rehearsal costs none of it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the Unix epoch, and waiting."""

    def now(self) -> float:
        """The present instant."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


class SystemClock:
    """The wall clock; the one place of the controller that reads it."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
