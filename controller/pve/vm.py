"""QEMU guests: their configuration, disks, network cards, pool and, without HA, their power.

Where a guest is does not stand here: HA and people move it. Read from the pending view, which shows
what is written and what is in force: `running.memory_bytes` is there while a running guest still
has another value than the one written. Source: the Proxmox VE administration guide, QEMU/KVM.

Leaves out: untagged network cards (kept, not said), CD-ROM and EFI drives, cloud-init, snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from controller.fields import declared, wanted
from controller.managed import Context, Cost, Fragment, Key, Mark, Value, Values
from controller.pve.fields import Field, read
from controller.pve.guests import GUESTS, guest_entry, guest_name, guests_of, guests_under_ha
from controller.pve.thing import PveThing, rows
from controller.pve.vm_fields import (
    CONFIG,
    POOL,
    RUNNING,
    STATE,
    restarts,
    section,
    slot_field,
    slot_fields,
    slots_in,
    used_slots,
    vlan_name,
)
from controller.pve.vm_steps import create, delete, update, waits
from controller.pve.volumes import storages_of
from controller.step import Answers, Query, Rest
from controller.thing import policy_of
from lab.kinds.guest import Guest, Power
from lab.lab import Lab


def pending_view(row: Mapping[str, Any]) -> Query:
    """What is written and what is in force for a guest, option by option."""
    return Query(f"/nodes/{row['node']}/qemu/{row['vmid']}/pending", about=str(row["vmid"]))


@dataclass(frozen=True)
class Vm(PveThing):
    """A guest. `runs`: it does, or shall. `under_ha`: its power is its resource's to say.


    `homes`: nodes where it may be made, the preferred first; the context's placement comes before.
    """

    kind = "vm"
    word = "guests"
    words = ("guests",)
    owned_maps = ("disks", "nets")
    fields = (*CONFIG, POOL, STATE)
    more_costs = {  # of an entry of a map: losing it
        "vmid": Cost.REPLACE,
        "cluster": Cost.REPLACE,
        "disks.*": Cost.REPLACE,
        "nets.*": Cost.LIVE,
        "placement.pin": Cost.MIGRATE,
    }

    runs: bool = field(default=False, compare=False)
    under_ha: bool = field(default=False, compare=False)
    homes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def field_of(cls, name: str) -> Field | None:
        return super().field_of(name) or slot_field(name)

    @classmethod
    def fetch(cls, device: str, answers: Answers) -> Iterator[Query]:
        yield GUESTS
        if GUESTS.text in answers:
            yield from map(pending_view, guest_rows(device, answers))

    @classmethod
    def read(cls, device: str, answers: Answers) -> Iterator[Self]:
        of_ha = guests_under_ha(answers)
        for row in guest_rows(device, answers):
            if pending_view(row).text in answers:
                documents = _documents(device, answers, row)
                written, in_force = _both(device, *documents)
                runs = row.get("status") == "running"
                values = {**written, **(_unlike(written, in_force) if runs else {})}
                if row.get("status") in ("running", "stopped"):
                    values[STATE.name] = "started" if runs else "stopped"
                if row.get("pool"):
                    values[POOL.name] = str(row["pool"])
                thing = cls.there(device, str(row["vmid"]), values)
                managed = "hastate" in row or str(row["vmid"]) in of_ha
                held = frozenset[str]().union(*map(storages_of, documents))
                thing = replace(thing, runs=runs, under_ha=managed).complete()
                yield replace(thing, needs=thing.needs | thing.refers("storage", *held))

    @classmethod
    def wanted(cls, lab: Lab, device: str) -> Iterator[Self]:
        for name, guest in guests_of(lab, device):
            path = (cls.word, name)
            values, origin = wanted(_said(guest), lab, path, guest)
            values |= {"name": name, **_removed(lab, path)}
            values |= {f"{RUNNING}{each}": Mark.RESET for each in values if restarts(each)}
            preferred = (*guest.placement.prefer, *lab.members(guest.cluster))
            yield cls(
                Key(device, cls.kind, str(guest.vmid)),
                values,
                path=path,
                origin=origin,
                policy=policy_of(guest),
                runs=guest.state is Power.STARTED,
                under_ha=guest.ha is not None,
                homes=guest.placement.pin or tuple(dict.fromkeys(preferred)),
            ).complete()

    def complete(self) -> Self:
        """The same with what it needs."""
        needs = {
            Key(self.key.device, "pool" if name == POOL.name else "storage", str(value))
            for name, value in self.values.items()
            if (name == POOL.name or name.endswith(".storage")) and value is not Mark.RESET
        }
        return replace(self, needs=frozenset(needs))

    def cost(self, field_name: str, old: Self, context: Context) -> Cost:
        runs = old.runs or self.key in context.running
        goal, now = self.values.get(field_name), old.values.get(field_name)
        if field_name.startswith("disks."):
            smaller = isinstance(goal, int) and isinstance(now, int) and goal < now
            if goal is Mark.RESET and not slot_field(field_name) or smaller:
                return Cost.REPLACE
        if not runs:
            return Cost.NONE
        if field_name == STATE.name:
            return Cost.STOP_START if goal == "stopped" else Cost.NONE
        if restarts(field_name.removeprefix(RUNNING)):
            return Cost.REBOOT if waits(field_name, self.values, old.values) else Cost.NONE
        known = self.field_of(field_name)
        return known.cost if known else Cost.LIVE

    def steps(self, old: Self | None, context: Context) -> Iterator[Rest]:
        if old is not None:
            runs = old.runs or self.key in context.running
            yield from update(self.id, self.values, old.values, runs=runs)
        else:
            node = context.placement.get(self.id, self.homes[0])
            starts = self.runs and not self.under_ha and STATE.name not in self.values
            yield from create(self.id, node, self.values, starts=starts)

    def remove(self, context: Context) -> Iterator[Rest]:
        yield from delete(self.id, runs=self.runs or self.key in context.running)

    def declare(self, lab: Lab) -> Fragment:
        device, vmid = self.key.device, self.id
        values = {name: value for name, value in self.values.items() if not self._untold(name)}
        slots = slots_in(values)
        known = [each for each in self.fields if each is not STATE or not self.under_ha]
        known += [each for slot in slots for each in slot_fields(slot)]
        name = guest_name(lab, device, vmid) or str(values.get("name", f"vm{vmid}"))
        tags = {int(str(value)) for name, value in values.items() if name.endswith(".tag")}
        new = tags - {vlan.id for vlan in lab.vlans.values()}
        vlans = {vlan_name(lab, tag): {"id": tag, "role": "guests"} for tag in sorted(new)}
        more: Fragment = {"vlans": vlans} if vlans else {}
        return guest_entry(lab, device, vmid, name, declared(known, lab, values)) | more

    def _untold(self, name: str) -> bool:
        """Whether a value stands in a slot that the language can't say: untagged, without size."""
        parts = name.split(".")
        needed = {"nets": ("tag",), "disks": ("storage", "size_bytes")}.get(parts[0], ())
        return any(f"{parts[0]}.{parts[1]}.{each}" not in self.values for each in needed)


