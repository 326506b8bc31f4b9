"""Section files below /etc/pve: `TYPE: ID`, then a tab, a key and a value a line.

The one mechanism for storage.cfg's relatives that are kept as their text (`Documents.files`): SDN,
mappings, replication, metric servers. Reading gives entries in the order of the file; writing keeps
it and sorts the keys of an entry; the digest is SHA-1 of the text. `SectionType` says which keys a
type has, and the checks tell a wrong one in Proxmox VE's words. Source: PVE::SectionConfig.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote, unquote

from simulator.pve.documents import EMPTY_DIGEST, Documents, Entry
from simulator.pve.parameters import Table, Value, table
from simulator.pve.propertystring import TRUE
from simulator.pve.wire import died

CHANGED = "detected modified configuration - file changed by other user? Try again."
_SAFE = "".join(map(chr, [*range(0x20, 0x25), *range(0x26, 0x3A), *range(0x3B, 0x7F)]))


def encode_text(text: str) -> str:
    """A comment as it stands in a file: all but printable ASCII, percent and colon is escaped."""
    return quote(text, safe=_SAFE)


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


def check_lines(entry: Entry) -> None:
    """Raise for a value that would not fit on its line, as writing a section does."""
    for key, value in entry.items():
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                _printed(key, item)


def check_option_lines(options: Entry) -> None:
    """The same for a file of options, a node's or the datacenter's: all but the description.

    Source: PVE::NodeConfig, write_node_config.
    """
    for key, value in options.items():
        if key != "description" and re.search(r"[\n\r]", str(value)):
            raise died(f"detected invalid newline inside property '{key}'")


@dataclass(frozen=True)
class SectionFile:
    """One file: its path below /etc/pve, the keys with their kinds, and the types.

    With `only` the sections name no type: all are of that one. `builtin` is there without being
    written.
    """

    path: str
    keys: str  # a table of parameters
    types: Mapping[str, SectionType]
    only: str = ""
    builtin: Mapping[str, Entry] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def table(self) -> Table:
        """The keys as parameters."""
        return _table(self.keys)

    def entries(self, documents: Documents) -> dict[str, Entry]:
        """What the file holds: id -> entry, each with its `type`."""
        return {**self.builtin, **_read(self, documents.files.get(self.path, ""))}

    def write(self, documents: Documents, entries: Mapping[str, Entry]) -> None:
        """Replace the file."""
        documents.files[self.path] = self.text(entries)

    def put(self, documents: Documents, name: str, entry: Entry | None) -> None:
        """Set one section, or remove it."""
        entries = self.entries(documents)
        if entry is None:
            entries.pop(name, None)
        else:
            entries[name] = entry
        self.write(documents, entries)

    def digest(self, documents: Documents) -> str:
        """SHA-1 of the text."""
        text = documents.files.get(self.path, "")
        if not text:
            return EMPTY_DIGEST
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def text(self, entries: Mapping[str, Entry]) -> str:
        """The file. Required keys come first, then the others by name."""
        return "".join(self._section(name, entry) + "\n" for name, entry in entries.items())

    def _section(self, name: str, entry: Entry) -> str:
        kind = self.types[str(entry["type"])]
        lines = [name if self.only else f"{entry['type']}: {name}"]
        rest = sorted(kind.known - set(kind.required))
        for key in [*sorted(kind.required), *rest]:
            value = entry.get(key)
            for item in value if isinstance(value, tuple) else (value,):
                if item is not None and item != "":
                    lines.append(f"\t{key} {_printed(key, item)}")
        return "\n".join(lines) + "\n"


def _printed(key: str, value: str | float) -> str:
    """A value as it stands on its line. Raises for one that needs two."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if key == "comment":
        return encode_text(text)
    if "\n" in text or "\r" in text:
        raise died(f"property '{key}' contains a line feed")
    return text


@lru_cache(maxsize=64)
def _table(text: str) -> Table:
    return table(text)


@lru_cache(maxsize=256)
def _read(file: SectionFile, text: str) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    current: dict[str, Value] = {}
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace():
            head = line.strip() if not file.only else f"{file.only}: {line.strip()}"
            kind, _, name = head.partition(":")
            current = {"type": kind}
            if kind in file.types:
                entries[name.strip()] = current
            continue
        key, _, value = line.strip().partition(" ")
        param = file.table.params.get(key)
        if param is None:
            continue
        if param.type == "array":
            known = current.get(key)
            current[key] = (*(known if isinstance(known, tuple) else ()), value.strip())
        else:
            current[key] = _typed(param.type, key, value.strip())
    return entries


def _typed(kind: str, key: str, text: str) -> Value:
    if kind == "boolean":
        return int(text.lower() in TRUE or not text)
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return unquote(text) if key == "comment" else text
