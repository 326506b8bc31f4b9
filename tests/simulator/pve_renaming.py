"""A copy of a recording in which every name, id and size that its sequences chose is another one.

An API that answers by rule gives the copy the same answers, changed in the same way. Names are
found in what requests send under the parameters that name things, and in the files that a sequence
begins with; each is replaced wherever it stands as a word of its own. Guests' ids move up by a
fixed number, disks grow to `TIMES` their size. What the initial state `base` has (nodes, local,
data, root@pam) keeps its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from simulator.pve.roles import ROLES_9

NAMING = frozenset(
    {
        "poolid", "groupid", "groups", "group", "roleid", "roles", "tokenid", "realm", "storage",
        "name", "hostname", "vnet", "zone", "controller", "rule", "snapname", "rename", "id",
        "newname",
    }
)  # fmt: skip
"""Parameters whose values are names that somebody chose."""
KEPT = frozenset(
    {
        *ROLES_9, "local", "data", "root", "pam", "pve", "none", "bad", "all", "iso", "backup",
        "group", "images", "name", "web", "key", "host", "node", "pool", "storage",
        "user", "zone", "vnet",
    }
)  # fmt: skip
"""Words that the state `base` has, or that texts of the API use."""
UP = 4000  # guests' ids
TIMES = 3  # disks


def with_other_names(text: str) -> str:
    """The recording with every name and id changed, consistently in each sequence."""
    lines = [json.loads(line) for line in text.splitlines()]
    changed = []
    sequence: list[dict[str, Any]] = []
    for line in [*lines, {"n": 0}]:
        if line["n"] == 0 and sequence:
            changed += _sequence(sequence)
            sequence = []
        sequence.append(line)
    return "".join(json.dumps(line) + "\n" for line in changed)


def _sequence(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = {key for line in lines for key in _keys(line)} | KEPT
    names = {name: _other(name) for line in lines for name in _names(line) if name not in said}
    ids = {vmid: str(int(vmid) + UP) for line in lines for vmid in _ids(line)}
    return [
        {
            key: value if key in _AS_THEY_ARE else larger(_changed(value, names, ids), key)
            for key, value in line.items()
        }
        for line in lines
    ]


def _keys(value: Any) -> Iterator[str]:
    """Names of members: words of the API."""
    if isinstance(value, dict):
        yield from value
    for each in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _keys(each)


def _names(line: dict[str, Any]) -> Iterator[str]:
    for key, value in (line.get("params") or {}).items():
        if key in NAMING and isinstance(value, str):
            yield from re.findall(r"(?<![\w.\-/@])[A-Za-z][A-Za-z0-9]{2,}(?![\w.\-@!/])", value)
    for text in (line.get("files") or {}).values():
        yield from re.findall(r"^(?:name|hostname): ([a-z]+\d+)$", text or "", re.MULTILINE)


def _ids(line: dict[str, Any]) -> Iterator[str]:
    params = line.get("params") or {}
    for key in ("vmid", "newid"):
        if re.fullmatch(r"[1-9]\d{2}", str(params.get(key, ""))):
            yield str(params[key])
    for path in [*(line.get("files") or {}), str(line.get("path", ""))]:
        yield from re.findall(r"(?:qemu-server|lxc|qemu)/([1-9]\d{2})(?=[/.]|$)", path)


def _other(name: str) -> str:
    """A name of the same length and shape, sorted as the other is."""
    return name[0] + name[1:].translate(str.maketrans("abcdefghijklmnopqrstuvwxyz",
                                                      "bcdefghijklmnopqrstuvwxyza"))  # fmt: skip


def _changed(value: Any, names: dict[str, str], ids: dict[str, str]) -> Any:
    """`value` with other words; the names of members stay, but for those that are names."""
    if isinstance(value, dict):
        return {
            key if key in _FIELDS else _word(key, names, ids): _changed(each, names, ids)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_changed(each, names, ids) for each in value]
    if isinstance(value, str):
        return _word(value, names, ids)
    return int(ids.get(str(value), value)) if type(value) is int else value


_AS_THEY_ARE = frozenset({"area", "seq", "initial", "method", "note", "status", "body", "n"})
_FIELDS = frozenset({"name", "group", "id", "type", "host", "key", "user"})


def _word(text: str, names: dict[str, str], ids: dict[str, str]) -> str:
    for name, other in names.items():
        if other != name:
            text = re.sub(rf"(?<![A-Za-z0-9_\-.]){re.escape(name)}(?![A-Za-z0-9_])", other, text)
    for vmid, other in ids.items():
        text = re.sub(rf"(?<![0-9a-f.])(?<![0-9A-F]{{2}}:){vmid}(?!\.\d|[0-9a-f])", other, text)
    return text


_SIZED = frozenset({"size", "used", "maxdisk"})
_FIXED = ("528K", "4M", "4194304")  # EFI variables, TPM state and cloud-init have their own size


def larger(value: Any, key: str = "") -> Any:
    """`value` with every disk `TIMES` as large."""
    if isinstance(value, dict):
        return {name: larger(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [larger(each, key) for each in value]
    if key in _SIZED and type(value) is int and value >= 2**20:
        return value * TIMES
    if not isinstance(value, str):
        return value
    if key == "size" and re.fullmatch(r"\+?\d+[KMGT]?", value):
        return _scaled(value)
    value = re.sub(r"(?<=\bsize=)\d+[KMGT]?(?![\w.])", lambda match: _scaled(match[0]), value)
    value = re.sub(r"(?<=\bdata:)\d+(?:\.\d+)?(?=,|$)", lambda match: _scaled(match[0]), value)
    value = re.sub(r"\d+(?= (?:4k blocks|inodes))", lambda match: _scaled(match[0]), value)
    return _superblocks(value) if value.startswith("\t32768") else value


def _scaled(text: str) -> str:
    if text in _FIXED:
        return text
    number = re.sub(r"[^\d.]", "", text)
    grown = float(number) * TIMES if "." in number else int(number) * TIMES
    return text.replace(number, str(grown))


def _superblocks(text: str) -> str:
    """Where ext4 has copies: in groups 1 and the powers of 3, 5 and 7, below the file system's end.

    The recorded ones are of 1 GiB, whose 8 groups hold the first four.
    """
    groups = [1, 3, 5, 7, 9, 25, 27, 49]
    assert text == "\t" + ", ".join(str(32768 * group) for group in groups if group < 8)
    return "\t" + ", ".join(str(32768 * group) for group in groups if group < 8 * TIMES)
