"""A guest's configuration as it is kept, and its file: qemu-server/100.conf or lxc/100.conf.

`#` lines are the description, options follow by name; [PENDING] has what waits for the next start,
every other section is a snapshot. An empty value comes back as a blank. `guest_file` reads it.
Source: PVE::QemuServer and PVE::LXC::Config, writing of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.pve.parameters import Entry, Value
from simulator.pve.sections import digest_of_text, encode_text

PENDING = "pending"
FREE = 2  # of a removal: its volume goes as well


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """A guest's file: what it runs with, and what waits for its next start.

    `pending` holds new values, `removals` options to remove: 1, or 2 to free the volume too.
    `snapshots` are its sections: the options as they were, with snaptime, parent, description.
    """

    kind: str  # qemu or lxc
    current: Entry = field(default_factory=dict)
    pending: Entry = field(default_factory=dict)
    removals: Mapping[str, int] = field(default_factory=dict)
    snapshots: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def future(self) -> Entry:
        """As it will be after the next start: what GET config shows."""
        if not self.pending and not self.removals:
            return self.current
        kept = {key: value for key, value in self.current.items() if key not in self.removals}
        return kept | dict(self.pending)

    @property
    def text(self) -> str:
        """The file."""
        text = _section(self.current)
        if self.pending or self.removals:
            names = sorted(self.removals.items())
            words = [f"{'!' if how == FREE else ''}{name}" for name, how in names]
            deleted: Entry = {"delete": ",".join(words)} if words else {}
            text += f"\n[{PENDING.upper()}]\n{_section({**self.pending, **deleted})}"
        for name in sorted(self.snapshots):
            text += f"\n[{name}]\n{_section(self.snapshots[name])}"
        return text

    @property
    def digest(self) -> str:
        """SHA-1 of the file."""
        return digest_of_text(self.text)


def _section(options: Mapping[str, Value]) -> str:
    notes = str(options.get("description") or "").removesuffix("\n")
    lines = [f"#{encode_text(line)}" for line in notes.split("\n")] if notes else []
    for key in sorted(options):
        value = options[key]
        if key == "lxc" and isinstance(value, tuple):
            lines += value
        elif key != "description" and value is not None:
            lines.append(f"{key}: {value}" if str(value).strip() else f"{key}: ")
    return "".join(f"{line}\n" for line in lines)
