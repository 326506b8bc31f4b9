"""Outages over many seeds as an administrator reads them: text, Markdown or JSON.

Behind `vlab simulate --seeds`. Only lays out what `simulator/outcome/spread.py` holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf
from typing import Any

from api.timeline import FORMAT_VERSION, escaped, table
from simulator.outcome.spread import OutageSpread, Spread

SHOWN_SEEDS = 5


def render(spread: Spread, form: str) -> str:
    """Outages over seeds as `text`, `markdown` or `json`, ending in a newline.

    Raises ValueError for another form.
    """
    match form:
        case "json":
            return json.dumps(_json(spread), indent=2, ensure_ascii=False) + "\n"
        case "markdown":
            return "\n".join(_markdown(spread)) + "\n"
        case "text":
            return "\n".join(_text(spread)) + "\n"
    raise ValueError(f"{form!r} is no form of a report; use text, markdown or json")


def _json(spread: Spread) -> dict[str, Any]:
    """Seconds; null where it did not come back."""
    return {
        "format_version": FORMAT_VERSION,
        "faults": [str(fault) for fault in spread.faults],
        "seeds": {"from": spread.seeds[0], "count": len(spread.seeds)},
        "outages": [
            {
                "subject": one.subject,
                "runs": len(one.outages_s),
                "not_back": one.lost,
                **{
                    name: None if outage_s == inf else outage_s
                    for name, outage_s in zip(
                        ("p50_s", "p99_s", "worst_s"), _percentiles_s(one), strict=True
                    )
                },
            }
            for one in spread.outages
        ],
        "verdict": {
            "name": "safe" if spread.safe else "unsafe",
            "unsafe_seeds": [seed for seed, _ in spread.findings],
            "findings": _findings(spread),
        },
        "rests_on": list(spread.rests_on),
    }


def _percentiles_s(one: OutageSpread) -> tuple[float, float, float]:
    return one.percentile_s(50), one.percentile_s(99), one.outages_s[-1]


def _findings(spread: Spread) -> list[str]:
    """What was found under any seed, each once. Seconds differ from run to run."""
    found = {
        f"{finding.expectation} {finding.service} {finding.node}": finding.text
        for _, findings in reversed(spread.findings)
        for finding in findings
    }
    return list(reversed(found.values()))


def _rows(spread: Spread) -> list[tuple[str, ...]]:
    return [
        (
            one.subject,
            *("not back" if out_s == inf else f"{out_s:.1f} s" for out_s in _percentiles_s(one)),
            f"not back in {one.lost} of {len(one.outages_s)}" if one.lost else "",
        )
        for one in spread.outages
        if one.outages_s[-1] > 0
    ]


def _verdict(spread: Spread) -> str:
    if spread.safe:
        return f"safe under all {len(spread.seeds)} seeds"
    seeds = ", ".join(str(seed) for seed, _ in spread.findings[:SHOWN_SEEDS])
    more = ", ..." if len(spread.findings) > SHOWN_SEEDS else ""
    return f"unsafe under {len(spread.findings)} of {len(spread.seeds)} seeds: {seeds}{more}"


def _head(spread: Spread) -> str:
    faults = " ".join(str(fault) for fault in spread.faults)
    return f"{faults}, {len(spread.seeds)} seeds from {spread.seeds[0]}"


def _unhurt(spread: Spread) -> str:
    return ", ".join(one.subject for one in spread.outages if one.outages_s[-1] == 0)


def _text(spread: Spread) -> Iterator[str]:
    yield _head(spread)
    rows = _rows(spread)
    if rows:
        width = max(len(row[0]) for row in rows)
        yield ""
        yield f"{'outages':{width + 2}}  {'p50':>9}  {'p99':>9}  {'worst':>9}"
        for subject, *times, lost in rows:
            columns = "  ".join(f"{time:>9}" for time in times)
            yield f"  {subject:{width}}  {columns}  {lost}".rstrip()
    if unhurt := _unhurt(spread):
        yield ""
        yield f"no outage: {unhurt}"
    yield ""
    yield f"verdict: {_verdict(spread)}"
    yield from (f"  {text}" for text in _findings(spread))
    yield "rests on"
    yield from (f"  {line}" for line in spread.rests_on)


def _markdown(spread: Spread) -> Iterator[str]:
    yield f"### `{_head(spread)}`: {_verdict(spread)}"
    yield ""
    yield from (f"- {escaped(text)}" for text in _findings(spread))
    if rows := _rows(spread):
        yield from table(("outages", "p50", "p99", "worst", ""), rows)
    if unhurt := _unhurt(spread):
        yield ""
        yield f"- no outage: {escaped(unhurt)}"
    yield ""
    yield "Rests on:"
    yield from (f"- {escaped(line)}" for line in spread.rests_on)
