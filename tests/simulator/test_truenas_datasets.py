"""The array's datasets, volumes, snapshots, shares and tasks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.truenas.errors import CallError, Invalid
from simulator.truenas.space import size_text
from tests.simulator.array import GIB, Array, array, start


def dataset(here: Array, name: str) -> Any:
    return here("pool.dataset.get_instance", name)


def test_a_property_says_whether_it_was_set_here_above_or_never() -> None:
    here = array()
    here("pool.dataset.create", {"name": "tank/a", "compression": "ZSTD"})
    here("pool.dataset.create", {"name": "tank/a/b"})
    above, below = dataset(here, "tank/a"), dataset(here, "tank/a/b")
    assert above["compression"] == {
        "parsed": "zstd", "rawvalue": "zstd", "value": "ZSTD", "source": "LOCAL",
        "source_info": None,
    }  # fmt: skip
    assert (below["compression"]["source"], below["compression"]["source_info"]) == (
        "INHERITED",
        "tank/a",
    )
    assert below["atime"]["source"] == "DEFAULT"
    here("pool.dataset.update", "tank/a", {"compression": "INHERIT"})
    assert dataset(here, "tank/a/b")["compression"]["source"] == "DEFAULT"


def test_a_volume_grows_and_never_shrinks() -> None:
    here = array()
    here.volume(size=10 * GIB)
    here("pool.dataset.update", "tank/z", {"volsize": 20 * GIB})
    assert dataset(here, "tank/z")["volsize"]["parsed"] == 20 * GIB
    with pytest.raises(Invalid, match="cannot shrink"):
        here("pool.dataset.update", "tank/z", {"volsize": 10 * GIB, "force_size": True})


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6))
@settings(max_examples=25)
def test_thick_volumes_take_their_size_and_thin_ones_nothing(sizes: list[int]) -> None:
    here = array()
    free = dataset(here, "tank")["available"]["parsed"]
    for number, size in enumerate(sizes):
        here.volume(f"tank/thin{number}", size * GIB, sparse=True, force_size=True)
    assert free - dataset(here, "tank")["available"]["parsed"] < 2**20
    here.volume("tank/thick", GIB)
    assert GIB <= free - dataset(here, "tank")["available"]["parsed"] < GIB + 2**20


def test_more_than_80_percent_of_what_is_free_has_to_be_forced() -> None:
    here = array()
    free = dataset(here, "tank")["available"]["parsed"]
    size = int(free * 0.81) // 16384 * 16384
    with pytest.raises(Invalid, match="80%"):
        here.volume(size=size)
    here.volume(size=size, force_size=True)
    with pytest.raises(CallError, match="out of space"):
        here.volume("tank/y", size=size, force_size=True)
    here.volume("tank/thin", size=size, force_size=True, sparse=True)
    with pytest.raises(Invalid, match="80%"):
        here("pool.dataset.update", "tank/z", {"volsize": size + 16384})


@pytest.mark.parametrize(
    ("data", "attribute"),
    [
        ({"name": "tank"}, "name"),
        ({"name": "none/x"}, "name"),
        ({"name": "tank/x/y"}, "name"),
        ({"name": "tank/bad*name"}, "name"),
        ({"name": "tank/x", "volsize": GIB}, "volsize"),
        ({"name": "tank/x", "quota": 5}, "quota"),
        ({"name": "tank/x", "recordsize": "3K"}, "recordsize"),
        ({"name": "tank/x", "type": "VOLUME"}, "volsize"),
        ({"name": "tank/x", "type": "VOLUME", "volsize": GIB + 1}, "volsize"),
        ({"name": "tank/x", "type": "VOLUME", "volsize": GIB, "quota": GIB}, "quota"),
        (
            {"name": "tank/x", "type": "VOLUME", "volsize": GIB, "volblocksize": "3K"},
            "volblocksize",
        ),
    ],
)
def test_a_dataset_that_makes_no_sense_is_refused(data: dict[str, Any], attribute: str) -> None:
    here = array()
    with pytest.raises(Invalid) as caught:
        here("pool.dataset.create", data)
    assert caught.value.problems[0][0] == f"pool_dataset_create.{attribute}"


@pytest.mark.parametrize("version", ["13.0", "25.10"])
def test_what_is_said_of_encryption_may_be_that_there_is_none(version: str) -> None:
    here = array(version)
    plain = {"encryption": False, "inherit_encryption": True}
    assert here("pool.dataset.create", {"name": "tank/x", **plain})["encrypted"] is False
    with pytest.raises(Invalid, match=r"pool_dataset_create\.encryption"):
        here("pool.dataset.create", {"name": "tank/y", "encryption": True})


def test_a_pool_that_lost_a_whole_mirror_is_read_and_not_written_to() -> None:
    here = array(full=True)
    here.fail("fail-disk nas1/sdc")
    here("pool.dataset.create", {"name": "tank/degraded"})
    here.fail("fail-disk nas1/sdd")
    before = [row["id"] for row in here("pool.dataset.query")]
    for method, *params in (
        ("pool.dataset.create", {"name": "tank/x"}),
        ("pool.dataset.update", "tank/z", {"comments": "x"}),
        ("pool.dataset.delete", "tank/degraded"),
        ("pool.snapshot.create", {"dataset": "tank/z", "name": "x"}),
    ):
        with pytest.raises(CallError, match="pool I/O is currently suspended"):
            here(method, *params)
    assert [row["id"] for row in here("pool.dataset.query")] == before
    here("pool.dataset.create", {"name": "images/x"})


@pytest.mark.parametrize("version", ["13.0", "25.10"])
def test_a_folder_has_the_mode_and_owner_that_it_was_given(version: str) -> None:
    here = array(version)
    here("pool.dataset.create", {"name": "tank/a"})
    assert here("filesystem.stat", "/mnt/tank/a")["mode"] == 0o40755
    here("filesystem.setperm", {"path": "/mnt/tank/a/", "mode": "0770", "gid": 1000})
    here("filesystem.setperm", {"path": "/mnt/tank/a", "uid": 7})
    here.wait(1)
    folder = here("filesystem.stat", "/mnt/tank/a")
    assert (folder["mode"], folder["uid"], folder["gid"]) == (0o40770, 7, 1000)
    for wrong in ({"path": "/mnt/tank/b"}, {"path": "/mnt/tank/a", "mode": "rwx"}):
        here("filesystem.setperm", wrong)
        here.wait(1)
        assert here("core.get_jobs")[-1]["state"] == "FAILED"


def test_ancestors_are_made_on_request_only() -> None:
    here = array()
    here("pool.dataset.create", {"name": "tank/x/y", "create_ancestors": True})
    assert dataset(here, "tank/x")["children"][0]["id"] == "tank/x/y"


def test_user_properties_are_a_place_for_marks_and_comments_a_place_before_scale() -> None:
    new, old = array("25.10"), array("13.0")
    mark = {"key": "org.vlab:owner", "value": "lab"}
    new("pool.dataset.create", {"name": "tank/a", "user_properties": [mark], "comments": "hello"})
    found = dataset(new, "tank/a")
    assert found["user_properties"]["org.vlab:owner"]["value"] == "lab"
    assert found["comments"]["value"] == "hello"
    gone = {"user_properties_update": [{"key": "org.vlab:owner", "remove": True}]}
    assert new("pool.dataset.update", "tank/a", gone)["user_properties"] == {}
    assert dataset(new, "tank/a")["comments"]["value"] == "hello"
    with pytest.raises(Invalid, match="Field was not expected"):
        old("pool.dataset.create", {"name": "tank/a", "user_properties": [mark]})
    old("pool.dataset.create", {"name": "tank/a", "comments": "hello"})
    assert dataset(old, "tank/a")["comments"]["rawvalue"] == "hello"


def test_a_dataset_with_children_or_snapshots_goes_only_as_a_whole() -> None:
    here = array()
    here("pool.dataset.create", {"name": "tank/a"})
    here("pool.dataset.create", {"name": "tank/a/b"})
    with pytest.raises(CallError, match="has children"):
        here("pool.dataset.delete", "tank/a")
    here("pool.dataset.delete", "tank/a/b")
    here("pool.snapshot.create", {"dataset": "tank/a", "name": "now"})
    with pytest.raises(CallError, match="has children"):
        here("pool.dataset.delete", "tank/a")
    here("pool.dataset.delete", "tank/a", {"recursive": True})
    assert here("pool.snapshot.query") == []
    with pytest.raises(CallError, match="root dataset"):
        here("pool.dataset.delete", "tank", {"recursive": True})


def test_a_snapshot_is_cloned_rolled_back_to_and_held_by_its_clones() -> None:
    here = array()
    here.volume(size=10 * GIB)
    here("pool.snapshot.create", {"dataset": "tank/z", "name": "before"})
    here("pool.dataset.update", "tank/z", {"volsize": 20 * GIB})
    here("pool.snapshot.create", {"dataset": "tank/z", "name": "after"})
    with pytest.raises(CallError, match="more recent snapshots"):
        here("pool.snapshot.rollback", "tank/z@before")
    here("pool.snapshot.clone", {"snapshot": "tank/z@before", "dataset_dst": "tank/copy"})
    assert dataset(here, "tank/copy")["volsize"]["parsed"] == 10 * GIB
    assert dataset(here, "tank/copy")["origin"]["value"] == "tank/z@before"
    with pytest.raises(CallError, match="dependent clones"):
        here("pool.snapshot.delete", "tank/z@before")
    here("pool.snapshot.rollback", "tank/z@before", {"recursive": True})
    assert dataset(here, "tank/z")["volsize"]["parsed"] == 10 * GIB
    assert [row["snapshot_name"] for row in here("pool.snapshot.query")] == ["before"]


def test_a_deferred_deletion_waits_for_the_last_clone() -> None:
    here = array()
    here.volume(size=10 * GIB)
    here("pool.snapshot.create", {"dataset": "tank/z", "name": "s"})
    here("pool.snapshot.clone", {"snapshot": "tank/z@s", "dataset_dst": "tank/copy"})
    here("pool.snapshot.delete", "tank/z@s", {"defer": True})
    assert len(here("pool.snapshot.query")) == 1
    here("pool.dataset.delete", "tank/copy")
    assert here("pool.snapshot.query") == []


def test_snapshots_moved_from_zfs_to_pool_with_25_10() -> None:
    for version, has, lacks in (("25.10", "pool", "zfs"), ("13.0", "zfs", "pool")):
        here = array(version)
        made = here(f"{has}.snapshot.create", {"dataset": "tank", "naming_schema": "%Y-%m-%d"})
        assert made["id"] == "tank@2026-01-01"
        with pytest.raises(CallError) as caught:
            here(f"{lacks}.snapshot.query")
        assert caught.value.number == 201


def test_a_snapshot_task_names_a_dataset_and_a_schema_with_date_and_time() -> None:
    here = array()
    good = {"dataset": "tank", "naming_schema": "d-%Y-%m-%d_%H-%M", "schedule": {"hour": "3"}}
    made = here("pool.snapshottask.create", good)
    assert made["schedule"]["hour"] == "3"
    assert made["schedule"]["minute"] == "00"
    for change in (
        {"dataset": "none"}, {"naming_schema": "daily"}, {"schedule": {"hour": "25"}},
        {"exclude": ["tank/x"]},
    ):  # fmt: skip
        with pytest.raises(Invalid) as caught:
            here("pool.snapshottask.create", {**good, **change})
        (problem,) = caught.value.problems
        assert problem[0].startswith(f"periodic_snapshot_create.{next(iter(change))}")
    assert here("pool.snapshottask.update", made["id"], {"enabled": False})["enabled"] is False


@pytest.mark.parametrize("version", ["13.0", "25.10"])
def test_a_share_serves_once_the_service_runs_and_only_its_networks(version: str) -> None:
    here = array(version)
    here("pool.dataset.create", {"name": "images/iso"})
    path = "/mnt/images/iso"
    where = {"path": path} if version == "25.10" else {"paths": [path]}
    share = here("sharing.nfs.create", where)
    assert here.problem("iso") == "nobody serves 10.0.103.21:/mnt/images/iso"
    start(here, "nfs")
    assert here.problem("iso") == ""
    here("sharing.nfs.update", share["id"], {"enabled": False})
    assert here.problem("iso") != ""


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"path": "/mnt/images/none"}, "path"),
        ({"path": "/etc"}, "path"),
        ({"maproot_group": "wheel"}, "maproot_user"),
        ({"maproot_user": "root", "mapall_user": "nobody"}, "mapall_user"),
        ({"networks": ["10.0.0.0/8", "10.1.0.0/16"]}, "networks.1"),
        ({"networks": ["10.0.103.0/25"]}, "networks"),
    ],
)
def test_a_share_that_makes_no_sense_is_refused(change: dict[str, Any], attribute: str) -> None:
    here = array()
    here("pool.dataset.create", {"name": "images/iso"})
    good = {"path": "/mnt/images/iso", "networks": ["10.0.103.0/24"]}
    here("sharing.nfs.create", good)
    with pytest.raises(Invalid) as caught:
        here("sharing.nfs.create", {**good, "networks": ["10.5.0.0/24"], **change})
    assert caught.value.problems[0][0] == f"sharingnfs_create.{attribute}"


def test_paths_of_a_share_became_one_path() -> None:
    with pytest.raises(Invalid, match="Field was not expected"):
        array("13.0")("sharing.nfs.create", {"path": "/mnt/images"})
    with pytest.raises(Invalid, match="Field required"):
        array("25.10")("sharing.nfs.create", {"paths": ["/mnt/images"]})


def test_nfs_versions_are_flags_before_scale_and_a_list_since() -> None:
    assert array("13.0")("nfs.update", {"v4": True})["v4"] is True
    here = array("25.10")
    assert here("nfs.update", {"protocols": ["NFSV4"]})["protocols"] == ["NFSV4"]
    with pytest.raises(Invalid, match="is not configured"):
        here("nfs.update", {"bindip": ["10.9.9.9"]})
    assert here("nfs.config")["managed_nfsd"] is True


@given(st.integers(0, 2**60))
def test_sizes_are_short(size: int) -> None:
    assert len(size_text(size)) <= 6


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({}, {}, "for some network"),
        ({"networks": ["10.1.0.0/16"]}, {}, "for some network"),
        ({"networks": ["10.1.0.0/16"]}, {"networks": ["10.1.0.0/16"]}, "for 10.1.0.0/16"),
        ({"hosts": ["a", "b"]}, {"hosts": ["b", "c"]}, "for b"),
        ({"hosts": ["a"]}, {}, ""),
        ({"networks": ["10.1.0.0/16"]}, {"networks": ["10.2.0.0/16"]}, ""),
    ],
)
def test_one_folder_is_shared_twice_only_with_others(
    first: dict[str, Any], second: dict[str, Any], told: str
) -> None:
    here = array()
    here("pool.dataset.create", {"name": "tank/a"})
    here("sharing.nfs.create", {"path": "/mnt/tank/a", **first})
    if not told:
        here("sharing.nfs.create", {"path": "/mnt/tank/a", **second})
        return
    with pytest.raises(Invalid, match=f"already exports this dataset {told}"):
        here("sharing.nfs.create", {"path": "/mnt/tank/a", **second})
