"""Running a program on a host: what the port and the things know of the way there.

A `Shell` is one host as root; SSH and the twin each give one. A question's answer is the `Output`
as plain data, since for many programs the exit status is the answer.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from controller.step import Answers, Query
from lab.errors import DeviceError

ABSENT = ("No such file or directory", "Not a directory")


@dataclass(frozen=True)
class Output:
    """What a program left behind."""

    status: int
    stdout: str = ""
    stderr: str = ""

    @property
    def told(self) -> str:
        """What it said of a failure, in one line."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines()]
        return "; ".join(line for line in lines if line)[:400] or "it said nothing"

    @property
    def absent(self) -> bool:
        """Whether it failed only because a file is not there."""
        lines = self.stderr.splitlines()
        return bool(lines) and all(line.endswith(ABSENT) for line in lines)

    @property
    def missing(self) -> bool:
        """Whether there is no such program on the host."""
        return self.status == 127 or self.stderr.rstrip().endswith(": command not found")

    @property
    def data(self) -> dict[str, Any]:
        """As an answer is kept."""
        return asdict(self)


class Shell(Protocol):
    """A host, as root."""

    def run(self, argv: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> Output:
        """Run a program. Raises DeviceError, with status 0, if it may or may not have run."""

    def runs(self, argv: Sequence[str]) -> bool:
        """Whether a program started with these very words is still at work. Raises DeviceError."""

    def close(self) -> None:
        """Let go of the way there."""


def asked(*argv: str, about: str = "") -> Query:
    """A program that only reads, as a question."""
    return Query(shlex.join(argv), about=about)


def output(answers: Answers, query: Query) -> Output:
    """What was answered to a question that was asked."""
    return _output(answers[query.text])


def _output(answer: Any) -> Output:
    return Output(int(answer["status"]), str(answer["stdout"]), str(answer["stderr"]))


def outputs(answers: Answers, begin: Query) -> Iterator[tuple[str, Output]]:
    """The last word and the output of every question that is `begin` and one word more."""
    head = shlex.split(begin.path)
    for text, answer in answers.items():
        if text.startswith(begin.path):
            words = shlex.split(text)
            if words[:-1] == head:
                yield words[-1], _output(answer)


def succeeded(device: str, query: Query, found: Output, *, done: tuple[int, ...] = (0,)) -> Output:
    """The output of a program that must not fail. Raises DeviceError."""
    if found.status not in done:
        raise DeviceError(device, f"{query.path}: exit status {found.status}: {found.told}")
    return found
