"""The daemons that matter here: which package brings them, what they do when they start or reload.

Each area registers its own. Functions take the host and the twin and answer what went wrong, in
the daemon's words; nothing if all is well. In the order in which they start at boot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

Act = Callable[["LinuxHost", "Twin"], str]


def nothing(_host: LinuxHost, _twin: Twin) -> str:
    """Starting or reloading has no effect that is simulated."""
    return ""


@dataclass(frozen=True)
class Daemon:
    """A unit of a package. `reload` is None where systemd says that it can't be reloaded."""

    package: str
    description: str
    start: Act = nothing
    stop: Act = nothing
    reload: Act | None = None
    aliases: tuple[str, ...] = ()


DAEMONS: dict[str, Daemon] = {
    "cron": Daemon("cron", "Regular background program processing daemon"),
    "chrony": Daemon("chrony", "chrony, an NTP client/server", aliases=("chronyd",)),
    "rpcbind": Daemon("rpcbind", "RPC bind portmap service"),
}


def unit_of(name: str) -> str:
    """A daemon's own name, from any of its names: `sshd.service` is ssh."""
    short = name.removesuffix(".service")
    return next((own for own, daemon in DAEMONS.items() if short in daemon.aliases), short)
