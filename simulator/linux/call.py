"""One command being run on a host: its words, its input, what it has said so far.

`Programs` is the table that the area modules fill. A program that belongs to a package exists
while the package is installed; administrators' programs are on the path of root alone, as on
Debian. Leaves out: the environment, signals, anything that runs on in the background.
"""

from __future__ import annotations

import getopt
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from simulator.linux.state import HostState

if TYPE_CHECKING:
    from simulator.linux.files import Files
    from simulator.linux.host import LinuxHost
    from simulator.linux.run import Shell
    from simulator.twin import Twin

SBIN = ("/usr/sbin", "/sbin")
BIN = ("/usr/bin", "/bin")


def word_set(text: str) -> frozenset[str]:
    """The words of a table written as one text."""
    return frozenset(text.split())


class Result(NamedTuple):
    """What a command leaves behind."""

    status: int
    stdout: str = ""
    stderr: str = ""


class Failed(Exception):
    """The command ends with this status; its text, if any, goes to stderr as it is."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass
class Call:
    """A command on its way. `args` are the words after its name."""

    shell: Shell
    name: str
    args: Sequence[str]
    stdin: str = ""
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    @property
    def host(self) -> LinuxHost:
        """Where it runs."""
        return self.shell.host

    @property
    def twin(self) -> Twin:
        """The world around the host."""
        return self.shell.twin

    @property
    def user(self) -> str:
        """Who runs it."""
        return self.shell.user

    @property
    def state(self) -> HostState:
        """What the host remembers."""
        return self.host.state

    @property
    def files(self) -> Files:
        """The file tree as the user sees it."""
        return self.host.files(self.twin, self.user)

    def say(self, text: str) -> None:
        """A line on stdout."""
        self.out.append(f"{text}\n")

    def complain(self, text: str) -> None:
        """A line on stderr, after the command's name."""
        self.err.append(f"{self.name}: {text}\n")

    def fail(self, text: str, status: int = 1) -> Failed:
        """The command's end, with a line on stderr after its name."""
        return Failed(status, f"{self.name}: {text}\n")

    def options(self, short: str, *long: str, status: int = 1) -> tuple[Options, list[str]]:
        """Options and operands, as getopt_long(3) splits them. Raises Failed."""
        try:
            found, operands = getopt.gnu_getopt(list(self.args), short, list(long))
        except getopt.GetoptError as error:
            raise self.fail(_worded(error), status) from error
        return Options(found), operands

    def need_root(self, text: str, status: int = 1) -> None:
        """Raises Failed unless root asks."""
        if self.user != "root":
            raise Failed(status, f"{text}\n")


class Options:
    """The options that were given, by any of their names: `-n`, `--name`."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        self._found = found

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self._found)

    def any(self, *names: str) -> bool:
        """Whether one of these was given."""
        return any(known in names for known, _ in self._found)

    def get(self, *names: str, default: str = "") -> str:
        """The value of the last of these that was given."""
        return next((value for known, value in reversed(self._found) if known in names), default)

    def all(self, *names: str) -> list[str]:
        """Every value given for these."""
        return [value for known, value in self._found if known in names]


def _worded(error: getopt.GetoptError) -> str:
    long = len(error.opt) > 1
    shown = f"--{error.opt}" if long else error.opt
    if "requires argument" in error.msg:
        return f"option {'' if long else 'requires an argument -- '}'{shown}'" + (
            " requires an argument" if long else ""
        )
    return f"unrecognized option '{shown}'" if long else f"invalid option -- '{shown}'"


Handler = Callable[[Call], int | None]


@dataclass(frozen=True)
class Program:
    """A program of the host, in one of `folders`; there with `package`, empty: always."""

    name: str
    handler: Handler
    package: str
    folders: tuple[str, ...]


@dataclass
class Programs:
    """The programs of one area."""

    all: dict[str, Program] = field(default_factory=dict)

    def add(
        self, names: str, package: str = "", folders: tuple[str, ...] = BIN
    ) -> Callable[[Handler], Handler]:
        """Let the decorated function be these programs; None as its status means 0."""

        def register(handler: Handler) -> Handler:
            for name in names.split():
                self.all[name] = Program(name, handler, package, folders)
            return handler

        return register


def lookup(
    known: dict[str, Program], state: HostState, word: str, *, as_root: bool
) -> Program | None:
    """The program that a word names for a user; None if there is none on the path."""
    program = known.get(posixpath.basename(word))
    if program is None or (program.package and program.package not in state.packages):
        return None
    if "/" in word:
        return program if posixpath.dirname(word) in program.folders else None
    return program if as_root or BIN[0] in program.folders else None
