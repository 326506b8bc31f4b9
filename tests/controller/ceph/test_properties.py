"""What is read can be declared, and then wants what was read; and no lost answer does harm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ceph.client_key import ClientKey
from controller.ceph.config_option import ConfigOption, canonical
from controller.ceph.crush_rule import RULES, Rule
from controller.ceph.kinds import KINDS, costs
from controller.ceph.pool import POOLS, USAGE, Pool
from controller.ceph.port import HIDDEN, without_keys
from controller.ceph.thing import CephThing
from controller.execute import execute
from controller.journal import Journal
from controller.managed import Context, Fragment
from controller.planning import EVERYTHING, plan_changes
from controller.step import Port, Query, Step
from lab.errors import DeviceError
from lab.lab import Lab
from lab.load import load
from lab.schema import schema
from simulator.mon.pools import new_pool
from simulator.mon.tree import new_rule
from tests.controller.ceph.sites import DEVICE, ceph, tree, twin_site

NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=8).filter(lambda name: name not in (".mgr",))
TEXTS = st.text("abc xyz=,*", min_size=1, max_size=12).map(str.strip).filter(bool)


def loaded(fragment: Fragment) -> Lab:
    """A lab whose cluster says this."""
    base = {"cluster": "a", "version": "16.2", "public": "ceph", "mons": ["pve1"]}
    entry = {**base, "osds": {}, "pools": {}, **fragment["ceph"]["a"]}
    text = json.dumps({"ceph": {"a": entry}})
    return load({**tree(), "ceph.yaml": text.encode()}, rules=False)


def wanted(thing: CephThing, lab: Lab) -> CephThing:
    return next(each for each in type(thing).wanted(lab, DEVICE) if each.key == thing.key)


@given(
    NAMES,
    st.integers(2, 10),
    st.integers(1, 2),
    st.sampled_from(("on", "off", "warn")),
    st.sampled_from((0, 2**30, 2**40)),
    st.sampled_from(({}, {"compression_mode": "force", "compression_algorithm": "zstd"})),
    st.sampled_from(({}, {"rbd": {}})),
)
def test_a_pool_that_is_there_can_be_declared(
    name: str,
    size: int,
    least: int,
    mode: str,
    quota: int,
    options: Mapping[str, str],
    apps: Mapping[str, object],
) -> None:
    row = new_pool(1, name, size, 32, 0) | {
        "min_size": least, "pg_autoscale_mode": mode, "quota_max_bytes": quota,
        "options": options, "application_metadata": apps,
    }  # fmt: skip
    answers = {
        POOLS.text: [row],
        RULES.text: [new_rule(0, "replicated_rule", "default", "host")],
        USAGE.text: {"pools": []},
    }
    (pool,) = Pool.read(DEVICE, answers)
    found = wanted(pool, loaded(pool.declare(Lab())))
    assert {**pool.values, **found.values} == pool.values
    assert found.needs == pool.needs
    assert not list(found.steps(pool, Context()))


@given(NAMES, st.sampled_from(("osd", "host")), st.sampled_from(("", "ssd")))
def test_a_rule_that_is_there_can_be_declared(name: str, domain: str, class_: str) -> None:
    answers = {RULES.text: [new_rule(3, name, "default", domain, class_)]}
    (rule,) = Rule.read(DEVICE, answers)
    assert wanted(rule, loaded(rule.declare(Lab()))).values == rule.values


def test_a_rule_of_another_shape_is_left_alone() -> None:
    row = new_rule(1, "odd", "default", "host")
    row["steps"].insert(0, {"op": "set_chooseleaf_tries", "num": 5})
    (rule,) = Rule.read(DEVICE, {RULES.text: [row]})
    assert rule.declare(Lab()) == {}


@given(NAMES, st.dictionaries(st.sampled_from(("mon", "osd", "mgr")), TEXTS, min_size=1))
def test_a_key_that_is_there_can_be_declared_and_is_never_told(
    name: str, caps: dict[str, str]
) -> None:
    row = {"entity": f"client.x{name}", "key": "c2VjcmV0", "caps": {"mon": "allow r", **caps}}
    hidden = without_keys({"auth_dump": [row]})
    assert "c2VjcmV0" not in json.dumps(hidden)
    assert hidden["auth_dump"][0]["key"] == HIDDEN
    (key,) = ClientKey.read(DEVICE, {"auth ls": hidden})
    assert wanted(key, loaded(key.declare(Lab()))).values == key.values


@given(st.sampled_from(("global", "osd.3")), st.sampled_from(("7", "0.750000", "true", "a b")))
def test_an_option_that_is_there_can_be_declared(section: str, value: str) -> None:
    row = {"section": section, "mask": "", "name": "osd_max_backfills", "value": value}
    (option,) = ConfigOption.read(DEVICE, {"config dump": [row]})
    assert wanted(option, loaded(option.declare(Lab()))).values == option.values


@pytest.mark.parametrize(
    ("written", "stored"), [("0.8", "0.800000"), ("True", "true"), ("007", "7"), (" x ", "x")]
)
def test_values_are_compared_by_what_they_mean(written: str, stored: str) -> None:
    assert canonical(written) == canonical(stored)


def test_every_cost_is_of_a_field_that_exists() -> None:
    schema(costs())  # raises KeyError otherwise


STEPS = 12
PARTS = (
    "pools: {vm: {size: 2, min-size: 2, pgs: 8, application: rbd, quota: {size: 1GiB}}}",
    "clients: {pve: {caps: {mon: profile rbd, osd: profile rbd pool=vm}}}",
    "flags: [noout]",
    "config: {osd: {osd_max_backfills: 2}}",
)


@pytest.mark.parametrize("number", range(STEPS))
@pytest.mark.parametrize("arrives", [True, False], ids=["done", "not-done"])
def test_an_answer_lost_at_any_step_ends_in_the_same_cluster(number: int, arrives: bool) -> None:
    lab = ceph(*PARTS)
    site = twin_site(ceph())
    port = Losing(site.device.port, number, arrives=arrives)
    device = replace(site.device, port=port)
    plan = plan_changes(lab, site.observe(), {}, "c", approve=EVERYTHING)
    outcome = execute(plan, [device], Journal(), site.clock)
    assert outcome.done, [result.reason for result in outcome.results if result.reason]
    again = plan_changes(lab, site.observe(), {}, "c", approve=EVERYTHING)
    assert [step for operation in again.operations for step in operation.steps] == []


class Losing:
    """A port that loses one answer; `arrives`: the step itself was done."""

    def __init__(self, port: Port, number: int, *, arrives: bool) -> None:
        self._port = port
        self._left = number
        self._arrives = arrives
        self.device = DEVICE

    def ask(self, query: Query) -> object:
        return self._port.ask(query)

    def send(self, step: Step) -> object:
        lost, self._left = self._left == 0, self._left - 1
        if not lost or self._arrives:
            self._port.send(step)
        if lost:
            raise DeviceError(self.device, "the connection broke", retryable=True)
        return None

    def settle(self, step: Step, since_s: float) -> None:
        pass


def test_the_kinds_have_names_of_their_own() -> None:
    assert len({kind.kind for kind in KINDS}) == len(KINDS)
