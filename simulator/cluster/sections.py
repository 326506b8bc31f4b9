"""Section files: how Proxmox VE writes affinity rules and groups.

A section is `<type>: <id>` at the start of a line and the indented `key value` lines below it, up
to the next empty line. Read by `rules` and `groups`. Leaves out writing: nothing here goes to disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_HEADER = re.compile(r"(?P<type>\S+):\s*(?P<id>\S+)\s*")
_PROPERTY = re.compile(r"\s+(?P<key>\S+)(?:\s+(?P<value>\S.*?))?\s*")
_SEPARATORS = re.compile(r"[,;\s]+")
_TRUE, _FALSE = ("1", "on", "yes", "true"), ("0", "off", "no", "false")


@dataclass(frozen=True)
class Section:
    """One section as it is written. `line`: of its header, from 1, for messages."""

    type: str
    id: str
    line: int
    properties: Mapping[str, str]

    def flag(self, key: str) -> bool:
        """A boolean property: absent is false, present without a value is true."""
        value = self.properties.get(key, "0").lower() or "1"
        if value not in _TRUE + _FALSE:
            raise self.flaw(f"{key} is 0 or 1, not {value!r}")
        return value in _TRUE

    def words(self, key: str) -> tuple[str, ...]:
        """A list property that must be there and hold something."""
        words = tuple(word for word in _SEPARATORS.split(self.properties.get(key, "")) if word)
        if not words:
            raise self.flaw(f"{key} is missing or empty")
        return words

    def priorities(self, key: str) -> dict[str, int]:
        """A list of `node` or `node:priority`; a node without priority has 0."""
        parts = [word.partition(":") for word in self.words(key)]
        if wrong := [node for node, colon, value in parts if colon and not value.isdigit()]:
            raise self.flaw(f"the priority of node {wrong[0]} is no number")
        return {node: int(value or 0) for node, _, value in parts}

    def flaw(self, what: str) -> ValueError:
        return ValueError(f"line {self.line}: {self.type} {self.id}: {what}")


def parse_sections(text: str) -> Iterator[Section]:
    """The sections in the order of the file; ValueError with the line if it isn't one.

    Lines whose first character that is not blank is `#` are skipped, inside a section too.
    """
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if not line.lstrip().startswith("#")
    ]
    seen: set[str] = set()
    section: tuple[int, re.Match[str], dict[str, str]] | None = None
    for number, line in [*lines, (0, "")]:
        if section is None and (header := _HEADER.fullmatch(line)):
            section = (number, header, {})
        elif section is None and line.strip():
            raise ValueError(f"line {number}: a section starts with `type: id`, not {line!r}")
        elif section and (word := _PROPERTY.fullmatch(line)):
            section[2][word["key"]] = word["value"] or ""
        elif section and line.strip():
            raise ValueError(f"line {number}: a property is indented `key value`, not {line!r}")
        elif section:
            started, header, properties = section
            if header["id"] in seen:
                raise ValueError(f"line {started}: {header['id']} is there twice")
            seen.add(header["id"])
            yield Section(header["type"], header["id"], started, properties)
            section = None
