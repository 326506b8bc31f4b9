"""Exit codes: what a shell learns from every command. The same everywhere."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """0 is fine; everything else says by whose move it is."""

    FINE = 0
    FAILED = 1  # invalid input, or a device failed
    DIFFERENT = 2  # a difference exists
    UNSAFE = 3  # the verdict says unsafe
    REFUSED = 4  # a window, a lock, a missing approval
    STALE = 5  # the plan no longer fits what is there
    USAGE = 64  # wrong usage (EX_USAGE of sysexits.h)
