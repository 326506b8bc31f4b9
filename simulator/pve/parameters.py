"""What a call takes, written as a table, and the check of what was sent, in Proxmox VE's words.

A table has a line per parameter:  `name[?][*]  kind  [min..max]  [requires=other]` `?` optional,
`*` the default key of a property string, `net[32]?` numbered from 0. A kind is a type (string,
integer, number, boolean), `enum(a,b)`, `/regular expression/`, a format of `formats.py`,
`integer:format`, `array`, `array:format`, or `{name}`, a property string with a table of its own;
`old -> new` is an alias; a line `...` lets further parameters pass. Source: PVE::JSONSchema; names,
types and limits from the official API schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.pve import propertystring
from simulator.pve.formats import check_format
from simulator.pve.propertystring import Malformed
from simulator.pve.wire import Given

Value = str | int | float | None | tuple[str, ...]
"""A checked parameter: integers and booleans (0, 1) as int, numbers as float, the rest as text."""
Entry = Mapping[str, Value]
"""Checked parameters by name: an object as its file has it."""

UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"

_LINE = re.compile(
    r"(?P<name>[\w.\-]+?)(\[(?P<count>\d+)\])?(?P<marks>[?*]*)\s+"
    r"(?P<kind>enum\([^)]*\)|/.*?/(?=\s|$)|\S+)"
    r"(\s+(?P<low>-?\d*)\.\.(?P<high>\d*))?(\s+requires=(?P<requires>\S+))?"
)


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `low` and `high` bound a number's value or a text's length."""

    type: str
    format: str = ""
    pattern: str = ""
    enum: tuple[str, ...] = ()
    table: str = ""  # name of the property string's table
    optional: bool = False
    default_key: bool = False
    low: int | None = None
    high: int | None = None
    requires: str = ""


@dataclass(frozen=True)
class Table:
    """What a call or a property string takes.

    `problem`: what is wrong with values that are fine one by one; "" if nothing is. `more`: what is
    not named here passes unchecked.
    """

    params: Mapping[str, Param]
    aliases: Mapping[str, str] = field(default_factory=dict)
    key_aliases: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    problem: Callable[[Mapping[str, Value]], str] | None = None
    more: bool = False

    @property
    def default_key(self) -> str | None:
        """The key that needs no name."""
        return next((name for name, param in self.params.items() if param.default_key), None)

    def __or__(self, other: Table) -> Table:
        return Table(
            {**self.params, **other.params},
            {**self.aliases, **other.aliases},
            {**self.key_aliases, **other.key_aliases},
            self.problem or other.problem,
            self.more or other.more,
        )


PROPERTY_STRINGS: dict[str, Table] = {}
"""Tables of the property strings, by the name that `{name}` uses, or that of their format where
Proxmox VE has registered it; the areas add theirs.
"""


def _param(match: re.Match[str]) -> Param:
    kind, type_name = match["kind"], "string"
    options: dict[str, Any] = {}
    if kind.startswith("integer:"):
        type_name, kind = "integer", kind.removeprefix("integer:")
    if kind in ("string", "integer", "number", "boolean", "array"):
        type_name = kind
    elif kind.startswith("array:"):
        type_name, kind = "array", kind.removeprefix("array:")
        options |= {"table": kind[1:-1]} if kind.startswith("{") else {"format": kind}
    elif kind.startswith("enum("):
        options["enum"] = tuple(kind[5:-1].split(","))
    elif kind.startswith("/"):
        options["pattern"] = kind[1:-1]
    elif kind.startswith("{"):
        options["table"] = kind[1:-1]
    else:
        options["format"] = kind
    return Param(
        type=type_name,
        optional="?" in match["marks"],
        default_key="*" in match["marks"],
        low=int(match["low"]) if match["low"] else None,
        high=int(match["high"]) if match["high"] else None,
        requires=match["requires"] or "",
        **options,
    )


def table(
    text: str,
    key_aliases: Mapping[str, tuple[str, str]] | None = None,
    problem: Callable[[Mapping[str, Value]], str] | None = None,
) -> Table:
    """Read a table. A line that ends with a comma goes on in the next."""
    params: dict[str, Param] = {}
    aliases: dict[str, str] = {}
    more = False
    joined = re.sub(r",\s*\n\s*", ",", text)
    for line in filter(None, map(str.strip, joined.splitlines())):
        if line == "...":
            more = True
            continue
        if " -> " in line:
            old, new = line.split(" -> ")
            aliases[old] = new
            continue
        match = _LINE.fullmatch(line)
        assert match, f"not a parameter: {line}"
        param = _param(match)
        if match["count"]:
            params |= {f"{match['name']}{n}": param for n in range(int(match["count"]))}
        else:
            params[match["name"]] = param
    return Table(params, aliases, key_aliases or {}, problem, more)


