"""A lost OSD: what the twin says beforehand is what a real cluster then reports."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.faults import parse_faults
from lab.load import load
from simulator.build import twin_of
from simulator.mon.install import declared
from simulator.mon.monitors import Monitors
from simulator.twin import Twin
from tests import ceph_cluster
from tests.ceph_cluster import DOWN_OUT_S, GRACE_S, CephCluster, osd_tree, wait_until
from tests.controller.ceph.sites import Ask, tree, twin_ask
from tests.simulator.rack import when

TOLERANCE_S = 3.0  # daemons act each second, and later on a machine that does other things too
SEEDS = range(20)  # of twins, whose daemons began at other instants
SAFE, TIGHT = "safe", "tight"  # pools: one copy may be lost; none
POOLS = f"""
pools:
  {SAFE}: {{size: 3, min-size: 2, pgs: 16}}
  {TIGHT}: {{size: 2, min-size: 2, pgs: 16}}
down-out: {DOWN_OUT_S}s
config: {{global: {{osd_heartbeat_grace: {GRACE_S}}}}}
"""
LOAD = """
storages:
  s1: {type: rbd, ceph: a, pool: safe, clusters: [a], content: [images]}
  s2: {type: rbd, ceph: a, pool: tight, clusters: [a], content: [images]}
guests:
  g1: {vmid: 101, cluster: a, disks: {scsi0: {storage: s1, size: 1GiB}}}
  g2: {vmid: 102, cluster: a, disks: {scsi0: {storage: s2, size: 1GiB}}}
"""


@pytest.fixture(scope="module")
def real() -> Iterator[CephCluster]:
    """Three hosts with an OSD each, the two pools with objects in them."""
    if why := ceph_cluster.missing():
        pytest.skip(why)
    with ceph_cluster.ceph_cluster() as cluster:
        for name, size in ((SAFE, "3"), (TIGHT, "2")):
            cluster.ask("osd", "pool", "create", name, "16", "16", "--size", size)
            cluster.ask("osd", "pool", "set", name, "min_size", "2")
            cluster.ask("osd", "pool", "application", "enable", name, "rbd")
            _write(cluster, name)
        wait_until(lambda: cluster.ask("health")["status"] == "HEALTH_OK", 60)
        yield cluster


def _write(cluster: CephCluster, pool: str) -> None:
    to = ["rados", "--conf", str(cluster.conf), "--pool", pool]
    argv = [*to, "bench", "1", "write", "-b", "4096", "-t", "4", "--no-cleanup"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def predicted(fault: str, until_s: float, seed: int) -> tuple[Twin, Ask]:
    """A twin of the same cluster some time after a fault."""
    lab = load({**tree(POOLS), "load.yaml": LOAD.encode()}, rules=False)
    twin = twin_of(lab, seed=seed)
    monitors = Monitors("a", declared(twin, "a"))
    twin.attach(monitors)
    monitors.sync(twin)
    twin.inject(parse_faults([fault]))
    twin.run_until(until_s)
    return twin, twin_ask(twin)


def told(ask: Ask) -> dict[str, Any]:
    """What an administrator sees: OSDs, checks, and which pools have groups that do not serve."""
    groups = {pool: ask("pg", "ls-by-pool", pool)["pg_stats"] for pool in (SAFE, TIGHT)}
    return {
        "osds": osd_tree(ask("osd", "tree")),
        "checks": sorted(ask("health")["checks"]),
        "stopped": sorted(
            pool for pool, rows in groups.items() if any("active" not in r["state"] for r in rows)
        ),
        "short": sorted(
            pool for pool, rows in groups.items() if any("undersized" in r["state"] for r in rows)
        ),
    }


SHAPES = (
    "status", "health detail", "mon dump", "mgr dump", "mon metadata", "mgr metadata",
    "mds metadata", "osd metadata", "osd metadata 0", "osd df", "osd df tree", "df", "osd dump",
    "osd pool get safe all", "fs ls", "quorum_status",
)  # fmt: skip
OWN_NAMES = {"bluestore_bdev_dev_node"}
"""Fields that a real OSD has on a disk, and not on a file as these."""


@pytest.mark.parametrize("line", SHAPES)
def test_the_twin_tells_nothing_that_a_real_cluster_does_not(real: CephCluster, line: str) -> None:
    _, ask = predicted("fail-osd a/0@50s", 0, 0)
    ours, theirs = ask(*line.split()), real.ask(*line.split())
    assert not {*_fields(ours)} - {*_fields(theirs)} - OWN_NAMES


def _fields(told: Any) -> Iterator[str]:
    """Names of fields, wherever they are."""
    for value in told if isinstance(told, list) else ():
        yield from _fields(value)
    for name, value in told.items() if isinstance(told, dict) else ():
        yield name
        yield from _fields(value)


def test_a_killed_osd_is_down_then_out_as_the_twin_said(real: CephCluster) -> None:
    killed_s = time.time()
    real.kill("osd.0")
    _as_predicted(real, "osd.0 failed", killed_s, "fail-osd a/0", "osd-down")

    _, ask = predicted("fail-osd a/0", 10, 0)
    expected = told(ask)
    assert expected["stopped"] == [TIGHT]
    wait_until(lambda: told(real.ask) == expected, DOWN_OUT_S - 5)

    _as_predicted(real, "Marking osd.0 out", killed_s, "fail-osd a/0", "osd-out")
    _, ask = predicted("fail-osd a/0", DOWN_OUT_S + 25, 0)
    expected = told(ask)
    assert "OSD_DOWN" not in expected["checks"]  # counts only those that are in
    wait_until(lambda: _same_as(told(real.ask), expected), 60)

    spawned_s = time.time()
    real.spawn("osd.0")
    _as_predicted(real, r"osd.0 \[.* boot", spawned_s, "fail-osd a/0@0s..60s", "osd-up", 60.0)
    wait_until(lambda: real.ask("health")["status"] == "HEALTH_OK", 60)


def _same_as(real: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Pool `tight` is filled from its last copy on the real one; the twin never recovers data."""
    assert expected["stopped"] == [TIGHT]
    without = {"stopped": [], "checks": sorted({*expected["checks"]} - {"PG_AVAILABILITY"})}
    return {**expected, **without, "short": [SAFE]} == real


def test_a_silent_osd_is_down_after_the_grace_as_the_twin_said(real: CephCluster) -> None:
    silent_s = time.time()
    real.freeze("osd.1")
    _as_predicted(real, "osd.1 failed", silent_s, "silence-osd a/1", "osd-down")
    _, ask = predicted("silence-osd a/1", 12, 0)
    wait_until(lambda: told(real.ask) == told(ask), 60)


def _as_predicted(
    real: CephCluster, logged: str, begin_s: float, fault: str, kind: str, twin_begin_s: float = 0
) -> None:
    """What the real cluster logs comes as long after the act as in one of the twins."""
    wait_until(lambda: real.logged(logged, begin_s) is not None, 60)
    real_s = (real.logged(logged, begin_s) or 0) - begin_s
    twins_s = [when(predicted(fault, 100, seed)[0], kind) - twin_begin_s for seed in SEEDS]
    assert min(twins_s) - TOLERANCE_S <= real_s <= max(twins_s) + TOLERANCE_S, (real_s, twins_s)
