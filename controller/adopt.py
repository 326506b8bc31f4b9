"""What is there and nobody declared, written as desired state that changes nothing: the way in.

Each thing says itself in the language (`declare`); what is written is loaded again and compared
with what is there, so nothing is written that would be another thing. Entries start as
`manage: [observe]`, and so do parts that are added to a declared entry (`growth`). Not written, but
told: what the language can't say, and what else belongs into an entry that is declared already.
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

from controller.diff import differs
from controller.growth import grown, parts_of, plain, problem, quoted, value_at, written
from controller.managed import Key, Managed
from controller.observed import Observed
from controller.plan import Note, NoteKind
from controller.planning import Kinds, becomes_things, wanted_things
from lab.errors import LabInvalid
from lab.item import Item, Path
from lab.lab import WORDS, Lab
from lab.load import load

FOLDER = "adopted"
OBSERVED = {"manage": ["observe"]}
SHORT = 80  # characters of a list that is written in a line
ROUNDS = 12  # a thing may need the names of things that are adopted with it, and those others

Name = Path
"""A word and a name under it; of a part of a declared entry, its path below that as well."""
Things = Mapping[Key, Managed]


@dataclass(frozen=True)
class Adoption:
    """Files to be added to the tree, or to replace files of it: name -> text."""

    files: Mapping[str, str]
    notes: tuple[Note, ...] = ()


def adopt(lab: Lab, observed: Observed, tree: Mapping[str, bytes] | None = None) -> Adoption:
    """Files that declare what `lab` does not. `tree`: files that are there, kept and added to."""
    wanted = wanted_things(lab, observed.kinds)
    things = {
        key: thing
        for key, thing in sorted(observed.things.items())
        if key not in wanted and not thing.inherent
    }
    notes: list[Note] = []
    while failed := (draft := _drafted(lab, things, observed.kinds)).failed:
        notes += [Note(NoteKind.UNSAID, str(key), why, None, key) for key, why in failed.items()]
        things = {key: thing for key, thing in things.items() if key not in failed}
    files, lost = _files(lab, draft.entries, tree or {})
    for at in lost:
        why = _belongs(lab, at, draft.entries[at])
        notes += [Note(NoteKind.UNSAID, str(key), why, None, key) for key in draft.makers[at]]
    notes.sort(key=lambda note: note.subject)
    return Adoption(files, tuple(notes))


@dataclass
class _Draft:
    """Entries, which things each says, and things that can't be said."""

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
            if name in lab.map(word) and (parts := parts_of(word, entry)):
                self._grow((word, name), parts, thing.key, lab)
            else:
                self._enter((word, name), entry, thing.key, lab)

    def _enter(self, at: Name, entry: dict[str, Any], key: Key, lab: Lab) -> None:
        word, name = at
        used = name in lab.map(word) or not _fits(self.entries.get(at, {}), entry)
        free = (word, f"{name}-{key.id}" if used else name)
        if name in lab.map(word):
            self.belongs[key] = _belongs(lab, at, entry)
        if free[1] in lab.map(word) or not _fits(self.entries.get(free, {}), entry):
            self.failed[key] = f"{word} {name} and {free[1]} are other things"
            return
        self._keep(free, entry, key)

    def _grow(self, at: Name, parts: Mapping[Path, Any], key: Key, lab: Lab) -> None:
        """Add parts to a declared entry, unless it has them already."""
        declared = plain(lab.map(at[0])[at[1]])
        for path, part in parts.items():
            if value_at(declared, path) is not None:
                self.failed[key] = _belongs(lab, (*at, *path), part)
            elif not _fits(self.entries.get((*at, *path), {}), part):
                self.failed[key] = f"{' '.join((*at, *path))} is another thing"
            else:
                self._keep((*at, *path), part, key)

    def _keep(self, at: Name, entry: Any, key: Key) -> None:
        self.entries[at] = _merged(self.entries.get(at, {}), entry)
        self.makers.setdefault(at, []).append(key)

    def fail(self, name: Name, wrong: Mapping[Key, str]) -> None:
        """Blame the last of an entry's makers that is wrong: without it the others may be right."""
        if blamed := [key for key in self.makers[name] if key in wrong]:
            self.failed[blamed[-1]] = self.belongs.get(blamed[-1], wrong[blamed[-1]])


def _drafted(lab: Lab, things: Things, kinds: Kinds) -> _Draft:
    """Entries for all things, checked by loading them; each once what it needs has a name."""
    draft, whole, ready = _Draft(), lab, set[Key]()
    for _ in range(ROUNDS):
        before, draft = draft.entries, _Draft()
        known = {key for key, thing in things.items() if thing.needs & things.keys() <= ready}
        for key in sorted(known):
            draft.add(things[key], whole, lab)
        if (draft.entries, known) == (before, ready):
            break
        ready = known
        loaded, invalid = _loaded(lab, draft.entries)
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


