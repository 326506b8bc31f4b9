"""Things of a Ceph cluster: made, changed and removed; on a twin's monitors and on real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controller.adopt import adopt
from controller.ceph.transport import CephCommand, Librados, rados_module
from controller.execute import Outcome
from controller.planning import EVERYTHING
from lab.lab import Lab
from tests import ceph_cluster
from tests.controller.ceph.sites import Site, ceph, real_site, twin_site

POOLS = """
pools:
  vm: {size: 3, min-size: 2, pgs: 8, autoscale: off, application: rbd, quota: {size: 1GiB}}
"""
KEYS = "clients: {pve: {caps: {mon: profile rbd, osd: profile rbd pool=vm}}}"
RULES = "rules: {by-osd: {domain: osd}}"
OPTIONS = "config: {osd: {osd_max_backfills: 2}, global: {mon_osd_min_in_ratio: 0.8}}"
FLAGS = "flags: [noout, norebalance]"
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
    site.ask("osd", "pool", "application", "enable", "old", "rbd")
    site.ask("auth", "add", "client.old", "mon", "profile rbd", "osd", "profile rbd pool=old")
    bare = ceph()
    adoption = adopt(bare, site.observe(), {})
    assert adoption.files
