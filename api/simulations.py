"""`vlab simulate`: faults from the command line or stories from files, over the desired state."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from api import spread as spreads
from api.exits import Exit
from api.output import result, result_json
from api.timeline import render
from lab.faults import parse_faults
from lab.load import load_tree
from lab.tree import read_tree
from lab.units import parse_duration
from simulator.outcome.scenario import run_scenario
from simulator.outcome.simulate import simulate as run
from simulator.outcome.spread import spread


def simulate(
    tree: Path,
    words: Sequence[str],
    at: str | None,
    restore_at: str | None,
    seed: int,
    output: str,
) -> int:
    """One run; 0 for safe, 3 for unsafe."""
    lab = load_tree(tree)
    try:
        faults = parse_faults(words, _seconds(at), _seconds(restore_at))
        report = run(lab, faults, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    text = render(report, output, colour=sys.stdout.isatty())
    result(text, coloured=output == "text")
    return Exit.FINE if report.verdict.safe else Exit.UNSAFE


def over_seeds(
    tree: Path,
    words: Sequence[str],
    at: str | None,
    restore_at: str | None,
    seeds: range,
    output: str,
) -> int:
    """A run under each seed; 0 if all are safe, 3 if one is not."""
    lab = load_tree(tree)
    try:
        faults = parse_faults(words, _seconds(at), _seconds(restore_at))
        done = spread(lab, faults, seeds)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    result(spreads.render(done, output))
    return Exit.FINE if done.safe else Exit.UNSAFE


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text)


def scenarios(tree: Path, paths: Sequence[Path], seed: int, output: str) -> int:
    """Each story in turn; 0 if all came as written, 2 if one differs."""
    files = read_tree(tree)
    results = []
    for path in paths:
        if not path.is_file():
            raise typer.BadParameter(f"{path} is no scenario file")
        results.append(run_scenario(path, files, seed=seed))
    if output == "json":
        result_json(
            {
                "scenarios": [
                    {
                        "file": done.scenario.file,
                        "title": done.scenario.written.title,
                        "differences": list(done.differences),
                        "report": json.loads(render(done.report, "json")),
                    }
                    for done in results
                ]
            }
        )
    else:
        for done in results:
            result(f"{'as told' if done.equal else 'DIFFERS'}  {done.scenario.written.title}")
            for difference in done.differences:
                result(f"         {difference}")
    return Exit.FINE if all(done.equal for done in results) else Exit.DIFFERENT
