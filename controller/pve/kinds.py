"""All kinds of things on a Proxmox VE cluster, and what their steps and costs depend on."""

from __future__ import annotations

from collections.abc import Mapping

from controller.managed import Context, Cost, Key, Managed, Values
from controller.pve.acl import Acl
from controller.pve.backup_job import BackupJob
from controller.pve.container import Container
from controller.pve.group import Group
from controller.pve.guests import GUESTS
from controller.pve.ha_resource import HaResource
from controller.pve.ha_rule import HaRule
from controller.pve.members import away
from controller.pve.options import Options
from controller.pve.pool import Pool
from controller.pve.role import Role
from controller.pve.storage import Storage
from controller.pve.thing import PveThing
from controller.pve.user import User
from controller.pve.vm import Vm, guest_rows, pending_view, views
from controller.pve.vm_fields import slot_fields
from controller.step import Answers

_KINDS: tuple[type[PveThing], ...] = (
    Options,
    Role,
    Group,
    User,
    Storage,
    Pool,
    Acl,
    Vm,
    Container,
    HaResource,
    HaRule,
    BackupJob,
)
KINDS: tuple[type[Managed], ...] = _KINDS


def context(device: str, answers: Answers) -> Context:
    """Where guests are, which run, what is in force of them, and which nodes are missing."""
    if GUESTS.text not in answers:
        return Context()
    found = list(guest_rows(device, answers))
    current: dict[Key, Values] = {}
    running = set()
    for row in found:
        if row.get("status") == "running":
            key = Key(device, Vm.kind, str(row["vmid"]))
            running.add(key)
            if pending_view(row).text in answers:
                written, in_force = views(device, answers, row)
                differ = {name: in_force[name] for name in in_force
                          if in_force[name] != written.get(name)}  # fmt: skip
                current |= {key: differ} if differ else {}
    locations = {str(row["vmid"]): str(row["node"]) for row in found}
    return Context(
        locations=locations,
        running=frozenset(running),
        current=current,
        away=frozenset(away(answers)),
    )


def costs() -> Mapping[str, Cost]:
    """What a change of each field of the language costs at most: `guests.disks.*.size`.

    `*` stands for the key of a map. Of guests it is the cost while they run.
    """
    found: dict[str, Cost] = {}
    for kind in _KINDS:
        told = {".".join(known.path): known.cost for known in kind.fields if known.path}
        for path, cost in {**told, **kind.more_costs}.items():
            name = f"{kind.word}.{path}"
            found[name] = max(cost, found.get(name, cost))
    for slot in ("scsi0", "net0"):
        for known in slot_fields(slot):
            where, _, *rest = known.path
            found[".".join((Vm.word, where, "*", *rest))] = known.cost
    return found
