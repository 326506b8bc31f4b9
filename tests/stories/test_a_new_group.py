"""A new group of students in one commit, over every family of devices at once: the array by its
websocket, hosts by SSH, monitors by their command, clusters by REST; and down again in order.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.trial import device_tables
from controller.installation import install
from controller.plan import Action, NoteKind, Plan
from controller.reconcile import Ending, Pass
from controller.settings import read_settings
from controller.stage import empty_stage
from lab.load import load
from simulator.linux.host import LinuxHost
from simulator.served.lab import ServedLab
from simulator.truenas.api import TrueNasApi
from simulator.twin import Twin
from tests.controller.remotes import Remote
from tests.stories.group3 import three_groups, two_groups
from tests.stories.killed import every
from tests.stories.site import SPEED, in_its_thread, passes

CHAP = "fourteen-chars"
EVERY = every(90)
NODES = ("pve4", "pve5", "pve6")


@dataclass
class Place:
    """The declared lab, served, with a controller for all of its devices."""

    folder: Path
    served: ServedLab
    remote: Remote

    @property
    def file(self) -> Path:
        return self.folder / "vlab.toml"

    def push(self, files: dict[str, bytes]) -> None:
        self.remote.commit({f"desired-state/{name}": text for name, text in files.items()}, "x")

    def once(self) -> Pass:
        with install(read_settings(self.file)) as parts:
            return passes(parts)

    def killed_after(self, record: int) -> int:
        argv = [sys.executable, "-m", "tests.stories.killed", str(self.file), str(record)]
        return subprocess.run(argv, check=False, capture_output=True).returncode

    def groups(self, node: str) -> list[str]:
        """Volume groups as an administrator of a node sees them."""
        twin = self.served.twin
        host = twin.devices[f"linux/{node}"]
        assert isinstance(host, LinuxHost)
        return in_its_thread(
            self.served, lambda: host.run(twin, "vgs --noheadings -o vg_name").stdout
        ).split()

    def zvols(self) -> set[str]:
        """Volumes on the array's disks."""
        array = self.served.twin.devices["nas/nas1"]
        assert isinstance(array, TrueNasApi)
        names = in_its_thread(self.served, lambda: list(array.documents.datasets))
        return {name for name in names if name.startswith("tank/")}


@pytest.fixture
def chap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAP", CHAP)


@contextmanager
def placed(folder: Path, twin: Twin) -> Iterator[Place]:
    folder.mkdir(exist_ok=True)
    lab = load(two_groups())
    with ServedLab.start(twin, folder, speed=SPEED, port=0) as served:
        settings = (
            f'apply = "auto"\n[source]\nremote = "lab.git"\n{device_tables(folder, lab, served)}'
        )
        place = Place(folder, served, Remote(folder / "lab.git"))
        place.file.write_text(settings)
        place.push(two_groups())
        yield place


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """The lab with two groups, made from nothing by a controller.

    The twin is of the lab with three: its physics knows LUNs and exports by their declaration.
    """
    with placed(tmp_path_factory.mktemp("two"), empty_stage(load(three_groups()))) as place:
        assert place.once().ending is Ending.APPLIED
        assert place.once().ending is Ending.IN_SYNC
    return place.served.twin.fork()  # nothing changes it any more


def made(plan: Plan) -> dict[str, set[str]]:
    """Kinds of things that a plan makes, by family of devices."""
    found: dict[str, set[str]] = {}
    for operation in plan.operations:
        if operation.action is Action.CREATE:
            found.setdefault(operation.key.device.split("/")[0], set()).add(operation.key.kind)
    return found


def wrong(done: Pass) -> list[str]:
    """What was not done, and why."""
    results = done.outcome.results if done.outcome else ()
    failed = [f"{each.operation.key}: {each.reason}" for each in results if each.fate != "done"]
    return [objection.text for objection in done.judgement.objections] + failed


@pytest.mark.usefixtures("chap")
def test_a_group_comes_in_one_commit_and_goes_in_order(tmp_path: Path, ready: Twin) -> None:
    with placed(tmp_path, ready.fork()) as place:
        place.once()
        place.push(three_groups())

        done = place.once()

        assert done.ending is Ending.APPLIED, done.judgement.objections
        assert made(done.plan) == {
            "nas": {"zvol", "extent", "lun", "target", "initiator-group", "chap"},
            "linux": {"login", "multipath", "volume-group", "export"},
            "pve": {
                *("role", "group", "user", "acl"),
                *("storage", "pool", "vm", "ha-resource", "ha-rule"),
            },
        }
        assert place.once().ending is Ending.IN_SYNC
        assert all("group3" in place.groups(node) for node in NODES)
        assert CHAP not in f"{done.plan} {(place.folder / '.vlab' / 'journal').read_text()}"

        place.push(two_groups())
        first = place.once()

        kept = {note.subject: note.text for note in first.plan.notes if note.kind is NoteKind.KEPT}
        assert "holds 1 volumes" in kept["linux/pve4 volume-group group3"]
        assert "is there and needs it" in kept["nas/nas1 lun group3/0"]
        order = kept["order in which they could go"].partition("first ")[2]
        places = [
            order.index(f" {kind} ") for kind in ("volume-group", "multipath", "login", "lun")
        ]
        assert places == sorted(places)
        assert order.index("target group3") < order.index("zvol tank/group3")
        assert "tank/group3" in place.zvols()
        while (again := place.once()).ending is Ending.APPLIED:
            pass
        assert again.ending is Ending.IN_SYNC
        assert not [note for note in again.plan.notes if note.kind is NoteKind.KEPT]
        assert place.zvols() == {"tank/group1", "tank/group2"}
        assert not any("group3" in place.groups(node) for node in NODES)


@pytest.mark.usefixtures("chap")
def test_killed_in_the_middle_it_ends_in_the_same_lab(tmp_path: Path, ready: Twin) -> None:
    last, ended = 0, 1
    while ended:
        last += EVERY
        with placed(tmp_path / str(last), ready.fork()) as place:
            place.once()
            place.push(three_groups())
            ended = place.killed_after(last)
            assert ended in (0, -9)

            again = place.once()

            assert again.ending in (Ending.APPLIED, Ending.IN_SYNC), (last, wrong(again))
            assert place.once().ending is Ending.IN_SYNC
            assert all("group3" in place.groups(node) for node in NODES)
