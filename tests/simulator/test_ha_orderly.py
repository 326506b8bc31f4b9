"""Nodes that go down in order, maintenance, disarming and requests, as an operator sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.faults import parse_faults
from simulator import guests
from simulator.build import twin_of
from simulator.cluster.documents import CrsSettings
from simulator.ha.part import ha_command
from simulator.state import HostPower
from simulator.twin import Twin
from tests.simulator.three_nodes import (
    after,
    apart,
    guest,
    ha_of,
    lines,
    service,
    three_nodes,
    twin_with_master,
    where,
)

LUFFY = guest("luffy", 101, on="pve2")
ZORO = guest("zoro", 102, on="pve3")


def with_policy(policy: str) -> Twin:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    workload = replace(twin.state.workloads["a"], shutdown_policy=policy)
    guests.set_workload(twin, "a", workload)
    return twin


def test_a_node_that_shuts_down_stops_its_guests_then_leaves_and_stays_off() -> None:
    plain = guest("nami", 103, on="pve2").replace("    ha: {}\n", "")
    twin = after(twin_with_master(three_nodes(LUFFY, plain), "pve1"), "shutdown-node pve2", 400)
    nami, luffy = lines(twin, "guest nami", "stopped"), lines(twin, "guest luffy", "stopped")
    (off,) = lines(twin, "node pve2", "off")
    assert nami[0].at_s == 0 <= luffy[0].at_s <= off.at_s <= 20
    assert off.text == "pve2 is shut down"
    assert twin.state.hosts["pve2"] is HostPower.OFF
    assert where(twin, 101)[1] == "running"
    assert where(twin, 101)[0] != "pve2"
    assert where(twin, 103) == ("pve2", "stopped")


def test_a_node_that_was_shut_down_starts_when_it_is_asked_to() -> None:
    twin = after(with_policy("freeze"), "shutdown-node pve2@0s..300s", 299)
    assert service(twin, 101) == ("freeze", "pve2")
    assert not lines(twin, "node pve2", "ha-fence")
    twin.run_until(450)
    assert where(twin, 101) == ("pve2", "running")
    assert service(twin, 101) == ("started", "pve2")


def test_a_node_that_was_shut_down_starts_by_itself_after_its_power_was_cut() -> None:
    twin = after(with_policy("freeze"), "shutdown-node pve2 fail-node pve2@100s..110s", 300)
    assert twin.state.hosts["pve2"] is HostPower.ON


def test_a_node_that_reboots_freezes_its_guests_and_starts_them_again() -> None:
    twin = after(with_policy("conditional"), "reboot-node pve2", 300)
    words = [event.text for event in lines(twin, "guest luffy") if event.text.startswith("HA:")]
    assert words == ["HA: started -> freeze on pve2", "HA: freeze -> started on pve2"]
    assert where(twin, 101) == ("pve2", "running")


def test_a_node_under_the_migrate_policy_goes_down_once_it_is_empty() -> None:
    twin = after(with_policy("migrate"), "reboot-node pve2", 400)
    moved = [event.at_s for event in lines(twin, "guest luffy", "moved")]
    (boots,) = [e.at_s for e in lines(twin, "node pve2", "starting")]
    (up,) = lines(twin, "node pve2", "up")
    assert moved[0] < boots < up.at_s < moved[1]
    assert not lines(twin, "guest luffy", "down")
    assert where(twin, 101) == ("pve2", "running")


def test_a_guest_that_can_not_leave_keeps_its_node_from_going_down() -> None:
    rules = f"{apart('luffy', 'zoro', 'nami')}"
    twin = twin_with_master(
        three_nodes(LUFFY, ZORO, guest("nami", 103, on="pve1"), more=rules), "pve1"
    )
    workload = replace(twin.state.workloads["a"], shutdown_policy="migrate")
    guests.set_workload(twin, "a", workload)
    after(twin, "shutdown-node pve2", 400)
    assert twin.state.hosts["pve2"] is HostPower.ON
    assert where(twin, 101) == ("pve2", "running")


def test_maintenance_moves_guests_away_and_its_end_brings_them_back() -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    ha_command(twin, "a", "enable-node-maintenance pve2")
    twin.run_until(120)
    assert ha_of(twin).status.nodes["pve2"] == "maintenance"
    assert where(twin, 101)[0] != "pve2"
    ha_command(twin, "a", "disable-node-maintenance pve2")
    twin.run_until(240)
    assert where(twin, 101) == ("pve2", "running")
    assert lines(twin, "guest luffy", "ha-back")
    assert not lines(twin, "guest luffy", "down")


def test_a_node_in_maintenance_that_loses_power_is_not_fenced() -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    ha_command(twin, "a", "enable-node-maintenance pve2")
    twin.run_until(120)
    after(twin, "fail-node pve2@0s..600s", 1500)
    assert not lines(twin, "node pve2", "ha-fence")
    assert ha_of(twin).status.nodes["pve2"] == "maintenance"


@pytest.mark.parametrize("mode", ["freeze", "ignore"])
def test_a_disarmed_cluster_resets_and_fences_nobody(mode: str) -> None:
    twin = twin_with_master(three_nodes(LUFFY), "pve1")
    ha_command(twin, "a", f"disarm-ha {mode}")
    twin.run_until(60)
    assert lines(twin, "cluster a", "ha-disarmed")
    assert not ha_of(twin).watchdogs
    after(twin, "fail-cable pve2@0s..300s", 600)
    assert not lines(twin, "node pve2", "starting")
    assert not lines(twin, "node pve2", "ha-fence")
    assert where(twin, 101) == ("pve2", "running")
    ha_command(twin, "a", "arm-ha")
    twin.run_until(700)
    assert lines(twin, "cluster a", "ha-armed")
    assert service(twin, 101) == ("started", "pve2")


def test_a_service_that_is_told_to_stop_is_wanted_stopped_from_then_on() -> None:
    twin = twin_of(three_nodes(LUFFY))
    ha_command(twin, "a", "stop vm:101 10")
    twin.run_until(60)
    assert where(twin, 101) == ("pve2", "stopped")
    assert twin.state.workloads["a"].ha["vm:101"].state == "stopped"
    assert lines(twin, "guest luffy", "ha-stop")[0].text == "HA: graceful stop asked for"


def test_a_command_that_is_none_is_told() -> None:
    twin = twin_of(three_nodes(LUFFY))
    ha_command(twin, "a", "dance vm:101")
    twin.run_until(60)
    assert [event.text for event in lines(twin, kind="ha-log")] == [
        "HA: unable to parse crm command: dance vm:101"
    ]


def test_a_dynamic_scheduler_evens_out_the_nodes() -> None:
    crowd = [guest(name, 101 + n, on="pve2", memory="3GiB") for n, name in enumerate("abc")]
    twin = twin_of(three_nodes(*crowd))
    crs = CrsSettings(mode="dynamic", auto_rebalance=True)
    guests.set_workload(twin, "a", replace(twin.state.workloads["a"], crs=crs))
    twin.run_until(600)
    assert {where(twin, 101 + n)[0] for n in range(3)} == {"pve1", "pve2", "pve3"}
    assert len(lines(twin, kind="ha-rebalance")) == 2
    assert not lines(twin, kind="down")


def test_recovery_looks_at_no_memory_the_verdict_does() -> None:
    big = [
        guest("luffy", 101, on="pve2", memory="8GiB"),
        guest("zoro", 102, on="pve3", memory="8GiB"),
        guest("nami", 103, on="pve1", memory="8GiB"),
    ]
    twin = after(twin_with_master(three_nodes(*big), "pve1"), "fail-node pve2", 600)
    assert where(twin, 101)[1] == "running"
    assert twin.facts.overcommit_bytes(where(twin, 101)[0]) == 5 * 2**30


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("shutdown-switch sw1", "is no fault"),
        ("reboot-node pve2@0s..9s", "comes back by itself"),
    ],
)
def test_what_is_done_on_purpose_is_done_to_nodes(words: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_faults([words])
    assert str(parse_faults(["shutdown-node pve2@5s..9s"])[0]) == "shutdown-node pve2@5s..9s"
