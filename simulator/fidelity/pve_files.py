"""Files below /etc/pve against recorded digests: SHA-1 of a file as a real cluster wrote it.

The API shows a digest beside what it read from a file. Where it is ours after the same requests,
the file is ours to the letter: order of sections and keys, escaping, what is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from simulator.fidelity.case import Case, Verdict
from simulator.fidelity.pve_api import Outcome, replay

DRAWN = "an address, an id or a time in the file was drawn or measured"
HASHED = "the order of a set in the file comes from Perl's hash order"


def cases(recording: Path) -> Iterator[Case]:
    """Every digest of a recording's equal answers, once for each exchange."""
    for outcome in replay(recording):
        for number, (theirs, ours) in enumerate(outcome.digests):
            name = f"{outcome.area}/{outcome.seq}/{outcome.n}/{number} {outcome.call}"
            if theirs == ours:
                yield Case(name, Verdict.EQUAL)
            elif reason := _reason(outcome):
                yield Case(name, Verdict.KNOWN, reason)
            else:
                yield Case(name, Verdict.DIFFERENT, f"recorded {theirs}, ours {ours}")


def _reason(outcome: Outcome) -> str:
    """Why a file can't be the same."""
    if outcome.drawn:
        return DRAWN
    return HASHED if outcome.area == "storage" or "/storage" in outcome.call else ""
