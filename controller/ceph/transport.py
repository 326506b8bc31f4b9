"""Two ways to a cluster's monitors: librados, or the `ceph` command; the same commands as JSON.

librados answers in milliseconds and keeps its connection; its Python module comes with the system
(Debian: python3-rados) and is looked for there. The command starts a process for every question.
Both may wait for monitors that have no quorum, so both are given a time; librados takes it from its
options alone and ignores what a call says (16.2), so there it is one for all commands.
"""

from __future__ import annotations

import errno
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, Protocol

from controller.step import Json

SYSTEM = ("/usr/lib/python3/dist-packages", "/usr/lib64/python3/site-packages")
CONNECT_S = 5.0
ANSWER_S = 30.0
ERROR = re.compile(r"^Error (E[A-Z]+): ?(.*)", re.DOTALL | re.MULTILINE)


class NoAnswer(Exception):
    """Nobody answered in time, or the way there is broken; what was asked may still happen."""


@dataclass(frozen=True)
class Answer:
    """`code` 0 or a positive errno; `output` as it came; `text` for people."""

    code: int
    output: str
    text: str


class Transport(Protocol):
    """One way. `overheard`: whether everybody on this machine sees the arguments."""

    @property
    def overheard(self) -> bool: ...

    def command(self, prefix: str, args: Mapping[str, Json], timeout_s: float) -> Answer:
        """Send a command. Raises NoAnswer."""


def rados_module() -> ModuleType | None:
    """librados for this interpreter; None if the system has none that it can load."""
    places = [*sys.path, *SYSTEM]
    spec = importlib.machinery.PathFinder.find_spec("rados", places)
    if spec is None or spec.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None  # made for another version of Python
    return module


class Librados:
    """A connection that is opened at the first command and kept."""

    overheard = False

    def __init__(self, rados: ModuleType, conf: Path, client: str, keyring: Path | None) -> None:
        self._rados: Any = rados
        self._how = {"conffile": str(conf), "name": client}
        self._keyring = keyring
        self._lock = Lock()
        self._cluster: Any = None

    def command(self, prefix: str, args: Mapping[str, Json], timeout_s: float) -> Answer:
        text = json.dumps({"prefix": prefix, "format": "json", **args})
        try:
            cluster = self._connected()
            code, output, told = cluster.mon_command(text, b"")
        except self._rados.Error as error:
            raise NoAnswer(str(error)) from error
        if -code in (errno.ETIMEDOUT, errno.ENOTCONN, errno.EINTR):
            raise NoAnswer(os.strerror(-code))
        return Answer(abs(code), output.decode(errors="backslashreplace"), told)

    def _connected(self) -> Any:
        with self._lock:
            if self._cluster is None:
                conf = {
                    "client_mount_timeout": f"{CONNECT_S:.0f}",
                    "rados_mon_op_timeout": f"{ANSWER_S:.0f}",
                    **({"keyring": str(self._keyring)} if self._keyring else {}),
                }
                cluster = self._rados.Rados(**self._how, conf=conf)
                cluster.connect()
                self._cluster = cluster
            return self._cluster


class CephCommand:
    """The `ceph` command: `argv` is how to call it, with the options that lead to the cluster."""

    overheard = True  # in the list of processes

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = tuple(argv)

    def command(self, prefix: str, args: Mapping[str, Json], timeout_s: float) -> Answer:
        words = [word for name, value in args.items() for word in _words(name, value)]
        argv = (*self._argv, *prefix.split(), *words, "--format", "json")
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                encoding="utf-8",
                errors="backslashreplace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NoAnswer(f"no answer within {timeout_s:.0f} s") from error
        except OSError as error:
            raise NoAnswer(f"{argv[0]}: {error.strerror}") from error
        if done.returncode == 0:
            return Answer(0, done.stdout, done.stderr.strip())
        if (found := ERROR.search(done.stderr)) is None:  # it did not come to a command
            raise NoAnswer(done.stderr.strip() or f"ceph ended with {done.returncode}")
        code = getattr(errno, found[1], done.returncode)
        if code in (errno.ETIMEDOUT, errno.ENOTCONN, errno.EINTR):
            raise NoAnswer(found[2].strip())
        return Answer(code, done.stdout, found[2].strip())


def _words(name: str, value: Json) -> list[str]:
    """An argument on a command line, by its name."""
    option = f"--{name.replace('_', '-')}" if value is True else f"--{name}"
    match value:
        case True:
            return [option]
        case list() | tuple():
            return [option, *map(str, value)]
        case _:
            return [option, str(value)]
