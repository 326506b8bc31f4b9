"""Who reaches whom: VLANs through ports, bonds and trunks, for a given set of broken things."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.faults import parse_faults
from simulator.facts import Facts
from simulator.model import Model
from simulator.outcome.steady import steady
from tests.simulator.rack import Tree, rack


def facts(faults: str = "", change: Callable[[Tree], object] | None = None) -> Facts:
    """What holds in the end."""
    model = Model(rack(change=change))
    return Facts(model, steady(model, parse_faults([faults]) if faults else ()))


def test_all_hosts_of_a_vlan_reach_each_other_and_no_others() -> None:
    world = facts()

    assert world.talks("pve1", "pve2", "mgmt")
    assert world.talks("pve1", "nas1", "iscsi1")
    assert not world.talks("pve1", "nas1", "ceph")


@pytest.mark.parametrize(
    "fault",
    [
        "fail-cable pve1-eno1",
        "silence-cable pve1-eno1",
        "fail-card pve1/card1",
        "silence-card pve1/card2",
        "fail-switch sw1",
        "silence-switch sw2",
        "fail-cable peer",
    ],
)
def test_a_bond_with_one_leg_left_reaches_everybody(fault: str) -> None:
    world = facts(fault)

    for node in ("pve2", "pve3"):
        assert world.talks("pve1", node, "mgmt")
        assert world.talks("pve1", node, "ceph")


def test_a_host_without_any_leg_reaches_itself_only() -> None:
    world = facts("fail-cable pve1-eno1 fail-cable pve1-eno2")

    assert not world.talks("pve1", "pve2", "mgmt")
    assert world.talks("pve1", "pve1", "mgmt")
    assert world.talks("pve1", "pve2", "ceph")
    assert not world.in_core("pve1", "mgmt")
    assert world.in_core("pve2", "mgmt")


def test_a_vlan_missing_at_one_end_of_the_trunk_cuts_it_there_and_no_other() -> None:
    def forget(tree: Tree) -> None:
        for switch, port in (("sw1", "pve1-eno1"), ("sw2", "pve1-eno2")):
            tree["switches"][switch]["ports"][port]["vlans"].remove("prod")

    world = facts(change=forget)

    assert world.talks("pve1", "pve2", "mgmt")
    assert world.reach.uplink_segments("pve1/bond0", "prod") == frozenset()
    assert world.reach.uplink_segments("pve2/bond0", "prod")


def test_a_vlan_missing_on_one_leg_is_carried_by_the_other_only() -> None:
    def forget(tree: Tree) -> None:
        tree["switches"]["sw1"]["ports"]["pve1-eno1"]["vlans"].remove("mgmt")

    assert facts(change=forget).talks("pve1", "pve2", "mgmt")
    assert not facts("fail-cable pve1-eno2", forget).talks("pve1", "pve2", "mgmt")


def test_a_card_takes_all_of_its_ports_along() -> None:
    world = facts("fail-card pve1/card1 fail-cable pve1-eno2")

    assert not world.talks("pve1", "pve2", "mgmt")
    assert world.talks("pve1", "pve2", "ceph")  # over eno4, on the other card


def test_a_vlan_missing_between_the_switches_cuts_hosts_with_one_leg_only() -> None:
    def forget(tree: Tree) -> None:
        tree["switches"]["sw2"]["ports"]["peer"]["vlans"].remove("iscsi1")
        tree["cables"]["nas1-eno1"]["ends"][1] = "sw2/nas1-eno1"
        tree["switches"]["sw2"]["ports"]["nas1-eno1"] = {"access": "iscsi1"}

    world = facts(change=forget)

    assert not world.talks("pve1", "nas1", "iscsi1")  # sw1 to sw2
    assert world.talks("pve1", "nas1", "iscsi2")


def test_the_peer_link_joins_hosts_with_one_leg_on_different_switches() -> None:
    def move(tree: Tree) -> None:
        tree["cables"]["nas1-eno1"]["ends"][1] = "sw2/nas1-eno1"
        tree["switches"]["sw2"]["ports"]["nas1-eno1"] = {"access": "iscsi1"}

    assert facts(change=move).talks("pve1", "nas1", "iscsi1")
    assert not facts("fail-cable peer", move).talks("pve1", "nas1", "iscsi1")


def test_a_tagged_end_and_an_untagged_end_do_not_meet() -> None:
    def tag(tree: Tree) -> None:
        tree["switches"]["sw1"]["ports"]["nas1-eno1"] = {"vlans": ["iscsi1"]}

    assert not facts(change=tag).talks("pve1", "nas1", "iscsi1")


def test_the_native_vlan_of_a_trunk_meets_an_access_port() -> None:
    def native(tree: Tree) -> None:
        tree["switches"]["sw1"]["ports"]["nas1-eno1"] = {"vlans": ["mgmt"], "native": "iscsi1"}

    assert facts(change=native).talks("pve1", "nas1", "iscsi1")


def bond0(**changes: object) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        tree["nodes"]["pve1"]["bonds"]["bond0"] |= changes

    return change


def no_lag(tree: Tree) -> None:
    for switch, port in (("sw1", "pve1-eno1"), ("sw2", "pve1-eno2")):
        del tree["switches"][switch]["ports"][port]["lag"]


def legs(world: Facts) -> list[str]:
    uplink = world.model.wiring.uplinks["pve1/bond0"]
    return [leg.port.rpartition("/")[2] for leg in world.reach.used(uplink)]


def test_lacp_over_two_switches_that_are_no_pair_uses_one_of_them() -> None:
    def part(tree: Tree) -> None:
        del tree["switches"]["sw1"]["peer"], tree["switches"]["sw2"]["peer"]

    assert legs(facts()) == ["eno1", "eno2"]
    assert legs(facts(change=part)) == ["eno1"]
    assert legs(facts("fail-cable pve1-eno1", part)) == ["eno2"]


def test_lacp_without_a_partner_keeps_one_leg_in_linux_and_none_in_open_vswitch() -> None:
    assert legs(facts(change=no_lag)) == ["eno1"]

    def ovs(tree: Tree) -> None:
        no_lag(tree)
        bond0(driver="ovs")(tree)

    assert legs(facts(change=ovs)) == []


def test_active_backup_uses_one_leg_and_the_other_when_its_carrier_is_gone() -> None:
    def change(tree: Tree) -> None:
        no_lag(tree)
        bond0(mode="active-backup")(tree)

    assert legs(facts(change=change)) == ["eno1"]
    assert legs(facts("fail-switch sw1", change)) == ["eno2"]
    assert facts("fail-switch sw1", change).talks("pve1", "pve2", "mgmt")


def test_active_backup_stays_black_on_a_silently_dead_leg() -> None:
    def change(tree: Tree) -> None:
        no_lag(tree)
        bond0(mode="active-backup")(tree)

    world = facts("silence-cable pve1-eno1", change)

    assert legs(world) == ["eno1"]
    assert not world.talks("pve1", "pve2", "mgmt")


def test_a_lag_on_the_switch_and_no_lacp_on_the_host_carries_nothing() -> None:
    world = facts(change=bond0(mode="active-backup"))

    assert legs(world) == []
    assert not world.talks("pve1", "pve2", "mgmt")


def test_two_hosts_joined_by_a_cable_reach_each_other_without_a_switch() -> None:
    def join(tree: Tree) -> None:
        for node in ("pve1", "pve2"):
            tree["nodes"][node]["nics"]["eno7"] = {"vlans": ["nfs"]}
        tree["cables"]["cross"] = {"ends": ["pve1/eno7", "pve2/eno7"]}

    lost = "fail-switch sw1 fail-switch sw2"
    assert facts(lost, join).talks("pve1", "pve2", "nfs")
    assert not facts(lost, join).talks("pve1", "pve3", "nfs")
    assert not facts(lost + " fail-cable cross", join).talks("pve1", "pve2", "nfs")


def test_the_core_is_where_the_router_is_and_without_it_where_most_are() -> None:
    def part(tree: Tree) -> None:
        tree["cables"]["pve3-eno2"]["ends"][1] = "sw1/x"
        tree["switches"]["sw1"]["ports"]["x"] = {"vlans": ["mgmt", "prod"], "lag": "pve3-0"}
        del tree["cables"]["pve1-eno1"], tree["cables"]["pve2-eno1"], tree["cables"]["peer"]
        tree["cables"]["nas1-eno3"]["ends"][1] = "sw2/x"
        tree["switches"]["sw2"]["ports"]["x"] = {"vlans": ["mgmt"]}

    alone = facts(change=part)  # pve3 and the router on sw1, all others on sw2

    assert [alone.in_core(node, "mgmt") for node in ("pve1", "pve3")] == [False, True]
    assert [alone.api_reachable(node) for node in ("pve1", "pve3")] == [False, True]
    routerless = facts("fail-router r1", part)
    assert [routerless.in_core(node, "mgmt") for node in ("pve1", "pve3")] == [True, False]
