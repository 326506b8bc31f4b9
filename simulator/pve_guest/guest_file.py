"""A guest's file below /etc/pve/nodes, read: qemu-server/100.conf or lxc/100.conf.

The way back is `GuestConfig.text`. Raw `lxc.*` lines are kept as the text of their lines. Source:
PVE::QemuServer and PVE::LXC::Config, parse of the configuration.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from simulator.pve.documents import GuestConfig
from simulator.pve.guest_text import PENDING
from simulator.pve.parameters import Value
from simulator.pve_guest import guest_options, lxc_options

_TYPED = {"qemu": guest_options.typed, "lxc": lxc_options.typed}
_NUMBERS = frozenset({"snaptime"})


def read(text: str, kind: str) -> GuestConfig:
    """A guest from its file."""
    sections: dict[str, list[str]] = {"": []}
    current = sections[""]
    for line in text.split("\n"):
        if match := re.fullmatch(r"\[([\w:.\-]+)\]\s*", line):
            name = PENDING if match[1].lower() == PENDING else match[1]
            current = sections.setdefault(name, [])
        else:
            current.append(line)
    options = {name: _options(lines, kind) for name, lines in sections.items()}
    config, waiting = options.pop(""), options.pop(PENDING, {})
    removals: dict[str, int] = {}
    for word in filter(None, re.split(r"[,;\s]+", str(waiting.pop("delete", "")))):
        removals[word.removeprefix("!")] = 2 if word.startswith("!") else 1
    return GuestConfig(kind, config, waiting, removals, options)


def _options(lines: list[str], kind: str) -> dict[str, Value]:
    options: dict[str, Value] = {}
    notes, raw = [], []
    for line in lines:
        if line.startswith("#"):
            notes.append(unquote(line[1:]))
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if key.startswith("lxc."):
            raw.append(f"{key}: {value}")
        elif colon:
            is_number = key in _NUMBERS and value.isdecimal()
            typed = int(value) if is_number else _TYPED[kind](key, value)
            options[key] = " " if typed == "" else typed  # what the real reader makes of nothing
    if raw:
        options["lxc"] = tuple(raw)
    if notes:
        description = "\n".join(notes)
        options["description"] = description.rstrip() if kind == "qemu" else f"{description}\n"
    return options
