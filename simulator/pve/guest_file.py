"""A guest's file below /etc/pve/nodes: qemu-server/100.conf or lxc/100.conf, read and written.

`#` lines are the description, options follow by name; [PENDING] has what waits for the next start,
every other section is a snapshot. Source: PVE::QemuServer and PVE::LXC::Config, parse and write of
the configuration. Raw `lxc.*` lines are kept as the text of their lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from simulator.pve import guest_options, lxc_options
from simulator.pve.documents import Entry, GuestConfig
from simulator.pve.parameters import Value
from simulator.pve.sections import encode_text

PENDING = "pending"
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
            options[key] = int(value) if is_number else _TYPED[kind](key, value)
    if raw:
        options["lxc"] = tuple(raw)
    if notes:
        description = "\n".join(notes)
        options["description"] = description.rstrip() if kind == "qemu" else f"{description}\n"
    return options


def write(guest: GuestConfig) -> str:
    """The file."""
    text = _text(guest.current)
    if guest.pending or guest.removals:
        words = [f"{'!' if how == 2 else ''}{name}" for name, how in sorted(guest.removals.items())]
        deleted: Entry = {"delete": ",".join(words)} if words else {}
        text += f"\n[PENDING]\n{_text({**guest.pending, **deleted})}"
    for name in sorted(guest.snapshots):
        text += f"\n[{name}]\n{_text(guest.snapshots[name])}"
    return text


def _text(options: Mapping[str, Value]) -> str:
    notes = str(options.get("description") or "").removesuffix("\n")
    lines = [f"#{encode_text(line)}" for line in notes.split("\n")] if notes else []
    for key in sorted(options):
        value = options[key]
        if key == "lxc" and isinstance(value, tuple):
            lines += value
        elif key != "description" and value is not None:
            lines.append(f"{key}: {value}")
    return "".join(f"{line}\n" for line in lines)
