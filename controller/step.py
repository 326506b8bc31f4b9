"""What is asked of a device and what is sent to it, as plain values: printed, stored, rehearsed,
retried.

A path may hold names that are resolved when it is sent, because the answer changes by itself:
`{node:101}` is the node where guest 101 is at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

Scalar = str | int | float | bool | None
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
    """A call that changes something; a task that answers is waited for, `timeout_s` long."""

    method: str
    path: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    timeout_s: float = 600.0

    def __str__(self) -> str:
        params = " ".join(f"{key}={_printed(value)}" for key, value in self.params.items())
        return f"{self.method} {self.path} {params}".rstrip()


Step = Rest
"""Later devices add theirs: JsonRpc, Command, WriteFile."""


def _printed(value: Scalar) -> Scalar:
    """A parameter as people may see it: a reference to a secret says neither what nor where."""
    return "***" if isinstance(value, str) and value.startswith(SECRET) else value


def step_data(step: Step) -> dict[str, object]:
    """A step as plain JSON, for the journal. Secrets in it are references."""
    return {"type": type(step).__name__, **asdict(step)}


def step_of(data: Mapping[str, Any]) -> Step:
    """The step that `step_data` wrote."""
    types = {known.__name__: known for known in (Rest,)}
    return types[data["type"]](**{name: data[name] for name in data if name != "type"})


@dataclass(frozen=True)
class Unanswered:
    """Stands where an answer should be: the device or the permission to ask was missing."""

    why: str


Answers = Mapping[str, object]
"""Query.text -> what the device said, verbatim, or Unanswered."""


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
