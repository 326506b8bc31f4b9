"""The model: the graph of what is there, names of what can fail, and bits."""

from __future__ import annotations

import pytest

from lab.faults import Fault, FaultKind, parse_faults
from simulator.model import Model
from tests.simulator.rack import Tree, rack


def test_every_physical_thing_is_a_vertex_joined_to_what_it_hangs_on() -> None:
    graph = Model(rack()).graph

    assert graph.nodes["card pve1/card1"]["kind"] == "card"
    assert graph.edges["feed f1", "node pve1"]["relation"] == "feeds"
    assert set(graph["cable pve1-eno1"]) == {"port pve1/eno1", "port sw1/pve1-eno1"}
    assert set(graph["bond pve1/bond0"]) == {
        "node pve1",
        "port pve1/eno1",
        "port pve1/eno2",
        "bridge pve1/vmbr0",
    }
    assert "disk pve1/sdc" in graph["osd a/0"]
    assert "portal nas1/p1" in graph["nas nas1"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (FaultKind.NODE, ["pve1", "pve2", "pve3"]),
        (FaultKind.SWITCH, ["sw1", "sw2"]),
        (FaultKind.FEED, ["f1", "f2"]),
        (FaultKind.NAS, ["nas1"]),
        (FaultKind.PORTAL, ["nas1/p1", "nas1/p2"]),
        (FaultKind.OSD, [f"a/{number}" for number in range(6)]),
        (FaultKind.ROUTER, ["r1"]),
        (FaultKind.BACKUP_SERVER, []),
    ],
)
def test_everything_of_a_kind_that_can_fail_is_listed(kind: FaultKind, names: list[str]) -> None:
    assert Model(rack()).elements(kind) == names


def test_every_listed_element_can_be_made_to_fail() -> None:
    model = Model(rack())

    for kind in FaultKind:
        for name in model.elements(kind):
            model.check(Fault(kind, name))


def test_a_fault_of_nothing_is_refused_with_the_nearest_name() -> None:
    model = Model(rack())

    with pytest.raises(ValueError, match="there is no node pve9"):
        model.check(*parse_faults(["fail-node pve9"]))
    with pytest.raises(ValueError, match=r"no cable pve1-eno11; did you mean pve1-eno1\?"):
        model.check(*parse_faults(["fail-cable pve1-eno11"]))


def test_a_cable_plugged_at_one_end_only_carries_nothing() -> None:
    def unplug(tree: Tree) -> None:
        tree["cables"]["pve1-eno1"]["ends"][1] = "sw1/nowhere"

    model = Model(rack(change=unplug))

    assert [leg.port for leg in model.wiring.uplinks["pve1/bond0"].legs] == ["port pve1/eno2"]
