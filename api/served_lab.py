"""`vlab lab up|fail|restore`: the simulated lab behind its own APIs, for any client.

The folder of the newest lab that was started is remembered per user, so that `fail` and `restore`
find its control socket from another terminal.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

import typer

from api.exits import Exit
from api.output import result, say
from lab.errors import VlabError
from lab.faults import parse_faults
from lab.load import load_tree
from simulator.build import twin_of
from simulator.linux import install as linux
from simulator.pve.copied import twin_of_archive
from simulator.served.lab import ServedLab, ask
from simulator.truenas import face as truenas


def up(
    tree: Path, speed: float, *, empty: bool, port: int | None, from_etc_pve: Path | None = None
) -> int:
    """Serve until a signal ends it; one JSON line on stdout says where and how to log in.

    `from_etc_pve`: an archive of a real cluster's /etc/pve, served instead of the tree's lab.
    """
    if from_etc_pve is not None:
        twin = twin_of_archive(from_etc_pve).twin
    else:
        twin = twin_of(load_tree(tree), empty=empty)
    if empty:
        truenas.attach_installed(twin)
        linux.attach_installed(twin)
    ended: SimpleQueue[int] = SimpleQueue()  # the one way to tell that a handler may always take
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.put(number))
    with tempfile.TemporaryDirectory(prefix="vlab-") as folder:
        try:
            served = ServedLab.start(twin, Path(folder), speed=speed, port=port)
        except OSError as error:
            where = "the devices' ports" if port is None else f"port {port}"
            raise VlabError(
                f"{where}: {error.strerror}\n  fix: choose another: --port 0"
            ) from error
        with served:
            remember(served.control)
            result(json.dumps(told(served)))
            say("serving; Ctrl-C ends it")
            ended.get()
    return Exit.FINE


def told(served: ServedLab) -> Mapping[str, object]:
    """Where a served lab is and how to log in."""
    login = served.login
    return {
        "addresses": dict(served.addresses),
        "ca": str(served.ca_file),
        "user": login.user,
        "password": login.password,
        "token": login.token,
        "secret": login.secret,
        "api_keys": dict(login.api_keys),
        "ssh": {
            "addresses": dict(served.ssh_addresses),
            "known_hosts": str(served.ssh.known_hosts),
            "users": list(served.ssh.users),
            "key": str(served.ssh.key_file),
        },
        "control": str(served.control),
    }


def fail(words: Sequence[str]) -> int:
    """Let things fail in the lab that is served."""
    for fault in _usage(words):
        _ask("fail", str(fault))
    return Exit.FINE


def restore(words: Sequence[str]) -> int:
    """Make one thing whole in the lab that is served."""
    _ask("restore", " ".join(words))
    return Exit.FINE


def _usage(words: Sequence[str]) -> Sequence[object]:
    try:
        return parse_faults(words)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _ask(verb: str, text: str) -> None:
    try:
        answer = ask(Path(_last().read_text().strip()), verb, text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        raise VlabError("no lab is served here\n  fix: start one: vlab lab up") from error
    trace = answer["trace"]
    result("\n".join(trace) if isinstance(trace, list) else "")


def remember(control: Path) -> None:
    """Let `vlab lab fail` of this user find a served lab."""
    _last().parent.mkdir(parents=True, exist_ok=True)
    _last().write_text(str(control))


def _last() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "vlab" / "control"
