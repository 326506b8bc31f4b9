"""Outages as people see them: guests and services that serve or do not."""

from __future__ import annotations

import pytest

from simulator import guests
from simulator.build import twin_of
from simulator.declared import declared_workload
from simulator.twin import Twin
from simulator.watch import forget
from tests.labs import lab_of
from tests.simulator.three_nodes import after, guest, hardware, lines, three_nodes

SERVICES = """
services:
  either: {any: [luffy, zoro], vlan: production}
  both: {all: [luffy, zoro], vlan: production}
"""
LUFFY, ZORO = guest("luffy", 101, on="pve2"), guest("zoro", 102, on="pve3")


def _twin(*guests: str) -> Twin:
    return twin_of(three_nodes(*(guests or (LUFFY, ZORO)), more=SERVICES))


def test_all_that_serves_from_the_start_has_no_outage() -> None:
    state = _twin().state
    assert state.outages == dict.fromkeys(
        ["guest luffy", "guest zoro", "service either", "service both"], 0.0
    )
    assert state.down_since == {}


def test_an_outage_lasts_from_the_fault_until_the_guest_has_booted() -> None:
    twin = after(_twin(), "fail-node pve2@10s", 600)
    (down,) = lines(twin, "guest luffy", "killed")
    (up,) = lines(twin, "guest luffy", "up")
    assert down.at_s == 10
    assert twin.state.outages["guest luffy"] == pytest.approx(up.at_s - 10, abs=0.01)
    assert f"after {up.at_s - 10:.1f} s" in up.text
    assert not lines(twin, "guest luffy", "down")  # that it was killed says it


def test_a_service_needs_any_or_all_of_its_guests() -> None:
    twin = after(_twin(), "fail-node pve2", 600)
    assert twin.state.outages["service either"] == 0
    assert twin.state.outages["service both"] == twin.state.outages["guest luffy"] > 0
    (down,) = lines(twin, "service both", "down")
    assert down.text == "does not serve, without luffy"


def test_a_service_looks_at_its_own_vlan_only() -> None:
    cut = hardware().replace("p2: {vlans: [management, production]}", "p2: {vlans: [production]}")
    one, two = "net0: {vlan: production}", "net1: {vlan: management}"
    luffy = LUFFY.replace(one, f"{one}, {two}").replace("prefer", "pin")
    service = "services: {files: {all: [luffy], vlan: production}, web: {all: [luffy]}}"
    state = twin_of(lab_of(cut, f"guests:\n{luffy}", service, rules=False)).state
    assert state.down_since.keys() == {"guest luffy", "service web"}
    assert state.outages == {"service files": 0.0}


def test_a_guest_whose_node_is_cut_off_does_not_serve_although_it_runs() -> None:
    twin = after(_twin(), "fail-cable pve2", 10)
    (down,) = lines(twin, "guest luffy", "down")
    assert down.text == "does not serve, pve2 reaches nobody in VLAN production over vmbr0"
    assert twin.state.down_since["service both"] == 0


def test_outages_of_one_thing_are_summed() -> None:
    twin = after(_twin(), "fail-cable pve2@10s..20s fail-cable pve2@50s..55s", 100)
    assert twin.state.outages["guest luffy"] == 15


def test_what_is_off_by_wish_has_no_outage() -> None:
    twin = _twin(LUFFY, ZORO.replace("    ha: {}", "    ha: {}\n    state: stopped"))
    assert "guest zoro" not in twin.state.outages
    assert "guest zoro" in twin.state.down_since
    assert not lines(twin, "guest zoro")


def test_a_guest_that_is_gone_is_forgotten() -> None:
    lab = three_nodes(LUFFY, ZORO)
    twin = twin_of(lab)
    guests.set_workload(twin, "a", declared_workload(three_nodes(LUFFY), "a"))
    twin.settle()
    assert "guest zoro" not in twin.state.outages


def test_forgetting_starts_to_count_anew() -> None:
    twin = after(_twin(), "fail-cable pve2@0s..10s fail-cable pve3@90s", 100)
    forget(twin.state)
    assert twin.state.outages == {"guest luffy": 0.0, "service either": 0.0}
    assert twin.state.down_since == {"guest zoro": 90.0, "service both": 90.0}
