"""Files to a `Lab`: merge, validate, resolve, judge; every problem at once, each with its place.

    tree -> compose each file -> merge -> validate each entry -> references, flaws, rules -> Lab

`rules=False` stops after the shape of the entries: what was observed is allowed to break rules that
the desired state is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lab import rules as lab_rules
from lab.compose import Document, compose
from lab.errors import LabInvalid, Place, Problem
from lab.item import Item, Path
from lab.lab import WORDS, Lab, title
from lab.messages import problems_of
from lab.names import nearest
from lab.references import unknown
from lab.shape import flawed
from lab.tree import read_tree

__all__ = ["load", "load_tree", "read_tree"]


def load_tree(root: FilePath) -> Lab:
    """The lab declared by the files under `root`. Raises LabInvalid."""
    return load(read_tree(root))


def load(files: Mapping[str, bytes], *, rules: bool = True, changes: Document | None = None) -> Lab:
    """The lab declared by `files` (name -> content). Raises LabInvalid with every problem found.

    `changes` is laid over what the files say, as a scenario does: maps are merged key by key, other
    values replace, a `null` removes; what it names anew is added.
    """
    merged = _Merged(compose(name, files[name]) for name in sorted(files))
    if changes is not None:
        merged.change(changes)
    problems = merged.problems
    maps: dict[str, dict[str, Item]] = {word: {} for word in WORDS}
    broken = False
    for word, entries in merged.data.items():
        for name, data in entries.items():
            try:
                maps[word][name] = _adapter(word).validate_python(
                    data, by_alias=True, by_name=False
                )
            except ValidationError as error:
                broken = True
                who, at = title(word, name), (word, name)
                problems += problems_of(error, who, WORDS[word], at, data, merged.nearest_place)
    lab = Lab(
        **{word.replace("-", "_"): entries for word, entries in maps.items()},  # type: ignore[arg-type]
        resets=frozenset(merged.resets),
        places=merged.place,
    )
    if rules:
        problems += _judge(lab, merged.names(), whole=merged.whole, broken=broken)
    if any(problem.severity == "error" for problem in problems):
        raise LabInvalid(tuple(sorted(problems, key=_order)))
    return lab


def _judge(
    lab: Lab, names: dict[str, Collection[str]], *, whole: bool, broken: bool
) -> list[Problem]:
    """Problems of entries that are well formed. A missing file or entry would only cause false
    ones.
    """
    problems = list(_flaws(lab))
    if whole:
        problems += unknown(lab, names)
    if whole and not broken:
        problems += lab_rules.problems(lab)
    return problems


def _flaws(lab: Lab) -> Iterable[Problem]:
    for word in WORDS:
        for name, entry in lab.map(word).items():
            for path, item in flawed(entry, (word, name)):
                for flaw in item.flaws():
                    what = f"{title(word, name)}: {flaw.what}"
                    yield Problem(lab.place(*path, *flaw.path), what, flaw.why, flaw.fix)


def _order(problem: Problem) -> tuple[Any, ...]:
    place = problem.place or Place("", 0, 0)
    return (place, problem.what)


@cache
def _adapter(word: str) -> TypeAdapter[Item]:
    return TypeAdapter(WORDS[word])


class _Merged:
    """The entries of all files by word, and where each stands."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.data: dict[str, dict[str, Any]] = {}
        self.resets: set[Path] = set()
        self.problems: list[Problem] = []
        self.whole = True
        self._home: dict[Path, Document] = {}
        self._changes: Document | None = None
        for document in documents:
            self._add(document)

    def change(self, document: Document) -> None:
        """Lay a document over what the others say."""
        self._changes = document
        _overlay(self.data, dict(self._sections(document)))
        for path in document.resets:
            _remove(self.data, path)

    def names(self) -> dict[str, Collection[str]]:
        """Every name declared under each word."""
        return {word: self.data.get(word, {}).keys() for word in WORDS}

    def place(self, path: Path) -> Place | None:
        """Where exactly this path was written."""
        if self._changes and (changed := self._changes.find(path)) is not None:
            return changed
        document = self._home.get(path[:2])
        return document.find(path) if document else None

    def nearest_place(self, path: Path) -> Place | None:
        """Where this path, or what is around it, was written."""
        lengths = range(len(path), 0, -1)
        return next((at for n in lengths if (at := self.place(path[:n])) is not None), None)

    def _add(self, document: Document) -> None:
        self.resets |= document.resets
        for word, entries in self._sections(document):
            self._home.setdefault((word,), document)
            for name, data in entries.items():
                self._entry(document, word, name, data)

    def _sections(self, document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
        """The maps of a document that are words of the language."""
        self.problems += document.problems
        self.whole &= document.whole
        for word, entries in document.data.items():
            place = document.find((word,))
            if word not in WORDS:
                fix = nearest(word, WORDS)
                self.problems.append(Problem(place, f"{word} is no word of the language", fix=fix))
            elif not isinstance(entries, dict):
                fix = f"write each entry of {word} below it, as name: {{...}}"
                self.problems.append(Problem(place, f"{word} is not a map of names", fix=fix))
            else:
                yield word, entries

    def _entry(self, document: Document, word: str, name: str, data: Any) -> None:
        path = (word, name)
        if (first := self.place(path)) is not None:
            what = f"{title(word, name)} is written twice; the first is at {first}"
            why = "only one of the two can hold"
            problem = Problem(document.find(path), what, why, "keep one, or rename the other")
            self.problems.append(problem)
            return
        self._home[path] = document
        self.data.setdefault(word, {})[name] = data


def _overlay(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Merge `over` into `base`, in place; both are nested maps of what was written."""
    for key, value in over.items():
        below = base.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            _overlay(below, value)
        else:
            base[key] = value


def _remove(data: dict[str, Any], path: Path) -> None:
    """Take what stands at `path` out of nested maps, if it is there."""
    for key in path[:-1]:
        data = data.get(key, {})
    data.pop(path[-1], None)
