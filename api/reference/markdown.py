"""Pieces of the pages: tables and the text of docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from textwrap import wrap

WRITTEN = "Written from the code by `make docs`."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; cells are made safe. Nothing for a table without rows."""
    body = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body] if body else []


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def prose(text: str) -> list[str]:
    """Lines of running text; an empty line parts paragraphs."""
    lines: list[str] = []
    for part in text.strip().split("\n\n"):
        lines += wrap(" ".join(part.split()), 100, break_long_words=False, break_on_hyphens=False)
        lines.append("")
    return lines[:-1]


def paragraphs(documented: object) -> str:
    """A docstring as running text, its paragraphs kept."""
    text = inspect.getdoc(documented) or ""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def page(title: str, *parts: Iterable[str]) -> str:
    """A whole page."""
    lines = [f"# {title}", ""]
    for part in parts:
        lines += part
    return "\n".join(lines).rstrip() + "\n"
