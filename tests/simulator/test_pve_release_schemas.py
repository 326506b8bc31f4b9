"""8.4 and 7.4 against their official schemas: calls, parameters, rights, privileges.

9.2's own parameters are compared in `test_pve_schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from simulator.pve.api import tree
from simulator.pve.releases import RELEASES
from simulator.pve.routes import Guard, Route
from tests.simulator.pve_cluster import cluster
from tests.simulator.pve_schemas import base, official, parameters, schema, unlike

OLDER = ("8.4", "7.4")
ROUTES = [route for route in tree().routes if route.path != "/"]  # no schema names the root
NOT_BUILT = {"auto-rebalance"}
"""Parameters that the twin does not know in any release."""
GONE = {
    "8.4": {"GET /nodes/{node}/scan/glusterfs"},
    "7.4": {
        "GET /nodes/{node}/hardware/pci/{pciid}", "GET /nodes/{node}/hardware/pci/{pciid}/mdev",
        "GET /nodes/{node}/scan/glusterfs", "POST /access/tfa",
    },
}  # fmt: skip
"""Calls that only older releases have and that are not served by a path of now, either."""


def _named(route: Route) -> str:
    return str(route.call)


@pytest.mark.parametrize("release", OLDER)
def test_a_release_has_the_calls_that_its_schema_has(release: str) -> None:
    wrong = [
        route.call
        for route in ROUTES
        if RELEASES[release].lacks(route.call) != (official(route, release) is None)
    ]
    assert wrong == []


@pytest.mark.parametrize("release", OLDER)
def test_no_call_that_only_an_older_release_has_is_forgotten(release: str) -> None:
    only_then = _calls(release) - _calls("9.2")
    assert only_then - _former(release).keys() == GONE[release]


@pytest.mark.parametrize("release", OLDER)
def test_a_former_path_takes_and_answers_what_the_one_of_now_does(release: str) -> None:
    former = _former(release)
    assert bool(former) is (release == "7.4")
    for call, route in former.items():
        method, _, path = call.partition(" ")
        now, then = official(route, release) or {}, schema(release)[path][method]
        assert parameters(now) == parameters(then), call
        assert now["returns"] == then["returns"], call


def _former(release: str) -> dict[str, Route]:
    """Calls that only an older release has -> the one of now that answers them."""
    known = {route.call: route for route in ROUTES}
    moved = {}
    for call in _calls(release) - _calls("9.2"):
        method, path = call.split(" ")[0], RELEASES[release].path(call)
        if f"{method} {path}" != call:
            moved[call] = known[f"{method} {path}"]
    return moved


def _calls(release: str) -> set[str]:
    return {
        f"{method} {path.rstrip('/')}" for path, has in schema(release).items() for method in has
    }


@pytest.mark.parametrize("release", OLDER)
@pytest.mark.parametrize("route", ROUTES, ids=_named)
def test_a_call_takes_what_its_release_says(route: Route, release: str) -> None:
    known = official(route, release)
    if known is None:
        return
    ours, named = RELEASES[release].table(route).params, parameters(known)
    names = {base(name, named) for name in ours}
    assert names - {"node"} == set(named) - NOT_BUILT - {"node"}
    for name, param in ours.items():
        assert unlike(param, named[base(name, named)]) == "", name


def _strings(release: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Call, our property string, and the schema's keys of it."""
    for route in ROUTES:
        if (known := official(route, release)) is None:
            continue
        named = parameters(known)
        for name, param in RELEASES[release].table(route).params.items():
            said = named.get(base(name, named), {}).get("format")
            if param.table and isinstance(said, dict):
                yield f"{route.call} {name}", param.table, said


UNKNOWN_KEYS = {"host-tunnel", "idmap"}
"""Keys of property strings that the twin does not know in any release."""


@pytest.mark.parametrize("release", RELEASES)
def test_a_property_string_has_the_keys_of_its_release(release: str) -> None:
    tables = RELEASES[release].property_strings
    wrong = {}
    for where, name, said in _strings(release):
        known = tables[name]
        wanted = {key for key, value in said.items() if not _alias(value)} - UNKNOWN_KEYS
        if wanted != set(known.params):
            wrong[where] = str(wanted ^ set(known.params))
        for key in wanted & set(known.params):
            if problem := unlike(known.params[key], said[key]):
                wrong[f"{where} {key}"] = problem
    assert wrong == {}


