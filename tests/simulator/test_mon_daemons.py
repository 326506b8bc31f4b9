"""What monitors tell of daemons, and whether one may be stopped: asked as an administrator does."""

from __future__ import annotations

import errno
import json
import re
from typing import Any

import pytest

from lab.faults import parse_faults
from simulator.build import twin_of
from simulator.mon.command import Reply
from simulator.mon.monitors import Monitors, monitors_of
from simulator.twin import Twin
from tests.controller.ceph.sites import DEVICE, ceph
from tests.simulator.rack import rack

POOL = "pools: {vm: {size: 3, min-size: 2, pgs: 16}}"


def told(twin: Twin, line: str) -> Reply:
    reply = monitors_of(twin, "a").line(twin, line.split())
    twin.settle()
    return reply


def asked(twin: Twin, line: str) -> Any:
    reply = told(twin, line)
    assert reply.code == 0, reply
    return json.loads(reply.output)


def after(twin: Twin, fault: str, wait_s: float = 30.0) -> Twin:
    twin.inject(parse_faults([fault]))
    twin.run_until(twin.now_s + wait_s)
    return twin


def test_a_twin_has_one_set_of_monitors_that_begins_as_declared() -> None:
    twin = twin_of(ceph(POOL))
    assert DEVICE not in twin.devices
    first = monitors_of(twin, "a")
    assert first.documents.pools["vm"]["pg_num"] == 16
    assert monitors_of(twin, "a") is first is twin.devices[DEVICE]
    assert isinstance(twin.fork().devices[DEVICE], Monitors)


def test_an_osd_tells_its_host_its_disk_and_addresses_of_its_own() -> None:
    twin = twin_of(rack())
    rows = asked(twin, "osd metadata")
    known = {row["id"]: row for row in rows}
    assert [known[osd]["hostname"] for osd in sorted(known)][:2] == ["pve1", "pve1"]
    assert known[0]["bluestore_bdev_devices"] == twin.model.lab.ceph["a"].osds["0"].disk
    nets = ("front", "back", "hb_front", "hb_back")
    addresses = [row[f"{net}_addr"] for row in rows for net in nets if row["hostname"] == "pve1"]
    ports = [port for text in addresses for port in re.findall(r":(\d+)/", text)]
    assert len(set(ports)) == len(ports) == 16
    (first, *_) = asked(twin_of(ceph(POOL)), "osd metadata")
    assert first["front_addr"] == "[v2:192.168.253.1:6802/2000,v1:192.168.253.1:6803/2000]"
    assert asked(twin, "osd metadata 1") == known[1]
    assert told(twin, "osd metadata 77").text == "osd.77 does not exist"


def test_the_active_manager_is_beside_the_first_monitor_of_the_quorum() -> None:
    twin = twin_of(rack())
    dump = asked(twin, "mgr dump")
    assert (dump["active_name"], [row["name"] for row in dump["standbys"]]) == (
        "pve1",
        ["pve2", "pve3"],
    )
    after(twin, "fail-node pve1")
    assert asked(twin, "mgr dump")["active_name"] == "pve2"
    assert len(asked(twin, "mgr metadata")) == 2


@pytest.mark.parametrize(
    ("version", "release"), [("19.2", "squid"), ("16.2", "pacific"), ("Squid", "squid")]
)
def test_a_release_is_named_by_its_number_or_its_first_letter(version: str, release: str) -> None:
    lab = ceph(POOL)
    lab.ceph["a"] = lab.ceph["a"].model_copy(update={"version": version})
    assert asked(twin_of(lab), "mon metadata")[0]["ceph_release"] == release


def test_one_osd_of_three_may_be_stopped_and_two_may_not() -> None:
    twin = twin_of(ceph(POOL))
    fine = asked(twin, "osd ok-to-stop 0")
    assert (fine["ok_to_stop"], fine["num_ok_pgs"]) == (True, 17)
    assert len(fine["ok_become_degraded"]) == 17
    no = told(twin, "osd ok-to-stop 0 1")
    assert no.code == -errno.EBUSY
    assert "17 PGs are or would become offline" in no.text
    assert len(json.loads(no.output)["bad_become_inactive"]) == 17
    after(twin, "fail-osd a/2")
    assert told(twin, "osd ok-to-stop 0").code == -errno.EBUSY
    after(twin, "fail-osd a/1")
    assert len(json.loads(told(twin, "osd ok-to-stop 0").output)["bad_already_inactive"]) == 17


