"""Things of a Ceph cluster: made, changed and removed; on a twin's monitors and on real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controller.adopt import adopt
from controller.ceph.transport import CephCommand, Librados, rados_module
from controller.execute import Outcome
from controller.managed import Cost
from controller.planning import EVERYTHING
from controller.step import MonCommand
from lab.errors import DeviceError, LabInvalid
from lab.item import Act
from lab.lab import Lab
from lab.load import load
from tests import ceph_cluster
from tests.controller.ceph.sites import Site, ceph, real_site, tree, twin_site

POOLS = """
pools:
  vm: {size: 3, min-size: 2, pgs: 8, autoscale: off, application: rbd, quota: {size: 1GiB}}
"""
KEYS = "clients: {pve: {caps: {mon: profile rbd, osd: profile rbd pool=vm}}}"
RULES = "rules: {by-osd: {domain: osd}}"
OPTIONS = "config: {osd: {osd_max_backfills: 2}, global: {mon_osd_min_in_ratio: 0.8}}"
FLAGS = "flags: [noout, norebalance]"
ADOPTED = """\
    pools:
      old:
        size: 3
        min-size: 2
        pgs: 8
        autoscale: off
        rule: replicated_rule
        application: rbd
        manage: [observe]
    rules:
      replicated_rule: {root: default, domain: host, manage: [observe]}
    clients:
      old:
        caps: {mon: profile rbd, osd: profile rbd pool=old}
        manage: [observe]
"""
ALL = (POOLS, KEYS, RULES, OPTIONS, FLAGS)


@pytest.fixture(scope="module")
def real() -> Iterator[Site]:
    """A real cluster, through librados where the system has it."""
    if why := ceph_cluster.missing():
        pytest.skip(why)
    with ceph_cluster.ceph_cluster() as cluster:
        rados = rados_module()
        conf, keyring = cluster.conf, cluster.keyring
        argv = ("ceph", "--conf", str(conf), "--connect-timeout", "10")
        way = Librados(rados, conf, "client.admin", keyring) if rados else CephCommand(argv)
        yield real_site(way, cluster.ask)


@pytest.fixture(params=["twin", "real"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each in turn, with nothing of ours on it."""
    if request.param == "twin":
        return twin_site(ceph())
    found: Site = request.getfixturevalue("real")
    return found


def done(outcome: Outcome) -> list[str]:
    """What was done; fails with the reason if anything was not."""
    assert outcome.done, [(str(r.operation.key), r.reason) for r in outcome.results]
    return [f"{result.operation.action} {result.operation.key.kind}" for result in outcome.results]


def deletable(*parts: str) -> Lab:
    return ceph("manage: [observe, create, update, delete]", *parts)


def test_a_cluster_becomes_what_is_declared_and_goes_back(site: Site) -> None:
    assert sorted(done(site.apply(deletable(*ALL), approve=EVERYTHING))) == [
        "create client-key", "create config-option", "create config-option", "create crush-rule",
        "create pool", "update flags",
    ]  # fmt: skip
    assert site.plan(deletable(*ALL)).empty
    row = _pool(site, "vm")
    assert (row["size"], row["min_size"], row["quota_max_bytes"]) == (3, 2, 2**30)

    changed = (
        POOLS.replace("size: 3, min-size: 2, pgs: 8", "rule: by-osd, size: 2, min-size: 2, pgs: 16")
        .replace("quota: {size: 1GiB}", "quota: null, compression: {mode: aggressive}"),
        KEYS.replace("pool=vm", "pool=vm namespace=a"),
        RULES,
        OPTIONS.replace("backfills: 2", "backfills: 3"),
        "flags: []",
    )  # fmt: skip
    done(site.apply(deletable(*changed)))
    assert site.plan(deletable(*changed)).empty
    row = _pool(site, "vm")
    assert (row["size"], row["min_size"], row["quota_max_bytes"]) == (2, 2, 0)
    assert row["pg_num_target"] == 16
    assert "noout" not in site.ask("osd", "dump")["flags_set"]

    refused = site.apply(deletable())  # the monitors have a word in it
    pool = next(r for r in refused.results if r.operation.key.kind == "pool")
    assert "ceph config set mon mon_allow_pool_delete true" in pool.reason
    assert _pool(site, "vm")
    site.ask("config", "set", "mon", "mon_allow_pool_delete", "true")
    done(site.apply(deletable()))
    site.ask("config", "rm", "mon", "mon_allow_pool_delete")
    assert site.owned == {}
    assert "vm" not in site.ask("osd", "pool", "ls")


