"""A private PostgreSQL for tests, where the distribution's server is installed.

It listens on a socket in its own folder alone: a port that was free could be taken by then.

PostgreSQL does not run as root; then it runs as `nobody`, in a folder that is gone afterwards.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> Path:
    """The newest server's folder of programs; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server here (apt-get install postgresql)")
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and setpriv is not here")
    return found[-1].parent


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="vlab-postgres-"))
    as_whom: list[str] = []
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        groups = f"--regid={nobody.pw_gid}"
        as_whom = ["setpriv", f"--reuid={nobody.pw_uid}", groups, "--clear-groups"]
        as_whom += ["--pdeathsig=QUIT"]  # should the tests be killed, so is the server
    try:
        yield from _serve(programs(), folder, as_whom)
    finally:
        shutil.rmtree(folder)


def _serve(bin_: Path, folder: Path, as_whom: list[str]) -> Iterator[str]:
    data = folder / "data"
    subprocess.run(
        [*as_whom, bin_ / "initdb", "-D", data, "-U", "vlab", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},  # so its encoding is the odd SQL_ASCII
    )
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder)]
    with subprocess.Popen(
        [*as_whom, bin_ / "postgres", "-D", data, *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={"LC_ALL": "C"},
    ) as server:
        assert server.stderr is not None
        rest = threading.Thread(target=server.stderr.read)  # or the pipe fills up, and it waits
        try:
            for line in server.stderr:
                if "ready to accept connections" in line:
                    break
            else:
                pytest.fail("PostgreSQL did not start")
            rest.start()
            yield f"postgresql://vlab@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
            if rest.ident is not None:
                rest.join()
