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
from urllib.parse import unquote

from simulator.pve.api import tree
from simulator.pve.parameters import Param
from simulator.pve.releases import Release
from simulator.pve.routes import Route
from simulator.pve.wire import Request, Response
from tests.reference import present, reference

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


def _optional(known: Schema) -> bool:
    """Whether a parameter, in any of its kinds, may be left out."""
    return all(one.get("optional") for one in known.get("oneOf", [known]))


def unlike(ours: Param, known: Schema) -> str:
    """Where a parameter differs from the schema's; "" if nowhere."""
    kind = known.get("type", "string")
    if ours.type != kind:
        return f"type {ours.type}, not {kind}"
    if ours.optional != _optional(known):
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
    if ours.pattern and not (known.get("pattern") or known.get("format")):
        return f"pattern {ours.pattern}"
    if str(known.get("requires", "")) != ours.requires:
        return f"requires {ours.requires}"
    return ""


def misfits(known: Schema, value: Any, where: str = "data") -> Iterator[str]:
    """Where an answer is none of its schema."""
    kind = known.get("type", "any")
    if value is None:
        if kind in ("array", "boolean") or (where == "data" and kind not in ("null", "any")):
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
        properties, more = known.get("properties", {}), known.get("additionalProperties")
        for name, inner in properties.items():
            if name.startswith("{"):  # stands for every name, in older schemas
                more = inner
            elif name in value:
                yield from misfits(inner, value[name], f"{where}.{name}")
            elif not _optional(inner) and "[n]" not in name:
                yield f"{where}.{name} is missing"
        if isinstance(more, dict):
            for name in value.keys() - properties.keys():
                yield from misfits(more, value[name], f"{where}.{name}")
    elif "enum" in known and str(value) not in map(str, known["enum"]):
        yield f"{where} is {value!r}, none of {known['enum']}"


LESS_SAID = (
    r"GET /cluster/ceph/metadata data\.(mds|mgr|mon|osd|(mgr|mon)\.\S+@\S+\.\w+) is missing",
    r"GET /access/users data\[\d+\]\.tokens is null.*",
    r"GET /cluster/mapping/(dir|pci|usb) data\[\d+\]\.(description|error) is missing",
    r"GET /cluster/options data\.\S+ is (\{.*\}|\[.*\]), not string",
    r"GET /cluster/resources data\[\d+\]\.type is 'network'.*",
    r"GET /nodes/\{node\}/ceph/mon data\[\d+\]\.host is '\S+', not boolean",
    r"GET /nodes/\{node\}/ceph/osd/\{osdid\}/metadata data\.devices\[\d+\]\.devices is missing",
    r"GET /nodes/\{node\}/network data\[\d+\]\.(active|exists) is null.*",
    r"GET /cluster/sdn/fabrics/\S+ data\S*\.((fabric_|node_)?id|protocol) is missing",
    r"GET /cluster/sdn/(controllers|zones) data\[\d+\]\.pending is \{.*\}, not boolean",
    r"POST /nodes/\{node\}/replication/\{id\}/schedule_now data is null.*",
)
"""Where answers of the real API are none of their schema, either: recorded ones; that of a
replication to run now, whose handler ends by writing a file (PVE::ReplicationState); Ceph's
versions alone, when `scope` asks for no more, and daemons that do not answer for themselves; and
what schemas before 9 say otherwise than their handlers do (PVE::API2::Ceph::MON, ::OSD,
PVE::Network::SDN pending_config).
"""


def answer_misfits(release: Release, request: Request, response: Response) -> list[str]:
    """Where the data of a good answer is none of its call's; nothing without the schema."""
    name = release.version["release"]
    if response.status != 200 or not has_schema(name):
        return []
    path = release.path(f"{request.method} {request.path}")
    segments = [unquote(part) for part in path.split("/") if part]
    found = tree().find(request.method, segments)
    assert found is not None, f"{request.method} {request.path} is no call and was answered"
    known = official(found[0], name)
    if known is None:  # no schema names the root
        return [] if found[0].path == "/" else [f"{found[0].call} is no call of {name}"]
    data = (response.members or {})["data"]
    misses = [f"{found[0].call} {miss}" for miss in misfits(known.get("returns") or {}, data)]
    return [miss for miss in misses if not any(re.fullmatch(less, miss) for less in LESS_SAID)]


def has_schema(release: str) -> bool:
    """Whether there is the schema of a release."""
    return release == "9.2" or present("pve-api-schema.json.gz") is not None
