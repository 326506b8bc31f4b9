"""The devices that a pass works on: a name, the way there, and what may be on them.

Made from the controller's settings for real devices and from a fork of the twin for a rehearsal;
everything that takes a `Device` cannot tell which. A `Family` is all that the rest of the
controller knows of a kind of device; each folder (`pve/`, `truenas/` ...) gives one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from controller.attribution import Trail
from controller.clock import Clock
from controller.managed import Context, Cost, Managed
from controller.observed import Observed
from controller.secrets import Vault
from controller.settings import Settings
from controller.step import Answers, Port
from simulator.twin import Twin


def no_context(device: str, answers: Answers) -> Context:
    """For devices whose steps and costs depend on nothing around a thing."""
    return Context()


def nothing_open() -> None:
    """For ways that hold nothing open."""


@dataclass(frozen=True)
class Device:
    """One device. `context` reads what is around the things from the answers that are there.

    `trail`: how it notes who did what, if it does. `close` lets go of the way there.
    """

    name: str
    port: Port
    kinds: tuple[type[Managed], ...]
    context: Callable[[str, Answers], Context] = no_context
    trail: Trail | None = None
    close: Callable[[], None] = nothing_open


class Family(Protocol):
    """A kind of device."""

    @property
    def kinds(self) -> tuple[type[Managed], ...]:
        """What may be on one."""

    def costs(self) -> Mapping[str, Cost]:
        """What a change of a field of the language costs at most: `guests.disks.*.size`."""

    def opened(self, settings: Settings, clock: Clock, vault: Vault) -> Iterator[Device]:
        """The real ones that the settings name. Raises SecretMissing."""

    def install(self, twin: Twin) -> None:
        """Attach those of the twin's lab, installed and with nothing on them."""

    def stage(self, twin: Twin, observed: Observed) -> None:
        """Attach those of the twin's lab, holding what was observed."""

    def served(self, twin: Twin, clock: Clock, vault: Vault) -> Iterator[Device]:
        """The ways to those that are attached, in process."""
