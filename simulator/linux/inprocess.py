"""A host without sockets: what a rehearsal uses in place of an SSH connection.

Works at the twin's present instant; whoever runs commands lets the time pass. Raises what a client
meets that can't get through. Leaves out: keys, and the time that a command takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.linux.call import Result
from simulator.linux.host import LinuxHost
from simulator.twin import Twin


class HostConnection:
    """A login of `user` on a host of the twin."""

    def __init__(self, twin: Twin, host: str, user: str = "root") -> None:
        self.twin = twin
        self.user = user
        device = twin.devices[f"linux/{host}"]
        assert isinstance(device, LinuxHost)
        self.host = device

    def run(self, command: str | Sequence[str], stdin: str = "") -> Result:
        """Run a shell line, or words that need no shell.

        Raises ConnectionRefusedError for a host that is off, TimeoutError for one that is not
        reached, PermissionError for a user it does not know, ConnectionResetError if the connection
        is cut: what the command did is unknown then.
        """
        name = self.host.host
        match self.host.reachable(self.twin):
            case "refused":
                raise ConnectionRefusedError(f"{name} refuses connections")
            case "timeout":
                raise TimeoutError(f"{name} does not answer")
        if self.user not in self.host.state.accounts:
            raise PermissionError(f"{name}: Permission denied for user {self.user}")
        cut, self.host.state.cut = self.host.state.cut, ""
        if cut == "before":
            raise ConnectionResetError(f"{name}: connection lost")
        result = self.host.run(self.twin, command, stdin, self.user)
        if cut:
            raise ConnectionResetError(f"{name}: connection lost")
        return result
