"""Every request that a step sends is one that Proxmox VE's own schema allows."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from controller.managed import Context, Managed, Mark
from controller.pve import propertystring
from controller.pve.vm import Vm
from controller.step import Step
from tests.controller.pve.cases import CASES, GUEST_OPTIONS, Case, guest_answers
from tests.controller.pve.test_kinds import things
from tests.controller.pve.worlds import DEVICE, hardware_and, one, read_one, rests
from tests.reference import reference

VERSIONS = ("9.1", "8.4")
BOTH = [
    pytest.param(case, version, id=f"{name}-{version}")
    for name, case in CASES.items()
    for version in VERSIONS
    if version == "9.1" or "/version" not in case.answers  # rules of HA exist since 9
]
Schema = Mapping[str, Mapping[str, Any]]


@cache
def schema(version: str) -> Schema:
    data = json.loads(gzip.decompress(reference("pve-api-schema.json.gz").read_bytes()))
    found: Schema = data["versions"][version]
    return found


def flaws(version: str, method: str, path: str, params: Mapping[str, Any]) -> Iterator[str]:
    """What Proxmox VE would say against a request; nothing for a good one."""
    template, inside = template_of(version, path)
    if method not in schema(version).get(template, {}):
        yield f"{version} has no {method} {template}"
        return
    properties = schema(version)[template][method]["parameters"].get("properties", {})
    for name, value in params.items():
        known = properties.get(name) or properties.get(re.sub(r"\d+$", "[n]", name))
        if known is None:
            yield f"{method} {template} takes no {name}"
        else:
            yield from (f"{name}={value}: {flaw}" for flaw in value_flaws(name, known, value))
    missing = {
        name
        for name, known in properties.items()
        if not int(known.get("optional", 0)) and name not in params and name not in inside
    }
    if missing:
        yield f"{method} {template} needs {sorted(missing)}"


def template_of(version: str, path: str) -> tuple[str, frozenset[str]]:
    """The path of the schema, and the parameters that stand in it."""
    concrete = re.sub(r"\{node:\d+\}", "pve1", path)
    for template in sorted(schema(version), key=lambda known: known.count("{")):
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
        if match := re.fullmatch(pattern, concrete):
            return template, frozenset(match.groupdict())
    return path, frozenset()


def value_flaws(name: str, known: Mapping[str, Any], value: Any) -> Iterator[str]:
    text = str(int(value) if isinstance(value, bool) else value)
    if text == propertystring.NOW:
        return
    if text.startswith(propertystring.NOW):
        text = propertystring.apply(name, text, "virtio" if name.startswith("net") else None)
    kinds = {"boolean": r"[01]", "integer": r"-?\d+", "number": r"-?\d+(\.\d+)?"}
    if not re.fullmatch(kinds.get(known.get("type", ""), r"(?s).*"), text):
        yield f"is no {known['type']}"
    if "enum" in known and text not in known["enum"]:
        yield f"is none of {known['enum']}"
    if "pattern" in known and not re.fullmatch(known["pattern"].replace("(?^:", "(?:"), text):
        yield f"does not fit {known['pattern']}"
    if isinstance(known.get("format"), dict):
        for key in propertystring.parse(name, text):
            if key not in known["format"]:
                yield f"has no {key} inside"


def requests_of(wanted: Managed, there: Managed) -> Iterator[Step]:
    """Making it, changing all of it, resetting all of it, removing it."""
    bare = {name: value for name, value in there.values.items() if name in ("type", "pool")}
    reset = {name: Mark.RESET for name in wanted.values if name not in ("type", "name")}
    if not wanted.inherent:
        yield from wanted.steps(None, Context())
    yield from wanted.steps(replace(there, values=bare), Context())
    yield from replace(wanted, values={**wanted.values, **reset}).steps(there, Context())
    yield from there.remove(Context())


@pytest.mark.parametrize(("case", "version"), BOTH)
def test_every_request_of_a_kind_fits_the_schema(case: Case, version: str) -> None:
    wanted, there = things(case)
    found = rests(requests_of(wanted, there))

    assert found
    for step in found:
        assert [*flaws(version, step.method, step.path, step.params)] == [], str(step)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_way_to_change_a_guest_fits_the_schema(version: str) -> None:
    text = """guests: {luffy: {vmid: 101, cluster: a, state: stopped, pool: other, disks: {
        scsi0: {storage: far, size: 60GiB}, scsi1: null, virtio3: {storage: vm, size: 64MiB}},
        nets: {net0: {vlan: prod, bridge: vmbr1, model: e1000}, net1: {vlan: mgmt}}}}"""
    wanted, there = one(Vm, hardware_and(text)), things(CASES["guest"])[1]
    started = replace(wanted, values={"state": "started"})

    stopped = read_one(Vm, guest_answers(GUEST_OPTIONS, status="stopped"))

    steps = rests([*wanted.steps(there, Context()), *started.steps(stopped, Context())])
    assert {step.path.rpartition("/")[2] for step in steps} == {
        "pools", "shutdown", "config", "move_disk", "resize", "start",
    }  # fmt: skip
    for step in steps:
        assert [*flaws(version, step.method, step.path, step.params)] == [], str(step)


@pytest.mark.parametrize(("case", "version"), BOTH)
def test_every_question_fits_the_schema(case: Case, version: str) -> None:
    for query in case.kind.fetch(DEVICE, case.answers):
        assert [*flaws(version, "GET", query.path, query.params)] == [], query.text


def test_the_schema_would_have_objected() -> None:
    assert [*flaws("9.1", "POST", "/pools", {"poolid": "a", "bogus": 1})]
    assert [*flaws("9.1", "POST", "/pools", {})]
    assert [*flaws("9.1", "PUT", "/nodes/pve1/qemu/101/config", {"onboot": "yes"})]
    assert [*flaws("9.1", "PUT", "/nodes/pve1/qemu/101/config", {"net0": "virtio,bogus=1"})]
    assert [*flaws("9.1", "PUT", "/cluster/ha/resources/vm:101", {"state": "paused"})]
