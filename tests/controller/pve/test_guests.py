"""Guests: what a change sends, what it costs while they run, what is read while changes wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controller.managed import Context, Cost, Key, Managed
from controller.pve import context
from controller.pve.ha_resource import HaResource
from controller.pve.ha_rule import HaRule
from controller.pve.vm import Vm
from lab.errors import DeviceError, Refused
from tests.controller.pve.cases import GUEST, GUEST_OPTIONS, guest_answers
from tests.controller.pve.worlds import (
    CLUSTER,
    DEVICE,
    disagreeing,
    hardware_and,
    key,
    one,
    read_one,
    rests,
)

CONFIG = "PUT /nodes/{node:101}/qemu/101/config"
REBOOT = "POST /nodes/{node:101}/qemu/101/status/reboot"


def guest(text: str) -> Managed:
    """Guest luffy with these fields and no others."""
    entry = f"vmid: 101, cluster: a{', ' if text else ''}{text}"
    return one(Vm, hardware_and(f"guests: {{luffy: {{{entry}}}}}"))


def there(
    status: str = "running", pending: Mapping[str, Any] | None = None, **options: Any
) -> Managed:
    """Luffy as a device has it, with options other than usual; None: without."""
    merged = {name: value for name, value in (GUEST_OPTIONS | options).items() if value is not None}
    answers = guest_answers(merged, status=status, pending=pending, pool="company")
    return read_one(Vm, answers)


def sent(wanted: Managed, old: Managed) -> list[str]:
    return [str(step) for step in wanted.steps(old, Context())]


def costs(wanted: Managed, old: Managed) -> dict[str, str]:
    return {name: str(wanted.cost(name, old, Context())) for name in disagreeing(wanted, old)}


def test_only_what_differs_is_sent() -> None:
    wanted = guest("cores: 8, tags: [web, extra], description: null")

    assert sent(wanted, there()) == [f"{CONFIG} tags=extra;web delete=description"]
    assert costs(wanted, there()) == {"tags": "none", "description": "none"}


def test_more_memory_costs_a_running_guest_one_reboot_and_a_stopped_one_nothing() -> None:
    wanted = guest("memory: 16GiB, cores: 12")

    assert sent(wanted, there()) == [f"{CONFIG} cores=12 memory=16384", REBOOT]
    assert costs(wanted, there()) == {"memory_bytes": "reboot", "cores": "reboot"}
    assert sent(wanted, there("stopped")) == [f"{CONFIG} cores=12 memory=16384"]
    assert set(costs(wanted, there("stopped")).values()) == {"none"}


def test_memory_that_was_changed_and_is_not_in_force_is_put_back_without_a_reboot() -> None:
    old = there(pending={"memory": "4096"})

    assert old.values["memory_bytes"] == 4 * 2**30
    assert old.values["running.memory_bytes"] == 8 * 2**30
    assert sent(guest("memory: 8GiB"), old) == [f"{CONFIG} memory=8192"]
    assert set(costs(guest("memory: 8GiB"), old).values()) == {"none"}


def test_a_reboot_that_was_lost_is_made_good() -> None:
    old = there(pending={"memory": "16384"})

    assert costs(guest("memory: 16GiB"), old) == {"running.memory_bytes": "reboot"}
    assert sent(guest("memory: 16GiB"), old) == [REBOOT]
    assert disagreeing(guest("memory: 16GiB"), there(memory="16384")) == {}


def test_what_waits_for_a_restart_and_is_not_declared_does_not_cause_one() -> None:
    old = there(pending={"machine": "q35", "cpu": None, "bios": "ovmf"})

    assert disagreeing(guest("memory: 8GiB"), old) == {}
    assert "cpu" not in old.values
    assert old.values["running.cpu"] == "host,flags=+aes"


def test_a_pending_option_of_a_stopped_guest_is_simply_written() -> None:
    old = there("stopped", pending={"memory": "4096"})

    assert old.values["memory_bytes"] == 4 * 2**30
    assert not [name for name in old.values if name.startswith("running.")]


def test_the_vlan_of_a_card_changes_live_and_its_mac_stays_with_the_device() -> None:
    wanted = guest("nets: {net0: {vlan: mgmt}}")

    assert sent(wanted, there()) == [f"{CONFIG} net0={{now}},tag=99 digest={{now}}"]
    assert costs(wanted, there()) == {"nets.net0.tag": "live"}


def test_a_new_card_and_a_new_disk_are_added_while_the_guest_runs() -> None:
    wanted = guest("nets: {net1: {vlan: mgmt}}, disks: {scsi2: {storage: vm, size: 1GiB}}")

    assert sent(wanted, there()) == [
        "POST /nodes/{node:101}/qemu/101/config net1=virtio,bridge=vmbr0,tag=99 scsi2=vm:1"
    ]
    assert set(costs(wanted, there()).values()) == {"live"}


def test_a_new_disk_with_its_own_settings_needs_no_reboot() -> None:
    wanted = guest("disks: {scsi2: {storage: vm, size: 1GiB, discard: true, ssd: true}}")

    assert sent(wanted, there())[1:] == []
    assert set(costs(wanted, there()).values()) <= {"live", "none"}


def test_a_disk_grows_to_an_absolute_size() -> None:
    wanted = guest("disks: {scsi0: {storage: vm, size: 64GiB}}")

    assert sent(wanted, there()) == ["PUT /nodes/{node:101}/qemu/101/resize disk=scsi0 size=64G"]
    assert costs(wanted, there()) == {"disks.scsi0.size_bytes": "live"}


def test_a_disk_never_shrinks() -> None:
    wanted = guest("disks: {scsi0: {storage: vm, size: 49GiB}}")

    assert costs(wanted, there()) == {"disks.scsi0.size_bytes": "replace"}
    with pytest.raises(Refused, match="scsi0 can't shrink from 50GiB to 49GiB"):
        sent(wanted, there())


def test_a_disk_moves_to_another_storage_before_it_grows() -> None:
    wanted = guest("disks: {scsi0: {storage: other, size: 64GiB}}")

    assert sent(wanted, there()) == [
        "POST /nodes/{node:101}/qemu/101/move_disk disk=scsi0 storage=other delete=1",
        "PUT /nodes/{node:101}/qemu/101/resize disk=scsi0 size=64G",
    ]


def test_a_setting_of_a_disk_is_changed_on_the_volume_that_is_there() -> None:
    wanted = guest("disks: {scsi0: {storage: vm, size: 50GiB, discard: true}}")

    assert sent(wanted, there()) == [
        f"{CONFIG} scsi0={{now}},discard=on digest={{now}}",
        REBOOT,
    ]
    assert costs(wanted, there()) == {"disks.scsi0.discard": "reboot"}


def test_losing_a_disk_is_the_highest_cost_and_frees_its_volume() -> None:
    wanted = guest("disks: {scsi1: null}, nets: {net0: null}")

    assert costs_of_entries(wanted, there()) == {"disks.scsi1": "replace", "nets.net0": "live"}
    assert sent(wanted, there()) == [
        "POST /nodes/{node:101}/qemu/101/config delete=net0,scsi1 force=1"
    ]


def costs_of_entries(wanted: Managed, old: Managed) -> dict[str, str]:
    entries = [name for name in wanted.values if name in ("disks.scsi1", "nets.net0")]
    return {name: str(wanted.cost(name, old, Context())) for name in entries}


def test_disks_and_cards_that_nobody_declared_stay() -> None:
    assert sent(guest("cores: 8"), there(net7="e1000=BC:24:11:00:00:07,bridge=vmbr9")) == []


def test_a_guest_without_ha_is_started_and_shut_down_by_its_state() -> None:
    assert sent(guest("state: started"), there("stopped")) == [
        "POST /nodes/{node:101}/qemu/101/status/start"
    ]
    stopping = guest("state: stopped, memory: 16GiB")
    assert sent(stopping, there()) == [
        "POST /nodes/{node:101}/qemu/101/status/shutdown timeout=180 forceStop=1",
        f"{CONFIG} memory=16384",
    ]
    assert stopping.cost("state", there(), Context()) is Cost.STOP_START
    assert guest("state: started").cost("state", there("stopped"), Context()) is Cost.NONE


def test_the_power_of_a_guest_under_ha_is_the_state_of_its_resource() -> None:
    lab = hardware_and("guests: {luffy: {vmid: 101, cluster: a, state: stopped, ha: {}}}")
    answers = {"/cluster/ha/resources": [{"sid": "vm:101", "type": "vm", "state": "enabled"}]}
    old = read_one(HaResource, answers)
    resource = one(HaResource, lab)

    assert "state" not in one(Vm, lab).values
    assert [str(step) for step in resource.steps(old, Context())] == [
        "PUT /cluster/ha/resources/vm:101 state=stopped"
    ]
    running = Context(running=frozenset({key("vm", "101")}))
    assert resource.cost("state", old, running) is Cost.STOP_START
    assert resource.cost("state", old, Context()) is Cost.NONE


def test_a_new_guest_starts_as_the_language_says_even_if_state_is_not_written() -> None:
    steps = [str(step) for step in guest("").steps(None, Context())]
    stopped = [str(step) for step in guest("state: stopped").steps(None, Context())]
    under_ha = [str(step) for step in guest("ha: {}").steps(None, Context())]

    assert steps == ["POST /nodes/pve1/qemu vmid=101 name=luffy start=1"]
    assert stopped == under_ha == ["POST /nodes/pve1/qemu vmid=101 name=luffy"]


def test_a_guest_is_made_where_the_placement_says_else_where_it_would_like_to_be() -> None:
    def node(wanted: Managed, placement: Mapping[str, str]) -> str:
        (step, *_) = rests(wanted.steps(None, Context(placement=placement)))
        return step.path.split("/")[2]

    assert node(guest("placement: {prefer: [pve3]}"), {"101": "pve2"}) == "pve2"
    assert node(guest("placement: {prefer: [pve3]}"), {}) == "pve3"
    assert node(guest("placement: {pin: [pve2]}"), {}) == "pve2"


def test_a_pool_is_where_the_guest_says() -> None:
    assert sent(guest("pool: students"), there()) == [
        "PUT /pools poolid=students vms=101 allow-move=1"
    ]
    assert sent(guest("pool: null"), there()) == ["PUT /pools poolid=company vms=101 delete=1"]


def test_a_guest_that_runs_is_shut_down_before_it_is_removed() -> None:
    assert [str(step) for step in there().remove(Context())] == [
        "POST /nodes/{node:101}/qemu/101/status/shutdown timeout=180 forceStop=1",
        "DELETE /nodes/{node:101}/qemu/101",
    ]
    assert [str(step) for step in there("stopped").remove(Context())] == [
        "DELETE /nodes/{node:101}/qemu/101"
    ]


def test_a_guest_that_moved_is_no_different() -> None:
    answers = guest_answers(GUEST_OPTIONS, pool="company")
    moved = {
        "/cluster/resources?type=vm": [
            row | {"node": "pve3"} for row in answers["/cluster/resources?type=vm"]
        ],
        "/nodes/pve3/qemu/101/pending": answers["/nodes/pve2/qemu/101/pending"],
    }

    assert read_one(Vm, moved) == read_one(Vm, answers)


def test_one_guest_that_does_not_answer_leaves_the_others_readable() -> None:
    answers = guest_answers(GUEST_OPTIONS)
    other = {"type": "qemu", "vmid": 102, "node": "pve3", "status": "unknown"}
    answers["/cluster/resources?type=vm"].append(other)

    queries = {query.text: query.about for query in Vm.fetch(DEVICE, answers)}
    assert queries["/nodes/pve3/qemu/102/pending"] == "102"
    assert [thing.key.id for thing in Vm.read(DEVICE, answers)] == ["101"]


def test_an_answer_that_makes_no_sense_is_an_error_of_the_device() -> None:
    with pytest.raises(DeviceError, match="can't read cores"):
        there(cores="many")
    with pytest.raises(DeviceError, match="answered no list"):
        read_one(Vm, {"/cluster/resources?type=vm": "no"})


def test_sizes_that_no_volume_can_have_are_rounded_the_same_way_in_both_directions() -> None:
    wanted = guest("memory: 1GB, disks: {scsi0: {storage: vm, size: 10GB}}")

    assert wanted.values["memory_bytes"] == 953 * 2**20
    assert wanted.values["disks.scsi0.size_bytes"] == 9540 * 2**20
    assert disagreeing(wanted, there("stopped", memory="953", scsi0="vm:x,size=9540M")) == {}


def test_the_context_knows_where_guests_are_and_what_is_in_force() -> None:
    answers = guest_answers(GUEST_OPTIONS, pending={"memory": "4096", "net0": None})

    known = context(DEVICE, answers)

    assert known.locations == {"101": "pve2"}
    assert known.running == frozenset({key("vm", "101")})
    assert known.current[key("vm", "101")]["memory_bytes"] == 8 * 2**30


def test_a_pin_of_a_guest_without_ha_is_no_rule() -> None:
    lab = hardware_and("guests: {luffy: {vmid: 101, cluster: a, placement: {pin: [pve1]}}}")

    assert [*HaRule.wanted(lab, DEVICE)] == []


def test_an_older_cluster_is_neither_asked_for_rules_nor_given_any() -> None:
    old = CLUSTER.replace("9.2", "8.4")
    lab = hardware_and(GUEST.replace("state: started", "ha: {}"), cluster=old)

    assert [*HaRule.wanted(lab, DEVICE)] == []
    answers = {"/version": {"version": "8.4.1"}}
    assert [query.text for query in HaRule.fetch(DEVICE, answers)] == ["/version"]
    assert [*HaRule.read(DEVICE, answers)] == []


def test_an_untagged_card_is_kept_and_not_declared() -> None:
    old = there(net0="virtio=BC:24:11:AA:00:01,bridge=vmbr0")
    lab = hardware_and()

    assert "net0" not in old.declare(lab)["guests"]["luffy"].get("nets", {})
    assert sent(guest("nets: {net0: {vlan: prod}}"), old) == [
        f"{CONFIG} net0={{now}},tag=10 digest={{now}}"
    ]


def test_a_vlan_that_the_lab_has_no_name_for_is_declared_with_one() -> None:
    fragment = there(net0="virtio=BC:24:11:AA:00:01,bridge=vmbr0,tag=77").declare(hardware_and())

    assert fragment["vlans"] == {"vlan77": {"id": 77, "role": "guests"}}
    assert fragment["guests"]["luffy"]["nets"]["net0"]["vlan"] == "vlan77"


def test_a_guest_is_declared_under_the_name_that_the_lab_has_for_its_vmid() -> None:
    fragment = there(name="other").declare(hardware_and(GUEST))

    assert [*fragment["guests"]] == ["luffy"]
    assert Key(DEVICE, "vm", "101") == there().key
