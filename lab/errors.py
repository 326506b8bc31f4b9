"""What can go wrong, as values a person can act on. The whole project raises only these.

`VlabError` has four children by whose move it is: the author (`Invalid`), the world
(`DeviceError`), the policy (`Refused`) and ourselves (`Interrupted`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.printable import printable


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written: a file of the tree, 1-based line and column."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what was written: where, what, why it matters, how to fix it."""

    place: Place | None
    what: str
    why: str = ""
    fix: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        head = f"{self.place}: " if self.place else ""
        mark = "" if self.severity == "error" else "warning: "
        lines = [f"{head}{mark}{self.what}"]
        lines += [f"  why: {self.why}"] if self.why else []
        lines += [f"  fix: {self.fix}"] if self.fix else []
        return "\n".join(printable(line) for line in lines)


class VlabError(Exception):
    """Every error of this project that a person can meet."""


class Invalid(VlabError):
    """What somebody wrote can't be used; carries every problem found at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class LabInvalid(Invalid):
    """The desired state, or a scenario, does not load."""


class DeviceError(VlabError):
    """A device did not do what was asked. `retryable`: the same call may succeed later."""

    def __init__(self, device: str, what: str, *, retryable: bool = False, status: int = 0) -> None:
        super().__init__(f"{device}: {what}")
        self.device = device
        self.what = what
        self.retryable = retryable
        self.status = status


class Refused(VlabError):
    """Policy says no: the gate, a lock, a stale plan, a missing approval."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(f"{what}\n  fix: {fix}" if fix else what)
        self.what = what
        self.fix = fix


class Interrupted(VlabError):
    """We were asked to stop; what was begun is in the journal."""
