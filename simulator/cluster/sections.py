"""Section files: how Proxmox VE writes affinity rules and groups.

A section is `<type>: <id>` at the start of a line and the indented `key value` lines below it, up
to the next empty line. Read by `rules` and `groups`. Leaves out writing: nothing here goes to disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

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


def read_sections(text: str, read: Callable[[Section], T]) -> dict[str, T]:
    """What `read` makes of each section, by id in the order of the file.

    Lines whose first character that is not blank is `#` are skipped, inside a section too. Raises
    ValueError with all that is wrong, each on its line with the line of the file that it is on.
    """
    found: dict[str, T] = {}
    flaws: list[str] = []
    for (number, first), *rest in _blocks(text):
        if not (header := _HEADER.fullmatch(first)):
            flaws.append(f"line {number}: a section starts with `type: id`, not {first!r}")
            continue
        properties = {}
        for at, line in rest:
            if word := _PROPERTY.fullmatch(line):
                properties[word["key"]] = word["value"] or ""
            else:
                flaws.append(f"line {at}: a property is indented `key value`, not {line!r}")
        if header["id"] in found:
            flaws.append(f"line {number}: {header['id']} is there twice")
        try:
            found[header["id"]] = read(Section(header["type"], header["id"], number, properties))
        except ValueError as error:
            flaws.append(str(error))
    if flaws:
        raise ValueError("\n".join(flaws))
    return found


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """The lines between empty ones, numbered from 1, without comments."""
    block: list[tuple[int, str]] = []
    for number, line in [*enumerate(text.splitlines(), 1), (0, "")]:
        if not line.strip() and block:
            yield block
            block = []
        elif line.strip() and not line.lstrip().startswith("#"):
            block.append((number, line))
