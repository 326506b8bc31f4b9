"""What a pass of the controller costs that finds nothing to do, over HTTPS against a served lab.

The lab is served by another process, whose time the pass waits for and whose memory is not counted.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import git
import structlog

from benchmarks.bench import Run
from benchmarks.lab import lab_of, tree
from controller.gate import Judgement, judge
from controller.installation import Installation, install
from controller.observed import Observed
from controller.plan import Plan
from controller.reconcile import Ending
from controller.settings import Apply, Settings, settings_in
from lab.lab import Lab


def passing(guests: int, opened: ExitStack) -> Run:
    """A whole pass: fetch, logs, observe, plan, gate, history, conditions."""
    opened.callback(structlog.configure, **structlog.get_config())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
    served = _served(guests, folder, opened)
    _remote(tree(guests), folder)
    settings = _settings(lab_of(guests), served, folder)
    parts = opened.enter_context(install(settings, apply=Apply.AUTO, gate=_by_policy))
    _adopt(parts)
    return lambda: _in_sync(parts)


def _in_sync(parts: Installation) -> None:
    done = parts.controller.once({"poll"})
    assert done is not None, "there was no pass"
    assert done.ending is Ending.IN_SYNC, (done.ending, done.plan.notes[:3])


def _adopt(parts: Installation) -> None:
    """Make what is there ours, and see it in sync."""
    found = parts.controller.once({"start"})
    assert found is not None, "there was no pass"
    parts.history.approve([operation.key for operation in found.plan.pending])
    parts.controller.once({"person"})
    _in_sync(parts)


def _by_policy(plan: Plan, _lab: Lab, _observed: Observed) -> Judgement:
    """A pass that finds the world as before does not rehearse again; that has its own figures."""
    return judge(plan, None)


def _served(guests: int, folder: Path, opened: ExitStack) -> Mapping[str, Any]:
    command = [sys.executable, "-m", "benchmarks.served", str(guests), str(folder)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    opened.enter_context(server)  # closes its stdin, upon which it ends
    assert server.stdout is not None
    where: Mapping[str, Any] = json.loads(server.stdout.readline())
    return where


def _remote(files: Mapping[str, bytes], folder: Path) -> None:
    work = git.Repo.init(folder / "lab", initial_branch="main")
    for name, content in files.items():
        path = folder / "lab" / "desired-state" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    work.git.add(all=True)
    author = git.Actor("bench", "bench@lab.invalid")
    work.index.commit("A lab", author=author, committer=author)
    work.close()


def _settings(lab: Lab, served: Mapping[str, Any], folder: Path) -> Settings:
    (folder / "token").write_text(served["secret"])
    (folder / "token").chmod(0o600)
    user, name = served["token"].split("!")
    addresses = [served["addresses"][node] for node in lab.members("a")]
    login = {"addresses": addresses, "user": user, "token_name": name, "ca": served["ca"]}
    clusters = {"a": {**login, "token": "secret://file/token"}}
    return settings_in(folder, {"source": {"remote": "lab"}, "pve": clusters})
