"""Whether our answer is the recorded one: compared as maps and sets, noise taken out.

Used by `pve_api`. What differs from run to run (measured loads, times, generated addresses and ids)
is compared in kind; digests and task ids by whether the same one of ours stands for the same one of
theirs. Source: the README of the recordings, comparing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.pve.propertystring import items
from simulator.pve.sections import digest_of_text
from simulator.pve.wire import Response

References = Mapping[str, str]
"""Recorded digests and task ids, and ours that stand for them."""

VOLATILE = frozenset(
    items(
        """
    cpu mem disk uptime ssl_fingerprint starttime endtime pid pstart upid ctime time localtime
    next-run timestamp used pve_fp uid
    """
    )
)
"""Values of answers that differ from run to run: compared in kind only."""
MEASURED = frozenset({"maxmem", "maxdisk"})
"""The same, in rows about nodes and storages."""

_NOISE = (
    (re.compile(r"UPID:[^\s']*"), "UPID"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"(failed to get address info for: \S+:).*"), r"\1"),
    (re.compile(r"(unable to parse calendar event).*", re.DOTALL), r"\1"),
    (re.compile(r"creation-qemu=[\d.]+,ctime=\d+"), "creation"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?"), "TIME"),
    (re.compile(r"\.conf\.tmp\.\d+"), ".conf.tmp"),
    (re.compile(r"\(duration \d\d:\d\d:\d\d\)"), "(duration)"),
    (re.compile(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b"), "TIME"),
)
_UID = re.compile(r"[A-Za-z0-9+/]{22}")  # of an entry into an HA state
_MAC = re.compile(r"(?:(?<==)|^)(?:[0-9A-F]{2}:){3}(?:[0-9A-F]{2}:){2}[0-9A-F]{2}")


def difference(known: References, exchange: Mapping[str, Any], response: Response) -> str:
    """Where our answer differs from the recorded one; "" if nowhere."""
    if response.status != exchange["status"]:
        wanted = f"{exchange['status']} {exchange['reason']!r}"
        return f"status {response.status} {response.reason!r}, not {wanted}"
    if _plain(response.reason) != _plain(exchange["reason"]):
        return f"reason {response.reason!r}, not {exchange['reason']!r}"
    if exchange.get("body_empty"):
        return "" if response.members is None else "a body, where there is none"
    members = dict(response.members or {})
    for name in ("data", "errors", "message", "total", "changes"):
        theirs, ours = exchange.get(name), members.get(name)
        if name == "changes" and theirs and ours:
            theirs, ours = _without_times(theirs), _without_times(str(ours))
        if name == "total" and theirs is not None and ours is not None:
            continue  # counts tasks of earlier sequences, too
        if why := _unlike(known, theirs, ours, name):
            return why
    return ""


def _without_times(changes: str) -> str:
    return "\n".join(
        line.split("\t")[0] if line[:3] in ("---", "+++") else line for line in changes.splitlines()
    )


def _plain(text: str) -> str:
    for pattern, stand_in in _NOISE:
        text = pattern.sub(stand_in, text)
    return text


def pairs(theirs: list[Any], ours: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Rows that tell of the same thing, for lists whose order means nothing."""
    names = (
        "vmid",
        "storage",
        "userid",
        "groupid",
        "poolid",
        "iface",
        "sid",
        "rule",
        "tokenid",
        "node",
        "key",
        "id",
        "n",
    )
    for name in names:
        if all(isinstance(row, Mapping) and name in row for row in [*theirs, *ours]):
            by_name = {(str(row[name]), str(row.get("type"))): row for row in ours}
            for row in theirs:
                other = by_name.get((str(row[name]), str(row.get("type"))))
                if other is not None:
                    yield row, other
            return
    yield from zip(theirs, ours, strict=False)


