"""What a guest's configuration says: the options that stand alone, and those of each slot.

A slot holds one disk (`scsi0`) or one network card (`net0`). What takes a restart to come into
force: qemu-server, pending changes, with the default `hotplug` (network, disk, usb).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from controller.fields import Speech
from controller.managed import Cost
from controller.pve.fields import (
    DISK,
    FLAG,
    LINES,
    LOWER,
    MEMORY,
    MIB,
    NUMBER,
    PROSE,
    TAGS,
    Codec,
    Field,
    field,
)
from controller.pve.propertystring import parse, write
from lab.lab import Lab

RUNNING = "running."
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SLOT = re.compile(r"(?:ide|sata|scsi|virtio|(net))\d+")


def size_bytes(text: str) -> int:
    """`32G` in bytes. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size")
    return round(float(match[1]) * _UNITS[match[2]])


def size_text(size_bytes: int) -> str:
    """Bytes in the largest unit that is exact: `32G`."""
    unit = next(unit for unit in "TGMK" if size_bytes % _UNITS[unit] == 0 or unit == "K")
    return f"{size_bytes // _UNITS[unit]}{unit}"


def gib_text(size_bytes: int) -> str:
    """Bytes in GiB as volumes are asked for: `32`, `0.0625`."""
    return f"{size_bytes / 2**30:.10f}".rstrip("0").rstrip(".")


def _cpu(value: object) -> str:
    """A CPU type with its flags, the type first and without its key."""
    return write("cpu", parse("cpu", value))


MEMORY_TEXT = Codec(
    lambda value: int(parse("memory", value)["current"]) * MIB, lambda value: str(value // MIB)
)
CPU = Codec(_cpu, str)
SIZE = Codec(size_bytes, size_text)
STORAGE = Codec(lambda value: str(value).partition(":")[0] if ":" in str(value) else None, str)
DISCARD = Codec(lambda value: value == "on", lambda value: "on" if value else "ignore")
SAID_CPU = Speech(lambda _lab, said: _cpu(said), lambda _lab, value: value)


def vlan_name(lab: Lab, tag: int) -> str:
    """The VLAN with this 802.1Q id; a name of its own if the lab has none."""
    return next((name for name, vlan in lab.vlans.items() if vlan.id == tag), f"vlan{tag}")


VLAN = Speech(lambda lab, said: lab.vlans[said].id, vlan_name)

CONFIG = (
    field("name", path=()),
    field("cores", NUMBER, cost=Cost.REBOOT, default=1),
    field("sockets", NUMBER, cost=Cost.REBOOT, default=1),
    field("cpu", CPU, speech=SAID_CPU, cost=Cost.REBOOT),
    field(
        "memory_bytes",
        MEMORY_TEXT,
        path=("memory",),
        api="memory",
        speech=MEMORY,
        cost=Cost.REBOOT,
        default=512 * MIB,
    ),
    field("os", api="ostype", cost=Cost.REBOOT, default="other"),
    field("onboot", FLAG, default=False),
    field("agent", FLAG, key="enabled", cost=Cost.REBOOT, default=False),
    field("tags", TAGS, speech=LOWER, default=()),
    field("description", LINES, speech=PROSE),
)
POOL = field("pool")
STATE = field("state", cost=Cost.STOP_START)


def section(slot: str) -> str:
    """The map of the language that has the slot: `disks` or `nets`; empty for what is no slot."""
    match = _SLOT.fullmatch(slot)
    return "" if match is None else "nets" if match[1] else "disks"


@cache
def slot_fields(slot: str) -> tuple[Field, ...]:
    """The fields of one slot. The size and the storage of a disk change by calls of their own."""

    def within(
        name: str, codec: Codec, key: str, says: str, cost: Cost = Cost.LIVE, **more: Any
    ) -> Field:
        where = section(slot)
        path = (where, slot, says)
        return field(
            f"{where}.{slot}.{name}", codec, path=path, api=slot, key=key, cost=cost, **more
        )

    text = Codec(str, str)
    if section(slot) == "nets":
        return (
            within("model", text, "model", "model"),
            within("bridge", text, "bridge", "bridge"),
            within("tag", NUMBER, "tag", "vlan", speech=VLAN),
            within("firewall", FLAG, "firewall", "firewall", default=False),
        )
    return (
        within("storage", STORAGE, "file", "storage"),
        within("size_bytes", SIZE, "size", "size", speech=DISK),
        within("discard", DISCARD, "discard", "discard", Cost.REBOOT, default=False),
        within("ssd", FLAG, "ssd", "ssd", Cost.REBOOT, default=False),
    )


def slot_field(name: str) -> Field | None:
    """The field of a value such as `disks.scsi0.size_bytes`."""
    parts = name.split(".")
    if len(parts) != 3 or section(parts[1]) != parts[0]:
        return None
    return next((each for each in slot_fields(parts[1]) if each.name == name), None)


def slots_in(names: Iterable[str]) -> tuple[str, ...]:
    """Slots that occur in names of values, sorted: `disks.scsi0.size_bytes`, `nets.net1`."""
    parts = (name.split(".") for name in names)
    return tuple(
        sorted({each[1] for each in parts if len(each) > 1 and section(each[1]) == each[0]})
    )


def used_slots(document: Mapping[str, Any]) -> Iterator[str]:
    """Slots of a configuration that hold a card, or a disk on a storage."""
    for slot in document:
        if section(slot) == "nets":
            yield slot
        elif section(slot) == "disks":
            settings = parse(slot, document[slot])
            if settings.get("media") != "cdrom" and ":" in settings.get("file", ""):
                yield slot


def restarts(name: str) -> Field | None:
    """The field of a value that a running guest takes over at its next start."""
    known = OPTIONS.get(name) or slot_field(name)
    return known if known is not None and known.cost is Cost.REBOOT else None


OPTIONS = {each.name: each for each in CONFIG}
