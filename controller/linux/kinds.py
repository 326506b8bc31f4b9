"""All kinds of things on a Linux host, and what their steps and costs depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.linux.block import Block
from controller.linux.export import CLIENTS, Export
from controller.linux.file import File
from controller.linux.filesystem import DISKS, Filesystem, disk_rows
from controller.linux.initiator import Initiator
from controller.linux.login import LOGGED_IN, Login
from controller.linux.mount import Mount
from controller.linux.multipath import Multipath
from controller.linux.package import Package
from controller.linux.service import Service
from controller.linux.sessions import attached, sessions
from controller.linux.shell import output
from controller.linux.thing import HostThing
from controller.linux.volume_group import VolumeGroup
from controller.managed import Context, Cost, Managed, Value
from controller.step import Answers

_KINDS: tuple[type[HostThing], ...] = (
    Package,
    File,
    Block,
    Filesystem,
    Mount,
    Service,
    Export,
    Initiator,
    Login,
    Multipath,
    VolumeGroup,
)
KINDS: tuple[type[Managed], ...] = _KINDS


def context(device: str, answers: Answers) -> Context:
    """How many sessions there are, which are in use, and who has mounted what."""
    around: dict[str, Value] = {}
    if LOGGED_IN.text in answers:
        around["sessions"] = len(list(sessions(output(answers, LOGGED_IN).stdout)))
        around |= dict(_in_use(device, answers))
    if CLIENTS.text in answers:
        for line in output(answers, CLIENTS).stdout.splitlines():
            who, _, path = line.partition(":")
            around[f"clients.{path}"] = who
    return Context(around=around)


def _in_use(device: str, answers: Answers) -> Iterator[tuple[str, Value]]:
    """Logins whose disks are used without a map: mounted, or below something else."""
    if DISKS.text not in answers or output(answers, DISKS).status:
        return
    rows = {row["name"]: row for row in disk_rows(device, answers)}
    for disk in attached(output(answers, LOGGED_IN).stdout):
        row = rows.get(disk.disk, {})
        mounted = [path for path in row.get("mountpoints", ()) if path]
        above = [each["name"] for each in row.get("children", ()) if each["type"] != "mpath"]
        if users := [*mounted, *above]:
            yield f"in_use.{disk.iqn} {disk.portal}", ", ".join(users)


def costs() -> Mapping[str, Cost]:
    """What a change of each field of the language costs at most: `nodes.mounts.*.source`."""
    found: dict[str, Cost] = {}
    for kind in _KINDS:
        for known in kind.fields:
            if known.path:
                inside = (*((kind.section, "*") if kind.section else ()), *known.path)
                for word in kind.words:
                    found[".".join((word, *inside))] = known.cost
    return found
