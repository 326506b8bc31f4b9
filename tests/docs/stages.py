"""Where each document is run: a folder like the one its reader is in.

`python -m tests.docs.stages FILE...` writes what is said today into the blocks of these documents
that show something else: new figures into the old lines, or if more than figures has changed
everything, to be shortened by `...` afterwards.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.transcript import Said, mended, run, typed

HERE = Path(__file__).parents[2]
RUN = (
    "README.md",
    "docs/tutorial/first-change.md",
    "docs/tutorial/watch-it-work.md",
    "docs/how-to/add-a-group.md",
    "docs/how-to/adopt-a-running-lab.md",
    "docs/how-to/break-the-served-lab.md",
    "docs/how-to/describe-your-lab.md",
)
"""Documents with console blocks: each is run from top to bottom."""

TIMEOUT_S = 300.0
SERVED = ("127.0.11.1", 8006)
"""Where documents that serve a lab do so."""


def result(document: str, folder: Path) -> list[Said]:
    """What comes of a document in a copy of what its reader has."""
    clone, home = folder / "vlab", folder / "home"
    home.mkdir()
    shutil.copytree(HERE / "desired-state", clone / "desired-state")
    return run(typed((HERE / document).read_text()), clone, home, TIMEOUT_S)


@contextmanager
def ports() -> Iterator[str]:
    """The ports that documents name, for one run at a time; the value: why they can't be had."""
    with (Path(tempfile.gettempdir()) / "vlab-documents.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with socket.socket() as tried:
            taken = tried.connect_ex(SERVED) == 0
        yield f"another lab is served at {SERVED[0]}:{SERVED[1]}" if taken else ""


def main(documents: list[str]) -> None:
    """Bring these documents up to date."""
    for document in documents:
        path = HERE / document
        with tempfile.TemporaryDirectory() as folder, ports() as taken:
            assert not taken, taken
            said = result(document, Path(folder))
        path.write_text(mended(path.read_text(), typed(path.read_text()), said))


if __name__ == "__main__":
    main(sys.argv[1:])
