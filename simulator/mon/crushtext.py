"""A CRUSH map in the words of crushtool, as `crushtool -d` writes what `osd getcrushmap` gives.

Source: Ceph's manual, editing a CRUSH map; the text of 16.2, which the compiler takes back. Since
Quincy weights have five digits and rules no bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulator.crush.crushmap import WEIGHT_ONE

Dump = Mapping[str, Any]
"""The answer of `osd crush dump`."""
KEEP = "\t\t# do not change unnecessarily"
RULE_TYPES = {1: "replicated", 3: "erasure"}


def decompiled(dump: Dump, *, bounds: bool = False) -> str:
    """The text. `bounds`: as before Quincy."""
    digits = 3 if bounds else 5
    parts = {
        "": [f"tunable {name} {value}" for name, value in dump["tunables"].items()],
        "# devices": [_device(row) for row in dump["devices"]],
        "# types": [f"type {row['type_id']} {row['name']}" for row in dump["types"]],
        "# buckets": [line for row in _upwards(dump) for line in _bucket(dump, row, digits)],
        "# rules": [line for row in dump["rules"] for line in _rule(row, bounds=bounds)],
    }
    body = "\n\n".join("\n".join(filter(None, [head, *lines])) for head, lines in parts.items())
    return f"# begin crush map\n{body}\n\n# end crush map\n"


def _device(row: Mapping[str, Any]) -> str:
    return f"device {row['id']} {row['name']}" + (f" class {row['class']}" if row["class"] else "")


def _upwards(dump: Dump) -> list[Mapping[str, Any]]:
    """Buckets, each after those in it; not the shadows that classes have."""
    own = [row for row in dump["buckets"] if "~" not in row["name"]]
    return sorted(own, key=lambda row: (row["type_id"], -row["id"]))


def _bucket(dump: Dump, row: Mapping[str, Any], digits: int) -> Iterator[str]:
    names = {each["id"]: each["name"] for each in (*dump["devices"], *dump["buckets"])}
    yield f"{row['type_name']} {row['name']} {{"
    yield f"\tid {row['id']}{KEEP}"
    for each in dump["buckets"]:
        base, _, class_ = each["name"].partition("~")
        if class_ and base == row["name"]:
            yield f"\tid {each['id']} class {class_}{KEEP}"
    yield f"\t# weight {row['weight'] / WEIGHT_ONE:.{digits}f}"
    yield f"\talg {row['alg']}"
    yield f"\thash 0\t# {row['hash']}"
    for item in row["items"]:
        yield f"\titem {names[item['id']]} weight {item['weight'] / WEIGHT_ONE:.{digits}f}"
    yield "}"


def _rule(row: Mapping[str, Any], *, bounds: bool) -> Iterator[str]:
    yield f"rule {row['rule_name']} {{"
    yield f"\tid {row['rule_id']}"
    yield f"\ttype {RULE_TYPES[row['type']]}"
    yield from ("\tmin_size 1", "\tmax_size 10") if bounds else ()
    for step in row["steps"]:
        yield f"\tstep {_step(step)}"
    yield "}"


def _step(step: Mapping[str, Any]) -> str:
    operation = step["op"]
    if operation == "take":
        name, _, class_ = step["item_name"].partition("~")
        return f"take {name} class {class_}" if class_ else f"take {name}"
    if "type" in step:
        kind, _, how = operation.partition("_")
        return f"{kind} {how} {step['num']} type {step['type']}"
    return operation if operation == "emit" else f"{operation} {step['num']}"
