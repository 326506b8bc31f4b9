"""Which node HA takes: rules of affinity and the basic scheduler."""

from __future__ import annotations

from collections import Counter

import pytest

from simulator.ha_rules import (
    Preference,
    keep_apart,
    keep_together,
    loaded_nodes,
    node_priorities,
    rules_in_force,
    select_node,
)
from simulator.state import HaService
from simulator.workload import HaRuleSpec, Workload

NODES = ("n1", "n2", "n3")


def _nodes(*sids: str, strict: bool = False, **nodes: int) -> HaRuleSpec:
    return HaRuleSpec("nodes " + " ".join(sids), "node-affinity", sids, nodes, strict)


def _bundle(*sids: str) -> HaRuleSpec:
    return HaRuleSpec("bundle " + " ".join(sids), "resource-affinity", sids, positive=True)


def _apart(*sids: str) -> HaRuleSpec:
    return HaRuleSpec("apart " + " ".join(sids), "resource-affinity", sids, positive=False)


def _select(
    services: dict[str, str | HaService],
    *rules: HaRuleSpec,
    online: tuple[str, ...] = NODES,
    preference: Preference = Preference.BEST,
    failback: bool = True,
) -> str:
    """The node for service a; each service runs on the node given."""
    records = {
        sid: HaService("started", at) if isinstance(at, str) else at for sid, at in services.items()
    }
    load = Counter(node for record in records.values() for node in loaded_nodes(record))
    counted = {node: load[node] for node in online}
    return select_node("a", records, rules, counted, preference, failback=failback)


def test_the_fewest_services_decide_then_the_name() -> None:
    assert _select({"a": "n9", "b": "n1", "c": "n2"}) == "n3"
    assert _select({"a": "n9"}) == "n1"
    assert _select({"a": "n9", "b": "n1"}, online=("n1", "n2")) == "n2"


def test_a_moving_service_counts_on_both_nodes_and_a_stopped_one_on_none() -> None:
    moving = HaService("migrate", "n1", "n2")
    stopped = HaService("stopped", "n3")
    assert _select({"a": "n9", "b": moving, "c": stopped}) == "n3"


def test_a_service_stays_where_it_may_be() -> None:
    assert _select({"a": "n2", "b": "n2", "c": "n2"}, preference=Preference.STAY) == "n2"


def test_only_the_highest_priority_that_is_online_counts() -> None:
    rule = _nodes("a", n1=1, n2=2)
    assert _select({"a": "n9"}, rule) == "n2"
    assert _select({"a": "n9"}, rule, online=("n1", "n3")) == "n1"
    assert _select({"a": "n9"}, rule, online=("n3",)) == "n3"
    assert _select({"a": "n9"}, _nodes("a", n1=1, strict=True), online=("n3",)) == ""


def test_a_service_goes_back_to_a_better_node_unless_failback_is_off() -> None:
    rule = _nodes("a", n1=2, n2=1)
    assert _select({"a": "n2"}, rule, preference=Preference.STAY) == "n1"
    assert _select({"a": "n2"}, rule, preference=Preference.STAY, failback=False) == "n2"
    strict = _nodes("a", n1=2, strict=True)
    assert _select({"a": "n2"}, strict, preference=Preference.STAY, failback=False) == "n1"


def test_rivals_are_never_on_one_node() -> None:
    assert _select({"a": "n9", "b": "n1", "c": "n3", "d": "n3"}, _apart("a", "b")) == "n2"
    everywhere: dict[str, str | HaService] = {
        "a": "n9",
        "b": "n1",
        "c": "n2",
        "d": HaService("migrate", "n2", "n3"),
    }
    assert _select(everywhere, _apart("a", "b", "d")) == ""


def test_a_bundle_goes_where_most_of_it_is() -> None:
    services: dict[str, str | HaService] = {"a": "n9", "b": "n3", "c": "n3", "d": "n2"}
    assert _select(services, _bundle("a", "b", "c", "d")) == "n3"


def test_a_failed_node_is_not_tried_again() -> None:
    tried = HaService("started", "n1", failed_nodes=("n1", "n2"))
    assert _select({"a": tried}, preference=Preference.TRY_NEXT) == "n3"
    everywhere = HaService("started", "n1", failed_nodes=NODES)
    assert _select({"a": everywhere}, preference=Preference.TRY_NEXT) == ""


def test_connected_bundles_are_one_and_share_what_binds_a_member() -> None:
    rules = (_bundle("a", "b"), _bundle("b", "c"), _apart("c", "d"), _nodes("c", n2=1, strict=True))
    assert keep_together("a", rules) == {"a", "b", "c"}
    assert keep_apart("a", rules) == {"d"}
    assert keep_apart("d", rules) == {"a", "b", "c"}
    assert node_priorities("a", rules, NODES) == {"n2": 1}


def test_separation_of_two_bundles_is_not_handed_on() -> None:
    rules = (_bundle("a", "b"), _bundle("c", "d"), _apart("a", "c"))
    assert keep_apart("a", rules) == {"c", "d"}
    assert keep_apart("b", rules) == {"c"}


@pytest.mark.parametrize(
    "rules",
    [
        (_bundle("a"),),
        (_apart("a", "b", "c", "d"),),
        (_nodes("a", n1=1), _nodes("a", "b", n2=1)),
    ],
    ids=["one member", "more than nodes", "two node rules for one"],
)
def test_rules_that_can_not_work_are_not_used(rules: tuple[HaRuleSpec, ...]) -> None:
    assert rules_in_force(Workload(rules=rules), NODES) == ()
