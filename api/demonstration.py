"""`vlab demo`: the whole line on a fresh machine, with nothing real at stake.

desired state -> git remote -> controller -> HTTPS -> the empty simulated lab, until it is in sync;
    then what losing a node would do, and the status page

Everything but the hardware is as in earnest: a git remote over file, the nodes' APIs over HTTPS
with a verified certificate, an API token, a journal, a history. It ends by itself without a
terminal or with CI=true.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import git

from api.answers import Fault
from api.exits import Exit
from api.logs import log_to_stderr
from api.output import result, say
from api.served_lab import remember
from api.service import serving
from api.timeline import render
from api.trial import device_tables
from controller.installation import Installation, install
from controller.perform import Fate
from controller.reconcile import Ending, Pass
from controller.settings import Settings, read_settings
from controller.stage import empty_stage
from lab.errors import VlabError
from lab.faults import parse_faults
from lab.lab import Lab
from lab.load import load_tree
from lab.tree import read_tree
from simulator.outcome.simulate import simulate
from simulator.served.lab import ServedLab

FAULT = "fail-node pve2"
PASSES = 5  # the first applies, the second proves; more only if something had to be tried again


def demo(tree: Path, speed: float, port: int) -> int:
    """0 if the lab came to be in sync."""
    started_s = time.monotonic()
    log_to_stderr()
    lab = load_tree(tree)
    with tempfile.TemporaryDirectory(prefix="vlab-demo-") as name:
        folder = Path(name)
        say(f"the lab of {tree}: {len(lab.nodes)} nodes, {len(lab.guests)} guests declared")
        with ServedLab.start(empty_stage(lab), folder, speed=speed, port=0) as served:
            say(f"its devices answer over HTTPS: {', '.join(served.addresses.values())}")
            settings = _settings(folder, tree, lab, served, port)
            with install(settings, progress=lambda text: say(f"  rehearsal: {text}")) as parts:
                code = _converge(parts)
                if code == Exit.FINE:
                    say(f"in sync after {time.monotonic() - started_s:.0f} s")
                    result(render(simulate(lab, parse_faults([FAULT])), "text"))
                _show(parts, served)
    return code


def _converge(parts: Installation) -> int:
    """Pass after pass until one changes nothing."""
    for number in range(PASSES):
        with _progress(parts):
            done = parts.controller.once({"demo"})
        if done is None:
            raise VlabError("the controller could not make a pass; its log says why")
        _tell(number + 1, done)
        if done.ending is Ending.IN_SYNC:
            result("in sync")
            return Exit.FINE
        if done.ending is not Ending.APPLIED:
            return Exit.UNSAFE if done.ending is Ending.REFUSED else Exit.FAILED
    say(f"not in sync after {PASSES} passes")
    return Exit.FAILED


def _tell(number: int, done: Pass) -> None:
    """What a pass did."""
    operations = list(done.plan.operations)
    say(f"pass {number}: {done.ending}, {len(operations)} operations")
    for objection in done.judgement.objections:
        say(f"  {objection.place or ''} {objection.text}\n    fix: {objection.fix}")
    for bad in (
        r for r in (done.outcome.results if done.outcome else ()) if r.fate is not Fate.DONE
    ):
        say(f"  {bad.operation.key}: {bad.fate}: {bad.reason}")


@contextmanager
def _progress(parts: Installation) -> Iterator[None]:
    """Say how far the run is, every second in which it moved."""
    ended = threading.Event()

    def watch() -> None:
        told = 0
        while not ended.wait(1.0):
            runs = parts.history.runs(1)
            operations = parts.history.operations(runs[0].number) if runs else []
            finished = sum(operation.at_s is not None for operation in operations)
            if finished != told:
                told = finished
                say(f"  {finished} of {len(operations)} operations done")

    thread = threading.Thread(target=watch, name="progress")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _settings(folder: Path, tree: Path, lab: Lab, served: ServedLab, port: int) -> Settings:
    """A remote with one commit, and the settings of a controller for it and the served lab."""
    work = git.Repo.init(folder / "work", initial_branch="main")
    for name, content in read_tree(tree).items():
        path = folder / "work" / "desired-state" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    work.git.add(all=True)
    author = git.Actor("vlab demo", "demo@lab.invalid")
    work.index.commit(f"The lab of {tree}", author=author, committer=author)
    git.Repo.clone_from(str(folder / "work"), folder / "lab.git", bare=True)
    ours = f"""apply = "auto"
[source]
remote = "lab.git"
poll_s = 5
[api]
listen = "127.0.0.1:{port}"
"""
    file = folder / "vlab.toml"
    file.write_text(ours + device_tables(folder, lab, served))
    return read_settings(file)


def _show(parts: Installation, served: ServedLab) -> None:
    """Serve the page; while somebody sits at a terminal, keep the lab as git says until Ctrl-C."""

    def broken() -> list[Fault]:
        known = tuple(served.twin.state.faults)  # in one piece: another thread changes them
        return [Fault(subject=subject, text="has failed") for subject in known]

    with serving(parts, broken) as url:
        result(f"status page: {url}")
        if not sys.stdin.isatty() or os.environ.get("CI") == "true":
            return
        remember(served.control)
        signal.signal(signal.SIGINT, lambda *_: parts.triggers.stop_soon())
        say(f"break it from another terminal: vlab lab fail {FAULT}   (Ctrl-C ends the demo)")
        parts.controller.run()
