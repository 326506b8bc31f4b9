"""The HA core against the regression cases of pve-ha-manager: logs, line for line.

A case is a folder in upstream's format; its own test folder can be named as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from simulator.cluster.case import read_case
from simulator.cluster.suite import play
from simulator.fidelity.case import Case, Verdict

_WARNING = re.compile(r"warning +\d+ +hardware: overcommitted ")
CONTEXT = 2
"""Lines shown before the first that differs."""


def cases(cmdlist: Path) -> Iterator[Case]:
    """The case that this list of commands belongs to; raises VlabError if it is malformed."""
    case = read_case(cmdlist.parent)
    ours, expected = _compared(play(case.cluster, case.entries)), _compared(case.expected)
    if ours == expected:
        yield Case(case.name, Verdict.EQUAL)
    else:
        yield Case(case.name, Verdict.DIFFERENT, difference(expected, ours))


def _compared(log: str) -> str:
    """The log without the warnings of its simulator's hardware, which come in no fixed order."""
    lines = log.splitlines(keepends=True)
    return "".join(line for line in lines if not _WARNING.match(line))


def difference(expected: str, ours: str) -> str:
    """Where two logs part: the lines before, then both; `|` marks what they share."""
    pairs = list(zip_longest(expected.splitlines(True), ours.splitlines(True)))
    at = next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
    told = [f"line {at + 1}"]
    told += [f"  | {_shown(line)}" for line, _ in pairs[max(0, at - CONTEXT) : at]]
    for line in pairs[at : at + 1]:
        told += [f"  - {_shown(line[0])}", f"  + {_shown(line[1])}"]
    return "\n".join(told)


def _shown(line: str | None) -> str:
    """A line as it can be compared by eye; its end shows only where it isn't one."""
    if line is None:
        return "(the log ends)"
    return line[:-1] if line.endswith("\n") else f"{line} (without end of line)"
