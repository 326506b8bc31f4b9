"""What is there and nobody declared, written as desired state that changes nothing: the way in.

Each thing says itself in the language (`declare`); what is written is loaded again and compared
with what is there, so nothing is written that would be another thing. Entries start as
`manage: [observe]`. What belongs into an entry that is declared already is put into its file, if it
only adds to it. Not written, but told: what the language can't say, and what would change an entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from controller import entries as declared
from controller.diff import differs
from controller.entries import Name, Tree
from controller.managed import Key, Managed
from controller.observed import Observed
from controller.plan import Note, NoteKind
from controller.planning import Kinds, becomes_things, wanted_things
from lab.errors import LabInvalid
from lab.lab import WORDS, Lab
from lab.load import load

FOLDER = "adopted"
SHORT = 80  # characters of a list that is written in a line
ROUNDS = 12  # a thing may need the names of things that are adopted with it, and those others

Things = Mapping[Key, Managed]


@dataclass(frozen=True)
class Adoption:
    """Files to be added to the tree, or to replace files of it: name -> text."""

    files: Mapping[str, str]
    notes: tuple[Note, ...] = ()


def adopt(lab: Lab, observed: Observed, tree: Tree | None = None) -> Adoption:
    """Files that declare what `lab` does not. `tree`: files that are there, kept and added to."""
    tree = tree or {}
    wanted = wanted_things(lab, observed.kinds)
    things = {
        key: thing
        for key, thing in sorted(observed.things.items())
        if key not in wanted and not thing.inherent
    }
    notes: list[Note] = []
    while failed := (draft := _drafted(lab, things, observed.kinds, tree)).failed:
        notes += [Note(NoteKind.UNSAID, str(key), why, None, key) for key, why in failed.items()]
        things = {key: thing for key, thing in things.items() if key not in failed}
    notes.sort(key=lambda note: note.subject)
    return Adoption(_files(lab, draft.entries, tree), tuple(notes))


@dataclass
class _Draft:
    """Entries, which things each says, and things that can't be said."""

    tree: Tree
    entries: dict[Name, dict[str, Any]] = field(default_factory=dict)
    makers: dict[Name, list[Key]] = field(default_factory=dict)
    belongs: dict[Key, str] = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)

    def add(self, thing: Managed, whole: Lab, lab: Lab) -> None:
        """Add what a thing says of itself, under a name that is free or says the same."""
        fragment = thing.declare(whole)
        if not fragment:
            self.failed[thing.key] = "the language has no words for it, or for what it refers to"
        said = [(word, name, entry) for word in fragment for name, entry in fragment[word].items()]
        for word, name, entry in said:
            if name in lab.map(word) and self._extends(lab, (word, name), entry):
                self.makers.setdefault((word, name), []).append(thing.key)
                continue
            used = name in lab.map(word) or not _fits(self.entries.get((word, name), {}), entry)
            free = (word, f"{name}-{thing.key.id}" if used else name)
            if name in lab.map(word):
                where = f"{word} {name} is declared at {lab.place(word, name)}"
                added = json.dumps(entry, ensure_ascii=False)
                self.belongs[thing.key] = f"{where}, where it would say {added}"
            if free[1] in lab.map(word) or not _fits(self.entries.get(free, {}), entry):
                self.failed[thing.key] = f"{word} {name} and {free[1]} are other things"
                return
            self.entries[free] = _merged(self.entries.get(free, {}), entry)
            self.makers.setdefault(free, []).append(thing.key)

    def _extends(self, lab: Lab, name: Name, entry: dict[str, Any]) -> bool:
        """Add to a declared entry, if that is all it does."""
        there = self.entries.get(name) or declared.written(lab, name, self.tree)
        if there is None or not declared.adds(there, entry):
            return False
        self.entries[name] = _merged(there, entry)
        return True

    def fail(self, name: Name, wrong: Mapping[Key, str]) -> None:
        """Blame the last of an entry's makers that is wrong: without it the others may be right."""
        if blamed := [key for key in self.makers[name] if key in wrong]:
            self.failed[blamed[-1]] = self.belongs.get(blamed[-1], wrong[blamed[-1]])


def _drafted(lab: Lab, things: Things, kinds: Kinds, tree: Tree) -> _Draft:
    """Entries for all things, checked by loading them; each once what it needs has a name."""
    draft, whole, ready = _Draft(tree), lab, set[Key]()
    for _ in range(ROUNDS):
        before, draft = draft.entries, _Draft(tree)
        known = {key for key, thing in things.items() if thing.needs & things.keys() <= ready}
        for key in sorted(known):
            draft.add(things[key], whole, lab)
        if (draft.entries, known) == (before, ready):
            break
        ready = known
        loaded, invalid = _loaded(draft.entries)
        if invalid:
            draft.failed.clear()  # what could not be said may be, once the rest is right
            for name, why in invalid.items():
                draft.fail(name, dict.fromkeys(draft.makers[name], why))
            return draft
        whole = _together(lab, loaded)
    for key in things.keys() - ready:
        draft.failed[key] = "it can't be said before what it needs, and that not before it"
    wrong = _wrong(whole, things, kinds)
    for name in draft.entries:
        told = f"{' '.join(name)} would be another thing"
        draft.fail(name, {key: f"{told}: {why}" for key, why in wrong.items()})
    return draft


