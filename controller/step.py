"""What is asked of a device and what is sent to it, as plain values: printed, stored, rehearsed,
retried.

A path may hold names that are resolved when it is sent, because the answer changes by itself:
`{node:101}` is the node where guest 101 is at that moment.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, get_args

Scalar = str | int | float | bool | None
Json = Scalar | Sequence["Json"] | Mapping[str, "Json"]
_INSIDE = re.compile(r"^secret://.*|\{secret://[^{}\s]+\}", re.DOTALL)
SECRET = "secret://"  # noqa: S105 - begins a reference; resolved when sent, never printed


@dataclass(frozen=True)
class Query:
    """A question that changes nothing: an HTTP GET, a read-only command.

    `about`: the id of the one thing that the answer tells of (`101` for its configuration). When
    it fails, that thing alone is unknown; when one thing is proved, the others' are not asked.
    """

    path: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    about: str = field(default="", compare=False)

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def text(self) -> str:
        """`/pools?poolid=x`: also the key under which the answer is kept."""
        query = "&".join(f"{key}={value}" for key, value in sorted(self.params.items()))
        return f"{self.path}?{query}" if query else self.path


@dataclass(frozen=True)
class Rest:
    """A call over HTTP that changes something; a task that answers is waited for."""

    method: str
    path: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    timeout_s: float = 600.0

    def __str__(self) -> str:
        params = " ".join(f"{key}={_printed(value)}" for key, value in self.params.items())
        return f"{self.method} {self.path} {params}".rstrip()


@dataclass(frozen=True)
class JsonRpc:
    """A method called with parameters by position; a job that answers is waited for."""

    method: str
    params: tuple[Json, ...] = ()
    timeout_s: float = 120.0

    def __str__(self) -> str:
        return f"{self.method}({', '.join(json.dumps(_printed(each)) for each in self.params)})"


@dataclass(frozen=True)
class MonCommand:
    """A command of the Ceph monitors: `osd pool set` with its arguments by name."""

    prefix: str
    args: Mapping[str, Json] = field(default_factory=dict)
    timeout_s: float = 60.0

    def __str__(self) -> str:
        return " ".join([self.prefix, *(f"{k}={_printed(v)}" for k, v in self.args.items())])


@dataclass(frozen=True)
class Command:
    """A program run on a host, never through a shell's expansion.

    `done`: exit statuses that are success. `unless`: a command put first: what it finds is what
    this one would make, so there is nothing to do. `blank`: commands put next, which must find
    nothing: what they print is a reason to refuse. `{map:...}` in a word is resolved by the host's
    port.
    """

    argv: tuple[str, ...]
    done: tuple[int, ...] = (0,)
    blank: tuple[tuple[str, ...], ...] = ()
    unless: tuple[str, ...] = ()
    timeout_s: float = 120.0

    def __str__(self) -> str:
        there = f", unless {shlex.join(self.unless)} finds it" if self.unless else ""
        guards = "".join(f", if {shlex.join(each)} finds nothing" for each in self.blank)
        return f"{shlex.join(self.argv)}{there}{guards}"


@dataclass(frozen=True)
class WriteFile:
    """A file replaced at once or not at all; the old content is kept beside it.

    `{secret://env/NAME}` in `content` stands for a secret. `block`: only the lines between marks of
    this name are replaced, and without content they go; `settings`: only lines `name = value` of
    these names are. The rest is as it is when the step is sent, mode and owner too.

    `check`: a command that must say yes to the new file before it is used; `{}` in it is the file's
    name. `after`: what makes a daemon read it; if that fails, the old content is put back.
    """

    path: str
    content: str
    mode: int = 0o644
    owner: str = ""  # `user:group`; empty: whoever writes it
    block: str = ""
    settings: bool = False
    check: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    timeout_s: float = 60.0

    def __str__(self) -> str:
        lines = f"{len(self.content.splitlines())} lines"
        then = f", then {shlex.join(self.after)}" if self.after else ""
        if self.block:
            return f"write block {self.block} of {self.path}, {lines}{then}"
        if self.settings:
            return f"set {lines} of {self.path}{then}"
        return f"write {self.path}, {lines}, mode {self.mode:04o}{then}"


Step = Rest | JsonRpc | MonCommand | Command | WriteFile
"""One act on a device. A port does those of its own protocol."""


def _printed(value: Json) -> Json:
    """A parameter as people may see it: a reference to a secret says neither what nor where."""
    return changed(value, lambda text: _INSIDE.sub("***", text))


def changed(value: Json, change: Callable[[str], str]) -> Json:
    """The same with every text in it changed; names of members stay."""
    match value:
        case str():
            return change(value)
        case list() | tuple():
            return [changed(each, change) for each in value]
        case dict():
            return {name: changed(each, change) for name, each in value.items()}
        case _:
            return value


def step_data(step: Step) -> dict[str, object]:
    """A step as plain JSON, for the journal. Secrets in it are references."""
    return {"type": type(step).__name__, **asdict(step)}


def step_of(data: Mapping[str, Any]) -> Step:
    """The step that `step_data` wrote."""
    types = {known.__name__: known for known in get_args(Step)}
    fields = {name: _listed(data[name]) for name in data if name != "type"}
    step: Step = types[data["type"]](**fields)
    return step


def _listed(value: object) -> object:
    """JSON has lists where steps have tuples."""
    return tuple(map(_listed, value)) if isinstance(value, list) else value


@dataclass(frozen=True)
class Unanswered:
    """Stands where an answer should be: the device or the permission to ask was missing."""

    why: str


Answers = Mapping[str, object]
"""Query.text -> what the device said, verbatim, or Unanswered."""


def answered(answers: Answers) -> Mapping[str, object]:
    """Those that came."""
    return {text: data for text, data in answers.items() if not isinstance(data, Unanswered)}


class Port(Protocol):
    """The way to one device. Cannot tell real from simulated."""

    device: str

    def ask(self, query: Query) -> object:
        """The answer to a query. Raises DeviceError."""

    def send(self, step: Step) -> object:
        """Do one step and wait for its task.

        Raises DeviceError: `retryable` if it may work later or may have worked, with status 0 if no
        answer came at all.
        """

    def settle(self, step: Step, since_s: float) -> None:
        """After a lost answer or a crash: wait until nothing that `step` began still runs."""
