"""Scores of nodes by what services make of their CPU and memory."""

from __future__ import annotations

from math import sqrt

import pytest

from simulator.cluster.documents import Amount, CrsSettings, NodeInfo, ServiceConfig, ServiceRecord
from simulator.cluster.topsis import closeness, criteria
from simulator.cluster.usage import Placed, Usage, build_usage, placed

GIB = 1024**3
BIG, SMALL = (
    NodeInfo(online=True, maxcpu=32, maxmem_bytes=64 * GIB),
    NodeInfo(online=True, maxcpu=16, maxmem_bytes=32 * GIB),
)
LIMIT = Amount(4, 4 * GIB)


def usage_of(
    mode: str,
    records: dict[str, ServiceRecord],
    *,
    limit: Amount = LIMIT,
    nodes: dict[str, NodeInfo] | None = None,
    dynamic: dict[str, Amount] | None = None,
    running: dict[str, frozenset[str]] | None = None,
    bounded: bool = False,
) -> Usage:
    services = {sid: ServiceConfig(record.node, "started") for sid, record in records.items()}
    usage, lines = build_usage(
        CrsSettings(mode=mode, bounded_imbalance=bounded),
        nodes or {"n1": BIG, "n2": SMALL},
        records,
        services,
        dict.fromkeys([*services, "vm:9"], limit),
        dynamic or {},
        running or {},
    )
    assert not lines
    return usage


def started(node: str, *, running: bool = True) -> ServiceRecord:
    return ServiceRecord("started", node, "u", running=running)


@pytest.mark.parametrize(
    ("state", "at"),
    [
        ("stopped", Placed()),
        ("request_start", Placed()),
        ("started", Placed("n1")),
        ("freeze", Placed("n1")),
        ("migrate", Placed("n1", "n2")),
        ("request_start_balance", Placed("", "n2")),
    ],
)
def test_a_service_loads_nodes_as_its_state_says(state: str, at: Placed) -> None:
    assert placed(ServiceRecord(state, "n1", "u", target="n2"), ("n1", "n2")) == at


def test_nodes_that_are_not_online_carry_nothing() -> None:
    record = ServiceRecord("migrate", "n1", "u", target="n2")
    assert placed(record, ("n2", "n3")) == Placed("", "n2")


def test_the_basic_score_counts_a_moving_service_on_both_nodes() -> None:
    moving = ServiceRecord("relocate", "n1", "u", target="n2")
    usage = usage_of("basic", {"vm:1": moving, "vm:2": started("n1")})
    assert usage.scores("vm:3") == {"n1": 2, "n2": 1}


def test_a_service_that_is_counted_anew_is_not_counted_twice() -> None:
    usage = usage_of("basic", {"vm:1": started("n1")})
    usage.put("vm:1", started("n2"), None)
    assert usage.scores("vm:2") == {"n1": 0, "n2": 1}
    usage.put("vm:1", None, None)
    assert usage.scores("vm:2") == {"n1": 0, "n2": 0}


def test_services_without_record_count_if_they_are_wanted_started() -> None:
    services = {"vm:1": ServiceConfig("n1", "started"), "vm:2": ServiceConfig("n2", "ignored")}
    usage, _ = build_usage(CrsSettings(), {"n1": BIG, "n2": BIG}, {}, services, {}, {}, {})
    assert usage.scores("vm:3") == {"n1": 1, "n2": 0}


def test_the_static_score_prefers_the_node_with_more_room_over_that_with_fewer_services() -> None:
    usage = usage_of("static", {"vm:1": started("n1")})
    scores = usage.scores("vm:9")
    assert scores["n1"] < scores["n2"]


def test_the_static_score_can_be_worked_out_by_hand() -> None:
    even = {"n1": BIG, "n2": BIG}
    scores = usage_of("static", {"vm:1": started("n1")}, nodes=even).scores("vm:9")
    # n2 is best and n1 worst in each column: the closeness is 1 and 0.
    assert scores == {"n1": 0.0, "n2": -1.0}


