"""The array's methods against the vendor's: names, parameters, limits, routes, members."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import pytest

from simulator.truenas.catalogue import METHODS, Method
from simulator.truenas.parameters import Param
from simulator.truenas.rest2 import route_of
from simulator.truenas.tables import TABLES
from simulator.truenas.version import version_of
from tests.reference import reference
from tests.simulator.array import array, chain

GENERIC = ("query", "get_instance", "config")
# Methods that the page about the API names, but whose parameters the data does not have.
ONLY_ON_THE_PAGE = {
    "core.get_jobs",
    "system.version_short",
    "service.reload",
    "iscsi.global.sessions",
    "pool.query",
    "disk.query",
}
# Methods that neither names, and every client of the vendor's API knows.
OF_THE_PROTOCOL = {"core.get_methods", "auth.generate_token", "auth.login_with_token"}
# Members whose own members the simulation leaves out: it has no encrypted datasets.
LEFT_OUT = {"encryption_options"}


@lru_cache
def vendor() -> Mapping[str, Any]:
    """The vendor's methods by release."""
    found: Mapping[str, Any] = json.loads(reference("truenas-methods.json").read_text())
    return found


def of_release(name: str, version: str) -> Any:
    """A method as the data has it; None if it has none."""
    key = "v25.10" if version == "25.10" else "core_13.0"
    return vendor()["methods"].get(name, {}).get(key)


def cases() -> Iterator[tuple[str, str]]:
    for version in ("13.0", "25.10"):
        for name, method in METHODS.items():
            if version_of(version).has(method.span) and method.verb not in GENERIC:
                yield version, name


def params_of(method: Method, version: str) -> list[Param]:
    return [param for param in method.params if version_of(version).has(param.span)]


def members_of(param: Param, version: str) -> dict[str, Param]:
    table = TABLES[param.kind.strip("{}~")]
    return {one.name: one for one in table if version_of(version).has(one.span)}


@pytest.mark.parametrize(("version", "name"), list(cases()))
def test_a_method_takes_what_the_vendors_takes(version: str, name: str) -> None:
    known = of_release(name, version)
    if known is None:
        if name in OF_THE_PROTOCOL:
            return
        assert name in ONLY_ON_THE_PAGE or version == "25.10", name
        assert name in ONLY_ON_THE_PAGE | {*vendor()["methods"]}, name
        return
    ours = params_of(METHODS[name], version)
    assert known["job"] == METHODS[name].job
    names = [param["name"] for param in known["params"]]
    if not METHODS[name].query:
        assert [param.called(version_of(version)) for param in ours] == names
    for param, theirs in zip(ours, known["params"], strict=True):
        if param.kind.startswith("{"):
            check_members(members_of(param, version), theirs)


def check_members(ours: Mapping[str, Param], theirs: Mapping[str, Any]) -> None:
    variants = theirs.get("one_of", [theirs])
    fields: dict[str, Any] = {}
    for variant in variants:
        fields |= variant["fields"]
    assert ours.keys() == fields.keys()
    for name, param in ours.items():
        if len(variants) == 1:
            check_member(param, fields[name], partial=bool(theirs.get("partial")))


def check_member(param: Param, theirs: Mapping[str, Any], *, partial: bool) -> None:
    if "min" in theirs and "int" in param.kind.split("|"):
        assert param.low == theirs["min"], param
    if "max" in theirs:
        assert param.high == theirs["max"], param
    if "min_len" in theirs and "pattern" not in theirs and param.kind == "text":
        assert param.low == theirs["min_len"], param
    if "enum" in theirs and "text" not in param.kind:
        words = {*param.kind.strip("[]").split("|")}
        # CORE 13 takes INHERIT in updates only, which the area checks.
        assert words - {"INHERIT"} == {*map(str, theirs["enum"])} - {"INHERIT"}, param
    if "default" in theirs and theirs["default"] is not None and not partial and param.default:
        ours = json.loads(param.default)
        assert ours in (theirs["default"], {}) or str(ours) == theirs["default"], param


@pytest.mark.parametrize(
    ("version", "base", "key"),
    [("11.3", "13.0", "freenas_11.3_differs"), ("25.04", "25.10", "v25.04_differs")],
)
def test_other_releases_differ_as_the_vendors_do(version: str, base: str, key: str) -> None:
    """Of each method that both have, what the older lacks and what only it has."""
    compared = 0
    for name, method in METHODS.items():
        differs = vendor()["methods"].get(name, {}).get(key)
        if differs is None or method.query:
            continue
        if differs.get("method") == "absent":
            assert not version_of(version).has(method.span), name
        elif version_of(version).has(method.span) and version_of(base).has(method.span):
            ours, newer = names_of(method, version), names_of(method, base)
            lacks = {word.lstrip("#") for word in differs["lacks"]}
            known = {word for word in lacks if word.rpartition(".")[0] not in LEFT_OUT}
            assert newer - ours == known, name
            assert ours - newer == {*differs["has_also"]}, name
        compared += 1
    assert compared >= 3


