"""The way to a Linux host: asks by plain commands, sends commands and files, and waits.

Cannot tell real from simulated. Names in steps are resolved, and secrets put in, only here; no
secret is ever a word of a command. One step at a time: steps of several things share files.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from controller.clock import Clock
from controller.linux.resolve import Resolver
from controller.linux.shell import Shell
from controller.linux.writing import Writing, at_work
from controller.secrets import Vault
from controller.step import SECRET, Command, Query, Step, WriteFile
from lab.errors import DeviceError, Refused

POLL_S = 2.0  # between looks at what still runs
_BUSY = ("Could not get lock", "Unable to acquire the dpkg frontend lock")  # apt-get(8)
_AWAY = 1  # iscsi_err.h, ISCSI_ERR; and those below, of an array that may come back
_TRANSIENT = {"iscsiadm": frozenset({_AWAY, 4, 5, 8, 11, 12})}


class LinuxPort:
    """One host."""

    def __init__(self, device: str, shell: Shell, clock: Clock, vault: Vault) -> None:
        self.device = device
        self._shell = shell
        self._clock = clock
        self._vault = vault
        self._resolver = Resolver(device, shell, clock)
        self._one = Lock()

    def ask(self, query: Query) -> object:
        """Status, stdout and stderr of a command, without secrets. Raises DeviceError."""
        return self._vault.hide(self._shell.run(shlex.split(query.path)).data)

    def send(self, step: Step) -> object:
        """Do one step. Raises DeviceError; Refused where something is that must not be lost."""
        with self._one:
            match step:
                case Command():
                    return self._command(step)
                case WriteFile():
                    self._write(step)
                    return None
                case _:
                    raise AssertionError(f"a host has no {type(step).__name__}")

    def settle(self, step: Step, since_s: float) -> None:
        """Wait until no command of `step` still runs there."""
        assert isinstance(step, Command | WriteFile), "a host is spoken to in commands and files"
        deadline_s = self._clock.now() + step.timeout_s
        commands = [step.argv] if isinstance(step, Command) else at_work(step)
        while True:
            begun_s = self._clock.now()
            if not any(self._shell.runs(argv) for argv in commands):
                return
            if begun_s >= deadline_s:
                what = f"{step} still runs after the time it was given"
                raise DeviceError(self.device, what, retryable=True)
            self._clock.sleep(POLL_S)

    def close(self) -> None:
        """Let go of the host."""
        self._shell.close()

    def _command(self, step: Command) -> str:
        assert not any(SECRET in word for word in step.argv), "a process list shows every word"
        if step.unless and self._shell.run(self._resolved(step.unless)).stdout.strip():
            return ""
        for guard in step.blank:
            self._must_be_blank(self._resolved(guard))
        argv = self._resolved(step.argv)
        found = self._shell.run(argv, timeout_s=step.timeout_s)
        if found.status not in step.done:
            busy = any(text in found.stderr for text in _BUSY)
            again = busy or found.status in _TRANSIENT.get(argv[0], ())
            what = f"{argv[0]} failed with status {found.status}: {found.told}"
            raise DeviceError(self.device, what, retryable=again, status=found.status)
        return found.stdout

    def _resolved(self, words: Sequence[str]) -> list[str]:
        return [self._resolver.resolved(word) for word in words]

    def _must_be_blank(self, argv: list[str]) -> None:
        found = self._shell.run(argv)
        if found.stdout.strip():
            what = f"{argv[-1]} of {self.device} is not blank: {' '.join(found.stdout.split())}"
            fix = f"look at it with `{shlex.join(argv)}`; nothing that carries data is written to"
            raise Refused(what, fix)
        if found.status or found.stderr.strip():
            what = f"{argv[0]} can't tell whether {argv[-1]} is blank: {found.told}"
            raise DeviceError(self.device, what, status=1)

    def _write(self, step: WriteFile) -> None:
        content = self._vault.reveal(self._resolver.resolved(step.content))
        path = self._resolver.resolved(step.path)
        fresh = replace(step, path=path, content=str(content))
        try:
            Writing(self.device, self._shell, fresh).write()
        except DeviceError as error:
            raise self._vault.clean(error) from None  # the first one may show a secret
