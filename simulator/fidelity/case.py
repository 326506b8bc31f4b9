"""Cases of a row: what was recorded beside what the twin does, and what is thought of it.

A recorded time is equal when it lies within the times that the twin gives under several seeds,
widened by a tolerance that the row states. Something that never happened has no time, on either
side; so a verdict is compared before a time is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

SEEDS = range(12)
"""Chance of the twin that each case is tried under."""


class Verdict(StrEnum):
    """What is thought of a case."""

    EQUAL = "equal"
    KNOWN = "known"  # differs, for a reason that is written down
    DIFFERENT = "different"
    NOT_BUILT = "not built"  # the twin has nothing of the kind, so nothing was compared
    SKIPPED = "skipped"  # the recording itself says that it is not the truth


@dataclass(frozen=True)
class Case:
    """One comparison. `why`: recorded and ours, or why they can't be compared."""

    name: str
    verdict: Verdict
    why: str = ""


Known = Mapping[str, str]
"""Reasons of differences by a pattern of the case's whole name."""


def told(cases: Iterable[Case], known: Known) -> Iterator[Case]:
    """The cases, those that differ for a known reason marked so."""
    for case in cases:
        reason = next(
            (why for pattern, why in known.items() if re.fullmatch(pattern, case.name)), ""
        )
        if case.verdict is Verdict.DIFFERENT and reason:
            yield replace(case, verdict=Verdict.KNOWN, why=f"{reason} ({case.why})")
        else:
            yield case


def not_built(name: str, why: str) -> Case:
    """Nothing to compare: the twin has nothing of the kind."""
    return Case(name, Verdict.NOT_BUILT, why)


def same(name: str, recorded: object, ours: Iterable[object]) -> Case:
    """Equal if the twin comes to the recorded answer under every seed."""
    others = [answer for answer in dict.fromkeys(ours) if answer != recorded]
    why = f"recorded {recorded}, twin {' or '.join(map(str, others))}"
    return Case(name, Verdict.DIFFERENT, why) if others else Case(name, Verdict.EQUAL)


def timed(
    name: str,
    recorded_s: float | None,
    ours_s: Iterable[float | None],
    tolerance_s: float,
    *,
    at_least: bool = False,
) -> Case:
    """Equal if a recorded time is one of the twin's; None: it does not happen.

    `at_least`: the recording ended first, so the time is only known to be longer.
    """
    ours = list(ours_s)
    times = [at_s for at_s in ours if at_s is not None]
    told_s = (
        _span(times)
        if len(times) == len(ours)
        else "never" + (f" or {_span(times)}" if times else "")
    )
    why = f"recorded {_seconds(recorded_s)}{' or more' if at_least else ''}, twin {told_s}"
    if recorded_s is None or not times or len(times) < len(ours):
        fits = recorded_s is None and not times
    elif at_least:
        fits = recorded_s <= max(times) + tolerance_s
    else:
        fits = min(times) - tolerance_s <= recorded_s <= max(times) + tolerance_s
    return Case(name, Verdict.EQUAL if fits else Verdict.DIFFERENT, why)


def _seconds(at_s: float | None) -> str:
    return "never" if at_s is None else f"{at_s:.2f} s"


def _span(times: list[float]) -> str:
    low, high = min(times), max(times)
    return _seconds(low) if high - low < 0.005 else f"{low:.2f}..{high:.2f} s"