def _alias(value: object) -> bool:
    return isinstance(value, dict) and ("alias" in value or "keyAlias" in value)


OPEN = {"GET /cluster/options": "anybody sees a part; Sys.Audit shows the rest"}
"""Calls that answer everybody, though their schema names a privilege."""


@pytest.mark.parametrize("release", RELEASES)
def test_rights_that_are_one_check_are_those_of_the_release(release: str) -> None:
    wrong = {}
    for route in ROUTES:
        check = ((official(route, release) or {}).get("permissions") or {}).get("check")
        may = RELEASES[release].may(route)
        if isinstance(check, list) and check[0] == "perm" and _rules(may) != [_rule(check)]:
            wrong[route.call] = (may, check)
    assert wrong.keys() == OPEN.keys(), wrong


@pytest.mark.parametrize("release", RELEASES)
def test_a_right_on_any_of_several_paths_is_that_of_the_release(release: str) -> None:
    there = [(route, known) for route in ROUTES if (known := official(route, release))]
    several = [
        (route, known) for route, known in there if len(_rules(RELEASES[release].may(route))) > 1
    ]
    assert several
    for route, known in several:
        check = known["permissions"]["check"]
        assert check[0] == "or"
        assert _rules(RELEASES[release].may(route)) == [*map(_rule, check[1:])], route.call


def _rules(may: Guard) -> list[tuple[str, set[str]]]:
    """Paths, and the privileges one of which is needed there."""
    if not isinstance(may, str) or " " not in may:
        return []
    rules = [rule.partition(" ") for rule in may.split(", ")]
    return [(path, set(re.split("[|&]", privileges))) for path, _, privileges in rules]


def _rule(check: Any) -> tuple[str, set[str]]:
    """The same of a schema's check."""
    return check[1], {check[2]} if isinstance(check[2], str) else set(check[2])


_PRIVILEGE = re.compile(
    r"(VM|Sys|Datastore|SDN|Mapping|Pool|User|Group|Realm|Permissions)(\.[A-Za-z]+)+"
)


def _privileges(value: object) -> set[str]:
    """All privileges that a rule names."""
    if isinstance(value, str):
        return {value} if _PRIVILEGE.fullmatch(value) else set()
    inner = value.values() if isinstance(value, dict) else value
    return {p for v in inner for p in _privileges(v)} if isinstance(inner, Iterable) else set()


@pytest.mark.parametrize("release", RELEASES)
def test_every_privilege_of_a_schema_is_known_and_no_rule_names_an_unknown_one(
    release: str,
) -> None:
    known = RELEASES[release].roles["Administrator"]
    named = {
        privilege
        for has in schema(release).values()
        for method in has.values()
        for privilege in _privileges(method.get("permissions") or {})
    }
    assert named - known == set()
    for route in ROUTES:
        if not RELEASES[release].lacks(route.call):
            for _, privileges in _rules(RELEASES[release].may(route)):
                assert privileges <= known, route.call


LISTED_TOO = {"move", "migrate"}
"""Listed by the real API, too, though they are elsewhere or named otherwise."""
KEYS = ("subdir", "name", "id")


@pytest.mark.parametrize("release", RELEASES)
def test_a_directory_lists_only_what_its_release_has_below(release: str) -> None:
    here, listed = cluster(), 0
    here.api.release = RELEASES[release]
    here.guest(100)
    directories, below = set().union(*(_below(name) for name in RELEASES)), _below(release)
    for route in tree().routes:
        path = route.path.replace("{node}", "pve1").replace("{vmid}", "100")
        if route.method != "GET" or "{" in path or route.path not in directories:
            continue
        rows = (here.send(f"GET {path}").members or {}).get("data")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and len(row) == 1 and (key := next(iter(row))) in KEYS:
                listed += 1
                assert row[key] in below.get(route.path, set()) | LISTED_TOO, route.path
    assert listed > 100


def _below(release: str) -> dict[str, set[str]]:
    """The names that a release has directly below each path."""
    below: dict[str, set[str]] = {}
    for path in schema(release):
        parts = path.strip("/").split("/")
        for depth, name in enumerate(parts):
            below.setdefault("/" + "/".join(parts[:depth]), set()).add(name)
    return below
