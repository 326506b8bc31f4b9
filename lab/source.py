"""A file as its author laid it out: entries in block style, and the comments around them.

Read by `lab.format`. A comment with a line for itself belongs to the entry below it, or, when it is
indented deeper than that, to the entry before it; a comment behind a value belongs to that entry.
Comments at the top of the file belong to the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

COMMENT = re.compile(r"(?:^|(?<=\s))#.*$", re.MULTILINE)


@dataclass(eq=False, slots=True)
class Entry:
    """A key with its value, or an item of a list; `below` are the entries of a value in blocks."""

    key: Node | None
    value: Node
    column: int
    name: str  # the key, or the index of the item
    parent: Entry | None
    below: list[Entry] = field(default_factory=list)
    lead: list[str] = field(default_factory=list)  # comments, and "" for blank lines, above
    beside: str = ""
    tail: list[str] = field(default_factory=list)  # the same, below all that it holds

    @property
    def line(self) -> int:
        """0-based line where it begins."""
        return int((self.key or self.value).start_mark.line)


class Source:
    """A text that `lab.compose` has accepted, with its entries and comments."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Node | None = YAML(typ="safe", pure=False).compose(text)
        self.roots: list[Entry] = []
        self.comments: list[str] = []
        self.top: list[str] = []
        self.bottom: list[str] = []
        self._leaves: list[tuple[int, int]] = []  # offsets of values that are kept as written
        entries: list[Entry] = []
        if self.root is not None:
            self.roots = self._read(self.root, None, entries)
        self._attach(entries)

    def slice(self, node: Node) -> str:
        """What was written for a node."""
        return self.text[node.start_mark.index : self._end(node)]

    def _end(self, node: Node) -> int:
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        if isinstance(node, ScalarNode) and node.style in ("|", ">"):
            header = self.text[start : self.text.find("\n", start)].partition("#")[0]
            if "+" not in header:  # blank lines below are not part of it
                return start + len(self.text[start:end].rstrip())
        return end

    def _read(self, node: Node, parent: Entry | None, into: list[Entry]) -> list[Entry]:
        """Entries of a value in block style; none for others, which are leaves."""
        found = []
        if not isinstance(node, CollectionNode) or node.flow_style:
            self._leaves.append((node.start_mark.index, self._end(node)))
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                self._leaves.append((key.start_mark.index, self._end(key)))
                entry = Entry(key, value, key.start_mark.column, key.value, parent)
                found.append(self._enter(entry, into))
        elif isinstance(node, SequenceNode):
            for position, item in enumerate(node.value):
                entry = Entry(None, item, node.start_mark.column, str(position), parent)
                found.append(self._enter(entry, into))
        return found

    def _enter(self, entry: Entry, into: list[Entry]) -> Entry:
        into.append(entry)
        entry.below = self._read(entry.value, entry, into)
        return entry

    def _remarks(self) -> Iterator[tuple[int, int, str]]:
        """Comments outside of values, and blank lines: line, column (-1 beside a value), text."""
        starts = [start for start, _end in self._leaves]
        offset = 0
        for number, line in enumerate(self.text.split("\n")):
            for match in COMMENT.finditer(line):
                leaf = bisect_right(starts, offset + match.start()) - 1
                if leaf < 0 or self._leaves[leaf][1] <= offset + match.start():
                    alone = not line[: match.start()].strip()
                    yield number, match.start() if alone else -1, match[0].rstrip()
                    break
            if not line.strip():
                leaf = bisect_right(starts, offset) - 1
                if leaf < 0 or self._leaves[leaf][1] <= offset:
                    yield number, 0, ""
            offset += len(line) + 1

    def _attach(self, entries: list[Entry]) -> None:
        """Give each comment and blank line to an entry, or to the file."""
        waiting: list[tuple[int, str]] = []
        before: Entry | None = None
        remarks: Any = [*self._remarks(), (len(self.text), 0, "")]
        upcoming = iter([*entries, None])
        after = next(upcoming)
        for line, column, text in remarks:
            while after is not None and after.line <= line:
                self._give(waiting, before, after)
                waiting, before, after = [], after, next(upcoming)
            self.comments += [text] if text else []
            if column < 0 and before is not None:
                before.lead += [before.beside] if before.beside else []
                before.beside = text
            else:
                waiting.append((max(column, 0), text))
        self._give(waiting[:-1], before, None)

    def _give(
        self, waiting: list[tuple[int, str]], before: Entry | None, after: Entry | None
    ) -> None:
        """Hand what stands between two entries to one of them."""
        blank: list[str] = []
        for column, text in waiting:
            if not text:
                blank = [""]
                continue
            self._owner(column, before, after).extend([*blank, text])
            blank = []
        if after is not None:
            (self.top if before is None else after.lead).extend(blank)

    def _owner(self, column: int, before: Entry | None, after: Entry | None) -> list[str]:
        if before is None:
            return self.top
        if after is not None and (after.parent is before or column <= after.column):
            return after.lead
        owner = before
        while owner.column > column and owner.parent is not None:
            owner = owner.parent
        return owner.tail if owner.column <= column else self.bottom
