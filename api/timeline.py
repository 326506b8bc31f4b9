"""A report as an administrator reads it: text, Markdown or JSON.

Behind `vlab simulate` and the comments of `vlab check`. Only lays out what
`simulator/outcome/report.py` holds. Colour is for terminals and never the only signal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from lab.printable import printable
from simulator.outcome.report import LostRedundancy, Outage, Overcommit, Report, gibibytes

FORMAT_VERSION = 1

RED, GREEN, BOLD, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[0m"  # ECMA-48, SGR


def render(report: Report, form: str, *, colour: bool = False) -> str:
    """The whole report as `text`, `markdown` or `json`, ending in a newline; `colour` is for text.

    Raises ValueError for another form.
    """
    match form:
        case "json":
            return json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n"
        case "markdown":
            return "\n".join(_markdown(report)) + "\n"
        case "text":
            return "\n".join(_painted(*line, colour=colour) for line in _text(report)) + "\n"
    raise ValueError(f"{form!r} is no form of a report; use text, markdown or json")


def as_json(report: Report) -> dict[str, Any]:
    """Plain data under a stable schema; its `format_version` grows when it changes."""
    verdict = report.verdict
    return {
        "format_version": FORMAT_VERSION,
        "faults": [str(fault) for fault in report.faults],
        "seed": report.seed,
        "until_s": report.until_s,
        "settled": report.settled,
        "events": [asdict(event) for event in report.events],
        "outages": [asdict(outage) for outage in report.outages],
        "lost_redundancy": [asdict(lost) for lost in report.lost],
        "overcommit": [asdict(overcommit) for overcommit in report.overcommit],
        "down_before": list(report.down_before),
        "verdict": {
            "name": verdict.name,
            "findings": [asdict(finding) for finding in verdict.findings],
            "unjudged": list(verdict.unjudged),
        },
        "rests_on": list(report.rests_on),
    }


def _faults(report: Report) -> str:
    return " ".join(str(fault) for fault in report.faults)


def _painted(text: str, code: str = "", *, colour: bool) -> str:
    text = printable(text)
    return f"{code}{text}{PLAIN}" if code and colour else text


def _text(report: Report) -> Iterator[tuple[str] | tuple[str, str]]:
    """Lines, some with their colour."""
    yield _faults(report), BOLD
    yield ("",)
    width = max((len(event.subject) for event in report.events), default=0)
    for event in report.events:
        yield (f"+{event.at_s:7.1f}s  {event.subject:{width}}  {event.text}",)
    yield (f"+{report.until_s:7.1f}s  {_end(report)}",)
    for title, rows in _tables(report):
        yield ("",)
        yield title, BOLD
        width = max(len(row[0]) for row in rows)
        for row in rows:
            yield (f"  {row[0]:{width}}  {'  '.join(row[1:])}".rstrip(),)
    yield ("",)
    yield from ((line,) for line in _others(report))
    yield ("",)
    yield f"verdict: {report.verdict.name}", GREEN if report.verdict.safe else RED
    yield from ((f"  {line}",) for line in _reasons(report))
    yield ("rests on",)
    yield from ((f"  {line}",) for line in report.rests_on)


def _markdown(report: Report) -> Iterator[str]:
    yield f"### `{_faults(report)}`: {report.verdict.name}"
    yield ""
    yield from (f"- {escaped(line)}" for line in _reasons(report))
    for title, rows in _tables(report):
        yield from table((title, *[""] * (len(rows[0]) - 1)), rows)
    yield ""
    yield from (f"- {escaped(line)}" for line in _others(report))
    yield ""
    yield "<details><summary>Timeline</summary>"
    yield from table(
        ("at", "what", "happens"),
        [(f"+{event.at_s:.1f} s", event.subject, event.text) for event in report.events]
        + [(f"+{report.until_s:.1f} s", "", _end(report))],
    )
    yield ""
    yield "</details>"
    yield ""
    yield "Rests on:"
    yield from (f"- {escaped(line)}" for line in report.rests_on)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table, after an empty one."""
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows)


def escaped(text: str) -> str:
    """Text that Markdown leaves as it is, whatever people call their guests."""
    return "".join(f"\\{sign}" if sign in r"\|`*_<>[]#" else sign for sign in text)


def _end(report: Report) -> str:
    return "nothing more will happen" if report.settled else "the run ends here"


def _tables(report: Report) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Titles and rows, of what there is."""
    if rows := [_outage_row(outage) for outage in report.outages if _hurt(outage)]:
        yield "outages", rows
    if rows := [_lost_row(lost) for lost in report.lost]:
        yield "lost redundancy", rows
    if rows := [_memory_row(overcommit) for overcommit in report.overcommit]:
        yield "memory overcommitted", rows


def _hurt(outage: Outage) -> bool:
    return outage.ongoing or outage.outage_s > 0


def _others(report: Report) -> Iterator[str]:
    """What is in no table: unhurt, or not serving before."""
    if unhurt := [outage.subject for outage in report.outages if not _hurt(outage)]:
        yield f"no outage: {', '.join(unhurt)}"
    if report.down_before:
        yield f"served nobody before the faults, not counted: {', '.join(report.down_before)}"


def _outage_row(outage: Outage) -> tuple[str, ...]:
    if outage.ongoing:
        return outage.subject, f"{outage.outage_s:7.1f} s", f"and not back: {outage.reason}"
    return outage.subject, f"{outage.outage_s:7.1f} s", ""


def _lost_row(lost: LostRedundancy) -> tuple[str, ...]:
    return lost.subject, lost.text, _span(lost.from_s, lost.until_s)


def _memory_row(overcommit: Overcommit) -> tuple[str, ...]:
    allowed = f"{gibibytes(overcommit.allowed_bytes)} allowed" if overcommit.allowed_bytes else ""
    span = _span(overcommit.from_s, overcommit.until_s)
    return f"node {overcommit.node}", overcommit.text, span, *([allowed] if allowed else [])


def _span(from_s: float, until_s: float | None) -> str:
    end = "to the end" if until_s is None else f"to +{until_s:.1f} s"
    return f"from +{from_s:.1f} s {end}"


def _reasons(report: Report) -> Iterator[str]:
    for finding in report.verdict.findings:
        yield f"{finding.place}: {finding.text}" if finding.place else finding.text
    yield from (f"not judged: {reason}" for reason in report.verdict.unjudged)
