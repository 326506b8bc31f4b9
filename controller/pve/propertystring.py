"""Property strings: several settings in one parameter, `virtio=BC:24:11:00:00:01,bridge=vmbr0`.

Written by steps as a change of what is there (`{now},tag=20`), made whole by the port when it is
sent, so that what others have set beside it stays. Source: the Proxmox VE API viewer, formats.

Leaves out limits and types of single keys: the device checks them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import Refused

NOW = "{now}"
"""In a parameter: what the resource at this very path holds under the same name when it is sent."""

_TRUE = frozenset({"1", "yes", "on", "true"})


@dataclass(frozen=True)
class Format:
    """What one kind of property string may leave out.

    `bare`: the key that needs no name. `paired`: a key that may be written as the value of `bare`
    (`virtio=MAC` is model=virtio,macaddr=MAC). `least`: what is never left out. `alone`: a key that
    excludes all others.
    """

    bare: str = ""
    paired: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, str] = field(default_factory=dict)
    alone: str = ""


_DRIVE = Format("file", aliases={"volume": "file"})
_FORMATS = {
    "net": Format("model", "macaddr"),
    **dict.fromkeys(("ide", "sata", "scsi", "virtio"), _DRIVE),
    "agent": Format("enabled"),
    "cpu": Format("cputype"),
    "memory": Format("current"),
    "migration": Format("type", least={"type": "secure"}),
    "prune-backups": Format(alone="keep-all"),
}
_PLAIN = Format()
_MODELS = re.compile(r"virtio|vmxnet3|rtl8139|pcnet|ne2k_\w+|i8255\w+|e1000[\w-]*")


def format_of(name: str) -> Format:
    """The format of a parameter: `net0`, `prune-backups`."""
    return _FORMATS.get(name.rstrip("0123456789"), _PLAIN)


def parse(name: str, value: object) -> dict[str, str]:
    """The settings in a parameter as the API gives it: a text, or already an object."""
    known = format_of(name)
    if isinstance(value, Mapping):
        return {str(key): str(each) for key, each in value.items()}
    settings: dict[str, str] = {}
    for part in str(value).split(",") if value is not None else ():
        key, named, each = part.strip().partition("=")
        if not key:
            continue
        if not named:
            settings[known.bare or key] = key if known.bare else ""
        elif known.paired and _MODELS.fullmatch(key):
            settings |= {known.bare: key, known.paired: each}
        else:
            settings[known.aliases.get(key, key)] = each
    return settings


def write(name: str, settings: Mapping[str, str]) -> str:
    """The property string of settings, the bare key first, the rest by name.

    Raises Refused for a value that would be read as more than one.
    """
    known = format_of(name)
    rest = dict(settings)
    parts = []
    if (bare := rest.pop(known.bare, None)) is not None:
        pair = rest.pop(known.paired, None) if known.paired else None
        parts.append(f"{bare}={pair}" if pair else bare)
    parts += [f"{key}={value}" for key, value in sorted(rest.items())]
    for part in parts:
        if "," in part or "\n" in part:
            raise Refused(f"{name}: {part!r} has a comma or a line break", "write it without")
    return ",".join(parts)


def change(name: str, changes: Mapping[str, str]) -> str:
    """A change of what is there: `{now},tag=20,firewall=`; an empty value drops the key."""
    write(name, changes)  # refuses what can't be said
    return ",".join([NOW, *(f"{key}={value}" for key, value in sorted(changes.items()))])


def apply(name: str, change_text: str, now: object) -> str:
    """What a change written by `change` makes of the present value; "" if nothing is left."""
    known = format_of(name)
    changes = dict(part.split("=", 1) for part in change_text.split(",")[1:])
    if truth(changes.get(known.alone, "")):
        return write(name, {known.alone: changes[known.alone]})
    there = parse(name, now)
    if any(changes.values()):
        there = {**known.least, **there}
        there.pop(known.alone, None)
    settings = {**there, **changes}
    return write(name, {key: value for key, value in settings.items() if value != ""})


def truth(value: object) -> bool:
    """A boolean of the API: 0 and 1, and inside property strings also words."""
    return str(value).lower() in _TRUE
