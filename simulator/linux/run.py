"""Running a command line on a host: what the login shell does between the words and the programs.

Redirections are opened before a command runs, as a shell does, so a full disk or a missing folder
shows where it would. Source: POSIX.1-2017, shell command language; sudo(8). Leaves out: what
`shell` refuses to read; jobs in the background.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.linux.call import Call, Failed, Result, lookup
from simulator.linux.files import NULL
from simulator.linux.shell import NotRead, Simple, parse

if TYPE_CHECKING:
    from simulator.linux.host import LinuxHost
    from simulator.twin import Twin

DEPTH = 20  # shells and sudo inside one another


class Shell:
    """A shell of `user`. `exits_on_error` and `ended` are what `set -e` and `exit` left."""

    def __init__(
        self, host: LinuxHost, twin: Twin, user: str, *, umask: int = 0o022, depth: int = 0
    ) -> None:
        self.host = host
        self.twin = twin
        self.user = user
        self.umask = umask
        self.exits_on_error = False
        self.ended: int | None = None
        self._depth = depth

    def line(self, text: str, stdin: str = "", positional: Sequence[str] = ()) -> Result:
        """Run a line. What can't be read of it is refused as a whole, with status 2."""
        try:
            commands = parse(text, positional)
        except NotRead as error:
            return Result(2, "", f"bash: line 1: {error}\n")
        status, out, err = 0, "", ""
        piped, skipped = "", False
        for number, command in enumerate(commands):
            skipped = self._skips(command.joiner, status, skipped)
            if skipped:
                continue
            if command.joiner == ";" and status and self.exits_on_error:
                break
            given = piped if command.joiner == "|" else stdin
            result = self._simple(command, given)
            feeds = number + 1 < len(commands) and commands[number + 1].joiner == "|"
            piped = result.stdout if feeds else ""
            status, err = result.status, err + result.stderr
            out += "" if feeds else result.stdout
            if self.ended is not None:
                status = self.ended
                break
        return Result(status, out, err)

    def words(self, argv: Sequence[str], stdin: str = "") -> Result:
        """Run one program with these words."""
        if not argv:
            return Result(0)
        as_root = self.user == "root"
        program = lookup(dict(self.host.programs), self.host.state, argv[0], as_root=as_root)
        if program is None:
            missing = "/" in argv[0] and self.host.files(self.twin, self.user).find(argv[0]) is None
            known = missing or "/" not in argv[0]
            why = "No such file or directory" if missing else "command not found"
            status, why = (127, why) if known else (126, "Permission denied")
            return Result(
                status, "", f"bash: {'line 1: ' if not missing else ''}{argv[0]}: {why}\n"
            )
        if self._depth > DEPTH:
            return Result(126, "", f"bash: {argv[0]}: Argument list too long\n")
        call = Call(self, posixpath.basename(argv[0]), tuple(argv[1:]), stdin)
        try:
            status = program.handler(call) or 0
        except Failed as error:
            call.err.append(error.text)
            status = error.status
        except OSError as error:
            call.complain(f"{error.filename}: {error.strerror}")
            status = 1
        return Result(status, "".join(call.out), "".join(call.err))

    def inner(self, user: str | None = None) -> Shell:
        """A shell started by this one."""
        return Shell(
            self.host, self.twin, user or self.user, umask=self.umask, depth=self._depth + 1
        )

    def _skips(self, joiner: str, status: int, skipped: bool) -> bool:
        if joiner == "&&":
            return status != 0
        if joiner == "||":
            return status == 0
        return joiner == "|" and skipped

    def _simple(self, command: Simple, stdin: str) -> Result:
        files = self.host.files(self.twin, self.user)
        aim = command.reads
        try:
            if aim:
                stdin = files.read(aim)
            for aim in (command.writes, command.errors):
                if aim not in ("", "&1", NULL):
                    files.write(aim, "", 0o666 & ~self.umask, appends=command.appends)
        except OSError as error:
            return Result(1, "", f"bash: line 1: {aim}: {error.strerror}\n")
        status, out, err = self.words(command.argv, stdin)
        if command.errors == "&1":
            out, err = out + err, ""
        elif command.errors:
            files.write(command.errors, err, appends=True)
            err = ""
        if command.writes:
            try:
                files.write(command.writes, out, appends=command.appends)
            except OSError as error:
                status, err = 1, f"{err}{command.argv[0]}: write error: {error.strerror}\n"
            out = ""
        return Result(status, out, err)
