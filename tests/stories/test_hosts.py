"""The hosts' part of a new student group, over real SSH: from a LUN to a volume group, and the
export for its backups; killed in the middle it ends in the same lab.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.installation import install
from controller.reconcile import Ending, Pass
from controller.settings import read_settings
from lab.load import load
from simulator.linux.host import LinuxHost
from simulator.linux.install import ADMINISTRATOR
from simulator.served.lab import ServedLab
from simulator.twin import Twin
from tests.controller.linux.group3 import three_groups, two_groups
from tests.controller.linux.worlds import World
from tests.controller.remotes import Remote
from tests.stories.killed import every
from tests.stories.site import in_its_thread, passes

HOSTS = ("bak1", "pve4", "pve5", "pve6")
EVERY = every(24)  # each one: tests/controller/linux


@dataclass
class Place:
    """A served lab whose array has the LUN of a third group, a remote, and settings for hosts."""

    folder: Path
    served: ServedLab
    remote: Remote

    @property
    def file(self) -> Path:
        return self.folder / "vlab.toml"

    def push(self, files: dict[str, bytes]) -> None:
        self.remote.commit(
            {f"desired-state/{name}": text for name, text in files.items()}, "change"
        )

    def once(self) -> Pass:
        with install(read_settings(self.file)) as parts:
            return passes(parts)

    def killed_after(self, record: int) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "tests.stories.killed", str(self.file), str(record)]
        return subprocess.run(argv, check=False, capture_output=True, text=True)

    def groups(self, node: str) -> list[str]:
        """Volume groups as an administrator of a node sees them."""
        host = self.served.twin.devices[f"linux/{node}"]
        assert isinstance(host, LinuxHost)
        return in_its_thread(
            self.served, lambda: host.run(self.served.twin, "vgs --noheadings -o vg_name").stdout
        ).split()


@pytest.fixture(scope="module")
def ready() -> Twin:
    """Two groups on the hosts, three on the array."""
    here = World(load(three_groups()))
    here.applied(load(two_groups()))
    here.families = ("nas/",)
    here.applied(load(three_groups()))
    return here.twin


@contextmanager
def placed(folder: Path, twin: Twin) -> Iterator[Place]:
    with ServedLab.start(twin, folder, port=0) as served:
        place = Place(folder, served, Remote(folder / "lab.git"))
        tables = ""
        for host in HOSTS:
            address, port = served.ssh_addresses[host].split(":")
            tables += f'[linux.{host}]\naddress = "{address}"\nport = {port}\n'
        place.file.write_text(f"""
apply = "auto"
[source]
remote = "lab.git"
[linux."*"]
user = "{ADMINISTRATOR}"
key = "{served.ssh.key_file}"
known_hosts = "{served.ssh.known_hosts}"
{tables}""")
        place.push(two_groups())
        yield place


def test_a_third_group_comes_to_the_hosts_and_the_second_pass_is_empty(
    tmp_path: Path, ready: Twin
) -> None:
    with placed(tmp_path, ready.fork()) as place:
        first = place.once()
        assert all(not operation.steps for operation in first.plan.operations)
        place.push(three_groups())

        done = place.once()

        assert done.ending is Ending.APPLIED, done.judgement.objections
        assert sum(bool(operation.steps) for operation in done.plan.operations) == 7
        assert all("group3" in place.groups(node) for node in HOSTS[1:])
        assert place.once().ending is Ending.IN_SYNC


def test_killed_in_the_middle_it_ends_in_the_same_lab(tmp_path: Path, ready: Twin) -> None:
    last = 0
    while True:
        last += EVERY
        folder = tmp_path / str(last)
        folder.mkdir()
        with placed(folder, ready.fork()) as place:
            place.once()
            place.push(three_groups())
            ended = place.killed_after(last)
            assert ended.returncode in (0, -9), ended.stderr

            again = place.once()

            assert again.ending in (Ending.APPLIED, Ending.IN_SYNC), (last, again.plan.notes)
            assert place.once().ending is Ending.IN_SYNC
            assert all("group3" in place.groups(node) for node in HOSTS[1:])
        if not ended.returncode:
            return
