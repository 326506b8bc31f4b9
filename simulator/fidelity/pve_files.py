"""Files below /etc/pve against recorded digests: SHA-1 of a file as a real cluster wrote it.

The API shows a digest beside what it read from a file. Where it is ours after the same requests,
the file is ours to the letter: order of sections and keys, escaping, what is left out. Addresses
and ids that were drawn there are put into ours; sets stand in an order that chance gave there, and
all orders are tried: so nothing else differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations, product
from pathlib import Path

from simulator.fidelity.case import Case, Verdict
from simulator.fidelity.pve_api import replay
from simulator.pve.sections import digest_of_text

DRAWN = "an address, an id or a time in the file was drawn or measured, all else is equal"
HASHED = "the order of a set in the file comes from Perl's hash order, all else is equal"
SALTED = "a password's salt was drawn, and is shown nowhere"
SETS = ("\tcontent ", "\tnodes ")
ORDERS = 200_000  # that are tried


def cases(recording: Path) -> Iterator[Case]:
    """Every digest of a recording's equal answers, once for each exchange."""
    for outcome in replay(recording):
        for number, (theirs, ours) in enumerate(outcome.digests):
            name = f"{outcome.area}/{outcome.seq}/{outcome.n}/{number} {outcome.call}"
            if theirs == ours:
                yield Case(name, Verdict.EQUAL)
            elif reason := _reason(outcome.texts.get(ours, ""), theirs):
                yield Case(name, Verdict.KNOWN, reason)
            else:
                yield Case(name, Verdict.DIFFERENT, f"recorded {theirs}, ours {ours}")


def _reason(text: str, theirs: str) -> str:
    """Why a file is not the same though nothing was done differently; "" if there is none.

    `text`: ours, with what was drawn there.
    """
    if digest_of_text(text) == theirs:
        return DRAWN
    if any(digest_of_text(other) == theirs for other in islice(reordered(text), ORDERS)):
        return HASHED
    return SALTED if "\ncipassword: $" in text else ""


def reordered(text: str) -> Iterator[str]:
    """The file with its sets in every order."""
    yield from map("".join, product(*map(_orders, text.splitlines(keepends=True))))


def _orders(line: str) -> list[str]:
    key = next((key for key in SETS if line.startswith(key)), "")
    words = line.removeprefix(key).strip().split(",") if key else []
    return [f"{key}{','.join(order)}\n" for order in permutations(words)] if words else [line]