def guest_rows(device: str, answers: Answers) -> Iterator[Mapping[str, Any]]:
    """Virtual machines of the cluster: containers are left alone."""
    return (row for row in rows(device, answers, GUESTS) if row.get("type") == "qemu")


def views(
    device: str, answers: Answers, row: Mapping[str, Any]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Values as they are written, and as they are in force."""
    return _both(device, *_documents(device, answers, row))


def _both(
    device: str, written: Mapping[str, Any], in_force: Mapping[str, Any]
) -> tuple[dict[str, Value], dict[str, Value]]:
    values = _values(device, in_force)
    return (values if written == in_force else _values(device, written)), values


def _documents(
    device: str, answers: Answers, row: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration as it is written, and as it is in force."""
    options = list(rows(device, answers, pending_view(row)))
    in_force = {each["key"]: each["value"] for each in options if "value" in each}
    gone = {each["key"] for each in options if each.get("delete")}
    waiting = {each["key"]: each["pending"] for each in options if "pending" in each}
    return {key: in_force[key] for key in in_force if key not in gone} | waiting, in_force


def _values(device: str, document: Mapping[str, Any]) -> dict[str, Value]:
    fields = [*CONFIG, *(each for slot in used_slots(document) for each in slot_fields(slot))]
    return read(fields, device, document)


def _unlike(written: Values, in_force: Values) -> dict[str, Value]:
    """Values in force that differ from the written ones, of those that take a restart."""
    found: dict[str, Value] = {}
    for name in {**written, **in_force} if written is not in_force else ():
        if known := restarts(name):
            value = in_force.get(name, known.default)
            if value != written.get(name, known.default):
                found[f"{RUNNING}{name}"] = value if value is not None else ""
    return found


def _said(guest: Guest) -> list[Field]:
    """Fields that the entry may say; the power of a guest under HA is its resource's."""
    options = [each for each in Vm.fields if each is not STATE or guest.ha is None]
    return options + [each for slot in (*guest.disks, *guest.nets) for each in slot_fields(slot)]


def _removed(lab: Lab, path: tuple[str, str]) -> dict[str, Mark]:
    """Disks and cards for which null is written: `disks: {scsi1: null}`."""
    entries = (reset[2:] for reset in lab.resets if reset[:2] == path and len(reset) == 4)
    return {f"{where}.{slot}": Mark.RESET for where, slot in entries if where == section(slot)}
