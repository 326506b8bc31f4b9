"""The little of a shell's syntax that remote commands need, read into plain values.

Simple commands, `&&`, `||`, `;`, `|`, redirections to and from files, assignments before a command
and the positional parameters of `sh -c`. Everything else (globs, variables, substitution, compound
commands) is refused by name: a simulation must not guess what a shell would have made of it.
Source: POSIX.1-2017, shell command language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.linux.call import word_set

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+|\\\n)
    |(?P<join>2>&1)
    |(?P<redirect>[012]?(?:>>|>|<(?!<)))
    |(?P<operator>&&|\|\||;|\||\n)
    |(?P<word>(?:[^\s'"\\&|;<>]|\\.|\\\Z|'[^']*'|"(?:[^"\\]|\\.)*")+)""",
    re.VERBOSE | re.DOTALL,
)
_PIECE = re.compile(
    r"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>(?:\\.|\\\Z|[^'"\\])+)""",
    re.DOTALL,
)
_POSITIONAL = re.compile(r"\$(?:([0-9])|\{([0-9])\})")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_GLOB = re.compile(r"[*?]|\[.+\]|\{[^}]*(?:,|\.\.)[^}]*\}")
_KEYWORDS = word_set("if then else elif fi for while until do done case esac function { } !")


class NotRead(ValueError):
    """The line is no shell syntax, or more of it than is simulated. Its text is the message."""


@dataclass(frozen=True)
class Simple:
    """One simple command. `joiner` is what stands before it: "", "&&", "||", ";" or "|"."""

    argv: tuple[str, ...]
    joiner: str = ""
    reads: str = ""  # a file instead of stdin
    writes: str = ""
    appends: bool = False
    errors: str = ""  # "" to stderr, "&1" with stdout, else a file


def parse(line: str, positional: Sequence[str] = ()) -> list[Simple]:
    """The commands of a line; `positional` are $0, $1 ... Raises NotRead."""
    found: list[Simple] = []
    words: list[str] = []
    aims: dict[str, str] = {}
    joiner, waiting, position = "", "", 0
    while position < len(line):
        match = _TOKEN.match(line, position)
        if match is None:
            raise NotRead(_unread(line, position))
        position = match.end()
        text, kind = match[0], match.lastgroup
        if kind == "word":
            word = _unquote(text, positional, is_first=not words)
            if waiting:
                if aims.setdefault(waiting, word) != word:
                    raise NotRead(f"more than one `{waiting}' is not simulated")
                waiting = ""
            elif words or not _ASSIGNMENT.fullmatch(text):
                words.append(word)
        elif kind == "redirect":
            waiting = text
        elif kind == "join":
            aims["2>"] = "&1"
        elif kind == "operator":
            if not words and text == "\n":
                continue
            found.append(_simple(words, joiner, aims, waiting, text))
            joiner, words, aims = text.replace("\n", ";"), [], {}
    if words or aims or waiting or joiner in ("&&", "||", "|"):
        found.append(_simple(words, joiner, aims, waiting, "newline"))
    return found


def _simple(
    words: list[str], joiner: str, aims: dict[str, str], waiting: str, following: str
) -> Simple:
    if waiting or not words:
        raise NotRead(f"syntax error near unexpected token `{following}'")
    known = {
        aim.removeprefix("1") if ">" in aim else aim.removeprefix("0"): file
        for aim, file in aims.items()
    }
    appends = ">>" in known
    writes = known.pop(">>", "") or known.pop(">", "")
    reads, errors = known.pop("<", ""), known.pop("2>", "") or known.pop("2>>", "")
    return Simple(tuple(words), joiner, reads, writes, appends, errors)


def _unquote(text: str, positional: Sequence[str], *, is_first: bool) -> str:
    """A word without its quotes. Raises NotRead for what would be expanded."""
    if is_first and text in _KEYWORDS:
        raise NotRead(f"`{text}' is shell syntax that is not simulated")
    made: list[str] = []
    for piece in _PIECE.finditer(text):
        if piece["single"] is not None:
            made.append(piece["single"])
            continue
        quoted = piece["double"] is not None
        raw = piece["double"] if quoted else piece["bare"]
        raw = _filled(raw, positional, '[$`"\\\\]' if quoted else r"\W")
        bare = re.sub(r"\\.", "", raw, flags=re.DOTALL)
        if "$" in bare or "`" in bare:
            raise NotRead(f"expansion in `{text}' is not simulated")
        if not quoted and (
            _GLOB.search(bare) or bare.startswith(("~", "#")) or "(" in bare or ")" in bare
        ):
            raise NotRead(f"`{text}' would be expanded, which is not simulated")
        escapes = r"\\([$`\"\\])" if quoted else r"\\(.)"
        made.append(re.sub(escapes, r"\1", raw, flags=re.DOTALL))
    return "".join(made)


def _filled(text: str, positional: Sequence[str], special: str) -> str:
    """Positional parameters put in, protected against being read as syntax."""

    def value(match: re.Match[str]) -> str:
        number = int(match[1] or match[2])
        found = positional[number] if number < len(positional) else ""
        return re.sub(special, r"\\\g<0>", found)

    return _POSITIONAL.sub(value, text)


def _unread(line: str, position: int) -> str:
    rest = line[position:]
    if rest[0] in "'\"":
        return f"unexpected EOF while looking for matching `{rest[0]}'"
    if rest.startswith("<<"):
        return "here-documents are not simulated"
    return f"syntax error near unexpected token `{rest[0]}'"
