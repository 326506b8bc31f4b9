"""What a way to an array is, whatever it speaks; and what went wrong on it, as our errors.

A call without an answer (status 0) may have been done. A refusal keeps the array's errno as its
status, or the HTTP status where there is none.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any, Protocol

from controller.step import Json
from lab.errors import DeviceError

PASSING = frozenset({errno.EBUSY, errno.EAGAIN})  # refusals that may be none later


class Transport(Protocol):
    """A way to call methods by position."""

    def call(self, method: str, params: Sequence[Json], timeout_s: float) -> Any:
        """The result, of a job once it has ended. Raises DeviceError."""

    def close(self) -> None:
        """Let go of what is open."""


def no_answer(device: str, method: str, why: object) -> DeviceError:
    """Nobody answered, or not in time."""
    return DeviceError(device, f"{method}: no answer: {why}", retryable=True)


def refused(device: str, method: str, number: int, why: str) -> DeviceError:
    """The array said no."""
    text = f"{method} refused: {' '.join(why.split())}"
    return DeviceError(device, text, retryable=number in PASSING, status=number)


def number_of(said: object, otherwise: int) -> int:
    """The errno that a refusal names, if it names one."""
    return said if isinstance(said, int) and said else otherwise


def told(problems: object) -> str:
    """Problems with parameters, `[[attribute, message, errno], ...]`, for people."""
    if not isinstance(problems, list):
        return ""
    each = [problem for problem in problems if isinstance(problem, list) and len(problem) >= 2]
    return "; ".join(f"{attribute}: {message}" for attribute, message, *_ in each)
