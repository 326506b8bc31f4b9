"""The `ceph` command of a served lab: its words go to the lab's monitors, the answer comes back.

Written beside the lab's socket as an executable file, so that an administrator, or any program that
calls `ceph`, works on the lab as on a real cluster. As there, `--conf` says which cluster: the file
is called as the cluster is. Answers are JSON, whatever `--format` asks for.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
from pathlib import Path
from typing import Any

from simulator.served.unixsocket import short

VALUED = {"-c": "conf", "--conf": "conf", "-n": "name", "--name": "name", "--id": "name",
          "-k": "keyring", "--keyring": "keyring", "--connect-timeout": "timeout",
          "-f": "format", "--format": "format"}  # fmt: skip
PROGRAM = """#!{python}
import sys
sys.path.insert(0, {root!r})
from simulator.mon.program import main
sys.exit(main({socket!r}, sys.argv[1:]))
"""


def write(folder: Path, control: Path) -> Path:
    """The program in a folder, leading to a socket."""
    path, root = folder / "ceph", str(Path(__file__).resolve().parents[2])
    path.write_text(PROGRAM.format(python=sys.executable, root=root, socket=str(control)))
    path.chmod(0o755)
    return path


def main(control: str, argv: list[str]) -> int:
    """Exit code as that of `ceph`: the errno of a refusal, 1 if nobody answers."""
    options, words = _parted(argv)
    name = Path(options.get("conf", "ceph.conf")).stem
    timeout_s = float(options.get("timeout", "300"))
    try:
        told = _asked(Path(control), {"ceph": name, "words": words}, timeout_s)
    except OSError:
        sys.stderr.write("[errno 110] RADOS timed out (error connecting to the cluster)\n")
        return 1
    sys.stdout.write(told["output"])
    if told["code"]:
        word = errno.errorcode.get(-told["code"], "EUNKNOWN")
        sys.stderr.write(f"Error {word}: {told['text']}\n")
    elif told["text"]:
        sys.stderr.write(f"{told['text']}\n")
    return -int(told["code"])


def _parted(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options of the program itself, and the words of the command."""
    options: dict[str, str] = {}
    words: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        name, _, value = word.partition("=")
        if name in VALUED:
            options[VALUED[name]] = value or (left.pop(0) if left else "")
        else:
            words.append(word)
    return options, words


def _asked(control: Path, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(timeout_s)
        with short(control) as path:
            link.connect(path)
        link.sendall(json.dumps(question).encode() + b"\n")
        line = link.makefile("rb").readline()
    if not line:
        raise ConnectionResetError
    answer: dict[str, Any] = json.loads(line)
    return answer