def names_of(method: Method, version: str) -> set[str]:
    """Names of parameters, and of members of the object that it takes."""
    found: set[str] = set()
    for param in params_of(method, version):
        found.add(param.name)
        if param.kind.startswith("{"):
            found |= members_of(param, version).keys()
    return found


def test_rest_has_each_method_where_the_vendor_has_it() -> None:
    theirs = {name: (of_release(name, "13.0") or {}).get("rest") for name in METHODS}
    ours = {name: route_of(METHODS[name]) for name, route in theirs.items() if route is not None}
    assert len(ours) > 60
    for name, route in ours.items():
        assert {"verb": route.verb, "path": route.path} == theirs[name], name


def entities() -> list[str]:
    return [
        "pool", "pool.dataset", "pool.snapshot", "pool.snapshottask", "iscsi.global",
        "iscsi.portal", "iscsi.initiator", "iscsi.auth", "iscsi.target", "iscsi.extent",
        "iscsi.targetextent", "nfs", "sharing.nfs", "interface", "service", "alert", "api_key",
        "disk", "core.get_jobs",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def answers() -> Mapping[str, list[dict[str, Any]]]:
    """Entries of a full array of today, by namespace."""
    here = array("25.10")
    chain(here)
    here("pool.dataset.create", {"name": "tank/x", "comments": "c"})
    here("pool.snapshot.create", {"dataset": "tank", "name": "s"})
    here("pool.snapshottask.create", {"dataset": "tank"})
    here("iscsi.auth.create", {"tag": 1, "user": "u", "secret": "twelve-chars"})
    here("sharing.nfs.create", {"path": "/mnt/tank/x"})
    here.fail("fail-disk nas1/sdc")
    single = {name: [here(f"{name}.config")] for name in ("iscsi.global", "nfs")}
    alerts = {"alert": here("alert.list")}
    jobs = {"core.get_jobs": here("core.get_jobs")}
    queries = {
        name: here(f"{name}.query") for name in entities() if name not in {*single, *alerts, *jobs}
    }
    return {**queries, **single, **alerts, **jobs}


@pytest.mark.parametrize("name", entities())
def test_an_answer_has_the_members_of_the_vendors(
    answers: Mapping[str, list[dict[str, Any]]], name: str
) -> None:
    known = vendor()["entities"]["v25.10"][name]
    assert answers[name]
    for entry in answers[name]:
        check_value(entry, {"fields": known}, name)


def check_value(value: Any, known: Mapping[str, Any], place: str) -> None:
    if value is None:
        assert known.get("null") or known.get("type") in ("any", "null", None), place
        return
    if "one_of" in known:
        return
    if "fields" in known:
        if set(value) == {"$date"}:
            return
        assert set(value) <= set(known["fields"]), (place, set(value) - set(known["fields"]))
        missing = {key for key, one in known["fields"].items() if one.get("required")}
        assert missing <= set(value), (place, missing - set(value))
        for key, inner in value.items():
            check_value(inner, known["fields"][key], f"{place}.{key}")
    elif "list_of" in known:
        for inner in value:
            check_value(inner, known["list_of"], f"{place}[]")
    elif "enum" in known:
        assert value in known["enum"] or str(value) in known["enum"], place
    elif known.get("type") in TYPES and known.get("format") != "date-time":
        assert isinstance(value, TYPES[known["type"]]), (place, value)


TYPES: Mapping[str, Any] = {
    "string": str, "integer": int, "boolean": bool, "number": (int, float), "object": dict,
    "array": list,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("system.info", []),
        ("auth.me", []),
        ("iscsi.global.sessions", []),
        ("pool.dataset.attachments", ["tank/z"]),
        ("filesystem.stat", ["/mnt/tank"]),
        ("iscsi.extent.disk_choices", []),
        ("iscsi.portal.listen_ip_choices", []),
        ("api_key.create", [{"name": "k", "username": "truenas_admin"}]),
        ("iscsi.target.validate_name", ["Upper"]),
    ],
)
def test_a_result_has_the_shape_of_the_vendors(name: str, params: list[object]) -> None:
    here = array("25.10")
    chain(here)
    result = here(name, *params)
    known = of_release(name, "25.10")["returns"]
    if "entity" in known:
        known = {"fields": vendor()["entities"]["v25.10"][known["entity"]]}
        result.pop("key", None)
    check_value(result, known, name)