def _belongs(lab: Lab, at: Name, entry: object) -> str:
    """Where something is to be written by a person."""
    added = json.dumps(entry, ensure_ascii=False)
    return f"{' '.join(at)} is declared at {lab.place(*at)}, where it would say {added}"


def _loaded(lab: Lab, entries: Mapping[Name, dict[str, Any]]) -> tuple[Lab, dict[Name, str]]:
    """What `lab` gets new or grown of the entries; those that do not load, and why."""
    parts = {at: entry for at, entry in entries.items() if len(at) > 2}
    new = _new(entries)
    invalid = {at: why for at, part in parts.items() if (why := problem(at[0], at[2:], part))}
    try:
        loaded = load({"adopted.yaml": as_yaml(new).encode()}, rules=False)
    except LabInvalid:
        loaded = Lab()
        for name, entry in new.items():
            try:
                load({"adopted.yaml": as_yaml({name: entry}).encode()}, rules=False)
            except LabInvalid as error:
                invalid[name] = error.problems[0].what
    return (loaded if invalid else _with_parts(lab, loaded, parts)), invalid


def _new(entries: Mapping[Name, dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Entries of their own."""
    return {(at[0], at[1]): entry for at, entry in entries.items() if len(at) == 2}


def _with_parts(lab: Lab, loaded: Lab, parts: Mapping[Name, dict[str, Any]]) -> Lab:
    """`loaded`, and the declared entries that have grown."""
    maps: dict[str, dict[str, Item]] = {}
    for word, name in {at[:2] for at in parts}:
        mine = {at[2:]: part for at, part in parts.items() if at[:2] == (word, name)}
        maps.setdefault(word, {})[name] = grown(lab.map(word)[name], mine)
    each = {word.replace("-", "_"): {**loaded.map(word), **maps.get(word, {})} for word in WORDS}
    return Lab(**each)  # type: ignore[arg-type]


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


def _files(
    lab: Lab, entries: Mapping[Name, dict[str, Any]], tree: Mapping[str, bytes]
) -> tuple[dict[str, str], list[Name]]:
    """A file for each word, with what it may hold already; declared files with their new parts.

    Second: parts that can't be put into their file without losing something of it.
    """
    files, lost = {}, list[Name]()
    for word in WORDS:
        mine = {at: entry for at, entry in _new(entries).items() if at[0] == word}
        if mine:
            file = f"{FOLDER}/{word}.yaml"
            files[file] = as_yaml(mine, tree.get(file, b"").decode())
    grow: dict[str, dict[Path, Any]] = {}
    for at, part in sorted(entries.items()):
        if len(at) > 2 and (place := lab.place(*at[:2])) is not None:
            said = {**OBSERVED, **part}
            depth = 2 if len(json.dumps(said)) < SHORT else 1
            grow.setdefault(place.file, {})[at] = _node(said, depth)
    for file, parts in grow.items():
        text = written(file, tree[file].decode(), parts) if file in tree else None
        if text is None:
            lost += parts
        else:
            files[file] = text
    return files, lost


def as_yaml(entries: Mapping[tuple[str, str], dict[str, Any]], before: str = "") -> str:
    """Entries as YAML, added to `before`, whose comments stay."""
    yaml = YAML()
    yaml.width = 10_000  # lines are not folded: a folded list ends its lines with blanks
    document = yaml.load(before) or CommentedMap()
    for (word, name), entry in sorted(entries.items()):
        observed = OBSERVED if becomes_things(WORDS[word]) else {}
        document.setdefault(word, CommentedMap())[name] = _node({**observed, **entry})
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _node(value: Any, depth: int = 0) -> Any:
    """Plain data as people write it: the entry and its maps in blocks, what is inside in a line.

    Between braces a colon needs quotes.
    """
    if isinstance(value, dict):
        node = CommentedMap((quoted(key), _node(each, depth + 1)) for key, each in value.items())
        if depth >= 2:
            node.fa.set_flow_style()
        return node
    if isinstance(value, Iterable) and not isinstance(value, str):
        items = CommentedSeq([_node(each, depth + 2) for each in value])
        if len(", ".join(map(str, items))) < SHORT:
            items.fa.set_flow_style()
        return items
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        return _text(value)
    return quoted(value) if depth >= 2 else value


def _text(value: str) -> Any:
    """Several lines as a block, if nothing would get lost in it; else all marks escaped."""
    plain = all(line.isprintable() and line == line.strip() for line in value.split("\n"))
    return (LiteralScalarString if plain else DoubleQuotedScalarString)(value)
