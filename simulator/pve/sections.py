"""Section files below /etc/pve: `TYPE: ID`, then a tab, a key and a value a line.

The one mechanism for storage.cfg and its relatives, which are kept as their text
(`Documents.files`). Reading gives entries in the order of the file; writing keeps it and sorts the
keys of an entry; the digest is SHA-1 of the text. `Sections` is a file as a map. `SectionType` says
which keys a type has, and the checks tell a wrong one in Proxmox VE's words. Leaves out: lines that
no type knows, which are lost with the next writing, as there. Source: PVE::SectionConfig.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, unquote

from simulator.pve.parameters import Entry, Table, Value, table
from simulator.pve.propertystring import TRUE
from simulator.pve.wire import died

CHANGED = "detected modified configuration - file changed by other user? Try again."
_SAFE = "".join(map(chr, [*range(0x20, 0x25), *range(0x26, 0x3A), *range(0x3B, 0x7F)]))


class Kept(Protocol):
    """What keeps files: path below /etc/pve -> text."""

    files: dict[str, str]


def digest_of_text(text: str) -> str:
    """SHA-1 of a file, in hex; the well-known one of nothing for an empty one.

    Perl writes what fits into Latin-1 so.
    """
    latin = all(ord(char) < 256 for char in text)
    data = text.encode("latin-1" if latin else "utf-8")
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def encode_text(text: str) -> str:
    """A comment as it stands in a file: all but printable ASCII, percent and colon is escaped."""
    return quote(text, safe=_SAFE)


def option_text(options: Entry) -> str:
    """A file without sections, as datacenter.cfg: the description as `#` lines, `key: value`."""
    notes = str(options.get("description") or "").removesuffix("\n")
    text = "".join(f"#{encode_text(line)}\n" for line in notes.split("\n")) if notes else ""
    rest = {key: value for key, value in options.items() if key != "description"}
    return text + "".join(
        f"{key}: {value}\n" for key, value in sorted(rest.items()) if value is not None
    )


@dataclass(frozen=True)
class SectionType:
    """The keys of one type. Fixed ones can't be changed once they are set."""

    required: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> frozenset[str]:
        """All keys."""
        return frozenset([*self.required, *self.fixed, *self.optional])


def section_type(words: str) -> SectionType:
    """From words: those with `!` are required and fixed, with `+` required, with `=` fixed."""
    names = words.split()
    return SectionType(
        required=tuple(word[:-1] for word in names if word[-1] in "!+"),
        fixed=tuple(word[:-1] for word in names if word[-1] in "!="),
        optional=tuple(word for word in names if word[-1] not in "!+="),
    )


def check_known(kind: SectionType, sent: Iterable[str]) -> None:
    """Raise for a key that the type has not."""
    for key in sent:
        if key not in kind.known:
            raise died(f"unexpected property '{key}'")


def check_new(kind: SectionType, sent: Mapping[str, Value]) -> None:
    """Raise for what a new section can't have, or lacks."""
    check_known(kind, sent)
    for key in sorted(kind.required):
        if sent.get(key) is None:
            raise died(f"missing value for required option '{key}'")


def check_fixed(kind: SectionType, old: Entry, sent: Mapping[str, Value]) -> None:
    """Raise for a change of what can't change."""
    for key, value in sent.items():
        if key in kind.fixed and old.get(key) != value:
            raise died(f"can't change value of fixed parameter '{key}'")


def check_removable(kind: SectionType, names: Iterable[str], sent: Mapping[str, Value]) -> None:
    """Raise for keys that can't be unset."""
    for key in names:
        if key not in kind.known:
            raise died(f"no such option '{key}'")
        if key in kind.required:
            raise died(f"unable to delete required option '{key}'")
        if key in kind.fixed:
            raise died(f"unable to delete fixed option '{key}'")
        if sent.get(key) is not None:
            raise died(f"cannot set and delete property '{key}' at the same time!")


def check_option_lines(options: Entry) -> None:
    """Raise for what takes two lines in a node's or the datacenter's options: all but the notes.

    Source: PVE::NodeConfig, write_node_config.
    """
    for key, value in options.items():
        if key != "description" and re.search(r"[\n\r]", str(value)):
            raise died(f"detected invalid newline inside property '{key}'")


