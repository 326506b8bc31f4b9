"""A controller's process that dies: `python -m tests.stories.killed SETTINGS N`.

One pass, and SIGKILL to itself as soon as the Nth record of the journal is safe; without N it
lives. Prints how many records it wrote.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from controller.installation import install
from controller.journal import FileJournal, Journal, Record
from controller.settings import read_settings
from tests.stories.site import passes


def every(records: int) -> int:
    """How many records of the journal are between two deaths, unless VLAB_KILL_EVERY says so."""
    return int(os.environ.get("VLAB_KILL_EVERY", records))


def main(settings: Path, last: int) -> None:
    """One pass of a process that lives until its journal has `last` records; 0: to the end."""
    written = 0
    write = FileJournal.write

    def count(journal: Journal, record: Record) -> None:
        nonlocal written
        write(journal, record)
        written += 1
        if written == last:
            os.kill(os.getpid(), signal.SIGKILL)

    FileJournal.write = count  # type: ignore[method-assign, assignment]
    with install(read_settings(settings)) as parts:
        passes(parts)
    sys.stdout.write(f"{written}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
