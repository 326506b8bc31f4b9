"""The language as a JSON Schema (draft-07), for editors and other programs; made from the words.

What it takes, the loader takes: numbers and flags where a text stands, `null` where a key may be
reset. Names are not resolved and rules across objects are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from lab.item import kebab
from lab.lab import WORDS
from lab.units import format_duration, format_rate, format_size

Node = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
WRITE = {"bytes": format_size, "bps": format_rate, "s": format_duration}
ELSEWHERE = {"$defs", "$ref", "title", "discriminator", "prefixItems", "x-unit"}


def schema(costs: Mapping[str, object] | None = None) -> Node:
    """The schema of a file of the tree.

    `costs`: what changing a field costs, by its path below the entries of a word, `*` for the key
    of a map (`guests.disks.*.size`). Raises KeyError for a path that no field has.
    """
    words = {word: _map(_entry(hint)) for word, hint in WORDS.items()}
    for path, cost in (costs or {}).items():
        word, *steps = path.split(".")
        found = list(_below(words[word]["additionalProperties"], steps))
        if not found:
            raise KeyError(path)
        for node in found:
            node["x-cost"] = str(cost)
            node["description"] = f"{node.get('description', '')} Changing it: {cost}.".strip()
    return {
        "$schema": DIALECT,
        "title": "vlab desired state",
        "description": "One file of a tree; the files of a tree are merged by word and name.",
        "type": "object",
        "additionalProperties": False,
        "properties": {word: _or_null(node) for word, node in words.items()},
    }


def _entry(hint: Any) -> Node:
    made = TypeAdapter(hint).json_schema(by_alias=True)
    return _plain(made, made.get("$defs", {}))


def _map(values: Node) -> Node:
    return {"type": "object", "additionalProperties": values}


def _plain(node: Node, known: Mapping[str, Node]) -> Node:
    """A node as pydantic makes it, in draft-07 and with all that it refers to written out."""
    if "$ref" in node:
        node = {**known[node["$ref"].rpartition("/")[2]], **node}
    made = {key: value for key, value in node.items() if key not in ELSEWHERE}
    for key in ("anyOf", "oneOf"):
        if key in node:
            made[key] = [_plain(each, known) for each in node[key]]
    if "properties" in node:
        made["properties"] = {
            kebab(name): _plain(each, known)
            if name in node.get("required", ())
            else _or_null(_plain(each, known))
            for name, each in node["properties"].items()
        }
    elif isinstance(values := node.get("additionalProperties"), dict):
        made["additionalProperties"] = _or_null(_plain(values, known))
    if "prefixItems" in node:
        made["items"] = [_plain(each, known) for each in node["prefixItems"]]
    elif "items" in node:
        made["items"] = _plain(node["items"], known)
    _settle(made, node.get("x-unit"))
    return made


def _settle(made: Node, unit: str | None) -> None:
    """Take what the loader takes, and write defaults as people do."""
    free = unit is None and not made.keys() & {"enum", "const", "format"}
    if made.get("type") == "string" and free:
        made["type"] = ["string", "number", *(() if "pattern" in made else ("boolean",))]
    if made.get("default", 0) is None:
        del made["default"]
    elif unit is not None and "default" in made:
        made["default"] = WRITE[unit](made["default"])


def _or_null(node: Node) -> Node:
    """The same, or the `null` that resets a key."""
    kind = node.get("type")
    if "anyOf" in node:
        if {"type": "null"} not in node["anyOf"]:
            node["anyOf"].append({"type": "null"})
        return node
    if kind is None or node.keys() & {"enum", "const", "oneOf"}:
        outer: Node = {key: node.pop(key) for key in ("description", "default") if key in node}
        return {**outer, "anyOf": [node, {"type": "null"}]}
    kinds = kind if isinstance(kind, list) else [kind]
    return {**node, "type": [*kinds, "null"]}


def _below(node: Node, steps: list[str]) -> Iterator[Node]:
    """The nodes at a path: one, or one of each alternative."""
    if not steps:
        yield node
        return
    step, *rest = steps
    for each in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _below(each, steps)
    if step in node.get("properties", {}):
        yield from _below(node["properties"][step], rest)
    elif step == "*" and isinstance(node.get("additionalProperties"), dict):
        yield from _below(node["additionalProperties"], rest)