@dataclass(frozen=True)
class SectionFile:
    """One file: its path below /etc/pve, the keys with their kinds, and the types.

    With `only` the sections name no type: all are of that one. With `typed` the type is part of the
    id: `vm:100`. `builtin` is there without being written, and is written after what was there.
    `defaults`: what a type has where the file says nothing. `secrets` never get into the file;
    comments are escaped unless they are `plain`. `other`: any further type; without it sections of
    unknown types are passed over. `rust`: written by proxmox-section-config, which puts no empty
    line at the end; the digest is SHA-256.
    """

    path: str
    keys: str  # a table of parameters
    types: Mapping[str, SectionType]
    only: str = ""
    typed: bool = False
    plain: bool = False
    builtin: Mapping[str, Entry] = field(default_factory=dict)
    defaults: Mapping[str, Entry] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    other: SectionType | None = None
    rust: bool = False

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def table(self) -> Table:
        """The keys as parameters."""
        return _table(self.keys)

    def of(self, kept: Kept) -> Sections:
        """The file as a map."""
        return Sections(self, kept)

    def entries(self, kept: Kept) -> dict[str, Entry]:
        """What the file holds: id -> entry, each with its `type`."""
        return dict(_read(self, kept.files.get(self.path, "")))

    def write(self, kept: Kept, entries: Mapping[str, Entry]) -> None:
        """Replace the file."""
        kept.files[self.path] = self.text(entries)

    def put(self, kept: Kept, name: str, entry: Entry | None) -> None:
        """Set one section, or remove it."""
        if entry is None:
            self.of(kept).pop(name, None)
        else:
            self.of(kept)[name] = entry

    def digest(self, kept: Kept) -> str:
        """SHA-1 of the text, or SHA-256."""
        text = kept.files.get(self.path, "")
        return hashlib.sha256(text.encode()).hexdigest() if self.rust else digest_of_text(text)

    def text(self, entries: Mapping[str, Entry]) -> str:
        """The file. The comment and `disable` come first, then what is required or fixed."""
        text = "".join(self._section(name, entry) + "\n" for name, entry in entries.items())
        return text[:-1] if self.rust else text

    def _section(self, name: str, entry: Entry) -> str:
        kind = self.types.get(str(entry["type"]), self.other)
        if kind is None:
            raise died(f"unknown section type '{entry['type']}'")
        own = name.partition(":")[2] if self.typed else name
        lines = [own if self.only else f"{entry['type']}: {own}"]
        first = sorted({*kind.required, *kind.fixed})
        keys = ("comment", "disable", *first, *sorted(kind.known))
        for key in dict.fromkeys(key for key in keys if key not in self.secrets):
            if key == "disable":
                lines += ["\tdisable"] if entry.get(key) else []
                continue
            value = entry.get(key)
            for item in value if isinstance(value, tuple) else (value,):
                if item is not None and item != "":
                    lines.append(f"\t{key} {_printed(key, item, plain=self.plain)}")
        return "\n".join(lines) + "\n"


class Sections(MutableMapping[str, Entry]):
    """A file as a map of its sections: read when it is asked, written when it is set."""

    def __init__(self, file: SectionFile, kept: Kept) -> None:
        self.file = file
        self._kept = kept

    @property
    def digest(self) -> str:
        """SHA-1 of the text."""
        return self.file.digest(self._kept)

    def _entries(self) -> Mapping[str, Entry]:
        return _read(self.file, self._kept.files.get(self.file.path, ""))

    def __getitem__(self, name: str) -> Entry:
        return self._entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def __setitem__(self, name: str, entry: Entry) -> None:
        self.put({name: entry})

    def __delitem__(self, name: str) -> None:
        entries = dict(self._entries())
        del entries[name]
        self.file.write(self._kept, entries)

    def put(self, new: Mapping[str, Entry]) -> None:
        """Set several sections in one writing; what is there without being written comes last."""
        if not new:
            return
        entries = {**self._entries(), **new}
        text = self._kept.files.get(self.file.path, "")
        unwritten = self.file.builtin.keys() - _written(self.file, text) - new.keys()
        entries |= {name: entries.pop(name) for name in sorted(unwritten)}
        self.file.write(self._kept, entries)


def _printed(key: str, value: str | float, *, plain: bool) -> str:
    """A value as it stands on its line. Raises for one that needs two."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if key == "comment" and not plain:
        return encode_text(text)
    if "\n" in text or "\r" in text:
        raise died(f"property '{key}' contains a line feed")
    return text


@lru_cache(maxsize=64)
def _table(text: str) -> Table:
    return table(text)


@lru_cache(maxsize=32)
def _read(file: SectionFile, text: str) -> Mapping[str, Entry]:
    """All sections: those in the file, then those that are there without it."""
    written = _written(file, text)
    rest = {name: entry for name, entry in file.builtin.items() if name not in written}
    return {
        name: {**file.defaults.get(str(entry["type"]), {}), **entry}
        for name, entry in {**written, **rest}.items()
    }


@lru_cache(maxsize=32)
def _written(file: SectionFile, text: str) -> dict[str, Entry]:
    """The sections in a file."""
    entries: dict[str, Entry] = {}
    current: dict[str, Value] = {}
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            head = line.strip() if not file.only else f"{file.only}: {line.strip()}"
            kind, _, name = (part.strip() for part in head.partition(":"))
            current = {"type": kind}
            if name and (kind in file.types or file.other is not None):
                entries[f"{kind}:{name}" if file.typed else name] = current
            continue
        key, _, value = line.strip().partition(" ")
        param = file.table.params.get(key)
        if param is None or key in file.secrets:
            continue
        if param.type == "array":
            known = current.get(key)
            current[key] = (*(known if isinstance(known, tuple) else ()), value.strip())
        else:
            text_of = value.strip()
            escaped = key == "comment" and not file.plain
            current[key] = unquote(text_of) if escaped else _typed(param.type, text_of)
    return entries


def _typed(kind: str, text: str) -> Value:
    if kind == "boolean":
        return int(text.lower() in TRUE or not text)
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return text
