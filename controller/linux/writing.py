"""Replacing a file on a host, so that it is there whole or not at all, whatever breaks meanwhile.

    compose -> a new file beside it, on the disk -> check -> keep the old one -> rename -> after

Each line is a plain command. A connection that is cut leaves the old file or the new one; the half
of a new one lies beside it as `.vlab-new` and is written over next time. While a daemon has not
read the new file yet, `.vlab-pending` says so. Leaves out: access lists and extended attributes.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence

from controller.linux.blocks import with_block, with_settings
from controller.linux.shell import Output, Shell
from controller.step import WriteFile
from lab.errors import DeviceError

KEPT, NEW, PENDING = ".vlab-old", ".vlab-new", ".vlab-pending"
FORM = "%a %U:%G %F"  # of stat(1)


def written(new: str) -> tuple[str, ...]:
    """The command that writes stdin to a new file that only its owner may read."""
    return ("sh", "-c", 'umask 077 && dd of="$1" status=none conv=fsync', "sh", new)


class Writing:
    """One file being replaced. Raises DeviceError; the old content is then in its place."""

    def __init__(self, device: str, shell: Shell, step: WriteFile) -> None:
        self._device = device
        self._shell = shell
        self._step = step
        self._path = step.path
        self._new = f"{step.path}{NEW}"

    def write(self) -> None:
        """Do it."""
        there = self._there()
        folder = posixpath.dirname(self._path)
        try:
            self._do("mkdir", "-p", "--", folder)
            old = self._do("cat", "--", self._path) if there else ""
            self._make(self._composed(old), there)
            if there:
                self._do("cp", "-p", "-T", "--", self._path, f"{self._path}{KEPT}")
                self._unchanged(old)
            if self._step.after:
                self._do("touch", "--", f"{self._path}{PENDING}")
            self._do("mv", "-f", "-T", "--", self._new, self._path)
        except DeviceError as error:
            if not error.status:  # nothing is known: it may even be in place
                raise
            self._run("rm", "-f", "--", self._new, *self._pending())
            what = f"{self._path} is as it was: {error.what}"
            raise self._error(what, retryable=error.retryable) from error
        self._do("sync", "--", folder)
        if self._step.after:
            self._use(there)

    def _there(self) -> tuple[str, str] | None:
        """Mode and owner of the file; None if there is none."""
        found = self._run("stat", "-c", FORM, "--", self._path)
        if found.absent:
            return None
        mode, owner, what = self._good(found).strip().split(" ", 2)
        if not what.startswith("regular"):
            raise self._error(f"{self._path} is a {what}, and is left alone")
        return mode, owner

    def _composed(self, old: str) -> str:
        if self._step.block:
            return with_block(old, self._step.block, self._step.content)
        return with_settings(old, self._step.content) if self._step.settings else self._step.content

    def _make(self, content: str, there: tuple[str, str] | None) -> None:
        """The new file, complete and checked."""
        mode, owner = f"{self._step.mode:04o}", self._step.owner
        if there and (self._step.block or self._step.settings):
            mode, owner = there
        self._do("rm", "-f", "--", self._new)
        self._do(*written(self._new), stdin=content)
        if owner:
            self._do("chown", "--", owner, self._new)
        self._do("chmod", mode, "--", self._new)
        if self._step.check:
            argv = [word.replace("{}", self._new) for word in self._step.check]
            found = self._run(*argv)
            if found.status:
                raise self._error(f"{argv[0]} says no to the new {self._path}: {found.told}")

    def _unchanged(self, old: str) -> None:
        """Raises DeviceError if somebody wrote a shared file meanwhile."""
        if not (self._step.block or self._step.settings):
            return
        found = self._do("sha256sum", "--", self._path)
        if found.split()[0].lstrip("\\") != hashlib.sha256(_encoded(old)).hexdigest():
            raise self._error(f"somebody else writes {self._path}", retryable=True)

    def _use(self, there: tuple[str, str] | None) -> None:
        """Let the daemon read the new file; bring the old one back if it does not like it."""
        found = self._run(*self._step.after)
        if not found.status:
            self._do("rm", "-f", "--", *self._pending())
            return
        if there:
            self._do("cp", "-p", "-T", "--", f"{self._path}{KEPT}", self._new)
            self._do("mv", "-f", "-T", "--", self._new, self._path)
        else:
            self._do("rm", "-f", "--", self._path)
        again = self._run(*self._step.after)
        self._do("rm", "-f", "--", *self._pending())
        back = "the old one is back" + (f", and fails too: {again.told}" if again.status else "")
        what = f"{self._step.after[0]} fails with the new {self._path}: {found.told}; {back}"
        raise self._error(what)

    def _pending(self) -> tuple[str, ...]:
        return (f"{self._path}{PENDING}",) if self._step.after else ()

    def _run(self, *argv: str, stdin: str = "") -> Output:
        return self._shell.run(argv, stdin, self._step.timeout_s)

    def _do(self, *argv: str, stdin: str = "") -> str:
        return self._good(self._run(*argv, stdin=stdin))

    def _good(self, found: Output) -> str:
        if found.status:
            raise self._error(found.told)
        return found.stdout

    def _error(self, what: str, *, retryable: bool = False) -> DeviceError:
        return DeviceError(self._device, what, retryable=retryable, status=1)


def at_work(step: WriteFile) -> Sequence[Sequence[str]]:
    """Commands of a write that may take long."""
    new = f"{step.path}{NEW}"
    check = tuple(word.replace("{}", new) for word in step.check)
    return [each for each in (("dd", f"of={new}", "status=none", "conv=fsync"), check, step.after)
            if each]  # fmt: skip


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
