"""Figures over time: what was on, what was off, and what nobody measured."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.pve.api import PveApi
from simulator.pve.releases import RELEASES
from simulator.pve_node.rrd import share_on, switched
from tests.simulator.pve_cluster import Cluster, cluster

HOUR: dict[str, Any] = {"timeframe": "hour", "cf": "AVERAGE"}


def _figures(here: Cluster, path: str, **params: str) -> list[bool]:
    """Of each row, whether it has more than its time."""
    return [len(row) > 1 for row in here.ok(f"GET {path}/rrddata", **(params or HOUR))]


def test_a_node_that_was_off_has_rows_with_nothing_but_the_time() -> None:
    here = cluster()
    here.fail("fail-node pve2", wait_s=1200)
    asked = here.send("GET /nodes/pve2/rrddata", **HOUR)
    assert asked.status == 595, "a node that is off answers for itself"
    here.fail("fail-node pve3@0s..600s", wait_s=1800)
    rows = here.ok("GET /nodes/pve3/rrddata", **HOUR)
    empty = [row for row in rows if len(row) == 1]
    start_s = here.twin.model.hosts["pve3"].boot
    assert len(empty) == pytest.approx((600 + start_s) / 60, abs=1)
    assert [row["time"] for row in rows] == list(
        range(rows[0]["time"], rows[0]["time"] + 3600, 60)
    ), "one row a minute"
    last = rows[-1]
    assert (last["maxcpu"], last["memtotal"]) == (
        here.twin.model.lab.nodes["pve3"].cores,
        here.twin.model.lab.nodes["pve3"].memory,
    )
    assert last["memused"] == here.ok("GET /nodes/pve3/status")["memory"]["used"]


def test_a_stopped_guest_keeps_its_size_and_has_no_figures_before_it_was_made() -> None:
    here = cluster()
    here.wait(600)
    here.guest(100, memory=2048)
    here.wait(600)
    here.done("POST /nodes/pve1/qemu/100/status/start")
    here.wait(600)
    rows = here.ok("GET /nodes/pve1/qemu/100/rrddata", **HOUR)
    kinds = ["mem" if "mem" in row else "size" if "maxmem" in row else "" for row in rows]
    assert [kinds.count(word) for word in ("", "size", "mem")] == [40, 10, 10]
    assert sorted(kinds, key=["", "size", "mem"].index) == kinds
    assert rows[-1]["mem"] == rows[-1]["memhost"] == 2048 * 2**20


def test_a_long_step_counts_as_what_it_mostly_was() -> None:
    assert share_on(((0.0, True), (30.0, False), (50.0, True)), 20.0, 60.0) == 0.5
    assert share_on((), 0.0, 60.0) == 0.0
    assert switched(((0.0, True),), 9.0, True) == ((0.0, True),)
    here = cluster()
    days = _figures(here, "/nodes/pve1", timeframe="week")
    assert days == [False] * (336 - 48) + [True] * 48, "nodes ran for a day when time began"


@pytest.mark.parametrize(("minutes", "shown"), [(14, True), (16, False)])
def test_half_a_step_is_enough_to_be_told(minutes: int, shown: bool) -> None:
    here = cluster()
    here.guest(100)
    here.wait(60 * minutes)
    here.done("POST /nodes/pve1/qemu/100/status/start")
    here.wait(1800)
    last = here.ok("GET /nodes/pve1/qemu/100/rrddata", timeframe="week")[-1]
    assert ("mem" in last) == shown
    assert "maxmem" in last


def test_a_storage_has_figures_while_it_serves() -> None:
    here = cluster()
    assert _figures(here, "/nodes/pve1/storage/data")[-1]
    here.ok("PUT /storage/data", nodes="pve2")
    path = "/var/lib/rrdcached/db/pve-storage-9.0/pve1/data"
    refused = here.refusal("GET /nodes/pve1/storage/data/rrddata", **HOUR)
    assert refused == (500, f"RRD error: opening '{path}': No such file or directory")


def test_figures_take_the_right_to_look_and_guests_that_are_there() -> None:
    here = cluster()
    user = here.user("ana@pve", "PVEVMUser", path="/vms/100")
    assert here.refusal("GET /nodes/pve1/rrddata", user=user, **HOUR)[0] == 403
    assert "pve-vm-9.0/100'" in here.refusal("GET /nodes/pve1/qemu/100/rrddata", user=user,
                                             **HOUR)[1]  # fmt: skip
    assert "timeframe" in here.errors("GET /nodes/pve1/qemu/100/rrddata")


def test_a_fork_has_a_past_of_its_own_and_an_older_release_coarser_rows() -> None:
    here = cluster()
    here.guest(100)
    twin = here.twin.fork()
    api = twin.devices[here.api.name]
    assert isinstance(api, PveApi)
    there = Cluster(twin, api)
    there.done("POST /nodes/pve1/qemu/100/status/start")
    assert len(there.api.switches["guest/100"]) == 2
    assert len(here.api.switches["guest/100"]) == 1
    here.api.release = RELEASES["8.4"]
    rows = here.ok("GET /nodes/pve1/rrddata", timeframe="day")
    assert (len(rows), "pressurecpusome" in rows[-1]) == (70, False)
