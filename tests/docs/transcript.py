"""Console blocks of a document, run as a reader would run them and compared with what they show.

In a block of ```console a line `$ command` is typed, `> ` continues it, and the lines below are
what comes of it, stdout and stderr together. A line `...` stands for any number of lines, `...` in
a line for anything. All blocks of a document are one session of bash. A command must end well,
unless the next one is `echo $?`, which shows how it ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

MARK = "-- this command has ended --"
ANYTHING = "..."


@dataclass(frozen=True)
class Typed:
    """A command of a document. `line`: where it stands; `shown`: what is below it."""

    line: int
    command: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What came of a command; `code` None: it did not end in time."""

    lines: tuple[str, ...]
    code: int | None


def fenced(text: str, language: str) -> Iterator[tuple[int, list[str]]]:
    """Blocks of a language: the number of the first line within, and the lines."""
    begun: int | None = None
    block: list[str] = []
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        opened = re.match(r"\s*(```+)(\w*)", line)
        if fence and line.strip() == fence:
            if begun is not None:
                yield begun, block
            begun, block, fence = None, [], ""
        elif not fence and opened:
            fence = opened[1]
            begun = number + 1 if opened[2] == language else None
        elif begun is not None:
            block.append(line.strip() if not line.strip() else line)


def typed(text: str) -> list[Typed]:
    """All commands of a document, in order."""
    found: list[Typed] = []
    for first, block in fenced(text, "console"):
        for number, line in enumerate(block, first):
            if line.startswith("$ "):
                found.append(Typed(number, line[2:], ()))
                continue
            last = found.pop()
            if line.startswith("> ") or line == ">":
                assert not last.shown, f"line {number} continues no command"
                found.append(Typed(last.line, f"{last.command}\n{line[2:]}", ()))
            else:
                found.append(Typed(last.line, last.command, (*last.shown, line.rstrip())))
    return found


def run(commands: list[Typed], folder: Path, home: Path, timeout_s: float) -> list[Said]:
    """What came of each command, in one session of bash that begins in `folder`."""
    script = "".join(
        f"{each.command}\n__code=$?; printf '\\n{MARK} %s\\n' $__code; (exit $__code)\n"
        for each in commands
    )
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            output = process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0]
    pieces = re.split(rf"\n{MARK} (\d+)\n", output)
    said = [
        Said(_lines(lines), int(code))
        for lines, code in zip(pieces[:-1:2], pieces[1::2], strict=True)
    ]
    return [*said, Said(_lines(pieces[-1]), None)][: len(commands)]


def environment(home: Path) -> Mapping[str, str]:
    """A reader's: this vlab first, a home of one's own, a name for git."""
    person = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
              for what, value in (("NAME", "Nami"), ("EMAIL", "nami@lab.example"))}  # fmt: skip
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    return {
        **kept,
        **person,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
    }


def differences(commands: list[Typed], said: list[Said]) -> Iterator[str]:
    """Where the session went otherwise than the document shows."""
    for number, (each, came) in enumerate(zip(commands, said, strict=False)):
        where = f"line {each.line}: $ {each.command}"
        followed = number + 1 < len(commands) and commands[number + 1].command == "echo $?"
        if came.code is None:
            yield f"{where}\n  did not end in time; so far:\n{_indented(came.lines)}"
        elif came.code != 0 and not followed:
            yield f"{where}\n  ended with {came.code}, and no `echo $?` says so"
        if came.code is not None and not fits(each.shown, came.lines):
            told = unified_diff(each.shown, came.lines, "shown", "said", lineterm="")
            yield f"{where}\n{_indented(told)}"


def fits(shown: tuple[str, ...], lines: tuple[str, ...]) -> bool:
    """Whether what was said is what is shown."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == ANYTHING else f"{_line(line)}\n" for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def _line(shown: str) -> str:
    return ".*?".join(re.escape(part) for part in shown.split(ANYTHING))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in text.removesuffix("\n").splitlines())


def _indented(lines: Iterator[str] | tuple[str, ...]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def mended(text: str, commands: list[Typed], said: list[Said]) -> str:
    """`text` with what was said in the place of what is shown, where the two differ."""
    lines = text.splitlines()
    for each, came in reversed(list(zip(commands, said, strict=False))):
        if came.code is not None and not fits(each.shown, came.lines):
            first = each.line + each.command.count("\n")
            lines[first : first + len(each.shown)] = _renewed(each.shown, came.lines)
    return "\n".join(lines) + "\n"


def _renewed(shown: tuple[str, ...], lines: tuple[str, ...]) -> tuple[str, ...]:
    """As short as before if only figures have changed, else everything that was said."""
    pattern = "".join(
        r"((?:.*\n)*?)" if line.strip() == ANYTHING else f"({_figures(line)})\n" for line in shown
    )
    match = re.fullmatch(pattern, "".join(f"{line}\n" for line in lines))
    if match is None:
        return lines
    return tuple(
        old if ANYTHING in old else new for old, new in zip(shown, match.groups(), strict=True)
    )


def _figures(shown: str) -> str:
    """A pattern of a line in which figures and the blanks before them may be others."""
    parts = (re.escape(part) for part in shown.split(ANYTHING))
    return ".*?".join(re.sub(r"(?:\\ )*\d+(?:\\\.\d+)?", r" *\\d+(?:\\.\\d+)?", p) for p in parts)
