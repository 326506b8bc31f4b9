"""Automatic rebalancing: when a service is moved, which one, and where to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.cluster.documents import (
    Amount,
    CrsSettings,
    NodeAffinity,
    NodeInfo,
    ResourceAffinity,
    Rule,
    ServiceConfig,
    ServiceRecord,
)
from simulator.cluster.rebalance import Move, rebalance
from simulator.cluster.rules import compile_rules
from simulator.cluster.usage import build_usage

GIB = 1024**3
THREE = ("n1", "n2", "n3")
FORCE = CrsSettings("static", auto_rebalance=True, hold_rounds=1, bounded_imbalance=False)
TOPSIS = replace(FORCE, method="topsis")


def started(node: str) -> ServiceRecord:
    return ServiceRecord("started", node, "u", running=True)


def move(
    records: dict[str, ServiceRecord],
    *rules: Rule,
    settings: CrsSettings = FORCE,
    sizes: dict[str, int] | None = None,
    hold: int = 0,
) -> tuple[int, Move | None]:
    """One round; a service has 4 cores and 4 GiB unless `sizes` says how many of both."""
    nodes = {name: NodeInfo(online=True, maxcpu=32, maxmem_bytes=32 * GIB) for name in THREE}
    services = {sid: ServiceConfig(record.node, "started") for sid, record in records.items()}
    size = {sid: (sizes or {}).get(sid, 4) for sid in records}
    static = {sid: Amount(n, n * GIB) for sid, n in size.items()}
    usage, _ = build_usage(settings, nodes, records, services, static, {}, {})
    compiled, lines = compile_rules({rule.id: rule for rule in rules}, THREE)
    assert not lines
    return rebalance(hold, settings, records, compiled, THREE, usage)


def chosen(*rules: Rule, **nodes: str) -> tuple[str, str]:
    """Service and target by brute force; `vm1="n1"` is vm:1, started there."""
    records = {f"{name[:2]}:{name[2:]}": started(node) for name, node in nodes.items()}
    _, found = move(records, *rules)
    return (found.sid, found.target) if found else ("", "")


CROWD = {f"vm:{number}": started("n1") for number in range(1, 4)}


@pytest.mark.parametrize("settings", [FORCE, TOPSIS])
def test_the_first_of_equal_services_goes_to_the_first_of_equal_nodes(
    settings: CrsSettings,
) -> None:
    hold, found = move(CROWD, settings=settings)
    assert (hold, found and (found.sid, found.target)) == (0, ("vm:1", "n2"))


@pytest.mark.parametrize("settings", [FORCE, TOPSIS])
def test_the_service_that_evens_out_most_goes(settings: CrsSettings) -> None:
    sizes = {"vm:1": 1, "vm:2": 8, "vm:3": 9}
    _, found = move(CROWD, settings=settings, sizes=sizes)
    assert found is not None
    assert found.sid in ("vm:2", "vm:3")  # of 18, 10 and 8 are left against 9 and 9
    assert found.sid == "vm:3"


def test_the_expected_change_is_the_imbalance_before_and_after() -> None:
    _, found = move(CROWD)
    assert found is not None
    assert found.before == pytest.approx(2**0.5)  # 3, 0, 0
    assert found.after == pytest.approx((2 / 3) ** 0.5)  # 2, 1, 0


def test_an_imbalance_must_hold_for_rounds_before_anything_moves() -> None:
    patient = replace(FORCE, hold_rounds=3)
    assert move(CROWD, settings=patient) == (1, None)
    assert move(CROWD, settings=patient, hold=1) == (2, None)
    hold, found = move(CROWD, settings=patient, hold=2)
    assert hold == 0
    assert found is not None


def test_balance_starts_the_count_anew_and_a_running_move_does_not() -> None:
    even = {f"vm:{number}": started(node) for number, node in enumerate(THREE)}
    assert move(even, hold=2) == (0, None)
    moving = CROWD | {"vm:4": ServiceRecord("migrate", "n1", "u", target="n2")}
    assert move(moving, hold=2) == (2, None)
    asked = CROWD | {"vm:4": replace(started("n1"), command=("relocate", "n2"))}
    assert move(asked, hold=2) == (2, None)


def test_a_stop_that_is_asked_for_holds_nothing_up() -> None:
    asked = CROWD | {"vm:4": replace(started("n1"), command=("stop", "60"))}
    assert move(asked)[1] is not None


def test_nothing_moves_without_enough_gain() -> None:
    assert move({"vm:1": started("n1")}) == (0, None)
    assert move(CROWD, settings=replace(FORCE, margin=0.5)) == (0, None)  # 0.42 is gained


def test_nothing_moves_unless_asked_to_or_in_basic_mode() -> None:
    assert move(CROWD, settings=replace(FORCE, auto_rebalance=False), hold=1) == (1, None)
    assert move(CROWD, settings=replace(FORCE, mode="basic"), hold=1) == (1, None)


def test_a_bundle_moves_under_its_lowest_name_with_all_its_weight() -> None:
    pair = ResourceAffinity("pair", frozenset({"vm:1", "vm:2"}), positive=True)
    _, found = move(CROWD, pair)
    assert found is not None
    assert found.sid == "vm:1"  # one of three or two of three away: 2, 1, 0 both ways
    assert found.after == pytest.approx((2 / 3) ** 0.5)


def test_a_bundle_that_is_not_together_is_left_alone() -> None:
    pair = ResourceAffinity("pair", frozenset({"vm:1", "vm:4"}), positive=True)
    assert chosen(pair, vm1="n1", vm2="n1", vm3="n1", vm4="n2") == ("vm:2", "n3")


def test_a_service_goes_only_where_its_rules_let_it() -> None:
    home = NodeAffinity("home", frozenset({"vm:1"}), {"n1": 0}, strict=True)
    far = ResourceAffinity("far", frozenset({"vm:2", "vm:9"}), positive=False)
    assert chosen(vm1="n1", vm2="n1") == ("vm:1", "n2")
    assert chosen(home, vm1="n1", vm2="n1") == ("vm:2", "n2")
    assert chosen(home, far, vm1="n1", vm2="n1", vm3="n1", vm9="n2") == ("vm:2", "n3")
    assert chosen(home, far, vm1="n1", vm2="n3", vm9="n2") == ("", "")


def test_moves_that_differ_only_by_rounding_are_taken_in_order() -> None:
    crowd = {f"vm:{number}": started("n1") for number in range(1, 5)}
    _, found = move(crowd, sizes={"vm:1": 8, "vm:2": 5, "vm:3": 9, "vm:4": 1})
    assert found is not None
    assert (found.sid, found.target) == ("vm:3", "n2")  # without rounding, n3 is 1e-16 better


def test_a_service_kept_apart_stays_off_the_emptiest_node() -> None:
    far = ResourceAffinity("far", frozenset({"vm:1", "vm:9"}), positive=False)
    records = {"vm:1": started("n1"), "vm:2": started("n1"), "vm:3": started("n3")}
    records["vm:9"] = started("n2")
    _, found = move(records, far, sizes={"vm:1": 9, "vm:2": 9, "vm:3": 2, "vm:9": 1})
    assert found is not None
    assert (found.sid, found.target) == ("vm:2", "n2")
    _, found = move(records, sizes={"vm:1": 9, "vm:2": 9, "vm:3": 2, "vm:9": 1})
    assert found is not None
    assert (found.sid, found.target) == ("vm:1", "n2")


def test_a_service_does_not_move_to_where_it_is() -> None:
    home = NodeAffinity("home", frozenset({"vm:1"}), {"n1": 0}, strict=True)
    anything = replace(TOPSIS, margin=0.0)
    assert move({"vm:1": started("n1")}, home, settings=anything) == (0, None)


def test_a_partner_that_is_stopped_does_not_hold_its_bundle() -> None:
    pair = ResourceAffinity("pair", frozenset({"vm:1", "vm:3"}), positive=True)
    records = CROWD | {"vm:3": ServiceRecord("stopped", "n2", "u")}
    _, found = move(records, pair)
    assert found is not None
    assert (found.sid, found.target) == ("vm:1", "n2")


def test_a_service_on_a_node_that_is_not_online_waits() -> None:
    records = CROWD | {"vm:0": started("n9")}
    _, found = move(records)
    assert found is not None
    assert found.sid == "vm:1"
