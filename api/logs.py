"""Where the controller's log goes when a verb runs it: to stderr, since stdout is the result."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict

from lab.printable import printable_lines


def log_to_stderr() -> None:
    """One event per line: a fixed phrase and fields. Colour on a terminal only."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _printable(_logger: object, _name: str, event: EventDict) -> EventDict:
    """What devices and people wrote can't steer the terminal."""
    return {
        key: printable_lines(each) if isinstance(each, str) else each for key, each in event.items()
    }
