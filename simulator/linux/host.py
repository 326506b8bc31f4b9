"""A Linux host on the twin: commands in, status and output back, at the twin's present instant.

`LinuxHost` is a device of the twin; `run` is the plain function that the SSH server and the in-
process connection share. `settle` follows the physics: a host that lost power loses what its kernel
and daemons held, and one that comes up does what is enabled at boot: file systems of fstab, then
its daemons. Leaves out: how commands travel (`ssh`, `inprocess`), the time they take, and names and
network interfaces of Proxmox VE nodes, which their API owns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Literal
from uuid import UUID

from lab.kinds.node import Node
from simulator.linux import (
    access,
    block_report,
    blocks,
    builtins,
    checks,
    exports,
    initiator,
    lvm,
    lvm_report,
    mount_report,
    mounts,
    multipath,
    packages,
    reading,
    sessions,
    units,
    writing,
)
from simulator.linux.call import Program, Result
from simulator.linux.daemons import DAEMONS
from simulator.linux.files import Files
from simulator.linux.run import Shell
from simulator.linux.state import File, HostState, Mount
from simulator.state import HostPower, Timer
from simulator.twin import Twin
from simulator.workload import LinuxSpec

EPOCH_S = 1_767_225_600  # 2026-01-01T00:00:00Z: when simulated time begins

Reachable = Literal["", "refused", "timeout"]


@cache
def programs() -> dict[str, Program]:
    """All programs there are."""
    areas = (
        access, block_report, builtins, checks, exports, initiator, lvm, lvm_report,
        mount_report, mounts, multipath, packages, reading, units, writing,
    )  # fmt: skip
    return {name: each for area in areas for name, each in area.programs.all.items()}


class LinuxHost:
    """One host. `host` is its name in the lab; `running`: its operating system was up last time."""

    def __init__(self, host: str, state: HostState, *, seed: int = 0) -> None:
        self.name = f"linux/{host}"
        self.host = host
        self.state = state
        self.seed = seed
        self.epoch_s: float = EPOCH_S
        self.running = True

    def fork(self) -> LinuxHost:
        """The same host over a copied state."""
        copy = LinuxHost(self.host, self.state.copy(), seed=self.seed)
        copy.epoch_s, copy.running = self.epoch_s, self.running
        return copy

    def reachable(self, twin: Twin) -> Reachable:
        """Whether a client in the middle of the management network reaches its SSH server."""
        if not twin.facts.host_on(self.host):
            return "timeout" if twin.state.hosts[self.host] is HostPower.ON else "refused"
        if twin.model.management and not twin.facts.api_reachable(self.host):
            return "timeout"
        ssh = self.state.units.get("ssh")
        return "" if ssh is not None and ssh.active else "refused"

    def run(
        self, twin: Twin, command: str | Sequence[str], stdin: str = "", user: str = "root"
    ) -> Result:
        """Run a shell line, or words that need no shell. Only this and time change the host."""
        shell = Shell(self, twin, user)
        before = self._told(twin)
        result = (
            shell.line(command, stdin) if isinstance(command, str) else shell.words(command, stdin)
        )
        self.sync(twin)
        if before != self._told(twin):
            twin.changed()
            twin.settle()
        return result

    def _told(self, twin: Twin) -> tuple[object, ...]:
        """What the physics knows of it and its disks."""
        state = twin.state
        return state.linux.get(self.host), state.volume_groups.copy(), state.mounted.copy()

    def sync(self, twin: Twin) -> None:
        """Tell the physics of sessions and volume groups, where the array lives on the twin too.

        Without it the physics goes by what is declared of both.
        """
        mounts.tell(self, twin)
        if not self.running or not any(f"nas/{nas}" in twin.devices for nas in twin.model.lab.nas):
            twin.state.linux.pop(self.host, None)
            return
        known = blocks.without_volumes(self, twin)
        logins = frozenset(
            (each.nas, each.address, each.iqn) for each in self.state.sessions.values()
        )
        groups = frozenset(group.name for group in blocks.groups(self, twin, known))
        twin.state.linux[self.host] = LinuxSpec(logins, groups, exports.told(self))

    def files(self, twin: Twin, user: str = "root") -> Files:
        """The file tree as a user sees it."""

        def devices() -> Mapping[str, File]:
            return blocks.nodes(self, twin)

        def capacity(mount: Mount) -> int:
            return blocks.size_of(self, twin, mount)

        return Files(self.state, user, twin.now_s, devices, capacity)

    def digits(self, count: int) -> str:
        """Made-up hexadecimal digits, alike in every run and never twice the same."""
        words = f"{self.name} {self.seed} {self.state.next_serial()}"
        return hashlib.sha256(words.encode()).hexdigest()[:count]

    def uuid(self) -> str:
        """A made-up UUID."""
        return str(UUID(self.digits(32), version=4))

    @property
    def programs(self) -> Mapping[str, Program]:
        """The programs that may be installed."""
        return programs()

    def in_cluster(self, twin: Twin) -> str:
        """The cluster that the host is a node of, or nothing."""
        declared = twin.model.hosts[self.host]
        return declared.cluster if isinstance(declared, Node) else ""

    def due(self, twin: Twin, timer: Timer) -> None:
        """A host sets no timers."""
        raise AssertionError(f"{self.name} set no timer {timer}")

    def settle(self, twin: Twin) -> bool:
        """Follow power: what the kernel held is lost with it, and made again at boot."""
        on = twin.state.hosts[self.host] is HostPower.ON
        before = twin.state.linux.get(self.host)
        if on != self.running:
            self.running = on
            if on:
                self._boot(twin)
            else:
                self._lose()
        elif on and twin.now_s < self.state.tries_until_s:
            sessions.log_in_all(self, twin)
        self.sync(twin)
        return twin.state.linux.get(self.host) != before

    def _lose(self) -> None:
        state = self.state
        state.mounts = {"/": state.mounts["/"]}
        state.sessions, state.disks, state.maps, state.loaded = {}, {}, {}, {}
        state.shares, state.cut = (), ""
        state.units = {name: units.stopped(unit) for name, unit in state.units.items()}

    def _boot(self, twin: Twin) -> None:
        self.state.tries_until_s = twin.now_s + sessions.TRIES_S
        mounts.mount_all(self, twin)
        for entry in mounts.units_of(self).values():
            with suppress(mounts.Refused):
                mounts.start_unit(self, twin, entry)
        for name, daemon in DAEMONS.items():
            unit = self.state.units.get(name)
            if unit is not None and unit.enabled:
                failure = daemon.start(self, twin)
                if not failure:
                    self.state.units[name] = units.started(unit, twin.now_s)
        mounts.mount_all(self, twin)  # file systems on devices that came with the daemons (_netdev)
