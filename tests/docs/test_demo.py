"""`vlab demo`, which the first page promises: to its end without a terminal, to Ctrl-C with one."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.docs.stages import HERE
from tests.docs.transcript import environment
from tests.stories.site import LUFFY, tree

PAGE = re.compile(r"status page: (http://127\.0\.0\.1:\d+/)")
PATIENCE_S = 300


@contextmanager
def demo(
    folder: Path, desired: Path, stdin: int, variables: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """`vlab demo` in a session of its own, which is ended with the context."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "vlab", "demo", "--tree", desired, "--port", "0"],
        env={**environment(folder / "home"), "TMPDIR": str(folder / "tmp"), **variables},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def nothing_left(process: subprocess.Popen[str], folder: Path) -> bool:
    """Whether no process of the demo lives on, and no file of it."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return not any((folder / "tmp").iterdir())
    return False


def test_without_a_terminal_the_demo_converges_shows_a_fault_and_ends(tmp_path: Path) -> None:
    with demo(tmp_path, HERE / "desired-state", subprocess.DEVNULL, {"CI": "true"}) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert out.startswith("in sync\n")
    assert "fail-node pve2" in out
    assert "guest zoro         runs on pve3" in out
    assert "verdict: safe" in out
    assert PAGE.search(out.splitlines()[-1])
    assert "pass 2: in sync, 0 operations" in err
    assert nothing_left(process, tmp_path)


def test_on_a_terminal_the_demo_serves_its_page_until_it_is_interrupted(tmp_path: Path) -> None:
    for name, content in tree(LUFFY).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    ours, theirs = pty.openpty()
    with demo(tmp_path, tmp_path / "desired-state", theirs, {}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        page = next(found[1] for line in process.stdout if (found := PAGE.search(line)))
        assert any("Ctrl-C ends the demo" in line for line in process.stderr)
        assert httpx.get(page, trust_env=False, timeout=60).status_code == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, err
    assert nothing_left(process, tmp_path)
