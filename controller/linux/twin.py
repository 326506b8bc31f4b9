"""A host of the twin in this process, as a rehearsal meets it."""

from __future__ import annotations

from collections.abc import Sequence

from controller.linux.shell import Output
from lab.errors import DeviceError
from simulator.linux.inprocess import HostConnection


class TwinShell:
    """Root on a simulated host. What runs there is over when it answers."""

    def __init__(self, device: str, connection: HostConnection) -> None:
        self._device = device
        self._connection = connection

    def run(self, argv: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> Output:
        """Run a program. Raises DeviceError."""
        try:
            found = self._connection.run(argv, stdin)
        except PermissionError as error:
            raise DeviceError(self._device, str(error)) from error
        except OSError as error:
            raise DeviceError(self._device, str(error), retryable=True) from error
        return Output(found.status, found.stdout, found.stderr)

    def runs(self, argv: Sequence[str]) -> bool:
        """Never. Raises DeviceError."""
        self.run(("true",))
        return False

    def close(self) -> None:
        """Nothing is open."""
