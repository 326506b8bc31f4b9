"""Every call that we make, against the vendor's own description of its methods, by release."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from controller.managed import Context
from controller.step import Json, JsonRpc
from controller.truenas import rest2, versions
from controller.truenas.kinds import KINDS
from controller.truenas.versions import Release
from tests.controller.truenas import test_changes as changes
from tests.controller.truenas.cases import CASES
from tests.controller.truenas.worlds import DEVICE, answers, around, array, one, read_one
from tests.reference import reference

RELEASES = {"v25.10": Release(25, 10), "core_13.0": Release(13, 0)}
NUMBER = re.compile(r"\{[a-z-]+ .+\}")
GENERIC = ("query", "config")  # every namespace has them: the notation of the file says so


@cache
def methods() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(reference("truenas-methods.json").read_text())["methods"]
    return found


def calls() -> Iterator[JsonRpc]:
    """All that the cases send: what makes, changes and removes each kind of thing."""
    nobody: Context = around()
    for case in CASES.values():
        wanted = one(case.kind, array(case.declared), case.identity)
        there = read_one(case.kind, answers(case.answers), case.identity)
        yield from _calls(wanted.steps(None, nobody))
        yield from _calls(there.remove(nobody))
    for change in changes.CASES.values():
        kind = next(kind for kind in KINDS if kind.kind == change.key.split()[0])
        wanted = one(kind, array(change.declared), change.key.partition(" ")[2])
        there = read_one(kind, answers(change.answers), wanted.key.id)
        yield from _calls(wanted.steps(there, nobody))


def _calls(steps: Any) -> Iterator[JsonRpc]:
    for step in steps:
        assert isinstance(step, JsonRpc)
        yield step


CALLS = sorted(calls(), key=str)


@pytest.mark.parametrize("step", CALLS, ids=map(str, CALLS))
@pytest.mark.parametrize("release", RELEASES)
def test_the_vendor_takes_what_we_send(step: JsonRpc, release: str) -> None:
    method, params = versions.call(RELEASES[release], step.method, step.params)
    described = methods()[method][release]
    wrong = list(problems(described["params"], [numbered(each) for each in params]))
    assert not wrong


@pytest.mark.parametrize("step", CALLS, ids=map(str, CALLS))
def test_rest_has_each_call_where_we_send_it(step: JsonRpc) -> None:
    method, params = versions.call(RELEASES["core_13.0"], step.method, step.params)
    verb, path, _ = rest2.route(method, params)
    described = methods()[method]["core_13.0"]["rest"]
    identity = re.escape(described["path"]).replace(r"\{id\}", "[^/]+")
    assert verb == described["verb"]
    assert re.fullmatch(identity, path)


def test_what_we_ask_is_there() -> None:
    asked = {query.path for kind in KINDS for query in kind.fetch(DEVICE, answers())}
    asked |= {"pool.dataset.attachments", "core.set_options", "auth.login_ex"}
    for method in asked:
        namespace, _, verb = method.rpartition(".")
        known = any(name.startswith(f"{namespace}.") for name in methods())
        assert known if verb in GENERIC else method in methods(), method


def numbered(value: Json) -> Any:
    """The same with a number in the place of each reference."""
    match value:
        case str() if NUMBER.fullmatch(value):
            return 1
        case dict():
            return {name: numbered(each) for name, each in value.items()}
        case list() | tuple():
            return [numbered(each) for each in value]
        case _:
            return value


def problems(described: Sequence[Mapping[str, Any]], params: Sequence[Any]) -> Iterator[str]:
    """What is wrong with positional parameters."""
    if len(params) > len(described):
        yield f"{len(params)} parameters, not {len(described)}"
    for number, known in enumerate(described):
        if number < len(params):
            yield from wrong(known, params[number], known["name"])
        elif known.get("required"):
            yield f"{known['name']} is missing"


def wrong(known: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    """What is wrong with a value, by the notation of the file."""
    if value is None and known.get("null"):
        return
    if "one_of" in known:
        each = [list(wrong(option, value, where)) for option in known["one_of"]]
        yield from min(each, key=len)
    elif "fields" in known:
        yield from _members(known, value, where)
    elif "list_of" in known:
        if not isinstance(value, list):
            yield f"{where}: no list"
            return
        for position, item in enumerate(value):
            yield from wrong(known["list_of"], item, f"{where}.{position}")
    elif "enum" in known:
        written = isinstance(known["enum"], str)  # the file only names the vendor's own list
        if value not in known["enum"] and not (written and isinstance(value, str)):
            yield f"{where}: {value!r} is none of {known['enum']}"
    elif "enum_family" in known:
        if not isinstance(value, str) or value not in known["enum_family"]:
            yield f"{where}: {value!r} is none of {known['enum_family']}"
    elif not _is_a(known.get("type", "any"), value):
        yield f"{where}: {value!r} is no {known['type']}"


def _members(known: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: no object"
        return
    fields = known["fields"]
    for name, each in value.items():
        if name not in fields:
            yield f"{where}.{name}: unknown"
        else:
            yield from wrong(fields[name], each, f"{where}.{name}")
    if not known.get("partial"):
        for name, described in fields.items():
            if described.get("required") and name not in value:
                yield f"{where}.{name} is missing"


def _is_a(name: str, value: object) -> bool:
    types: Mapping[str, type | tuple[type, ...]] = {
        "string": str, "path": str, "ip": str, "integer": int, "boolean": bool,
        "object": dict, "array": list, "cron": dict, "number": (int, float),
    }  # fmt: skip
    fits = name == "any" or isinstance(value, types[name])
    return fits and not (name == "integer" and isinstance(value, bool))
