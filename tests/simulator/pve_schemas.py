"""The official API schemas, by release, and how a parameter or an answer differs from one.

9.2's comes with the package fakepve; 8.4's and 7.4's are reference data (`tests.reference`).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from simulator.pve.parameters import Param
from simulator.pve.routes import Route
from tests.reference import reference

Schema = dict[str, Any]


@cache
def _older() -> dict[str, Schema]:
    packed = reference("pve-api-schema.json.gz").read_bytes()
    found: dict[str, Schema] = json.loads(gzip.decompress(packed))["versions"]
    return found


@cache
def schema(release: str = "9.2") -> Schema:
    """Path -> method -> its schema. Skips the test where there is none."""
    if release != "9.2":
        return _older()[release]
    packed = files("fakepve").joinpath("data/pve-api.json.gz").read_bytes()
    found: Schema = json.loads(gzip.decompress(packed))["paths"]
    return found


def official(route: Route, release: str = "9.2") -> Schema | None:
    """What a release says of a call; None if it has none."""
    path = route.path.replace("*}", "}") if route.path != "/" else ""
    known = schema(release)
    entry = known.get(path) or known.get(path + "/") or {}
    found: Schema | None = entry.get(route.method)
    return found


def parameters(method: Schema) -> Schema:
    """Parameters of a call, by name."""
    return dict(method.get("parameters", {}).get("properties") or {})


def base(name: str, known: Schema) -> str:
    """`net0` as a schema names it: `net[n]`."""
    numbered = re.sub(r"\d+$", "[n]", name)
    return numbered if name not in known and numbered in known else name


def unlike(ours: Param, known: Schema) -> str:
    """Where a parameter differs from the schema's; "" if nowhere."""
    kind = known.get("type", "string")
    if ours.type != kind:
        return f"type {ours.type}, not {kind}"
    if ours.optional != bool(known.get("optional")):
        return "optional"
    if known.get("enum") and set(map(str, known["enum"])) != set(ours.enum):
        return f"enum {ours.enum}"
    low, high = (
        ("minimum", "maximum") if kind in ("integer", "number") else ("minLength", "maxLength")
    )
    bounds = tuple(None if known.get(key) is None else int(known[key]) for key in (low, high))
    if bounds != (ours.low, ours.high) and ours.format != "pve-vmid":
        return f"bounds {(ours.low, ours.high)}, not {bounds}"
    written = re.sub(r"-[78](-list|$)", r"\1", ours.format)  # as a release has it
    if isinstance(known.get("format"), str) and written not in ("", known["format"]):
        return f"format {ours.format}, not {known['format']}"
    if str(known.get("requires", "")) != ours.requires:
        return f"requires {ours.requires}"
    return ""


def misfits(known: Schema, value: Any, where: str = "data") -> Iterator[str]:
    """Where an answer is none of its schema."""
    kind = known.get("type", "any")
    if value is None:
        if kind in ("array", "boolean"):
            yield f"{where} is null, not {kind}"
        return
    fits: dict[str, Callable[[], bool]] = {
        "null": lambda: False,
        "boolean": lambda: str(value) in ("0", "1"),
        "integer": lambda: re.fullmatch(r"-?\d+", str(value)) is not None,
        "number": lambda: re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", str(value)) is not None,
        "string": lambda: isinstance(value, str | int | float),
        "array": lambda: isinstance(value, list),
        "object": lambda: isinstance(value, dict),
    }
    if not fits.get(kind, lambda: True)():
        yield f"{where} is {value!r}, not {kind}"
    elif kind == "array":
        for number, item in enumerate(value):
            yield from misfits(known.get("items", {}), item, f"{where}[{number}]")
    elif kind == "object":
        for name, inner in known.get("properties", {}).items():
            if name in value:
                yield from misfits(inner, value[name], f"{where}.{name}")
            elif not inner.get("optional") and "[n]" not in name:
                yield f"{where}.{name} is missing"
    elif "enum" in known and str(value) not in map(str, known["enum"]):
        yield f"{where} is {value!r}, none of {known['enum']}"