def digests(theirs: Any, ours: Any) -> Iterator[tuple[str, str]]:
    """Recorded digests, each with ours at the same place of an answer."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        if theirs.get("key") == "digest":
            yield str(theirs.get("value")), str(ours.get("value"))
        for key in theirs.keys() & ours.keys():
            if key == "digest" and isinstance(theirs[key], str):
                yield theirs[key], str(ours[key])
            yield from digests(theirs[key], ours[key])
    elif isinstance(theirs, list) and isinstance(ours, list):
        for one, other in pairs(theirs, ours):
            yield from digests(one, other)


def _unlike(known: References, theirs: Any, ours: Any, where: str) -> str:
    """Where two values differ, as `data.scsi0: ours X, theirs Y`."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        return _unlike_maps(known, theirs, ours, where)
    if isinstance(theirs, list) and isinstance(ours, list):
        return _unlike_lists(known, theirs, ours, where)
    if _volatile(where) and not isinstance(theirs, str) and theirs is not None and ours is not None:
        return ""
    if isinstance(theirs, str) and isinstance(ours, str):
        return _unlike_texts(known, theirs, ours, where)
    if theirs != ours or (isinstance(theirs, str) != isinstance(ours, str)):
        return f"{where}: ours {ours!r}, theirs {theirs!r}"
    return ""


def _volatile(where: str) -> bool:
    """Whether a place in an answer holds something that was measured or drawn by chance."""
    return where.startswith("data") and where.rpartition(".")[2] in VOLATILE


def _unlike_maps(
    known: References, theirs: Mapping[str, Any], ours: Mapping[str, Any], where: str
) -> str:
    if theirs and all(map(_UID.fullmatch, theirs)):
        return _unlike_lists(known, list(theirs.values()), list(ours.values()), where)
    missing, extra = theirs.keys() - ours.keys(), ours.keys() - theirs.keys()
    if missing or extra:
        return f"{where}: without {sorted(missing)}, with {sorted(extra)} beside"
    measured = (
        MEASURED if theirs.get("type") in ("node", "storage") or "plugintype" in theirs else ()
    )
    for key in theirs:
        if key in measured or ("level" in theirs and key in MEASURED):
            continue
        if why := _unlike(known, theirs[key], ours[key], f"{where}.{key}"):
            return why
    return ""


def _unlike_lists(known: References, theirs: list[Any], ours: list[Any], where: str) -> str:
    if len(theirs) != len(ours):
        return f"{where}: {len(ours)} rows, not {len(theirs)}"
    left = list(ours)
    for row in theirs:
        found = next((o for o in left if not _unlike(known, row, o, where)), None)
        if found is None:
            near = next((other for one, other in pairs(theirs, ours) if one is row), None)
            why = _unlike(known, row, near, where) if near is not None else ""
            return why or f"{where}: no row like {row!r}"
        left.remove(found)
    return ""


SETS = frozenset({"content", "nodes", "groups", "users", "privs", "resources", "vmid", "exclude"})


def _unlike_texts(known: References, theirs: str, ours: str, where: str) -> str:
    name = where.rpartition(".")[2]
    if name in SETS and sorted(items(theirs)) == sorted(items(ours)):
        return ""
    if is_reference(theirs):
        earlier = known.get(theirs)
        return (
            "" if earlier in (None, ours) else f"{where}: another than before stands for {theirs}"
        )
    if _volatile(where) or (theirs.startswith("<") and theirs.endswith(">")):
        return ""
    one, other = _plain(theirs), _plain(ours)
    if one != other and _same_but_mac(one, other):
        return ""
    return "" if one == other else f"{where}: ours {ours!r}, theirs {theirs!r}"


def _same_but_mac(one: str, other: str) -> bool:
    """Generated addresses differ; their prefix does not."""
    shortened = [_MAC.sub(lambda m: m[0][:8], text) for text in (one, other)]
    return shortened[0] == shortened[1]


_DRAWN = re.compile(
    r"\b(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|creation-qemu=[\d.]+,ctime=\d+"
)


def drawn(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    """Addresses, ids and times in a recorded text that chance or a clock drew, each with ours."""
    yield from zip(_DRAWN.findall(theirs), _DRAWN.findall(ours), strict=False)


def is_reference(text: str) -> bool:
    """Whether a text is a digest or a task id."""
    return text.startswith("UPID:") or (
        re.fullmatch(r"[0-9a-f]{40}", text) is not None and text != digest_of_text("")
    )