def _pool(site: Site, name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = site.ask("osd", "pool", "ls", "detail")
    return next(row for row in rows if row["pool_name"] == name)


def test_what_is_there_is_adopted_and_then_nothing_is_left_to_do(site: Site) -> None:
    site.ask("osd", "pool", "create", "old", "8")
    site.ask("osd", "pool", "set", "old", "pg_autoscale_mode", "off")
    site.ask("osd", "pool", "application", "enable", "old", "rbd")
    site.ask("auth", "add", "client.old", "mon", "profile rbd", "osd", "profile rbd pool=old")
    site.ask("config", "set", "osd", "osd_max_backfills", "3")
    files = tree()
    adoption = adopt(load(files, rules=False), site.observe(), files)
    (note,) = adoption.notes  # an option has no `manage` of its own, so its author writes it
    assert '{"config": {"osd": {"osd_max_backfills": 3}}}' in note.text
    assert adoption.files["ceph.yaml"] == files["ceph.yaml"].decode().replace(
        "    pools: {}\n", ADOPTED
    )
    both = {**files, **{name: text.encode() for name, text in adoption.files.items()}}
    lab = load(both, rules=False)
    assert lab.ceph["a"].pools["old"].manage == (Act.OBSERVE,)
    plan = site.plan(lab)
    assert not plan.pending
    assert [operation.steps for operation in plan.operations if operation.steps] == []
    site.apply(lab)
    assert site.plan(lab).empty
    site.owned = {}
    site.ask("config", "rm", "osd", "osd_max_backfills")
    site.ask("auth", "rm", "client.old")
    site.ask("config", "set", "mon", "mon_allow_pool_delete", "true")
    site.ask("osd", "pool", "delete", "old", "old", "--yes-i-really-really-mean-it")
    site.ask("config", "rm", "mon", "mon_allow_pool_delete")


def test_what_the_language_does_not_take_is_told_and_not_written() -> None:
    site = twin_site(ceph())
    site.ask("osd", "pool", "create", "a pool", "8")
    site.ask("osd", "pool", "create", "pool.v1_x-2", "8")
    site.ask("osd", "crush", "rule", "create-replicated", "by osd", "default", "osd")
    site.ask("auth", "add", "client.none")
    site.ask("auth", "add", "client.a.b", "mon", "profile rbd", "osd", "profile rbd pool=x")
    files = tree()

    adoption = adopt(load(files, rules=False), site.observe(), files)

    assert [note.subject for note in adoption.notes] == [
        "ceph/a client-key client.none", "ceph/a crush-rule by osd", "ceph/a pool a pool",
    ]  # fmt: skip
    both = {**files, **{name: text.encode() for name, text in adoption.files.items()}}
    with pytest.raises(LabInvalid) as wrong:  # this hardware has flaws of its own
        load(both)
    assert "ceph.yaml" not in str(wrong.value)
    plan = site.plan(load(both, rules=False))
    assert [operation.steps for operation in plan.operations if operation.steps] == []


def test_a_device_class_and_its_rule_send_a_pool_to_other_disks(site: Site) -> None:
    fast = "rules: {fast: {device-class: quick}}"
    pool = "pools: {vm: {size: 2, min-size: 1, pgs: 8, rule: fast}}"
    lab = ceph("manage: [observe, create, update, delete]", fast, pool, device_class="quick")
    outcome = site.apply(lab)
    assert sorted(done(outcome)) == [
        "create crush-rule",
        "create pool",
        *["update device-class"] * 3,
    ]
    moved = [result.operation for result in outcome.results if result.operation.key.id == "0"]
    assert moved[0].cost is Cost.MIGRATE
    assert site.plan(lab).empty
    site.ask("config", "set", "mon", "mon_allow_pool_delete", "true")
    done(site.apply(deletable()))
    site.ask("config", "rm", "mon", "mon_allow_pool_delete")
    assert "fast" not in site.ask("osd", "crush", "rule", "ls")


def test_no_key_is_ever_told(site: Site) -> None:
    key = site.ask("auth", "get-key", "client.admin")["key"]
    told = json.dumps(site.observe().documents, default=str)
    assert key not in told
    assert "client.admin" in told


def test_what_the_monitors_refuse_says_why(site: Site) -> None:
    for step, why in (
        (MonCommand("osd pool set", {"pool": "none", "var": "size", "val": "2"}), "ENOENT"),
        (MonCommand("config set", {"who": "osd", "name": "no_such", "value": "1"}), "EINVAL"),
        (MonCommand("auth caps", {"entity": "client.none", "caps": ["mon", "allow r"]}), "ENOENT"),
    ):
        with pytest.raises(DeviceError, match=why) as told:
            site.device.port.send(step)
        assert not told.value.retryable
        assert told.value.status
