"""Blocks of lines in files that others write too, between marks with a name.

    # BEGIN vlab mount /backup
    ...
    # END vlab mount /backup

Leaves out files whose comments do not begin with `#`.
"""

from __future__ import annotations

import re

from lab.errors import Refused


def marks(name: str) -> tuple[str, str]:
    """The lines around a block."""
    return f"# BEGIN {name}\n", f"# END {name}\n"


def block_in(text: str, name: str) -> str | None:
    """The lines of a block; None if the file has no such block. Raises Refused for half a block."""
    begin, end = marks(name)
    starts = [match.start() for match in re.finditer(f"^{re.escape(begin)}", text, re.MULTILINE)]
    if not starts and f"\n{end}" not in f"\n{text}":
        return None
    stop = text.find(f"\n{end}", starts[0]) + 1 if starts else 0
    if len(starts) != 1 or not stop:
        what = f"block {name} is not between its two marks, once"
        raise Refused(what, "bring its lines `# BEGIN` and `# END` back, or take both out")
    return text[starts[0] + len(begin) : stop]


def with_block(text: str, name: str, lines: str) -> str:
    """The file with other lines in a block; without lines the block goes."""
    begin, end = marks(name)
    lines = lines if lines.endswith("\n") or not lines else f"{lines}\n"
    new = f"{begin}{lines}{end}" if lines else ""
    old = block_in(text, name)
    if old is not None:
        return text.replace(f"{begin}{old}{end}", new)
    text = text if text.endswith("\n") or not text else f"{text}\n"
    return text + new


def with_settings(text: str, lines: str) -> str:
    """The file with `name = value` of these lines in the place of what it says of the names."""
    fresh = dict(line.partition(" = ")[::2] for line in lines.splitlines())
    kept = []
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        if name not in fresh:
            kept.append(line)
    place = next((n for n, line in enumerate(kept) if line.startswith("# END")), len(kept))
    kept[place:place] = [f"{name} = {value}" for name, value in fresh.items()]
    return "".join(f"{line}\n" for line in kept)
