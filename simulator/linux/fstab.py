"""What is to be mounted, as it is written: /etc/fstab and mount units, read anew each time.

Sources: fstab(5), systemd.mount(5); compared with the real programs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulator.linux.call import word_set
from simulator.linux.state import Mount

FSTAB = "/etc/fstab"
UNITS = "/etc/systemd/system/"  # of mount units
TYPES = word_set("ext4 xfs vfat swap nfs nfs4 tmpfs none proc auto")
_SILENT = word_set("defaults nofail auto noauto _netdev users user x-systemd.automount")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Entry:
    """A line of fstab, or what a mount unit asks for."""

    source: str
    target: str
    fstype: str
    options: tuple[str, ...]

    def mounted(self, source: str, fstype: str, volume: str) -> Mount:
        """As the kernel then shows it."""
        read_only = "ro" in self.options
        flags = [o for o in self.options if o not in _SILENT and o not in ("rw", "ro")]
        flags = [flag for flag in flags if not flag.startswith("x-")]
        shown = ["ro" if read_only else "rw", "relatime", *flags]
        return Mount(source, self.target, fstype, ",".join(dict.fromkeys(shown)), volume)


def read_fstab(text: str) -> tuple[list[Entry], list[int]]:
    """Entries, and numbers of the lines that are none."""
    entries, bad = [], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        words = [_OCTAL.sub(lambda m: chr(int(m[1], 8)), word) for word in words]
        numbers = all(word.isdigit() for word in words[4:6])
        if len(words) < 3 or not numbers:
            bad.append(number)
        else:
            options = words[3].split(",") if len(words) > 3 else ["defaults"]
            entries.append(Entry(words[0], words[1], words[2], tuple(options)))
    return entries, bad


def resolved(source: str) -> str:
    """A source as a path: `UUID=...` leads below /dev/disk."""
    match source.partition("="):
        case ("UUID", "=", value):
            return f"/dev/disk/by-uuid/{value.strip(chr(34))}"
        case _:
            return source


def read_unit(text: str) -> Entry | None:
    """What a mount unit asks for; None without what it needs. Source: systemd.mount(5)."""
    known = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    if not {"What", "Where"} <= known.keys():
        return None
    options = tuple(known.get("Options", "defaults").split(","))
    return Entry(known["What"], known["Where"], known.get("Type", "auto"), options)