def _wrong(whole: Lab, things: Things, kinds: Kinds) -> dict[Key, str]:
    """Things that what is written would change, and how."""
    said: dict[Key, Managed] = {}
    for device in kinds:
        for thing in (thing for kind in kinds[device] for thing in kind.wanted(whole, device)):
            said.setdefault(thing.key, thing)
    wrong = {}
    for key, thing in things.items():
        if key not in said:
            wrong[key] = "its identity can't be said"
        elif why := differs(said[key].values, thing):
            wrong[key] = why
    return wrong


def _loaded(entries: Mapping[Name, dict[str, Any]]) -> tuple[Lab, dict[Name, str]]:
    """The entries as a lab; those that do not load, and why."""
    try:
        return load({"adopted.yaml": as_yaml(entries).encode()}, rules=False), {}
    except LabInvalid:
        invalid = {}
        for name, entry in entries.items():
            try:
                load({"adopted.yaml": as_yaml({name: entry}).encode()}, rules=False)
            except LabInvalid as error:
                invalid[name] = error.problems[0].what
        return Lab(), invalid


def _together(lab: Lab, more: Lab) -> Lab:
    maps = {word.replace("-", "_"): {**lab.map(word), **more.map(word)} for word in WORDS}
    return Lab(**maps, resets=lab.resets, places=lab.places)  # type: ignore[arg-type]


def _fits(there: Any, new: Any) -> bool:
    """Whether one entry can say both: lists are united, scalars must be equal."""
    if isinstance(there, dict) and isinstance(new, dict):
        return all(_fits(there[key], new[key]) for key in there.keys() & new.keys())
    return (isinstance(there, list) and isinstance(new, list)) or there == new


def _merged(there: Any, new: Any) -> Any:
    if isinstance(there, dict) and isinstance(new, dict):
        both = {key: _merged(there[key], new[key]) for key in there.keys() & new.keys()}
        return {**there, **new, **both}
    if isinstance(there, list) and isinstance(new, list):
        return [*there, *(each for each in new if each not in there)]
    return new


def _files(lab: Lab, entries: Mapping[Name, dict[str, Any]], tree: Tree) -> dict[str, str]:
    """A file for each word, with what it may hold already, and files of declared entries."""
    files: dict[str, str] = {}
    for name, entry in sorted(entries.items()):
        if name[1] in lab.map(name[0]) and (file := declared.file_of(lab, name, tree)):
            before = files.get(file, tree[file].decode())
            files[file] = declared.extended(before, name, entry, _node)
    for word in WORDS:
        mine = {
            name: entry
            for name, entry in entries.items()
            if name[0] == word and name[1] not in lab.map(word)
        }
        if mine:
            file = f"{FOLDER}/{word}.yaml"
            files[file] = as_yaml(mine, files.get(file, tree.get(file, b"").decode()))
    return files


def as_yaml(entries: Mapping[Name, dict[str, Any]], before: str = "") -> str:
    """Entries as YAML, added to `before`, whose comments stay."""
    yaml = YAML()
    yaml.width = 10_000  # lines are not folded: a folded list ends its lines with blanks
    document = yaml.load(before) or CommentedMap()
    for (word, name), entry in sorted(entries.items()):
        observed = {"manage": ["observe"]} if becomes_things(WORDS[word]) else {}
        document.setdefault(word, CommentedMap())[name] = _node({**observed, **entry})
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _node(value: Any, depth: int = 0) -> Any:
    """Plain data as people write it: the entry and its maps in blocks, what is inside in a line."""
    if isinstance(value, dict):
        node = CommentedMap((key, _node(each, depth + 1)) for key, each in value.items())
        if depth >= 2:
            node.fa.set_flow_style()
        return node
    if isinstance(value, Iterable) and not isinstance(value, str):
        items = CommentedSeq([_node(each, depth + 2) for each in value])
        if len(", ".join(map(str, items))) < SHORT:
            items.fa.set_flow_style()
        return items
    return value if not isinstance(value, str) or value.isprintable() else _text(value)


def _text(value: str) -> Any:
    """Several lines as a block, if nothing would get lost in it; else all marks escaped."""
    plain = all(line.isprintable() and line == line.strip() for line in value.split("\n"))
    return (LiteralScalarString if plain else DoubleQuotedScalarString)(value)
