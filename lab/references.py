"""Who names whom: every reference of a lab, found through the `Ref` marks of its words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lab.errors import Problem
from lab.item import Path
from lab.lab import WORDS, Lab, title
from lab.names import nearest
from lab.shape import refs

__all__ = ["nearest", "references", "unknown", "users_of"]


def references(lab: Lab) -> Iterator[tuple[Path, str, str]]:
    """Each reference: where it stands, the map it points into (`vlans`), the name it says."""
    for word in WORDS:
        for name, entry in lab.map(word).items():
            yield from refs(entry, (word, name))


def users_of(lab: Lab, word: str, name: str) -> tuple[Path, ...]:
    """Paths of the references to one entry."""
    return tuple(path for path, map_, said in references(lab) if (map_, said) == (word, name))


def unknown(lab: Lab, names: dict[str, Collection[str]]) -> Iterator[Problem]:
    """References to nothing. `names`: every name declared in each map, loadable or not."""
    for path, word, name in references(lab):
        if name not in names[word]:
            what = f"{title(*path[:2])} names {name}, which is not in {word}"
            yield Problem(lab.place(*path), what, fix=nearest(name, names[word]))
