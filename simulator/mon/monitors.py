"""The monitors of one Ceph cluster as a device of the twin: they answer while they have a quorum.

A plain function from command to reply; whatever changes in what they keep reaches the physics at
once. Leaves out: the second that a change of the OSD map takes, managers, the wire's own protocol.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any, Self

from simulator.mon import (
    auth,
    config,
    metadata,
    osds,
    placement,
    pools,
    safety,
    status,
    tree,
)
from simulator.mon.command import Command, MonError, Reply, Site, answer, parsed
from simulator.mon.documents import Documents
from simulator.mon.install import declared
from simulator.mon.load import spec_of
from simulator.state import Timer
from simulator.storage.ceph import monitors_serve
from simulator.twin import Twin

DEVICE = "ceph/"
COMMANDS: Mapping[str, Command] = {
    **pools.COMMANDS,
    **tree.COMMANDS,
    **osds.COMMANDS,
    **placement.COMMANDS,
    **config.COMMANDS,
    **auth.COMMANDS,
    **status.COMMANDS,
    **metadata.COMMANDS,
    **safety.COMMANDS,
}


class NoQuorum(Exception):
    """Nobody answers: a real client waits."""


class Monitors:
    """Those of a cluster, `ceph/a`."""

    def __init__(self, name: str, documents: Documents) -> None:
        self.ceph = name
        self.name = f"{DEVICE}{name}"
        self.documents = documents

    def command(self, twin: Twin, command: Mapping[str, Any]) -> Reply:
        """Carry out `{"prefix": ..., argument: value}`. Raises NoQuorum."""
        if not monitors_serve(twin.facts, self.ceph):
            raise NoQuorum
        known = COMMANDS.get(str(command.get("prefix", "")))
        if known is None:
            return Reply(-errno.EINVAL, "", "command not known")
        args = {name: value for name, value in command.items() if name not in ("prefix", "format")}
        missing = [each.name for each in known.parameters if each.needed and each.name not in args]
        if missing:
            return Reply(-errno.EINVAL, "", f"missing required parameter {missing[0]}")
        reply = answer(known, self.site(twin), args)
        if not reply.code and not known.reads:
            self.documents.epoch += 1
            self.sync(twin)
        return reply

    def line(self, twin: Twin, words: list[str]) -> Reply:
        """Carry out a command line: `osd pool set vm size 2`. Raises NoQuorum."""
        try:
            return self.command(twin, parsed(COMMANDS, words))
        except MonError as error:
            return error.reply

    def site(self, twin: Twin) -> Site:
        """Where commands are carried out."""
        return Site(twin, self.ceph, self.documents)

    def sync(self, twin: Twin) -> None:
        """Tell the physics what the monitors keep, and that it may have changed."""
        twin.state.ceph[self.ceph] = spec_of(self.site(twin))
        twin.changed()

    def settle(self, twin: Twin) -> bool:
        """Nothing moves here by itself."""
        return False

    def due(self, twin: Twin, timer: Timer) -> None:
        """No timers."""

    def fork(self) -> Self:
        """The same over a copy of what is kept."""
        return type(self)(self.ceph, self.documents.copy())


def monitors_of(twin: Twin, name: str) -> Monitors:
    """Those of a cluster; where the twin has none yet, they begin with what the lab declares."""
    found = twin.devices.get(f"{DEVICE}{name}")
    if found is None:
        found = Monitors(name, declared(twin, name))
        twin.attach(found)
        found.sync(twin)
    assert isinstance(found, Monitors)
    return found
