"""ZFS properties: their defaults, who inherits them, and how the API shows one.

An entry is {parsed, rawvalue, value, source, source_info}. Source: zfsprops(7); reference of the
TrueNAS API, query. Leaves out: encryption.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.truenas.call import Entry
from simulator.truenas.documents import Dataset
from simulator.truenas.space import size_text

KIB = 1024
BOTH, FOLDER, VOLUME = "both", "FILESYSTEM", "VOLUME"


@dataclass(frozen=True, slots=True)
class Property:
    """One property. `kind`: flag, word, size, count; `of`: the type of dataset that has it."""

    default: str
    kind: str = "word"
    of: str = BOTH
    inherited: bool = True


PROPERTIES: Mapping[str, Property] = {
    "deduplication": Property("off"),
    "aclmode": Property("discard", of=FOLDER),
    "acltype": Property("posix", of=FOLDER),
    "xattr": Property("sa", of=FOLDER),
    "atime": Property("on", "flag", FOLDER),
    "casesensitivity": Property("sensitive", of=FOLDER, inherited=False),
    "checksum": Property("on"),
    "exec": Property("on", "flag", FOLDER),
    "sync": Property("standard"),
    "compression": Property("lz4"),
    "quota": Property("0", "size", FOLDER, inherited=False),
    "refquota": Property("0", "size", FOLDER, inherited=False),
    "reservation": Property("0", "size", inherited=False),
    "refreservation": Property("0", "size", inherited=False),
    "copies": Property("1", "count"),
    "snapdir": Property("hidden", of=FOLDER),
    "snapdev": Property("hidden"),
    "readonly": Property("off", "flag"),
    "recordsize": Property(str(128 * KIB), "size", FOLDER),
    "special_small_block_size": Property("0", "size", FOLDER),
    "volsize": Property("0", "size", VOLUME, inherited=False),
    "volblocksize": Property(str(16 * KIB), "size", VOLUME, inherited=False),
}
SCALE_ONLY = frozenset({"snapdev"})
# User properties that the API shows under names of their own.
MANAGED = {
    "comments": "org.freenas:description",
    "managedby": "org.truenas:managedby",
    "quota_warning": "org.freenas:quota_warning",
    "quota_critical": "org.freenas:quota_critical",
    "refquota_warning": "org.freenas:refquota_warning",
    "refquota_critical": "org.freenas:refquota_critical",
}
_SIZE = re.compile(r"(\d+)([KMG]?)B?", re.IGNORECASE)


def size_bytes(text: str) -> int:
    """Bytes of `16K`. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no size")
    power: int = " KMG".index(found[2].upper() or " ")
    return int(found[1]) << 10 * power


def source_of(datasets: Mapping[str, Dataset], name: str, key: str) -> tuple[str, str, str | None]:
    """Raw value of a property, its source, and the ancestor it comes from."""
    known = PROPERTIES[key]
    own = datasets[name].properties.get(key)
    if own is not None:
        fixed = key in ("volsize", "volblocksize", "casesensitivity")
        return own, "NONE" if key == "casesensitivity" and fixed else "LOCAL", None
    above = name.rpartition("/")[0]
    while above and known.inherited:
        if (set_there := datasets[above].properties.get(key)) is not None:
            return set_there, "INHERITED", above
        above = above.rpartition("/")[0]
    return known.default, "DEFAULT", None


def shown(key: str, raw: str, source: str, source_info: str | None) -> Entry:
    """A property as the API shows it."""
    parsed: object = raw
    value: str | None = raw.upper()
    match PROPERTIES[key].kind:
        case "flag":
            parsed = raw == "on"
        case "count":
            parsed = int(raw)
        case "size":
            parsed, value = int(raw), size_text(int(raw))
            if key in ("quota", "refquota", "reservation", "refreservation") and not parsed:
                parsed = value = None
    return _entry(parsed, raw, value, source, source_info)


def computed(raw: str, parsed: object, value: str | None = None) -> Entry:
    """One that nobody sets: used, available."""
    return _entry(parsed, raw, raw if value is None else value, "NONE", None)


def user_shown(text: str, source: str, source_info: str | None) -> Entry:
    """A user property."""
    return _entry(text, text, text, source, source_info)


def _entry(
    parsed: object, raw: str, value: str | None, source: str, source_info: str | None
) -> Entry:
    return {
        "parsed": parsed,
        "rawvalue": raw,
        "value": value,
        "source": source,
        "source_info": source_info,
    }