def check(
    known: Table, given: Mapping[str, Given], strings: Mapping[str, Table] = PROPERTY_STRINGS
) -> tuple[dict[str, Value], dict[str, str]]:
    """The checked values and what is wrong, by parameter. `strings`: tables of property strings."""
    values: dict[str, Value] = {}
    errors: dict[str, str] = {}
    for name, value in given.items():
        if (param := known.params.get(name)) is None:
            if known.more:
                values[name] = value if isinstance(value, str | int | float) else None
            else:
                errors[name] = UNKNOWN
        elif value is None:
            values[name] = None
        else:
            values[name], problem = _value(name, param, value, strings)
            if problem:
                errors[name] = problem
            if param.type == "array":
                errors |= _item_errors(name, param, value, strings)
            if param.requires and given.get(param.requires) is None:
                errors[param.requires] = f"missing property required by '{name}'"
    for name, param in known.params.items():
        if not param.optional and given.get(name) is None:
            errors.setdefault(name, MISSING)
    return values, errors


def _perl_type(value: object) -> str | None:
    """How Perl names what is no plain scalar."""
    if isinstance(value, bool):
        return "JSON::PP::Boolean"
    return "ARRAY" if isinstance(value, list) else "HASH" if isinstance(value, dict) else None


def _value(
    name: str, param: Param, value: Given, strings: Mapping[str, Table]
) -> tuple[Value, str]:
    if param.type == "array":
        items = value if isinstance(value, list) else [value]
        return tuple("" if item is None else str(item) for item in items), ""
    if isinstance(value, list) and param.format.endswith("-list"):
        if odd := next(filter(None, map(_perl_type, value)), None):
            return None, f"type check ('string') failed - got {odd}"
        value = ",".join("" if item is None else str(item) for item in value)
    if isinstance(value, bool) and param.type == "boolean":
        value = int(value)
    failed = f"type check ('{param.type}') failed - got "
    if odd := _perl_type(value):
        return None, failed + odd
    text = str(value)
    if not _TYPES[param.type].fullmatch(text) or not _finite(param.type, text):
        return None, f"{failed}'{text}'"
    return _typed(param.type, text), _text_problem(name, param, text, strings)


def _item_errors(
    name: str, param: Param, value: Given, strings: Mapping[str, Table]
) -> dict[str, str]:
    """What is wrong with the items of an array, by their places."""
    errors: dict[str, str] = {}
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        place = f"{name}[{number}]"
        if item is None:
            errors[place] = MISSING
        elif odd := _perl_type(item):
            errors[place] = f"type check ('string') failed - got {odd}"
        elif problem := _text_problem(place, param, str(item), strings):
            errors[place] = problem
    return errors


_TYPES = {
    "string": re.compile(r".*", re.DOTALL),
    "integer": re.compile(r"[+-]?\d+"),
    "number": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    "boolean": re.compile(r"[01]"),
}


def _finite(type_name: str, text: str) -> bool:
    """Whether a number is one that can be counted with; Perl would take it as infinite."""
    return type_name == "string" or math.isfinite(float(text))


def _typed(type_name: str, text: str) -> Value:
    match type_name:
        case "integer" | "boolean":
            return int(text)
        case "number":
            return float(text)
        case _:
            return text


def _text_problem(name: str, param: Param, text: str, strings: Mapping[str, Table]) -> str:
    """What `PVE::JSONSchema::check_prop` says of a scalar, in its order; "" if it is fine."""
    if known := strings.get(param.table or param.format):
        problem = property_problem(name, known, text)
    else:
        problem = check_format(param.format, text)
    if problem:
        return f"invalid format - {problem}"
    if param.pattern and not re.fullmatch(param.pattern, text):
        return "value does not match the regex pattern"
    if param.type == "string" and param.high is not None and len(text) > param.high:
        return f"value may only be {param.high} characters long"
    if param.type == "string" and param.low is not None and len(text) < param.low:
        return f"value must be at least {param.low} characters long"
    if param.type in ("integer", "number"):
        if param.high is not None and float(text) > param.high:
            return f"value must have a maximum value of {param.high}"
        if param.low is not None and float(text) < param.low:
            return f"value must have a minimum value of {param.low}"
    if param.enum and text not in param.enum:
        return f"value '{text}' does not have a value in the enumeration '{', '.join(param.enum)}'"
    return ""


def property_problem(name: str, known: Table, text: str) -> str:
    """What is wrong with a property string; "" if nothing is."""
    try:
        values = propertystring.split(text, known.default_key, known.aliases, known.key_aliases)
    except Malformed as error:
        return error.text
    given: dict[str, Given] = {}
    for key, value in values.items():
        param = known.params.get(key)
        truth = propertystring.truth(value) if param and param.type == "boolean" else None
        given[key] = value if truth is None else truth
    checked, errors = check(known, given)
    if not errors:
        return known.problem(checked) if known.problem else ""
    lines = ""
    for key, problem in sorted(errors.items()):
        told = re.sub(r"^(missing property required by )'", rf"\1'{name}.", problem)
        lines += f"{name}.{key}: {told}\n"
    return f"format error\n{lines}"


def parse(name: str, text: str) -> dict[str, str | int]:
    """The values of a property string that was checked before: booleans as 0 and 1, the rest as
    text, as is what only another release knows.
    """
    known = PROPERTY_STRINGS[name]
    values = propertystring.split(text, known.default_key, known.aliases, known.key_aliases)
    booleans = {key for key, param in known.params.items() if param.type == "boolean"}
    return {
        key: value
        if key not in booleans or (truth := propertystring.truth(value)) is None
        else truth
        for key, value in values.items()
    }
