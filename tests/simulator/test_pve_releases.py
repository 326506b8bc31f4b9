"""Older releases: calls and parameters that they lack, and answers of another kind."""

from __future__ import annotations

import pytest

from simulator.pve.releases import RELEASES, release_of
from tests.simulator.pve_cluster import Cluster, cluster


def _at(release: str) -> Cluster:
    here = cluster()
    here.api.release = RELEASES[release]
    return here


@pytest.mark.parametrize(
    ("version", "release"), [("9.2", "9.2"), ("8.1.4", "8.4"), ("7.4", "7.4"), ("5.2", "9.2")]
)
def test_a_version_is_answered_as_the_release_of_its_kind(version: str, release: str) -> None:
    assert release_of(version) is RELEASES[release]


@pytest.mark.parametrize(
    ("call", "releases"),
    [
        ("GET /cluster/ha/rules", {"9.2"}),
        ("POST /cluster/sdn/lock", {"9.2"}),
        ("GET /cluster/mapping/pci", {"9.2", "8.4"}),
        ("GET /cluster/bulk-action/guest", {"9.2"}),
        ("GET /cluster/notifications/targets", {"9.2", "8.4"}),
        ("GET /nodes/pve1/capabilities/qemu/migration", {"9.2"}),
        ("GET /cluster/firewall/rules", {"9.2", "8.4", "7.4"}),
    ],
)
def test_a_call_is_there_since_its_release(call: str, releases: set[str]) -> None:
    there = {name for name in RELEASES if _at(name).send(call).status != 501}
    assert there == releases


def test_7_4_grows_a_disk_at_once_and_tells_memory_as_a_number() -> None:
    here = _at("7.4")
    here.guest(100, scsi0="data:1", memory="512")
    resize = "PUT /nodes/pve1/qemu/100/resize"
    assert here.ok(resize, disk="scsi0", size="2G") is None
    assert here.config(100)["scsi0"].endswith("size=2G")
    assert here.config(100)["memory"] == 512
    shrunk = here.refusal(resize, disk="scsi0", size="1G")
    assert shrunk == (500, "shrinking disks is not supported")


def test_only_newer_releases_say_in_the_body_what_is_wrong() -> None:
    assert "message" in (_at("8.4").send("GET /storage/none").members or {})
    answer = _at("7.4").send("GET /storage/none")
    assert (answer.reason, answer.members) == ("storage 'none' does not exist", {"data": None})


def test_a_parameter_that_came_later_is_unknown_before() -> None:
    create = "POST /nodes/pve1/qemu"
    assert "ha-managed" in _at("8.4").errors(create, vmid=100, ha__managed=1)
    assert _at("9.2").done(create, vmid=100, ha__managed=1).status == "OK"


def test_7_4_asks_for_no_right_on_a_bridge() -> None:
    for release, status in (("9.2", 403), ("7.4", 200)):
        here = _at(release)
        here.guest(100)
        user = here.user("ana@pve", "PVEVMAdmin")
        change = "PUT /nodes/pve1/qemu/100/config"
        assert here.send(change, user=user, net0="virtio,bridge=vmbr0").status == status
