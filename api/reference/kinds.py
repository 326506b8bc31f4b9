"""The page of the language's words: every key with its unit, default, and what changing it costs.

Read from the JSON Schema that `vlab schema` prints, so the page says what the loader takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.reference.markdown import WRITTEN, page, prose, table
from controller.families import all_costs
from lab.schema import schema
from lab.units import DURATIONS_S, RATES_BPS, SIZES_BYTES

Node = Mapping[str, Any]

INTRODUCTION = prose(f"""
{WRITTEN} Each word is a top-level key; below it stand names that people gave, and below a
name the keys of this page. A key that is not written is unset; its default applies when a thing is
made and in the twin. `null` resets a key to the device's own default.

Sizes are written with {", ".join(SIZES_BYTES)}, rates with {", ".join(RATES_BPS)}, durations with
{", ".join(DURATIONS_S)}: `8GiB`, `10Gbps`, `180s`. A key whose default is empty is unset without
one; **must** stands where a key has to be written.

What changing a key costs on the device: `none` nobody notices, `live` it changes while it runs,
`migrate` a guest moves, `reboot` and `stop/start` a guest is away for a moment, `replace` the thing
is made anew or refused. An empty cell: no device is changed by it.
""")


def kinds_page() -> str:
    """All words, in the order of the language."""
    words = schema(all_costs())["properties"]
    sections: list[str] = []
    for word, node in words.items():
        sections += ["", f"## {word}", *_entry(word, node["additionalProperties"])]
    return page("Words of the language", INTRODUCTION, sections)


def _entry(path: str, node: Node) -> Iterator[str]:
    """What an entry is, its keys, and the entries inside it."""
    node = _without_null(node)
    if "oneOf" in node:
        yield from _alternatives(path, node)
        return
    if text := _description(node):
        yield from ("", text)
    required = set(node.get("required", ()))
    rows = [_row(name, each, name in required) for name, each in node["properties"].items()]
    yield from table(["key", "value", "default", "changing it"], rows)
    for name, each in node["properties"].items():
        if (inner := _inside(each)) is not None:
            star, entry = inner
            yield from ("", f"### {path}.*.{name}{star}")
            yield from _entry(f"{path}.*.{name}{star.removesuffix('.*')}", entry)


def _alternatives(path: str, node: Node) -> Iterator[str]:
    for each in node["oneOf"]:
        kind = each["properties"]["type"].get("const") or each["properties"]["type"]["enum"][0]
        yield from ("", f"### {path} of type {kind}")
        yield from _entry(path, each)


def _inside(node: Node) -> tuple[str, Node] | None:
    """The entry that a key holds, or each entry of the map or list that it holds."""
    node = _without_null(node)
    if "properties" in node:
        return "", node
    values = node.get("additionalProperties") or node.get("items")
    if isinstance(values, dict) and "properties" in _without_null(values):
        return ".*", _without_null(values)
    return None


def _row(name: str, node: Node, required: bool) -> list[str]:
    default = node.get("default")
    if isinstance(default, bool):
        default = str(default).lower()
    shown = "**must**" if required else "" if default in (None, {}, [], "") else f"`{default}`"
    if isinstance(default, list) and default:
        shown = f"`[{', '.join(map(str, default))}]`"
    return [f"`{name}`", kind_of(node), shown, _cost(node)]


def _cost(node: Node) -> str:
    """What changing a key costs; of a map also what losing an entry does."""
    cost = str(node.get("x-cost", ""))
    values = _without_null(node).get("additionalProperties")
    below = values.get("x-cost") if isinstance(values, dict) else None
    return f"an entry: {below}" if below else cost


def _without_null(node: Node) -> Node:
    """The one alternative that is no `null`, with what is said of all; else the node itself."""
    each = [one for one in node.get("anyOf", ()) if one.get("type") != "null"]
    if len(each) != 1:
        return node
    outer = {key: value for key, value in node.items() if key != "anyOf"}
    return {**outer, **each[0]}


def _description(node: Node) -> str:
    return str(node.get("description", "")).partition(" Changing it:")[0]


def kind_of(node: Node) -> str:
    """A type in a few words: `list of names of vlans`."""
    node = _without_null(node)
    if "anyOf" in node or "oneOf" in node:
        each = [kind_of(one) for one in (*node.get("anyOf", ()), *node.get("oneOf", ()))]
        return " or ".join(word for word in dict.fromkeys(each) if word != "null")
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    return _container(node) or _named(node) or _plain(node)


def _container(node: Node) -> str:
    if "items" in node:
        inner = node["items"]
        each = ", ".join(map(kind_of, inner)) if isinstance(inner, list) else kind_of(inner)
        each = each.replace("name of", "names of")
        return f"{'set' if node.get('uniqueItems') else 'list'} of {each}"
    if isinstance(values := node.get("additionalProperties"), dict):
        return f"map of {kind_of(values)}"
    return "entry, see below" if "properties" in node else ""


def _named(node: Node) -> str:
    text, pattern = str(node.get("description", "")), str(node.get("pattern", ""))
    if text.startswith("The name of an entry of "):
        word = text.removeprefix("The name of an entry of ").partition(".")[0]
        return f"name of `{word}`"
    for unit, word in (("KiB", "size"), ("Gbps", "rate"), ("min", "duration")):
        if unit in pattern:
            return word
    return {"ipv4": "IPv4 address", "ipv4network": "IPv4 network"}.get(node.get("format", ""), "")


def _plain(node: Node) -> str:
    kinds = node.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    word = (
        "text"
        if "string" in kinds
        else {"integer": "number", "boolean": "true or false"}.get(kinds[0], kinds[0])
    )
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"{word}, {low} to {high}"
    return f"{word}, from {low}" if low is not None else word
