"""The page that says for each word whether the twin simulates it and whether a device is managed.

Simulated: the twin's physics, or its verdict, reads entries of the word when it is built from the
lab of desired-state/ and a fault is judged; this is watched, not declared. Managed: a kind of some
device says that it makes things of it. The served APIs hold what they are told of every managed
word, simulated or not.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from api.reference.markdown import WRITTEN, page, prose, table
from controller.families import all_kinds
from controller.planning import becomes_things
from lab.faults import parse_faults
from lab.lab import WORDS, Lab
from lab.load import load_tree
from simulator.build import twin_of
from simulator.outcome.simulate import simulate

INTRODUCTION = prose(f"""
{WRITTEN} **Simulated**: the twin reads it when it is built, runs faults and judges them, so that a
change of it can change a timeline or a verdict. **Managed**: a plan makes, changes and, if allowed,
deletes things of it on devices. What is only declared is validated, drawn, and named by others.
""")


def words_page(tree: Path) -> str:
    """A row for each word. `tree`: a lab that uses all of them."""
    simulated, managed = simulated_words(tree), managed_words()
    rows = [
        [
            f"`{word}`",
            _yes(word in simulated),
            _yes(word in managed),
            _else(word, simulated, managed),
        ]
        for word in WORDS
    ]
    head = ["word", "simulated", "managed", "else"]
    return page("What each word does", INTRODUCTION, table(head, rows))


def managed_words() -> frozenset[str]:
    """Words of which a kind of a device makes things."""
    return frozenset(word for kind in all_kinds() for word in kind.words)


def simulated_words(tree: Path) -> frozenset[str]:
    """Words that the twin's own modules read, directly or through a property of the lab."""
    lab, seen = load_tree(tree), set[str]()

    class Watched(Lab):
        """The same lab, which notes who reads its maps."""

        def __getattribute__(self, name: str) -> Any:
            if (word := name.replace("_", "-")) in WORDS and _reader().startswith("simulator."):
                seen.add(word)
            return object.__getattribute__(self, name)

    watched = Watched(**{each.name: getattr(lab, each.name) for each in fields(lab)})
    simulate(twin_of(watched), parse_faults(["fail-node", min(lab.nodes)]))
    return frozenset(seen)


def _reader() -> str:
    """The module, outside of lab, for which an attribute is read."""
    depth = 2
    while (module := str(sys._getframe(depth).f_globals["__name__"])).startswith("lab."):
        depth += 1
    return module


def _yes(holds: bool) -> str:
    return "yes" if holds else ""


def _else(word: str, simulated: frozenset[str], managed: frozenset[str]) -> str:
    if word in managed:
        return ""
    if becomes_things(WORDS[word]):
        return "declared, not managed yet"
    return "" if word in simulated else "declared only"
