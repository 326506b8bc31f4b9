"""A command of the monitors as the wire has it: a prefix, arguments by name, an answer.

    {"prefix": "osd pool set", "pool": "vm", "var": "size", "val": "2"} -> (code, output, text)

A module with commands lists each with its parameters, as `get_command_descriptions` does; the words
of a command line are told apart by the same list. Source: Ceph's manual, librados and ceph(8).
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.mon.documents import Documents
from simulator.twin import Twin

Args = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """`code` 0 or a negative errno; `output` JSON or plain text; `text` what a person is told."""

    code: int = 0
    output: str = ""
    text: str = ""


class MonError(Exception):
    """A command that is refused: errno and the monitors' own words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(-code, "", text)


@dataclass(frozen=True)
class Site:
    """Where a command is carried out: a cluster of a twin, and what its monitors keep."""

    twin: Twin
    name: str
    documents: Documents

    @property
    def up(self) -> frozenset[int]:
        """OSDs that the map has up."""
        return frozenset(osd for osd in self.osds if self.twin.state.osds[f"{self.name}/{osd}"].up)

    @property
    def inside(self) -> frozenset[int]:
        """OSDs that the map has in."""
        state = self.twin.state.osds
        return frozenset(osd for osd in self.osds if state[f"{self.name}/{osd}"].inside)

    @property
    def osds(self) -> Mapping[int, str]:
        """OSD -> the host that it is on."""
        declared = self.twin.model.lab.ceph[self.name].osds
        return {int(osd): declared[osd].node for osd in sorted(declared, key=int)}


@dataclass(frozen=True)
class Parameter:
    """One argument. `kind`: text, number, flag (its word is the option), list, or the only words
    it takes, parted by `|`.
    """

    name: str
    kind: str = "text"
    needed: bool = True


def given(*names: str) -> tuple[Parameter, ...]:
    """Texts that must be there."""
    return tuple(Parameter(name) for name in names)


def maybe(*names: str, kind: str = "text") -> tuple[Parameter, ...]:
    """Those that may be left out."""
    return tuple(Parameter(name, kind, needed=False) for name in names)


SURE = maybe("yes_i_really_mean_it", kind="flag")


@dataclass(frozen=True)
class Command:
    """What a prefix takes and does. `do` answers data, a Reply, or raises MonError.

    `reads`: it changes nothing; others raise before they change anything.
    """

    do: Callable[[Site, Args], object]
    parameters: tuple[Parameter, ...] = ()
    reads: bool = False


def reading(do: Callable[[Site, Args], object], *parameters: Parameter) -> Command:
    """A command that only looks."""
    return Command(do, parameters, reads=True)


def answer(command: Command, site: Site, args: Args) -> Reply:
    """Carry out a command."""
    try:
        told = command.do(site, {name: args[name] for name in args if args[name] is not None})
    except MonError as error:
        return error.reply
    return told if isinstance(told, Reply) else Reply(0, json.dumps(told))


def done(text: str = "") -> Reply:
    """It is so now."""
    return Reply(0, "", text)


def number(args: Args, name: str, default: int = 0) -> int:
    """An argument as a number. Raises MonError."""
    try:
        return int(args.get(name, default))
    except (TypeError, ValueError) as error:
        raise MonError(
            errno.EINVAL, f"Expected option value to be integer, got '{args[name]}'"
        ) from error


def parsed(commands: Mapping[str, Command], words: Sequence[str]) -> dict[str, Any]:
    """The command that the words of a command line say. Raises MonError for none that is known."""
    plain = [word for word in words if not word.startswith("-")]
    for length in range(len(plain), 0, -1):
        prefix = " ".join(plain[:length])
        if prefix in commands and list(words[:length]) == plain[:length]:
            return {"prefix": prefix, **dict(_named(commands[prefix], list(words[length:])))}
    raise MonError(errno.EINVAL, f"no valid command found: {' '.join(words)}")


def _named(command: Command, words: list[str]) -> Iterator[tuple[str, Any]]:
    """Words by the names of the parameters: in order, or after `--name`."""
    left = list(command.parameters)
    while words:
        word = words.pop(0)
        name = word.removeprefix("--").replace("-", "_") if word.startswith("--") else ""
        name, _, value = name.partition("=")
        known = next(
            (each for each in left if (each.name == name if name else each.kind != "flag")), None
        )
        if known is None:
            raise MonError(errno.EINVAL, f"unused arguments: {word}")
        left.remove(known)
        if known.kind == "flag":
            yield known.name, True
        elif known.kind == "list":
            first = [value] if value else [] if name else [word]
            yield (
                known.name,
                first + [words.pop(0) for _ in list(words) if not words[0].startswith("--")],
            )
        elif name and not value and words:
            yield known.name, words.pop(0)
        else:
            yield known.name, value or word
    for missing in (each for each in left if each.needed):
        raise MonError(errno.EINVAL, f"missing required parameter {missing.name}")
