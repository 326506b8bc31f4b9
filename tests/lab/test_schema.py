"""The JSON Schema takes what the loader takes, and says what changing a field costs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from lab.lab import WORDS
from lab.schema import DIALECT, schema

HERE = Path(__file__).parent
TREE = HERE.parents[1] / "desired-state"


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(schema())


def problems(text: str) -> list[str]:
    data: Any = json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))
    found = validator().iter_errors(data)
    return [".".join(str(step) for step in error.absolute_path) for error in found]


def test_it_is_a_draft_07_schema_with_every_word() -> None:
    made = schema()
    Draft7Validator.check_schema(made)
    assert made["$schema"] == DIALECT
    assert list(made["properties"]) == list(WORDS)
    assert "$ref" not in json.dumps(made)


def test_a_sound_lab_is_valid() -> None:
    assert problems((HERE / "sound.yaml").read_text()) == []


def test_the_first_desired_state_is_valid() -> None:
    files = [path for path in TREE.rglob("*.yaml") if "scenarios" not in path.parts]
    assert files
    for path in files:
        assert problems(path.read_text()) == [], path


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("guest: {}", ""),
        ("guests: {luffy: {vmid: 101}}", "guests.luffy"),
        ("guests: {luffy: {vmid: 99, cluster: a}}", "guests.luffy.vmid"),
        ("guests: {luffy: {vmid: 101, cluster: a, memory: 8}}", "guests.luffy.memory"),
        ("guests: {luffy: {vmid: 101, cluster: a, memory: 8 GB, memroy: 1}}", "guests.luffy"),
        ("guests: {luffy: {vmid: 101, cluster: a, first_name: x}}", "guests.luffy"),
        ("guests: {luffy: {vmid: 101, cluster: a, onboot: yes}}", "guests.luffy.onboot"),
        ("guests: {luffy: null}", "guests.luffy"),
        ("storages: {x: {type: nsf, clusters: [a], content: [iso]}}", "storages.x"),
        ("cables: {x: {ends: [a/b]}}", "cables.x.ends"),
        ("vlans: {x: {id: 1, role: guest}}", "vlans.x.role"),
    ],
)
def test_it_refuses_what_the_loader_refuses(text: str, where: str) -> None:
    assert problems(text) == [where]


@pytest.mark.parametrize(
    "text",
    [
        "guests: {luffy: {vmid: 101, cluster: 1, description: null, ha: {restart: null}}}",
        "guests: {luffy: {vmid: 101, cluster: a, disks: {scsi0: null}, memory: 1.5GiB}}",
        "clusters: {a: {version: 9.2, corosync: {links: [x], two-node: false}}}",
        "feeds: {1: {comment: true}}",
        "guests:",
    ],
)
def test_it_takes_what_the_loader_takes(text: str) -> None:
    assert problems(text) == []


def test_costs_stand_at_their_fields() -> None:
    made = schema({"guests.memory": "reboot", "guests.disks.*.size": "live", "storages.path": 5})
    guest = made["properties"]["guests"]["additionalProperties"]["properties"]
    assert guest["memory"]["x-cost"] == "reboot"
    assert guest["memory"]["description"] == "Changing it: reboot."
    assert guest["disks"]["additionalProperties"]["properties"]["size"]["x-cost"] == "live"
    alternatives = made["properties"]["storages"]["additionalProperties"]["oneOf"]
    costs = [each["properties"].get("path", {}).get("x-cost") for each in alternatives]
    assert costs == [None, None, None, "5", None, None]
    assert "x-cost" not in json.dumps(schema())


def test_a_cost_of_no_field_is_an_error() -> None:
    with pytest.raises(KeyError, match="guests.memroy"):
        schema({"guests.memroy": "reboot"})


def test_defaults_are_written_as_people_write_them() -> None:
    words = schema()["properties"]
    guest = words["guests"]["additionalProperties"]["properties"]
    assert guest["memory"]["default"] == "512MiB"
    assert guest["boot"]["default"] == "60s"
    nics = words["nodes"]["additionalProperties"]["properties"]["nics"]
    assert nics["additionalProperties"]["properties"]["speed"]["default"] == "1Gbps"
