"""Against the twin's served API, written without any of our code: what is made is there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from controller.managed import Key, Managed
from controller.pve import KINDS
from lab.lab import Lab
from tests.controller.pve.served import BROOK, LOAD, Served, served, small_lab
from tests.controller.pve.worlds import DEVICE, disagreeing, key
from tests.labs import lab_of
from tests.simulator.three_nodes import hardware

HARDWARE = hardware()


@pytest.fixture
def lab() -> Lab:
    return small_lab(LOAD, BROOK)


@pytest.fixture
def full(lab: Lab) -> Served:
    """A cluster that has all of the lab."""
    cluster = served(lab)
    cluster.apply(lab)
    return cluster


def differences(cluster: Served, lab: Lab) -> dict[Key, Any]:
    things = cluster.observe().things
    wanted = [thing for kind in KINDS for thing in kind.wanted(lab, DEVICE)]
    assert {thing.key for thing in wanted} <= things.keys()
    found = {thing.key: disagreeing(thing, things[thing.key]) for thing in wanted}
    return {key: fields for key, fields in found.items() if fields}


def test_everything_that_was_made_is_read_back_as_it_was_wanted(full: Served, lab: Lab) -> None:
    assert differences(full, lab) == {}


def test_there_is_nothing_to_send_the_second_time(full: Served, lab: Lab) -> None:
    assert full.apply(lab) == []


def test_what_is_on_the_cluster_can_be_declared_and_is_then_the_same(full: Served) -> None:
    again = small_lab(_declared(full.observe().things.values()))

    assert full.apply(again) == []


def _declared(things: Iterable[Managed]) -> str:
    """What all things of the cluster say, merged as adoption does."""
    names = small_lab(LOAD, BROOK)
    merged: dict[str, dict[str, Any]] = {}
    for thing in things:
        if not thing.inherent:
            for word, entries in thing.declare(names).items():
                for name, entry in entries.items():
                    merged.setdefault(word, {}).setdefault(name, {}).update(entry)
    return json.dumps(merged)


def changed(cluster: Served, lab: Lab) -> list[str]:
    sent = cluster.apply(lab)
    assert differences(cluster, lab) == {}
    assert cluster.apply(lab) == []
    return sent


def test_memory_that_somebody_changed_is_put_back(full: Served, lab: Lab) -> None:
    node = full.observe().context(DEVICE).locations["103"]
    full.somebody().nodes(node).qemu(103).config.put(memory=4096, cores=7)

    fixed = small_lab(LOAD.replace("vmid: 103,", "vmid: 103, memory: 2GiB,"), BROOK)
    assert changed(full, fixed) == ["PUT /nodes/{node:103}/qemu/103/config memory=2048"]


def test_more_memory_for_a_running_guest_is_in_force_after_its_reboot(
    full: Served, lab: Lab
) -> None:
    more = small_lab(LOAD.replace("memory: 1GiB", "memory: 2GiB"), BROOK)

    assert changed(full, more) == [
        "PUT /nodes/{node:102}/qemu/102/config memory=2048",
        "POST /nodes/{node:102}/qemu/102/status/reboot",
    ]
    assert full.observe().things[key("vm", "102")].values["memory_bytes"] == 2 * 2**30


def test_a_reboot_that_never_came_is_seen_and_made_good(full: Served) -> None:
    more = small_lab(LOAD.replace("memory: 1GiB", "memory: 2GiB"), BROOK)
    node = full.observe().context(DEVICE).locations["102"]
    full.somebody().nodes(node).qemu(102).config.put(memory=2048)

    assert changed(full, more) == ["POST /nodes/{node:102}/qemu/102/status/reboot"]


def test_a_card_that_goes_to_another_vlan_keeps_its_mac_and_what_others_set(full: Served) -> None:
    where = full.observe().context(DEVICE).locations["101"]
    config = full.somebody().nodes(where).qemu(101).config
    config.put(net0="virtio=BC:24:11:12:34:56,bridge=vmbr0,firewall=1,queues=4,tag=10")
    moved = small_lab(
        LOAD.replace("vlan: production, firewall", "vlan: management, firewall"), BROOK
    )

    assert len(changed(full, moved)) == 1
    assert (
        config.get()["net0"] == "virtio=BC:24:11:12:34:56,bridge=vmbr0,firewall=1,queues=4,tag=99"
    )


def test_disks_grow_come_and_go_without_leaving_volumes_behind(full: Served) -> None:
    fewer = LOAD.replace(
        "scsi1: {storage: data, size: 96MiB}", "scsi1: null, virtio0: {storage: data, size: 64MiB}"
    )
    wanted = small_lab(fewer.replace("size: 10GiB", "size: 12GiB"), BROOK)

    assert changed(full, wanted) == [
        "POST /nodes/{node:101}/qemu/101/config virtio0=data:0.0625 delete=scsi1 force=1",
        "PUT /nodes/{node:101}/qemu/101/resize disk=scsi0 size=12G",
    ]
    where = full.observe().context(DEVICE).locations["101"]
    config = full.somebody().nodes(where).qemu(101).config.get()
    assert not [name for name in config if name.startswith("unused")]
    assert "discard=on" in config["scsi0"]
    assert "size=12G" in config["scsi0"]


def test_a_guest_goes_to_another_pool_and_out_of_all(full: Served) -> None:
    other = LOAD.replace("pools: {", "pools: {other: {}, ").replace("pool: company", "pool: other")
    none = LOAD.replace("pool: company", "pool: null")

    assert "PUT /pools poolid=other vms=101 allow-move=1" in changed(full, small_lab(other, BROOK))
    assert changed(full, small_lab(none, BROOK)) == ["PUT /pools poolid=other vms=101 delete=1"]


def test_options_keep_what_the_language_does_not_say(full: Served) -> None:
    somebody = full.somebody()
    somebody.cluster.options.put(migration="type=insecure", language="es", keyboard="de")
    cluster = HARDWARE.replace(
        "time-source: 192.168.99.1", "time-source: 192.168.99.1, options: {keyboard: es, "
        "scheduler: static, migration-vlan: mig}"
    )  # fmt: skip
    vlans = "vlans: {mig: {id: 5, role: management, subnet: 10.9.0.0/24}}"
    lab = lab_of(cluster, vlans, rules=False)

    full.apply(lab)

    now = somebody.cluster.options.get()
    assert now["migration"] == {"type": "insecure", "network": "10.9.0.0/24"}
    assert (now["language"], now["keyboard"], now["crs"]) == ("es", "es", {"ha": "static"})
    assert full.apply(lab) == []


def test_a_storage_whose_folder_changes_is_made_anew_with_its_other_settings(full: Served) -> None:
    moved = small_lab(LOAD.replace("path: /srv/iso", "path: /srv/images"), BROOK)

    assert changed(full, moved) == [
        "DELETE /storage/iso",
        "POST /storage storage=iso type=dir content=iso path=/srv/images prune-backups=keep-last=3",
    ]


def test_everything_can_be_removed_again(full: Served, lab: Lab) -> None:
    wanted = [thing for kind in KINDS for thing in kind.wanted(lab, DEVICE)]
    for thing in reversed(wanted):
        there = full.observe().things[thing.key]
        for step in there.remove(full.observe().context(DEVICE)):
            full.port.send(step)

    left = full.observe().things.keys() & {thing.key for thing in wanted if not thing.inherent}
    assert left == set()


def test_ha_that_moves_a_guest_makes_no_difference(full: Served, lab: Lab) -> None:
    before = full.observe().context(DEVICE).locations["101"]
    target = "pve2" if before == "pve1" else "pve1"
    full.wait(60)
    full.somebody().cluster.ha.resources("vm:101").migrate.post(node=target)
    full.wait(120)

    assert full.observe().context(DEVICE).locations["101"] == target
    assert full.apply(lab) == []


def test_things_of_others_are_read_and_left_alone(full: Served, lab: Lab) -> None:
    somebody = full.somebody()
    somebody.pools.post(poolid="theirs")
    somebody.nodes("pve1").qemu.post(vmid=900, name="theirs", net0="virtio,bridge=vmbr0")
    full.wait(10)

    assert full.apply(lab) == []
    things: dict[Key, Managed] = dict(full.observe().things)
    assert things[key("vm", "900")].values["name"] == "theirs"
    assert key("pool", "theirs") in things