def test_a_service_without_cpu_limit_may_take_the_whole_node() -> None:
    usage = usage_of("static", {"vm:1": started("n2")}, limit=Amount(0, 0))
    assert usage.imbalance() == pytest.approx(1.0)  # loads 0 and 1/2


def test_the_dynamic_score_adds_limits_only_of_what_is_not_measured_yet() -> None:
    records = {"vm:1": started("n1", running=False), "vm:2": started("n2")}
    usage = usage_of(
        "dynamic",
        records,
        nodes={"n1": BIG, "n2": BIG},
        dynamic={"vm:2": Amount(1, GIB)},
        running={"n2": frozenset({"vm:2"})},
    )
    scores = usage.scores("vm:9")
    assert scores["n2"] < scores["n1"]  # n2 measures less than what vm:1 may come to use
    assert usage.imbalance() == pytest.approx(1.0)  # but only n2 is loaded now


def test_only_guests_configured_where_they_run_are_measured() -> None:
    usage = usage_of(
        "dynamic",
        {"vm:1": started("n1")},
        dynamic={"vm:1": Amount(8, 8 * GIB)},
        running={"n2": frozenset({"vm:1", "vm:5"})},
    )
    assert usage.imbalance() == 0


def test_static_without_sizes_of_all_nodes_falls_back_to_basic() -> None:
    bare = NodeInfo(online=True)
    usage, lines = build_usage(CrsSettings("static"), {"n1": bare}, {}, {}, {}, {}, {})
    assert usage.mode == "basic"
    assert lines[0].level == "warning"
    assert lines[0].message.startswith("fallback to 'basic' scheduler mode, init for 'static'")
    usage, lines = build_usage(CrsSettings("dynamic"), {"n1": bare}, {}, {}, {}, {}, {})
    assert (usage.mode, lines) == ("dynamic", ())


def test_an_unknown_mode_is_basic_with_a_warning() -> None:
    usage, lines = build_usage(CrsSettings("magic"), {"n1": BIG}, {}, {}, {}, {}, {})
    assert usage.mode == "basic"
    assert [line.message for line in lines] == ["got unknown scheduler mode 'magic', using 'basic'"]


def test_one_loaded_node_of_five_is_2_out_of_balance_or_1_where_that_is_the_bound() -> None:
    five = {f"n{number}": BIG for number in range(1, 6)}
    records = {"vm:1": started("n3")}
    assert usage_of("static", records, nodes=five).imbalance() == pytest.approx(2.0)
    assert usage_of("static", records, nodes=five, bounded=True).imbalance() == pytest.approx(1.0)


def test_one_node_alone_and_an_empty_cluster_are_in_balance() -> None:
    alone = {"n1": BIG}
    assert usage_of("static", {"vm:1": started("n1")}, nodes=alone, bounded=True).imbalance() == 0
    assert usage_of("static", {}).imbalance() == 0


def test_a_move_takes_no_more_off_its_source_than_there_is() -> None:
    usage = usage_of("static", {"vm:1": started("n1")}, nodes={"n1": BIG, "n2": BIG})
    assert usage.imbalance(("n1", "n2", Amount(40, 4 * GIB))) == pytest.approx(1.0)


def test_criteria_are_mean_square_and_maximum_of_cpu_then_memory() -> None:
    row = criteria([Amount(0.6, 0.3), Amount(0.8, 0.4)])
    assert row == pytest.approx((1 + sqrt(0.5), 1.8, 1 + sqrt(0.125), 1.4))


def test_closeness_compares_columns_by_their_shares() -> None:
    near = closeness([(3.0, 0.0, 0.0, 12.0), (4.0, 0.0, 0.0, 5.0)])
    best, worst = 10 * 7 / 13, 1 * 0.2  # columns (0.6, 0.8) and (12/13, 5/13), weights 1 and 10
    assert near == pytest.approx([worst / (best + worst), best / (best + worst)])


def test_closeness_weighs_memory_over_cpu() -> None:
    less_memory, less_cpu = criteria([Amount(0.5, 0.1)]), criteria([Amount(0.1, 0.5)])
    near = closeness([less_memory, less_cpu])
    assert near[0] > near[1]
    assert closeness([less_cpu, less_cpu]) == [0, 0]
