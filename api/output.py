"""Writing results to stdout and talk to stderr, the same way for every verb."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from lab.errors import Problem
from lab.printable import printable_lines

FORMAT_VERSION = 1


def say(text: str) -> None:
    """Talk: progress and problems."""
    sys.stderr.write(f"{printable_lines(text)}\n")
    sys.stderr.flush()


def result(text: str, *, coloured: bool = False) -> None:
    """The result. `coloured`: it has been made printable, before its colours came in."""
    text = text if coloured else printable_lines(text)
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def result_json(data: Mapping[str, object]) -> None:
    """The result for machines; keys only ever get more within one format version."""
    result(json.dumps({"format_version": FORMAT_VERSION, **data}, indent=2, ensure_ascii=False))


def result_problems(found: Iterable[Problem]) -> None:
    """The problems of what was written, for machines."""
    result_json({"problems": [asdict(problem) for problem in found]})
