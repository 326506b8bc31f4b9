"""What the HTTP faces show, as one small value: the history, the lab as it is now, "look now".

Made by `service` for a controller of its own and by `demonstration` for the simulated lab; read by
the routes, the events and the metrics. Leaves out how any of it comes about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from pydantic import SecretStr

from api.answers import Fault
from api.topology import GuestKey, GuestPlace
from controller.history import History
from lab.errors import Refused
from lab.lab import Lab


@dataclass(frozen=True)
class LabNow:
    """The lab in force, where its guests were seen, and what is known to be broken."""

    lab: Lab
    commit: str
    places: Mapping[GuestKey, GuestPlace] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class View:
    """Everything that is shown. `lab` answers None while no commit is in force.

    `look` says "look now" to the controller, with a reason. `token` is asked of those who change
    something; without one nobody can. `listen`: the address that is served. `every_s`: how often
    the history is looked at while somebody listens to the events.
    """

    history: History
    lab: Callable[[], LabNow | None]
    look: Callable[[str], None]
    listen: str = "127.0.0.1"
    token: SecretStr | None = None
    every_s: float = 1.0

    def __post_init__(self) -> None:
        """Raises Refused for an open address without a token."""
        if not self.local and self.token is None:
            raise Refused(
                f"{self.listen} is not a loopback address, and no token is set",
                'set api.token = "secret://..." in the settings, or listen on 127.0.0.1',
            )

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.listen == "localhost":
            return True
        try:
            return ip_address(self.listen).is_loopback
        except ValueError:
            return False
