"""Text that a terminal and a log show as it is, on one line.

What people call things, and what devices answer, may hold escape sequences, marks that turn the
direction of writing, and line breaks. They are shown by their number, as JSON writes it, so that
JSON stays the same value. Leaves out characters that merely look like others.
"""

from __future__ import annotations

import re

# C0 but tab, DEL, C1 (ECMA-48), line and paragraph separator, halves of pairs; marks of direction
# (UAX 9, 2).
_HIDDEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    r"""The same with `\u001b` in place of what is not shown as itself."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_lines(text: str) -> str:
    """The same of each line."""
    return "\n".join(printable(line) for line in text.split("\n"))