def test_what_is_less_than_whole_becomes_more_degraded() -> None:
    twin = after(twin_of(ceph("pools: {vm: {size: 3, min-size: 1, pgs: 16}}")), "fail-osd a/2")
    fine = json.loads(told(twin, "osd ok-to-stop 0").output)
    assert (len(fine["ok_become_more_degraded"]), fine["num_not_ok_pgs"]) == (16, 1)


def test_an_osd_with_groups_is_not_safe_to_destroy() -> None:
    twin = twin_of(ceph(POOL))
    no = told(twin, "osd safe-to-destroy 0")
    assert (no.code, no.text) == (
        -errno.EBUSY,
        "OSD(s) 0 have 17 pgs currently mapped to them.",
    )
    safe = told(twin, "osd safe-to-destroy 9")
    assert (safe.code, json.loads(safe.output)["safe_to_destroy"]) == (0, [9])
    after(twin, "fail-osd a/0")
    unknown = told(twin, "osd safe-to-destroy 0")
    assert (unknown.code, "we cannot draw any conclusions" in unknown.text) == (-errno.EAGAIN, True)


def test_monitors_keep_their_majority() -> None:
    twin = twin_of(rack())
    assert told(twin, "mon ok-to-stop pve1").text == (
        "quorum should be preserved (pve2,pve3) after stopping [pve1]"
    )
    assert told(twin, "mon ok-to-rm pve1").text == "safe to remove mon.pve1"
    after(twin, "fail-node pve3")
    assert told(twin, "mon ok-to-stop pve1").text == (
        "not enough monitors would be available (pve2) after stopping mons [pve1]"
    )
    assert told(twin, "mon ok-to-rm pve1").code == -errno.EBUSY
    assert told(twin, "mon ok-to-rm none").text == "mon.none does not exist"


def test_how_full_osds_are_adds_up_and_follows_what_guests_have() -> None:
    twin = twin_of(rack())
    flat, tree = asked(twin, "osd df"), asked(twin, "osd df tree")
    used = {row["id"]: row["kb_used"] for row in flat["nodes"]}
    assert sum(used.values()) == flat["summary"]["total_kb_used"] > 0
    (root,) = [row for row in tree["nodes"] if row["type"] == "root"]
    assert root["kb_used"] == flat["summary"]["total_kb_used"]
    assert [row["pgs"] for row in tree["nodes"] if row["type"] == "host"] == [0, 0, 0]
    status, df = asked(twin, "status")["pgmap"], asked(twin, "df")["stats"]
    assert status["bytes_used"] == df["total_used_bytes"]
    assert status["bytes_used"] // 1024 == root["kb_used"]


def test_an_osd_that_is_down_is_not_scrubbed() -> None:
    twin = twin_of(ceph(POOL))
    assert told(twin, "osd deep-scrub 0").text == "instructed osd(s) 0 to deep-scrub"
    after(twin, "fail-osd a/0")
    assert told(twin, "osd scrub 0").text == "osd.0 is not up"


def test_hints_for_the_autoscaler_are_kept_and_taken_back() -> None:
    twin = twin_of(ceph(POOL))
    assert "pg_num_min 64 > pg_num 16" in told(twin, "osd pool set vm pg_num_min 64").text
    assert "expected double" in told(twin, "osd pool set vm target_size_ratio x").text
    told(twin, "osd pool set vm pg_num_min 8")
    told(twin, "osd pool set vm target_size_ratio 0.5")
    told(twin, "osd pool set vm target_size_bytes 1000")
    every = asked(twin, "osd pool get vm all")
    assert (every["pg_num_min"], every["target_size_ratio"], every["target_size_bytes"]) == (
        8, 0.5, 1000,
    )  # fmt: skip
    assert (every["hashpspool"], every["nodelete"], every["fast_read"]) == (True, False, 0)
    told(twin, "osd pool set vm target_size_ratio 0")
    assert told(twin, "osd pool get vm target_size_ratio").code == -errno.ENOENT


def test_there_are_no_file_systems() -> None:
    twin = twin_of(ceph(POOL))
    assert asked(twin, "fs ls") == asked(twin, "mds metadata") == []
    assert told(twin, "mds ok-to-stop x").text == "should be safe to stop [x]"
