"""One way to write a file of the tree: `format_text` changes how it looks and nothing else.

What stands below a key is indented by two. Keys stand in the order of the language
(`lab.shape.keys_of`), names of entries in the order of their author. Values are kept as written,
braces as braces and blocks as blocks. A comment stays with what it is above or beside. Positions
are those of ruamel.yaml's nodes; the text is laid out here, because that library's own writer loses
the place of comments when keys move. A file with other top-level keys than words, such as a
scenario, keeps the order of its keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from lab.compose import compose
from lab.errors import LabInvalid, Place, Problem
from lab.item import Path
from lab.lab import WORDS
from lab.shape import keys_of, model_at
from lab.source import Entry, Source

WIDTH = 100
STEP = 2


def format_file(file: str, content: bytes) -> bytes:
    """`content` of a file as it should look. Raises LabInvalid, also for what is no text."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise LabInvalid(tuple(compose(file, content).problems)) from None
    return format_text(text, file).encode()


def format_text(text: str, file: str = "<text>") -> str:
    """`text` as it should look; itself when it already does.

    Raises LabInvalid if it can't be read, or laid out without changing what it says.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    before = compose(file, text.encode())
    if before.problems:
        raise LabInvalid(tuple(before.problems))
    source = Source(text)
    after = "\n".join(_Layout(source, before.data).lines()).lstrip("\n") + "\n"
    after = "" if after == "\n" else after
    again = compose(file, after.encode())
    same = (again.data, again.resets, again.problems) == (before.data, before.resets, [])
    if not same or Counter(Source(after).comments) != Counter(source.comments):
        what = "the file can't be laid out without changing what it says"
        fix = "simplify its quotes and blocks, or move the comments between its values"
        raise LabInvalid((Problem(Place(file, 1, 1), what, fix=fix),))
    return after


class _Layout:
    """Writes the entries of a source anew."""

    def __init__(self, source: Source, data: dict[str, Any]) -> None:
        self.source = source
        self.data = data

    def lines(self) -> Iterator[str]:
        """The whole file: what stands at its top, its words, what stands at its end."""
        yield from self.source.top
        yield from self._block(self.source.roots, 0, ()) if self.source.roots else self._plain()
        yield from self.source.bottom

    def _plain(self) -> Iterator[str]:
        """A file that is one pair of braces, or nothing."""
        if self.source.root is not None:
            yield from (line.rstrip() for line in self.source.slice(self.source.root).split("\n"))

    def _block(self, entries: list[Entry], indent: int, path: Path) -> Iterator[str]:
        ordered = self._ordered(entries, path)
        for position, entry in enumerate(ordered):
            below = (*path, entry.name)
            yield from _remarks(entry.lead, indent, first=position == 0)
            yield from self._entry(entry, indent, below)
            yield from _remarks(entry.tail, indent)

    def _entry(self, entry: Entry, indent: int, path: Path) -> Iterator[str]:
        margin, beside = " " * indent, f"  {entry.beside}" if entry.beside else ""
        if entry.key is None and entry.below:
            first, *rest = self._block(entry.below, indent + STEP, path)
            yield f"{margin}- {first.lstrip()}"
            yield from rest
            return
        head = f"{margin}-" if entry.key is None else f"{margin}{self.source.slice(entry.key)}:"
        if entry.below:
            yield head + beside
            yield from self._block(entry.below, indent + STEP, path)
            return
        first, *rest = self._leaf(entry, len(head), indent, path)
        lines = [f"{head} {first}".rstrip(), *rest]
        lines[-1] += beside
        yield from lines

    def _leaf(self, entry: Entry, used: int, indent: int, path: Path) -> list[str]:
        """The lines of a value that holds no entries in block style."""
        node, shift = entry.value, indent - entry.column
        lines = self.source.slice(node).split("\n")
        if isinstance(node, ScalarNode):
            return _scalar(lines, node.style, indent, shift)
        inline = self._flow(node, path)
        fits = len(lines) == 1 or used + len(inline) < WIDTH
        if fits and "\n" not in inline and not any("#" in line for line in lines):
            return [inline]
        return [lines[0].rstrip(), *(_moved(line, shift, indent + STEP) for line in lines[1:])]

    def _flow(self, node: Node, path: Path) -> str:
        """A value between braces or brackets on one line."""
        if isinstance(node, ScalarNode):
            return self.source.slice(node)
        if not isinstance(node, MappingNode):
            each = (self._flow(item, (*path, str(n))) for n, item in enumerate(node.value))
            return f"[{', '.join(each)}]"
        ranks = self._ranks(path)
        pairs = sorted(node.value, key=lambda pair: ranks.get(pair[0].value, len(ranks)))
        texts = (
            f"{self.source.slice(key)}: {self._flow(value, (*path, key.value))}"
            for key, value in pairs
        )
        return f"{{{', '.join(texts)}}}"

    def _ordered(self, entries: list[Entry], path: Path) -> list[Entry]:
        ranks = self._ranks(path)
        return sorted(entries, key=lambda entry: ranks.get(entry.name, len(ranks)))

    def _ranks(self, path: Path) -> dict[str, int]:
        """Places of the keys in the mapping at `path`; empty where names are the author's."""
        known: Iterable[str] = ()
        if not self.data.keys() <= WORDS.keys():
            return {}
        if not path:
            known = WORDS
        elif len(path) > 1:
            data = self.data.get(path[0], {}).get(path[1])
            model = model_at(WORDS[path[0]], data, path[2:])
            known = keys_of(model) if model is not None else ()
        return {key: rank for rank, key in enumerate(known)}


def _remarks(lines: list[str], indent: int, *, first: bool = False) -> Iterator[str]:
    """Comments and blank lines at an indent: no two blank ones in a row, none to begin a block."""
    blank = first
    for line in lines:
        if line or not blank:
            yield f"{' ' * indent}{line}".rstrip()
        blank = not line


def _scalar(lines: list[str], style: str | None, indent: int, shift: int) -> list[str]:
    head, *rest = lines if lines[-1] else lines[:-1] or lines
    if style not in ("|", ">"):  # line ends and margins are folded into spaces
        margin = " " * (indent + STEP)
        return [head.rstrip(), *(f"{margin}{line.strip()}".rstrip() for line in rest)]
    if not any(each.isdigit() for each in head.partition("#")[0]):
        depth = next((len(line) - len(line.lstrip(" ")) for line in rest if line.strip()), 0)
        shift = indent + STEP - depth
    return [head.rstrip(), *(_moved(line, shift, 0) for line in rest)]


def _moved(line: str, shift: int, least: int) -> str:
    """A line with its margin changed by `shift`, and at least `least` wide."""
    text = line.lstrip(" ")
    margin = max(least, len(line) - len(text) + shift)
    return f"{' ' * margin}{text}".rstrip(" ")
