"""The lab as it is drawn: nothing that can fail is missing, and cables carry what passes them."""

from __future__ import annotations

import pytest

from api.topology import CableDrawn, GuestPlace, Topology, topology
from lab.faults import FaultKind
from lab.lab import Lab
from lab.load import load_tree
from simulator.model import Model
from tests.api.exhibit import TREE
from tests.labs import lab_of


@pytest.fixture(scope="module")
def lab() -> Lab:
    """The lab of `desired-state/`."""
    return load_tree(TREE)


@pytest.fixture(scope="module")
def drawn(lab: Lab) -> Topology:
    """Its drawing."""
    return topology(lab, "c0ffee")


def cable(drawn: Topology, name: str) -> CableDrawn:
    return next(each for each in drawn.cables if each.name == name)


def test_everything_that_can_fail_is_drawn_by_the_name_that_faults_have(
    lab: Lab, drawn: Topology
) -> None:
    model = Model(lab)
    can_fail = {f"{kind} {name}" for kind in FaultKind for name in model.elements(kind)}
    shown = {
        each.subject
        for group in (drawn.hosts, drawn.switches, drawn.feeds, drawn.cables)
        for each in group
    } | {part.subject for host in drawn.hosts for part in host.parts}
    assert shown == can_fail


def test_a_cable_carries_what_both_of_its_ends_do(lab: Lab, drawn: Topology) -> None:
    assert cable(drawn, "pve1-1").vlans == ["production", "management", "images"]
    assert cable(drawn, "pve4-3").vlans == ["iscsi-1"]
    assert cable(drawn, "pve4-ilo").vlans == ["management"]
    assert cable(drawn, "router1-1").vlans == ["production", "management"]
    assert cable(drawn, "bak1-3").vlans == ["backup"]
    assert len(cable(drawn, "peer-1").vlans) == len(lab.vlans)
    legs = {
        leg.cable: leg.vlans for uplink in Model(lab).wiring.uplinks.values() for leg in uplink.legs
    }
    for each in drawn.cables:
        if each.subject in legs:
            assert set(each.vlans) == legs[each.subject], each.name


def test_a_tagged_end_and_an_untagged_one_have_nothing_in_common() -> None:
    drawn = topology(
        lab_of(
            """
            vlans: {blue: {id: 2, role: guests}, red: {id: 3, role: guests}}
            clusters: {a: {version: "9.2", corosync: {links: []}}}
            switches: {sw1: {feeds: [], ports: {p1: {vlans: [red], native: blue}}}}
            nodes: {n1: {cluster: a, feeds: [], nics: {eno1: {vlans: [red, blue]}}}}
            cables: {c1: {ends: [n1/eno1, sw1/p1]}}
            """,
            rules=False,
        )
    )
    assert drawn.cables[0].vlans == ["red"]


def test_only_the_link_of_a_pair_is_a_peer_link(drawn: Topology) -> None:
    assert [each.name for each in drawn.cables if each.peer_link] == ["peer-1", "peer-2"]


def test_a_server_shows_its_bonds_parts_and_what_it_does(drawn: Topology) -> None:
    pve1 = next(host for host in drawn.hosts if host.name == "pve1")
    assert [(bond.name, bond.mode, bond.members) for bond in pve1.bonds] == [
        ("bond0", "lacp", ["eno1", "eno2"]),
        ("bond1", "lacp", ["eno3", "eno4"]),
    ]
    eno3 = next(port for port in pve1.ports if port.name == "eno3")
    assert (eno3.card, eno3.bond, eno3.management) == ("card1", "bond1", False)
    assert pve1.ports[-1].management
    assert pve1.roles == ["monitor", "2 OSDs"]
    assert pve1.guest_memory_bytes == 11 * 2**30
    nas1 = next(host for host in drawn.hosts if host.name == "nas1")
    assert nas1.roles == ["2 LUNs", "NFS"]
    assert "portal nas1/path1" in [part.subject for part in nas1.parts]


def test_a_guest_is_where_it_was_seen_and_nowhere_if_it_was_not(lab: Lab) -> None:
    places = {("a", 101): GuestPlace("pve3", running=True), ("a", 102): GuestPlace("pve2", None)}
    guests = {guest.name: guest for guest in topology(lab, None, places).guests}
    assert (guests["luffy"].node, guests["luffy"].running) == ("pve3", True)
    assert (guests["zoro"].node, guests["zoro"].running) == ("pve2", None)
    assert (guests["nami"].node, guests["nami"].running) == (None, None)
    assert guests["ussop"].wanted == "stopped"
