"""The devices that a pass works on: a name, the way there, and what may be on them.

Made from the controller's settings for real devices and from a fork of the twin for a rehearsal;
everything that takes a `Device` cannot tell which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.managed import Context, Managed
from controller.step import Answers, Port


def no_context(device: str, answers: Answers) -> Context:
    """For devices whose steps and costs depend on nothing around a thing."""
    return Context()


@dataclass(frozen=True)
class Device:
    """One device. `context` reads what is around the things from the answers that are there."""

    name: str
    port: Port
    kinds: tuple[type[Managed], ...]
    context: Callable[[str, Answers], Context] = no_context
