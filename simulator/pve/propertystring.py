"""Property strings: `virtio=BC:24:11:00:00:01,bridge=vmbr0`, several values in one text.

Read and printed for every option that holds one. What may stand in one is a `Table` of parameters
(`parameters.py` checks it). Source: PVE::JSONSchema, parse_property_string and
print_property_string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simulator.pve.wire import ApiError


class Malformed(ApiError):
    """The text is no property string of its kind."""

    def __init__(self, text: str) -> None:
        super().__init__(400, text)


TRUE = frozenset({"1", "on", "yes", "true"})
FALSE = frozenset({"0", "off", "no", "false"})


def truth(text: str) -> int | None:
    """A boolean as people write it in property strings; None if it is none."""
    folded = text.lower()
    return 1 if folded in TRUE else 0 if folded in FALSE else None


def split(
    text: str,
    default_key: str | None = None,
    aliases: Mapping[str, str] | None = None,
    key_aliases: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, str]:
    """The values by their canonical names, unchecked.

    `key_aliases` name a key that is itself a value: virtio=MAC is model=virtio,macaddr=MAC.
    Raises Malformed.
    """
    values: dict[str, str] = {}
    bare = False
    for part in text.split(","):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals:
            if default_key is None:
                raise Malformed("value without key, but schema does not define a default key\n")
            if bare or values.get(default_key, "0") != "0":
                raise _duplicate(default_key)
            bare, values[default_key] = True, part
            continue
        if not key or not value:
            raise Malformed("missing key in comma-separated list property\n")
        key = (aliases or {}).get(key, key)
        if key in values:
            raise _duplicate(key)
        if key_aliases and key in key_aliases:
            name, target = key_aliases[key]
            if name in values:
                raise Malformed(f"key alias '{name}' is already defined\n")
            values[name], key = key, target
        values[key] = value
    return values


def _duplicate(key: str) -> Malformed:
    return Malformed(f"duplicate key in comma-separated list property: {key}\n")


def join(values: Mapping[str, object], first: str | None = None) -> str:
    """The text of `values`, sorted by name, with the value of `first` in front and without its
    name.
    """
    rest = [f"{key}={values[key]}" for key in sorted(values) if key != first]
    return ",".join([str(values[first]), *rest] if first in values and first else rest)


def items(text: str) -> list[str]:
    """The parts of a list in one text."""
    return [part for part in re.split(r"[,;\s\0]+", text) if part]
