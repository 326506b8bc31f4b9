"""Whether a command line reads its standard input: what an SSH server must know beforehand.

A command here runs at one instant, so all of its input must have come when it starts; one that
reads none must not wait for a client that never says that there is no more. Leaves out: programs
that would read only part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.linux.call import word_set
from simulator.linux.shell import NotRead, parse

_ALWAYS = word_set("tee dd")
_WITHOUT_FILE = word_set("cat head sha256sum sha1sum md5sum")
_SHELLS = word_set("sh bash")
_BEFORE_OTHERS = word_set("sudo env timeout nice")
_STDIN = frozenset({"-", "/dev/stdin"})


def reads_stdin(line: str, positional: Sequence[str] = ()) -> bool:
    """Whether anything in the line reads what comes from outside."""
    try:
        commands = parse(line, positional)
    except NotRead:
        return False
    return any(
        _reads(command.argv)
        for command in commands
        if not command.reads and command.joiner != "|" and command.argv
    )


def _reads(argv: Sequence[str]) -> bool:
    name, rest = argv[0].rpartition("/")[2], list(argv[1:])
    if name in _BEFORE_OTHERS:
        inner = _inner(rest)
        return bool(inner) and _reads(inner)
    if name in _ALWAYS or _STDIN.intersection(rest):
        return not any(word.startswith("if=") for word in rest)
    if name in _WITHOUT_FILE:
        return all(word.startswith("-") for word in rest)
    if name in _SHELLS:
        at = next((n for n, word in enumerate(rest) if word.startswith("-") and "c" in word), None)
        if at is None:
            return True
        return len(rest) > at + 1 and reads_stdin(rest[at + 1], rest[at + 2 :])
    return False


def _inner(words: list[str]) -> list[str]:
    """The command after the options, assignments and durations of one that runs others."""
    while words and (words[0].startswith("-") or "=" in words[0] or words[0][0].isdigit()):
        words = words[2:] if words[0] == "-u" else words[1:]
    return words
