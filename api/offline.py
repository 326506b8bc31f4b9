"""The verbs that need nothing but the files: validate, fmt, schema."""

from __future__ import annotations

import json
from pathlib import Path

from api.exits import Exit
from api.output import result, result_problems, say
from api.timeline import escaped
from lab.errors import LabInvalid, Problem
from lab.load import load
from lab.rules import problems as judge
from lab.tree import read_tree


def validate(tree: Path, output: str) -> int:
    """Every problem and warning of the tree."""
    try:
        files = read_tree(tree)
        found = judge(load(files)) if files else (_nothing(tree),)
    except LabInvalid as invalid:
        found = invalid.problems
    errors = sum(problem.severity == "error" for problem in found)
    if output == "json":
        result_problems(found)
    elif output == "markdown":
        result(
            "\n".join(
                f"- {problem.severity} `{problem.place or tree}` {escaped(problem.what)}"
                for problem in found
            )
            or "No problems."
        )
    else:
        for problem in found:
            result(_shown(problem, tree))
        warnings = len(found) - errors
        result(f"{tree}: {_counted(errors, 'error')}, {_counted(warnings, 'warning')}")
    return Exit.FAILED if errors else Exit.FINE


def _nothing(tree: Path) -> Problem:
    what, fix = f"{tree} holds no .yaml file", "name the tree with --tree"
    return Problem(None, what, "nothing is declared", fix, "warning")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shown(problem: Problem, tree: Path) -> str:
    return f"{tree}/{problem}" if problem.place else str(problem)


def fmt(tree: Path, *, check: bool) -> int:
    """Write each file in its usual form; with `check` only name those that differ."""
    from lab.format import format_file

    changed = 0
    for name, content in read_tree(tree).items():
        new = format_file(name, content)
        if new != content:
            changed += 1
            result(str(tree / name))
            if not check:
                (tree / name).write_bytes(new)
    say(f"{_counted(changed, 'file')} {'would change' if check else 'changed'}")
    return Exit.DIFFERENT if check and changed else Exit.FINE


def schema() -> int:
    """The JSON Schema, with the cost of changing each field joined in."""
    from controller.families import all_costs
    from lab.schema import schema as schema_of

    result(json.dumps(schema_of(all_costs()), indent=2))
    return Exit.FINE
